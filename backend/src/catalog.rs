//! What can be booted: the images of this computer's folders and of all servers, one entry per digest.
//!
//! [`Local`] reads folders, [`merge`] puts everything together, [`Library`] answers for all of it: which entries there
//! are, which one a key means, and getting its bytes here.

mod library;
mod merge;
mod read;
mod scan;
mod thumbnails;

pub use library::{Library, wanted_url};
pub use read::check_image;
pub use scan::{Found, Local, LocalImage};
pub use thumbnails::Thumbnails;
