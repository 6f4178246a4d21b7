//! Types that several ranks share: what a module needs, when something is started again.

pub mod manifest;
pub mod restart;
