//! Writing a streamable image.
//!
//! Strips are streamed: all cores read, map, deflate and hash them, one thread writes them in order, and one hashes the
//! segments. A strip of zeros is encoded only once, and holes of the input are not even read. The metadata and the index
//! come before the strips in the file but are known only after them. Their sizes are known from the start, so space is
//! left for them and filled at the end.

mod base;

use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use super::{Input, Pack, PackError, Packed, end, write_header, write_texts};
use crate::files::{Existing, write_atomically};
use crate::image::chunk;
use crate::image::idat::{self, Effort, ZLIB_HEADER, adler_concat};
use crate::image::index::{self, Index, IndexEntry};
use crate::image::metadata::{self, ProfileFields};
use crate::image::parallel_map::parallel_map;
use crate::image::payload::{self, Buffers, Payload};
use crate::image::strip::{BYTES, Encoded, Encoder, Geometry};
use crate::image::{Limits, Segment, StripCounts};
use base::Base;

pub(super) fn write(
    pack: &Pack,
    base: Option<&Path>,
    path: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Packed, PackError> {
    let (inputs, mut segments) = pack.lay_out(BYTES as u64)?;
    let data_size = end(&segments);
    let limits = Limits::default();
    let count = usize::try_from(index::strips_for(data_size)).ok();
    let count = count.filter(|count| index::data_len(*count) <= limits.index);
    let count = count.ok_or(PackError::TooLarge { limit: index::most(limits.index), found: data_size })?;
    let buffers = Buffers::default();
    let size: u64 = segments.iter().map(|segment| segment.size).sum();
    let (mut done, mut total) = (0, size);
    let base = base.map(|path| {
        Base::open(path, pack.threads, &mut |now, all| {
            (done, total) = (now, all + size);
            progress(done, total);
        })
    });
    let base = base.transpose()?;
    let geometry = base.as_ref().map_or_else(|| Geometry::for_strips(count), Base::geometry);
    let metadata = pack.describe(&inputs, &segments);
    let fields = ProfileFields::Streamable { data_size };
    let text_len = metadata::text_chunk(&metadata, &segments, fields).len();
    if text_len > limits.metadata {
        return Err(PackError::Metadata { limit: limits.metadata, found: text_len });
    }
    let blueprint = pack.blueprint()?;
    let head = Head { geometry: &geometry, strips: count, text_len, blueprint: blueprint.as_ref() };
    write_atomically(path, Existing::Replace, |file| {
        // A strip that is stored is larger than the buffer and so bypasses it.
        let mut out = BufWriter::with_capacity(BYTES, &mut *file);
        out.seek(SeekFrom::Start(head.len()))?;
        chunk::write(&mut out, *b"IDAT", &ZLIB_HEADER)?;
        let at = head.len() + chunk::FRAME + ZLIB_HEADER.len() as u64;
        let strips =
            Strips { pack, geometry: &geometry, base: base.as_ref(), inputs: &inputs, count, buffers: &buffers };
        let mut step = |bytes: usize| {
            done += bytes as u64;
            progress(done, total);
        };
        let Written { entries, adler, reused } = strips.write(&mut out, at, &mut segments, &mut step)?;
        idat::write_end(&mut out, adler)?;
        let size = out.stream_position()?;
        out.seek(SeekFrom::Start(0))?;
        let text = metadata::text_chunk(&metadata, &segments, fields);
        let data = Index::write(&geometry, data_size, &entries, &text);
        head.write(&mut out, &text, &data)?;
        out.flush()?;
        drop(out);
        Ok(Packed {
            size,
            index_sha256: index::split(&data).map(|(_, digest)| digest),
            width: geometry.width(),
            height: head.height(),
            strips: Some(StripCounts::of(&entries)),
            reused,
            segments,
            metadata,
        })
    })
}

/// What is needed to make the strips of an image.
struct Strips<'a> {
    pack: &'a Pack,
    geometry: &'a Geometry,
    base: Option<&'a Base>,
    inputs: &'a [Input<'a>],
    count: usize,
    buffers: &'a Buffers,
}

/// Where the payload of a strip comes from: `used` bytes from `offset` on of a segment.
#[derive(Clone, Copy)]
struct StripInput {
    segment: usize,
    offset: u64,
    used: usize,
}

impl StripInput {
    fn of(number: usize, segments: &[Segment]) -> Self {
        let start = number as u64 * BYTES as u64;
        // If several segments begin here, only the last one has bytes; the others are empty.
        let segment = segments.partition_point(|segment| segment.offset <= start) - 1;
        let offset = start - segments[segment].offset;
        let left = segments[segment].size.saturating_sub(offset);
        Self { segment, offset, used: usize::try_from(left).map_or(BYTES, |left| left.min(BYTES)) }
    }
}

/// A strip that is ready to be written.
struct Strip {
    encoded: Encoded,
    reused: bool,
}

/// What is known about the strips after they were written.
struct Written {
    entries: Vec<IndexEntry>,
    adler: u32,
    reused: usize,
}

impl Strips<'_> {
    /// Writes all strips from `at` on, and sets the hashes of the segments. `progress` gets the number of bytes of each
    /// strip.
    fn write(
        &self,
        out: &mut impl Write,
        mut at: u64,
        segments: &mut [Segment],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Written, PackError> {
        let mut written = Written { entries: Vec::with_capacity(self.count), adler: 1, reused: 0 };
        let places: &[Segment] = segments;
        let effort = self.pack.effort;
        let encoder = || Encoder::new(self.geometry, effort);
        // A single strip takes no time even with the best compression, and strips of zeros may be most of the file.
        let hardest = if effort == Effort::None { effort } else { Effort::Best };
        let zeros = self.encode(&mut Encoder::new(self.geometry, hardest), &payload::ZEROS)?;
        let ((), digests) = payload::hashed(places.len(), self.buffers, |hashing| {
            parallel_map(
                self.pack.threads,
                0..self.count,
                encoder,
                |encoder, number| {
                    let place = StripInput::of(number, places);
                    let payload = self.read(place)?;
                    let strip = match &payload {
                        Payload::Zeros => None,
                        Payload::Bytes(bytes) => Some(self.encode(encoder, bytes)?),
                    };
                    Ok((place, payload, strip))
                },
                |_, (place, payload, strip)| {
                    let Strip { encoded: Encoded { chunk, flags, sha256, adler }, reused } =
                        strip.as_ref().unwrap_or(&zeros);
                    out.write_all(chunk)?;
                    let length = u32::try_from(chunk.len()).expect("a strip's chunk is under 1 MiB");
                    written.entries.push(IndexEntry { at, length, flags: *flags, sha256: *sha256 });
                    at += u64::from(length);
                    written.adler = adler_concat(written.adler, *adler, self.geometry.raw_len());
                    written.reused += usize::from(*reused);
                    hashing.update(place.segment, payload, place.used);
                    strip.into_iter().for_each(|strip| self.buffers.give(strip.encoded.chunk));
                    progress(place.used);
                    Ok::<_, PackError>(())
                },
            )
        })?;
        for (segment, digest) in segments.iter_mut().zip(digests) {
            segment.sha256 = Some(digest);
        }
        Ok(written)
    }

    fn read(&self, place: StripInput) -> Result<Payload, PackError> {
        let input = &self.inputs[place.segment];
        if input.is_hole(place.offset..place.offset + place.used as u64) {
            return Ok(Payload::Zeros);
        }
        let mut bytes = self.buffers.take_strip();
        let (used, rest) = bytes.split_at_mut(place.used);
        input.read(used, place.offset)?;
        rest.fill(0);
        Ok(self.buffers.payload(bytes))
    }

    fn encode(&self, encoder: &mut Encoder<'_>, payload: &[u8]) -> Result<Strip, PackError> {
        Ok(match self.base.map(|base| base.equal(payload)).transpose()?.flatten() {
            Some(old) => Strip { encoded: encoder.reuse(payload, old), reused: true },
            None => Strip { encoded: encoder.encode(payload, self.buffers.take()), reused: false },
        })
    }
}

/// What comes before the strips.
struct Head<'a> {
    geometry: &'a Geometry,
    strips: usize,
    text_len: usize,
    blueprint: Option<&'a chunk::Body>,
}

impl Head<'_> {
    fn height(&self) -> u32 {
        u32::try_from(self.strips).expect("the index limit bounds the strips") * self.geometry.rows()
    }

    fn len(&self) -> u64 {
        let blueprint = self.blueprint.map(|body| body.data.len());
        let chunks = [13, self.text_len, index::data_len(self.strips)].into_iter().chain(blueprint);
        chunk::SIGNATURE.len() as u64 + chunks.map(|data| chunk::FRAME + data as u64).sum::<u64>()
    }

    fn write(&self, out: &mut impl Write, text: &[u8], index: &[u8]) -> io::Result<()> {
        assert_eq!(
            (text.len(), index.len()),
            (self.text_len, index::data_len(self.strips)),
            "the space that was left for them"
        );
        write_header(out, self.geometry.width(), self.height())?;
        write_texts(out, text, self.blueprint)?;
        chunk::write(out, index::KIND, index)
    }
}
