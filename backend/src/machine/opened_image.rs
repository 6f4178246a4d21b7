//! Opening exactly the image that was verified for a machine.
//!
//! Between the verification and the start of the machine's process, the path may have come to lead to another file. So
//! the process compares what it has opened with what was verified.

use std::path::Path;

use pixelrts_shared::Digest;
use pixelrts_shared::catalog::Role;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::MachineError;
use crate::blob::{FileBlob, Reader};
use crate::cache::hash_reader;
use crate::image::{Image, ImageError, Limits};

/// What an image was verified to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expected {
    /// The digest of its index, which covers all that a machine uses of a streamable image: each strip is compared with
    /// the index when it is read.
    #[serde(rename = "index_sha256")]
    Index(Digest),
    /// The digest of the file. A classic image has no index, but it is decoded as a whole, which takes longer than
    /// hashing it.
    #[serde(rename = "file_sha256")]
    File(Digest),
}

impl Expected {
    /// From what is known of an image: the digest of its index, and of its file.
    #[must_use]
    pub fn of(index: Option<Digest>, file: Option<Digest>) -> Option<Self> {
        index.map(Self::Index).or(file.map(Self::File))
    }
}

/// Opens the image and verifies kernel and initrd. QEMU maps the initrd into memory, so an error there would kill it.
pub(super) fn open(path: &Path, expected: Option<Expected>) -> Result<Image, MachineError> {
    let file = FileBlob::open(path).map_err(ImageError::from)?;
    let again = file.try_clone().map_err(ImageError::from)?;
    let image = Image::open(Box::new(file), &Limits::default())?;
    let is_expected = match expected {
        None => true,
        Some(Expected::Index(digest)) => image.index_digest() == Some(digest),
        Some(Expected::File(digest)) => digest_of(&again)? == digest,
    };
    if !is_expected {
        return Err(MachineError::OtherImage { path: path.to_owned() });
    }
    for role in [Role::Kernel, Role::Initrd] {
        if let Some(segment) = image.first(role) {
            image.verify_segment(segment)?;
        }
    }
    Ok(image)
}

fn digest_of(file: &FileBlob) -> Result<Digest, ImageError> {
    let (hasher, _) = hash_reader(Reader::new(file))?;
    Ok(Digest::new(hasher.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::super::{BootOptions, Spec};
    use super::*;
    use crate::image::{Effort, Layout, Pack, SegmentFile};
    use std::path::PathBuf;

    fn packed(folder: &Path, name: &str, kernel: &str, layout: Layout) -> PathBuf {
        let source = folder.join("kernel");
        std::fs::write(&source, kernel).unwrap();
        let pack = Pack {
            segments: vec![SegmentFile { name: "kernel".to_owned(), role: Role::Kernel, path: source }],
            effort: Effort::None,
            layout,
            ..Pack::default()
        };
        let path = folder.join(name);
        pack.write(&path, &mut |_, _| {}).unwrap();
        path
    }

    #[test]
    fn only_the_image_that_was_verified_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["one", "two"].map(|name| packed(folder.path(), name, name, Layout::default()));
        let index = open(&a, None).unwrap().index_digest().unwrap();
        let file = digest_of(&FileBlob::open(&a).unwrap()).unwrap();
        for expected in [Expected::Index(index), Expected::File(file)] {
            assert!(open(&a, Some(expected)).is_ok());
            let refused = open(&b, Some(expected)).unwrap_err();
            assert!(matches!(&refused, MachineError::OtherImage { path } if *path == b), "{refused:?}");
        }
    }

    #[test]
    fn a_classic_image_is_known_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let classic = packed(folder.path(), "a.rts.png", "one", Layout::Classic);
        let file = digest_of(&FileBlob::open(&classic).unwrap()).unwrap();
        assert!(open(&classic, Some(Expected::File(file))).is_ok());
        let other = Digest::new([7; 32]);
        for expected in [Expected::Index(other), Expected::File(other)] {
            assert!(matches!(open(&classic, Some(expected)).unwrap_err(), MachineError::OtherImage { .. }));
        }
    }

    #[test]
    fn the_specification_says_what_is_expected() {
        let digest = Digest::new([7; 32]);
        let options = BootOptions::default();
        for (expected, field) in [
            (None, None),
            (Some(Expected::Index(digest)), Some("index_sha256")),
            (Some(Expected::File(digest)), Some("file_sha256")),
        ] {
            let spec =
                Spec { key: digest, name: "a".to_owned(), image: "/a".into(), expected, options: options.clone() };
            let json = serde_json::to_value(&spec).unwrap();
            for name in ["index_sha256", "file_sha256"] {
                assert_eq!(json.get(name).is_some(), field == Some(name), "{json}");
            }
            assert_eq!(serde_json::from_value::<Spec>(json).unwrap(), spec);
        }
    }
}
