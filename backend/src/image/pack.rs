//! Writing a streamable image from files.
//!
//! Strips are streamed: all cores read, map, deflate and hash them, one thread writes them in order. The metadata and
//! the index come before the strips in the file but are known after them; their sizes are known from the start, so
//! that their place is left free and filled at the end. The same input gives the same bytes.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use pixelrts_shared::catalog::Role;
use pixelrts_shared::{Digest, Problem, ProblemCode};
use sha2::{Digest as _, Sha256};

use super::atomic::{self, Existing};
use super::chunk;
use super::index::{self, Entry, Index};
use super::kernel;
use super::metadata::{self, Metadata, is_segment_name};
use super::ordered::ordered;
use super::strip::{BYTES, Effort, Encoder, Geometry, adler_concat};
use super::{Limits, Segment, StripCounts, storage};
use crate::blob::{Blob, FileBlob};

const ZLIB_HEADER: [u8; 2] = [0x78, 0x01];
/// A last block that is empty.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// What to pack. Segments are laid out as kernels, initrds, disks, others; else in the order given.
#[derive(Clone, Debug, Default)]
pub struct Pack {
    /// A missing kernel version or architecture is read from the kernel.
    pub metadata: Metadata,
    pub segments: Vec<Source>,
    pub effort: Effort,
}

/// A file that becomes a segment.
#[derive(Clone, Debug)]
pub struct Source {
    pub name: String,
    pub role: Role,
    pub path: PathBuf,
}

/// The image that was written.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Packed {
    /// Of the file, in bytes.
    pub size: u64,
    pub index_sha256: Digest,
    pub width: u32,
    pub height: u32,
    pub strips: StripCounts,
    pub segments: Vec<Segment>,
    pub metadata: Metadata,
}

/// Why an image was not written.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("nothing to pack")]
    Empty,
    #[error("{name:?} is no name for a segment")]
    Name { name: String },
    #[error("two segments are called {name}")]
    Duplicate { name: String },
    #[error("{size} bytes need an index of {found} bytes, the limit is {limit}")]
    TooLarge { size: u64, limit: usize, found: u64 },
    #[error("the metadata has {found} bytes, the limit is {limit}")]
    Metadata { limit: usize, found: usize },
    #[error("{} cannot be read: {error}", path.display())]
    Input { path: PathBuf, error: io::Error },
    #[error("the image cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl From<PackError> for Problem {
    fn from(error: PackError) -> Self {
        let why = error.to_string();
        let usage = |what: &str, fix: &str| Self::new(ProblemCode::Usage, what, why.clone(), fix);
        match &error {
            PackError::Empty => usage("There is nothing to pack.", "Name a file: pixelrts pack --kernel FILE -o OUT"),
            PackError::Name { .. } => usage(
                "This is no name for a segment.",
                "Use 1 to 64 of A-Z a-z 0-9 . _ -, not starting with a dot, and not metadata.json.",
            ),
            PackError::Duplicate { .. } => {
                usage("Two segments have the same name.", "Give each disk a name of its own: --disk NAME=FILE")
            }
            PackError::TooLarge { .. } => {
                usage("The files are too large for one image.", "Split them into two images.")
            }
            PackError::Metadata { .. } => usage("The description is too long.", "Shorten the texts."),
            PackError::Input { error, .. } => {
                Self { why: why.clone(), ..storage(error, "A file to pack cannot be read.") }
            }
            PackError::Output(error) => storage(error, "The image cannot be written."),
        }
    }
}

/// An opened source with its place.
struct Input<'a> {
    blob: FileBlob,
    path: &'a Path,
    first_strip: usize,
}

impl Pack {
    /// Writes the image to `path`, complete or not at all; a file that is there is replaced. `progress` gets the
    /// bytes of payload that are done, and their total.
    pub fn write(&self, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Packed, PackError> {
        let (inputs, mut segments) = self.lay_out()?;
        let data_size = segments.last().map_or(0, |segment| segment.offset + segment.size);
        let count = index::strips_for(data_size);
        let limits = Limits::default();
        let count = usize::try_from(count)
            .ok()
            .filter(|count| index::data_len(*count) <= limits.index)
            .ok_or(PackError::TooLarge { size: data_size, limit: limits.index, found: count.saturating_mul(48) })?;
        let metadata = self.describe(&inputs, &segments);
        let geometry = Geometry::for_strips(count);
        let text_len = metadata::text_chunk(&metadata, &segments, data_size).len();
        if text_len > limits.metadata {
            return Err(PackError::Metadata { limit: limits.metadata, found: text_len });
        }
        let head = Head { geometry: &geometry, strips: count, text_len };
        atomic::write(path, Existing::Replace, |file| {
            let mut out = BufWriter::with_capacity(1 << 20, &mut *file);
            out.seek(SeekFrom::Start(head.len()))?;
            chunk::write(&mut out, *b"IDAT", &ZLIB_HEADER)?;
            let at = head.len() + chunk::FRAME + ZLIB_HEADER.len() as u64;
            let (entries, adler) =
                self.write_strips(&mut out, at, &geometry, &inputs, &mut segments, count, progress)?;
            let mut end = LAST_BLOCK.to_vec();
            end.extend_from_slice(&adler.to_be_bytes());
            chunk::write(&mut out, *b"IDAT", &end)?;
            chunk::write(&mut out, *b"IEND", &[])?;
            let size = out.stream_position()?;
            out.seek(SeekFrom::Start(0))?;
            let text = metadata::text_chunk(&metadata, &segments, data_size);
            let data = Index::write(&geometry, data_size, &entries, &text);
            head.write(&mut out, &text, &data)?;
            out.flush()?;
            drop(out);
            let (_, index_sha256) = index::split(&data).expect("the index ends with its digest");
            Ok(Packed {
                size,
                index_sha256,
                width: geometry.width(),
                height: head.height(),
                strips: StripCounts::of(&entries),
                segments,
                metadata,
            })
        })
    }

    /// Opens the files and gives each its place, at the border of a strip.
    fn lay_out(&self) -> Result<(Vec<Input<'_>>, Vec<Segment>), PackError> {
        let mut sources: Vec<_> = self.segments.iter().collect();
        sources.sort_by_key(|source| match source.role {
            Role::Kernel => 0,
            Role::Initrd => 1,
            Role::Disk => 2,
            Role::Other => 3,
        });
        let (mut inputs, mut segments) = (Vec::new(), Vec::<Segment>::new());
        let mut offset = 0_u64;
        for Source { name, role, path } in sources {
            if !is_segment_name(name) {
                return Err(PackError::Name { name: name.clone() });
            }
            if segments.iter().any(|segment| segment.name == *name) {
                return Err(PackError::Duplicate { name: name.clone() });
            }
            let blob = FileBlob::open(path).map_err(|error| PackError::Input { path: path.clone(), error })?;
            let size = blob.len();
            let first_strip = usize::try_from(offset / BYTES as u64).expect("the size is bounded below");
            inputs.push(Input { blob, path, first_strip });
            // The hash is known when the strips are written; it takes the same room then.
            let sha256 = Some(Digest::new([0; 32]));
            segments.push(Segment { name: name.clone(), role: *role, offset, size, sha256 });
            offset = offset
                .checked_add(size)
                .filter(|end| *end <= 1 << 50)
                .and_then(|end| end.checked_next_multiple_of(BYTES as u64))
                .ok_or(PackError::TooLarge { size, limit: Limits::default().index, found: u64::MAX })?;
        }
        if segments.is_empty() { Err(PackError::Empty) } else { Ok((inputs, segments)) }
    }

    fn describe(&self, inputs: &[Input<'_>], segments: &[Segment]) -> Metadata {
        let mut metadata = self.metadata.clone();
        let kernel = segments.iter().position(|segment| segment.role == Role::Kernel);
        if let Some(kernel) = kernel.and_then(|place| kernel::identify(&inputs[place].blob)) {
            metadata.kernel_version = metadata.kernel_version.or(kernel.version);
            metadata.architecture = metadata.architecture.or(kernel.architecture.map(str::to_owned));
        }
        metadata
    }

    /// Writes all strips from `at` on, and puts the hashes into the segments. Gives the entries and the Adler-32.
    #[expect(clippy::too_many_arguments, reason = "one caller; a struct for it would only rename them")]
    fn write_strips(
        &self,
        out: &mut impl Write,
        mut at: u64,
        geometry: &Geometry,
        inputs: &[Input<'_>],
        segments: &mut [Segment],
        count: usize,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Vec<Entry>, u32), PackError> {
        let total = segments.iter().map(|segment| segment.size).sum();
        let (mut entries, mut adler, mut done) = (Vec::with_capacity(count), 1, 0);
        let mut hashes: Vec<_> = segments.iter().map(|_| Sha256::new()).collect();
        ordered(
            0..count,
            || Encoder::new(geometry, self.effort),
            |encoder, number| {
                let (place, payload, used) = read_strip(inputs, number)?;
                Ok((encoder.encode(&payload), place, payload, used))
            },
            |_, (strip, place, payload, used)| {
                hashes[place].update(&payload[..used]);
                out.write_all(&strip.chunk)?;
                let length = u32::try_from(strip.chunk.len()).expect("a strip's chunk is under 1 MiB");
                entries.push(Entry { at, length, flags: strip.flags, sha256: strip.sha256 });
                at += u64::from(length);
                adler = adler_concat(adler, strip.adler, geometry.raw_len());
                done += used as u64;
                progress(done, total);
                Ok::<_, PackError>(())
            },
        )?;
        for (segment, hash) in segments.iter_mut().zip(hashes) {
            segment.sha256 = Some(Digest::new(hash.finalize().into()));
        }
        Ok((entries, adler))
    }
}

/// The payload of a strip: the number of its input, its bytes, and how many of them are the input's.
fn read_strip(inputs: &[Input<'_>], number: usize) -> Result<(usize, Vec<u8>, usize), PackError> {
    // Of several inputs that begin at this strip the last one has bytes: the others are empty.
    let place = inputs.partition_point(|input| input.first_strip <= number) - 1;
    let input = &inputs[place];
    let offset = (number - input.first_strip) as u64 * BYTES as u64;
    let left = input.blob.len().saturating_sub(offset);
    let used = usize::try_from(left).map_or(BYTES, |left| left.min(BYTES));
    let mut payload = vec![0; BYTES];
    input
        .blob
        .read_exact_at(&mut payload[..used], offset)
        .map_err(|error| PackError::Input { path: input.path.to_owned(), error })?;
    Ok((place, payload, used))
}

/// What comes before the strips, and its size.
struct Head<'a> {
    geometry: &'a Geometry,
    strips: usize,
    text_len: usize,
}

impl Head<'_> {
    fn height(&self) -> u32 {
        u32::try_from(self.strips).expect("the index limit bounds the strips") * self.geometry.rows()
    }

    fn len(&self) -> u64 {
        let chunks = [13, self.text_len, index::data_len(self.strips)];
        chunk::SIGNATURE.len() as u64 + chunks.iter().map(|data| chunk::FRAME + *data as u64).sum::<u64>()
    }

    fn write(&self, out: &mut impl Write, text: &[u8], index: &[u8]) -> io::Result<()> {
        assert_eq!((text.len(), index.len()), (self.text_len, index::data_len(self.strips)), "the place left free");
        let mut header = Vec::with_capacity(13);
        header.extend_from_slice(&self.geometry.width().to_be_bytes());
        header.extend_from_slice(&self.height().to_be_bytes());
        header.extend_from_slice(&[8, 6, 0, 0, 0]);
        out.write_all(&chunk::SIGNATURE)?;
        chunk::write(out, *b"IHDR", &header)?;
        chunk::write(out, *b"tEXt", text)?;
        chunk::write(out, index::KIND, index)
    }
}
