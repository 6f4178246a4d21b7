//! The files of an image: a root directory with one file per segment. They never change, so everything may be cached.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::read_pool::{ReadError, ReadPool};
use crate::image::{Image, Segment};

/// The number of a file: 1 is the root directory, the files follow in the order of the image.
pub(super) type Inode = u64;
pub(super) const ROOT: Inode = 1;

/// The name of the file with the metadata. No segment can have it.
const METADATA: &str = "metadata.json";

#[derive(Debug)]
pub(super) struct Tree {
    reader: ReadPool,
    files: Vec<FileEntry>,
}

#[derive(Debug)]
pub(super) struct FileEntry {
    pub(super) name: String,
    /// In bytes.
    pub(super) size: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Segment(Arc<Segment>),
    Text(Bytes),
}

#[derive(Debug, thiserror::Error)]
pub(super) enum TreeError {
    #[error("no such file")]
    NotFound,
    #[error("it is a directory")]
    NotAFile,
    #[error("it is not a directory")]
    NotADirectory,
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Tree {
    /// Also starts the threads that decode for it.
    pub(super) fn new(image: Arc<Image>) -> io::Result<Self> {
        let segments = image.segments().iter().map(|segment| FileEntry {
            name: segment.name.clone(),
            size: segment.size,
            content: Content::Segment(Arc::new(segment.clone())),
        });
        let mut text = image.metadata_json().as_bytes().to_vec();
        text.push(b'\n');
        let metadata =
            FileEntry { name: METADATA.to_owned(), size: text.len() as u64, content: Content::Text(text.into()) };
        let files = segments.chain([metadata]).collect();
        Ok(Self { reader: ReadPool::new(image)?, files })
    }

    /// The files in the order of their inodes, which begin after that of the root.
    pub(super) fn files(&self) -> impl Iterator<Item = (Inode, &FileEntry)> {
        (ROOT + 1..).zip(&self.files)
    }

    pub(super) fn lookup(&self, parent: Inode, name: &str) -> Result<(Inode, &FileEntry), TreeError> {
        if parent != ROOT {
            return Err(TreeError::NotADirectory);
        }
        self.files().find(|(_, entry)| entry.name == name).ok_or(TreeError::NotFound)
    }

    pub(super) fn file(&self, inode: Inode) -> Result<&FileEntry, TreeError> {
        if inode == ROOT {
            return Err(TreeError::NotAFile);
        }
        let index = inode.checked_sub(ROOT + 1).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.files.get(index)).ok_or(TreeError::NotFound)
    }

    /// Passes `count` bytes from `offset` to `reply`, on this thread or another. There are fewer where the file ends
    /// earlier, which tells the kernel where it ends.
    pub(super) fn read(
        &self,
        inode: Inode,
        offset: u64,
        count: u64,
        reply: impl FnOnce(Result<Vec<Bytes>, TreeError>) + Send + 'static,
    ) {
        let range = offset..offset.saturating_add(count);
        match self.file(inode).map(|entry| &entry.content) {
            Ok(Content::Segment(segment)) => {
                self.reader.read(segment, range, |outcome| reply(outcome.map_err(TreeError::Read)));
            }
            Ok(Content::Text(text)) => {
                let at = |offset: u64| usize::try_from(offset).map_or(text.len(), |offset| offset.min(text.len()));
                reply(Ok(vec![text.slice(at(range.start)..at(range.end))]));
            }
            Err(error) => reply(Err(error)),
        }
    }
}
