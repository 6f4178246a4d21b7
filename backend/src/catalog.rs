//! What can be booted: the images of this computer's folders and of all servers, one entry per digest.
//!
//! [`Local`] reads folders, [`merge`] puts everything together, [`Library`] answers for all of it: which entries there
//! are, which one a key means, and getting its bytes here.

mod arriving;
mod cached;
mod checked_file;
mod error;
mod image_file;
mod image_ref;
mod import;
mod library;
mod merge;
mod offered;
mod personal;
mod picture;
mod read;
mod scan;
mod server_pictures;
mod thumbnails;
mod turns;
mod view;

pub use arriving::{Arriving, Extent, ImageBytes};
pub use cached::Named;
pub use checked_file::{CheckedFile, FilesInUse};
pub use image_file::ImageFile;
pub use image_ref::{ImageRef, is_image_name, name_of_file, name_of_place};
pub use import::{Arrived, FileName};
pub use library::Library;
pub use merge::{Cursor, Whole};
pub use offered::Offered;
pub use personal::{Personal, SCHEMA as PERSONAL};
pub use read::check_image;
pub use scan::{Found, Local, LocalImage};
pub use thumbnails::{ServerPicture, Thumbnails};

use rusqlite_migration::M;

use crate::database::{Loss, Schema};
use crate::paths::Paths;
use crate::policy::manifest::{Directory, manifest};

/// What image files were when they were last read.
pub static SCHEMA: Schema = Schema {
    name: "catalog",
    migrations: &[
        M::up(
            "CREATE TABLE scanned (
                path TEXT PRIMARY KEY, size INTEGER NOT NULL, modified TEXT NOT NULL, reader TEXT NOT NULL,
                entry TEXT NOT NULL
             ) STRICT;",
        ),
        M::up(
            "DROP TABLE scanned;
             CREATE TABLE files (
                path TEXT PRIMARY KEY, identity TEXT NOT NULL, reader TEXT NOT NULL,
                entry TEXT, problem TEXT       -- one of them
             ) STRICT;",
        ),
    ],
    loss: Loss::Index,
};

manifest! {
    module: "catalog",
    directories: &[Directory { at: Paths::thumbnails, private: false }],
    database: Some(&SCHEMA)
}
