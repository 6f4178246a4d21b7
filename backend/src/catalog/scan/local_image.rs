//! An image in a folder of this computer.

use std::path::PathBuf;
use std::sync::Arc;

use pixelrts_shared::catalog::Entry;

use crate::files::FileIdentity;

#[derive(Clone, Debug, PartialEq)]
pub struct LocalImage {
    pub path: PathBuf,
    pub entry: Arc<Entry>,
    /// What the file was when it was hashed.
    pub(in super::super) identity: FileIdentity,
}

#[cfg(test)]
impl LocalImage {
    /// An image that is only said to be there.
    pub(crate) fn for_test(entry: Entry) -> Self {
        let identity = FileIdentity::of(&std::fs::metadata("/").expect("every computer has a root folder"));
        Self { path: "x.rts.png".into(), identity, entry: Arc::new(entry) }
    }
}
