//! PixelRTS boots operating systems from images, local or remote.
//!
//! Modules stand in ranks that never point upward (`docs/ARCHITECTURE.md`; `cargo xtask check` keeps it so):
//! 0 `image` `blob` `task` `paths` `database` `clock` `files` `policy` `process` `random` `report` `secrets`,
//! 1 `cache` `remote`, 2 `catalog` `export`,
//! 3 `machine` `bootstrap` `supervisor`, 4 `boot`, 5 `api` `samples` `doctor`,
//! 6 `config` `app` `cli`.

pub mod api;
pub mod app;
pub mod blob;
pub mod boot;
pub mod bootstrap;
pub mod cache;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod database;
pub mod doctor;
pub mod export;
pub mod files;
pub mod image;
pub mod machine;
pub mod paths;
pub mod policy;
pub mod process;
pub mod random;
pub mod remote;
pub mod report;
pub mod samples;
pub mod secrets;
pub mod supervisor;
pub mod task;
