//! A streamable image.
//!
//! Strips are streamed: all cores read, map, deflate and hash them, one thread writes them in order. The metadata and
//! the index come before the strips in the file but are known after them; their sizes are known from the start, so
//! that their place is left free and filled at the end.

mod base;

use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use pixelrts_shared::Digest;
use sha2::{Digest as _, Sha256};

use super::{Input, Pack, PackError, Packed, end, write_header, write_texts};
use crate::image::atomic::{self, Existing};
use crate::image::chunk;
use crate::image::idat::{self, ZLIB_HEADER, adler_concat};
use crate::image::index::{self, Entry, Index};
use crate::image::metadata::{self, Layout};
use crate::image::ordered::ordered;
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
    let base = base.map(Base::open).transpose()?;
    let geometry = base.as_ref().map_or_else(|| Geometry::for_strips(count), Base::geometry);
    let metadata = pack.describe(&inputs, &segments);
    let layout = Layout::Streamable { data_size };
    let text_len = metadata::text_chunk(&metadata, &segments, layout).len();
    if text_len > limits.metadata {
        return Err(PackError::Metadata { limit: limits.metadata, found: text_len });
    }
    let blueprint = pack.blueprint()?;
    let head = Head { geometry: &geometry, strips: count, text_len, blueprint: blueprint.as_ref() };
    atomic::write(path, Existing::Replace, |file| {
        let mut out = BufWriter::with_capacity(1 << 20, &mut *file);
        out.seek(SeekFrom::Start(head.len()))?;
        chunk::write(&mut out, *b"IDAT", &ZLIB_HEADER)?;
        let at = head.len() + chunk::FRAME + ZLIB_HEADER.len() as u64;
        let strips = Strips { pack, geometry: &geometry, base: base.as_ref(), inputs: &inputs, count };
        let Written { entries, adler, reused } = strips.write(&mut out, at, &mut segments, progress)?;
        idat::write_end(&mut out, adler)?;
        let size = out.stream_position()?;
        out.seek(SeekFrom::Start(0))?;
        let text = metadata::text_chunk(&metadata, &segments, layout);
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

/// What the strips of an image are made from.
struct Strips<'a> {
    pack: &'a Pack,
    geometry: &'a Geometry,
    base: Option<&'a Base>,
    inputs: &'a [Input<'a>],
    count: usize,
}

/// What is known of the strips once they are written.
struct Written {
    entries: Vec<Entry>,
    adler: u32,
    reused: usize,
}

impl Strips<'_> {
    /// Writes all strips from `at` on, and puts the hashes into the segments.
    fn write(
        &self,
        out: &mut impl Write,
        mut at: u64,
        segments: &mut [Segment],
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Written, PackError> {
        let total = segments.iter().map(|segment| segment.size).sum();
        let mut written = Written { entries: Vec::with_capacity(self.count), adler: 1, reused: 0 };
        let mut done = 0;
        let mut hashes: Vec<_> = segments.iter().map(|_| Sha256::new()).collect();
        let places: &[Segment] = segments;
        ordered(
            0..self.count,
            || Encoder::new(self.geometry, self.pack.effort),
            |encoder, number| {
                let (place, payload, used) = self.read(places, number)?;
                let (strip, reused) = match self.base.map(|base| base.equal(&payload)).transpose()?.flatten() {
                    Some(old) => (encoder.keep(&payload, old), true),
                    None => (encoder.encode(&payload), false),
                };
                Ok((strip, reused, place, payload, used))
            },
            |_, (strip, reused, place, payload, used)| {
                let Encoded { chunk, flags, sha256, adler } = strip;
                hashes[place].update(&payload[..used]);
                out.write_all(&chunk)?;
                let length = u32::try_from(chunk.len()).expect("a strip's chunk is under 1 MiB");
                written.entries.push(Entry { at, length, flags, sha256 });
                at += u64::from(length);
                written.adler = adler_concat(written.adler, adler, self.geometry.raw_len());
                written.reused += usize::from(reused);
                done += used as u64;
                progress(done, total);
                Ok::<_, PackError>(())
            },
        )?;
        for (segment, hash) in segments.iter_mut().zip(hashes) {
            segment.sha256 = Some(Digest::new(hash.finalize().into()));
        }
        Ok(written)
    }

    /// The payload of a strip: the number of its segment, its bytes, and how many of them are the segment's.
    fn read(&self, segments: &[Segment], number: usize) -> Result<(usize, Vec<u8>, usize), PackError> {
        let start = number as u64 * BYTES as u64;
        // Of several segments that begin here the last one has bytes: the others are empty.
        let place = segments.partition_point(|segment| segment.offset <= start) - 1;
        let offset = start - segments[place].offset;
        let left = segments[place].size.saturating_sub(offset);
        let used = usize::try_from(left).map_or(BYTES, |left| left.min(BYTES));
        let mut payload = vec![0; BYTES];
        self.inputs[place].read(&mut payload[..used], offset)?;
        Ok((place, payload, used))
    }
}

/// What comes before the strips, and its size.
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
        assert_eq!((text.len(), index.len()), (self.text_len, index::data_len(self.strips)), "the place left free");
        write_header(out, self.geometry.width(), self.height())?;
        write_texts(out, text, self.blueprint)?;
        chunk::write(out, index::KIND, index)
    }
}
