//! Writing an image from files, in either profile. Equal input gives equal bytes.

mod classic;
mod repack;
mod streamable;

use std::fs;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use pixelrts_shared::catalog::Role;
use pixelrts_shared::{Digest, Problem, ProblemCode};

use super::chunk::Body;
use super::idat::Effort;
use super::metadata::{Metadata, is_segment_name};
use super::parallel_map::Threads;
use super::{ImageError, Segment, StripCounts, boot_file, chunk, kernel};
use crate::blob::{Blob, FileBlob, MemoryBlob};
use crate::files::storage_problem;
pub use repack::Repack;

/// No file system holds more in one file, and sums of such sizes cannot overflow.
const MOST: u64 = 1 << 50;

/// What to pack. Segments are sorted by role (kernel, initrd, disk, other), and otherwise keep the given order.
#[derive(Clone, Debug, Default)]
pub struct Pack {
    /// A missing kernel version or architecture is read from the kernel.
    pub metadata: Metadata,
    pub segments: Vec<SegmentFile>,
    /// An image that is packed again: the new one gets its segments, except those that a file replaces, and its metadata
    /// where `metadata` says nothing.
    pub from: Option<Repack>,
    pub effort: Effort,
    pub layout: Layout,
    /// Whether kernel and initrd are decompressed before they are packed: deflate packs them better, and they boot
    /// sooner.
    pub inflate_boot_files: bool,
    pub threads: Threads,
}

/// How the payload is arranged in the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    Classic,
    Streamable {
        /// A streamable image whose strips are reused where their payload is equal, so that somebody who has that image
        /// needs to fetch only what changed.
        base: Option<PathBuf>,
    },
}

impl Default for Layout {
    fn default() -> Self {
        Self::Streamable { base: None }
    }
}

/// A file that becomes a segment.
#[derive(Clone, Debug)]
pub struct SegmentFile {
    pub name: String,
    pub role: Role,
    pub path: PathBuf,
}

/// The image that was written.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Packed {
    /// The size of the file in bytes.
    pub size: u64,
    /// `None` for a classic image.
    pub index_sha256: Option<Digest>,
    pub width: u32,
    pub height: u32,
    /// `None` for a classic image.
    pub strips: Option<StripCounts>,
    /// How many strips were reused from the base.
    pub reused: usize,
    pub segments: Vec<Segment>,
    pub metadata: Metadata,
}

/// Why an image was not written.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("there is nothing to pack")]
    Empty,
    #[error("{name:?} is not a valid name for a segment")]
    Name { name: String },
    #[error("two segments are called {name}")]
    Duplicate { name: String },
    #[error("there are {found} bytes to pack, the limit of this profile is {limit}")]
    TooLarge { limit: u64, found: u64 },
    #[error("the metadata has {found} bytes, the limit is {limit}")]
    Metadata { limit: usize, found: usize },
    #[error("{} cannot be read: {error}", path.display())]
    Input { path: PathBuf, error: io::Error },
    #[error("{} was changed while it was packed", path.display())]
    Changed { path: PathBuf },
    #[error("{}: {error}", path.display())]
    Inflate { path: PathBuf, error: String },
    #[error("{}: {error}", path.display())]
    Base { path: PathBuf, error: ImageError },
    #[error("{} is a classic image, which has no strips", path.display())]
    BaseClassic { path: PathBuf },
    #[error("{}: {error}", path.display())]
    From { path: PathBuf, error: ImageError },
    #[error("the image cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl From<PackError> for Problem {
    fn from(error: PackError) -> Self {
        if let PackError::From { path, error } = error {
            return Self::from(error).context(path.display().to_string());
        }
        let why = error.to_string();
        let usage = |what: &str, fix: &str| Self::new(ProblemCode::Usage, what, why.clone(), fix);
        match &error {
            PackError::Empty => usage("There is nothing to pack.", "Name a file: pixelrts pack --kernel FILE -o OUT"),
            PackError::Name { .. } => usage(
                "This is not a valid name for a segment.",
                "Use 1 to 64 of A-Z a-z 0-9 . _ -, not starting with a dot, and not metadata.json.",
            ),
            PackError::Duplicate { .. } => {
                usage("Two segments have the same name.", "Give each disk its own name: --disk NAME=FILE")
            }
            PackError::TooLarge { .. } => {
                usage("The files are too large for one image.", "Split them into two images.")
            }
            PackError::Changed { .. } => {
                usage("A file was changed while it was packed.", "Pack it again while nothing writes to it.")
            }
            PackError::Inflate { .. } => {
                usage("A boot file cannot be decompressed.", "Pack it without --boot-files inflate.")
            }
            PackError::Base { .. } => Self::new(
                ProblemCode::ImageMalformed,
                "The base image cannot be used.",
                why.clone(),
                "Name another image.",
            ),
            PackError::BaseClassic { .. } => {
                usage("The base is a classic image.", "Name a streamable image, or pack without --base.")
            }
            PackError::Metadata { .. } => usage("The texts of the metadata are too long.", "Shorten them."),
            PackError::Input { error, .. } => {
                Self { why: why.clone(), ..storage_problem(error, "A file to pack cannot be read.") }
            }
            PackError::Output(error) => storage_problem(error, "The image cannot be written."),
            PackError::From { .. } => unreachable!("it was translated above"),
        }
    }
}

/// An opened input.
struct Input<'a> {
    blob: Box<dyn Blob>,
    path: &'a Path,
}

impl Input<'_> {
    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), PackError> {
        self.blob.read_exact_at(buffer, offset).map_err(|error| unreadable(self.path, error))
    }

    fn is_hole(&self, range: Range<u64>) -> bool {
        self.blob.is_hole(range)
    }
}

/// The error of an input. That of an image which is packed again is inside the error of reading, and is taken out.
fn unreadable(path: &Path, error: io::Error) -> PackError {
    let path = path.to_owned();
    match error.downcast() {
        Ok(error) => PackError::From { path, error },
        Err(error) => PackError::Input { path, error },
    }
}

impl Pack {
    /// Writes the image to `path`, completely or not at all. A file at that path, or at the end of a link, is replaced.
    /// `progress` gets the number of payload bytes that are done, and their total. A base, or an image that is packed
    /// again, is read first, and its bytes count too.
    pub fn write(&self, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Packed, PackError> {
        let path = &target(path)?;
        let mut before = 0;
        if let Some(from) = &self.from {
            let after = from.image().data_size();
            before = from.image().file_size();
            from.check(&mut |done| progress(done, before + after))?;
        }
        let progress = &mut |done, total| progress(before + done, before + total);
        match &self.layout {
            Layout::Streamable { base } => streamable::write(self, base.as_deref(), path, progress),
            Layout::Classic => classic::write(self, path, progress),
        }
    }

    /// Opens all inputs in the order of the image, and assigns each the next multiple of `border` bytes as its offset.
    fn lay_out(&self, border: u64) -> Result<(Vec<Input<'_>>, Vec<Segment>), PackError> {
        let kept = self.from.iter().flat_map(|from| from.kept(&self.segments).map(move |old| (from, old)));
        let kept = kept.map(|(from, old)| (repack::name(&old.name), old.role, from.path(), Some((from, old))));
        let files = self.segments.iter().map(|file| (file.name.clone(), file.role, file.path.as_path(), None));
        let mut inputs: Vec<_> = kept.chain(files).collect();
        let place = |name: &str| self.from.as_ref().and_then(|from| from.place(name)).unwrap_or(usize::MAX);
        inputs.sort_by_key(|(name, role, ..)| {
            let rank = match role {
                Role::Kernel => 0,
                Role::Initrd => 1,
                Role::Disk => 2,
                Role::Other => 3,
            };
            (rank, place(name))
        });
        let (mut opened, mut segments) = (Vec::new(), Vec::<Segment>::new());
        let mut offset = 0_u64;
        for (name, role, path, old) in inputs {
            if !is_segment_name(&name) {
                return Err(PackError::Name { name });
            }
            if segments.iter().any(|segment| segment.name == name) {
                return Err(PackError::Duplicate { name });
            }
            let blob = match old {
                Some((from, old)) => from.blob(old),
                None => Box::new(FileBlob::open(path).map_err(|error| unreadable(path, error))?),
            };
            let blob = self.inflate(role, path, blob)?;
            let size = blob.len();
            opened.push(Input { blob, path });
            // The hash is known only when the bytes have been read. This one reserves its place in the metadata.
            let sha256 = Some(Digest::new([0; 32]));
            segments.push(Segment { name, role, offset, size, sha256 });
            offset = offset
                .checked_add(size)
                .filter(|end| *end <= MOST)
                .and_then(|end| end.checked_next_multiple_of(border))
                .ok_or(PackError::TooLarge { limit: MOST, found: size })?;
        }
        if segments.is_empty() { Err(PackError::Empty) } else { Ok((opened, segments)) }
    }

    fn inflate(&self, role: Role, path: &Path, blob: Box<dyn Blob>) -> Result<Box<dyn Blob>, PackError> {
        let inflated = match role {
            Role::Kernel if self.inflate_boot_files => boot_file::inflate_kernel(&*blob),
            Role::Initrd if self.inflate_boot_files => boot_file::inflate_initrd(&*blob),
            _ => return Ok(blob),
        };
        match inflated.map_err(|error| PackError::Inflate { path: path.to_owned(), error })? {
            Some(bytes) => Ok(Box::new(MemoryBlob::from(bytes))),
            None => Ok(blob),
        }
    }

    fn describe(&self, inputs: &[Input<'_>], segments: &[Segment]) -> Metadata {
        let mut metadata = self.metadata.clone();
        if let Some(from) = &self.from {
            from.describe(&mut metadata, &self.segments);
        }
        let kernel = segments.iter().position(|segment| segment.role == Role::Kernel);
        if let Some(kernel) = kernel.and_then(|place| kernel::identify(&*inputs[place].blob)) {
            metadata.kernel_version = metadata.kernel_version.or(kernel.version);
            metadata.architecture = metadata.architecture.or(kernel.architecture.map(str::to_owned));
        }
        metadata
    }

    /// The blueprint of the image that is packed again. It may have as many bytes as the metadata.
    fn blueprint(&self) -> Result<Option<Body>, PackError> {
        self.from.as_ref().map_or(Ok(None), Repack::blueprint)
    }
}

/// The path to write to. An image may replace a file only: writing it would delete a device or a pipe.
fn target(path: &Path) -> io::Result<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), |folder| fs::metadata(folder).map(drop))?;
    match fs::metadata(path) {
        Ok(there) if there.is_file() => fs::canonicalize(path),
        Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "what is there is not a file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        Err(error) => Err(error),
    }
}

/// Where the last segment ends.
fn end(segments: &[Segment]) -> u64 {
    segments.last().map_or(0, |segment| segment.offset + segment.size)
}

/// Writes the signature and the header of the picture.
fn write_header(out: &mut impl Write, width: u32, height: u32) -> io::Result<()> {
    let mut header = Vec::with_capacity(13);
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    header.extend_from_slice(&[8, 6, 0, 0, 0]);
    out.write_all(&chunk::SIGNATURE)?;
    chunk::write(out, *b"IHDR", &header)
}

/// Writes the metadata's chunk, and the blueprint's behind it.
fn write_texts(out: &mut impl Write, text: &[u8], blueprint: Option<&Body>) -> io::Result<()> {
    chunk::write(out, *b"tEXt", text)?;
    blueprint.map_or(Ok(()), |body| chunk::write(out, body.chunk.kind, &body.data))
}
