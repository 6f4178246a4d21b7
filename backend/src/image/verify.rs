//! Checking a whole streamable image: every chunk, every strip, and on request every segment.
//!
//! All cores check strips, while one thread computes the hashes of segments and the Adler-32 in order.

use pixelrts_shared::Digest;
use sha2::{Digest as _, Sha256};

use super::chunk::{self, Chunk};
use super::idat::adler_concat;
use super::parallel_map::{Threads, parallel_map};
use super::payload::{Buffers, Payload, hashed};
use super::streamable::Streamable;
use super::strip::{self, BYTES, Decoder};
use super::{ImageError, Limits, Segment, StripCounts, checksum, index, metadata};

/// How much [`Image::verify`](super::Image::verify) checks. A classic image is always checked completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// The index, the order and CRC of all chunks, every strip, and the checksum of the PNG stream.
    Strips,
    /// The hashes of segments and payload too.
    Deep,
}

/// What was checked without finding a fault.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The size of the file.
    pub bytes: u64,
    /// `None` for a classic image.
    pub strips: Option<StripCounts>,
    /// How many hashes of segments were compared.
    pub segments: usize,
}

/// A strip without a fault, with its payload if that was requested.
struct Checked {
    adler: u32,
    payload: Option<Payload>,
}

/// Checks one strip after the other.
struct Checker<'a> {
    image: &'a Streamable,
    buffers: &'a Buffers,
    decoder: Decoder,
    file: Vec<u8>,
}

/// Knows which segment each strip belongs to, and how much of the strip the segment fills.
struct StripOwners<'a> {
    /// The segments that are not empty, by offset, each with its place in the image's list.
    segments: Vec<(usize, &'a Segment)>,
}

impl<'a> StripOwners<'a> {
    fn new(segments: &'a [Segment]) -> Self {
        Self { segments: segments.iter().enumerate().filter(|(_, segment)| segment.size > 0).collect() }
    }

    /// The place in the list of the segment that strip `number` belongs to, and how many of the strip's bytes are its.
    fn of(&self, number: usize) -> Option<(usize, usize)> {
        let start = number as u64 * BYTES as u64;
        let (place, segment) = self.segments[..self.segments.partition_point(|(_, s)| s.offset <= start)].last()?;
        let used = (segment.offset + segment.size).checked_sub(start).filter(|used| *used > 0)?;
        Some((*place, usize::try_from(used).map_or(BYTES, |used| used.min(BYTES))))
    }
}

pub(super) fn image(
    image: &Streamable,
    segments: &[Segment],
    data_hash: Option<Digest>,
    depth: Depth,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ImageError> {
    let deep = depth == Depth::Deep;
    check_order(image)?;
    let (owners, buffers) = (StripOwners::new(segments), Buffers::default());
    let mut whole = data_hash.filter(|_| deep).map(|expected| (expected, Sha256::new(), image.index.data_size));
    let mut adler = 1;
    let ((), digests) = hashed(segments.len(), &buffers, |hashing| {
        parallel_map(
            Threads::default(),
            0..image.index.strips.len(),
            || Checker::new(image, &buffers),
            |checker, number| checker.check(number, owners.of(number).map_or(0, |(_, used)| used), deep),
            |number, checked| {
                adler = adler_concat(adler, checked.adler, image.index.geometry.raw_len());
                if let Some(payload) = checked.payload {
                    if let Some((_, hash, rest)) = &mut whole {
                        let count = usize::try_from(*rest).map_or(BYTES, |rest| rest.min(BYTES));
                        hash.update(&payload.bytes()[..count]);
                        *rest -= count as u64;
                    }
                    match owners.of(number) {
                        Some((place, used)) => hashing.update(place, payload, used),
                        None => buffers.give_payload(payload),
                    }
                }
                progress(image.index.strips[number].end());
                Ok(())
            },
        )
    })?;
    check_tail(image, adler)?;
    if let Some((expected, hash, _)) = whole {
        let found = Digest::new(hash.finalize().into());
        if !checksum::matches(&expected, &found) {
            return Err(ImageError::PayloadMismatch { expected, found });
        }
    }
    let mut compared = 0;
    for (segment, found) in segments.iter().zip(digests).filter(|_| deep) {
        compared += usize::from(compare(segment, found)?);
    }
    progress(image.blob.len());
    Ok(Report { bytes: image.blob.len(), strips: Some(StripCounts::of(&image.index.strips)), segments: compared })
}

/// Checks one segment: its hash and its strips, except those that are flagged as zero and never read. `each` gets the
/// strips in order, with the place of each in the segment and the number of its bytes that belong to the segment. The
/// bytes are verified only when this succeeds.
pub(super) fn segment<E: From<ImageError> + Send>(
    image: &Streamable,
    segment: &Segment,
    mut each: impl FnMut(u64, &Payload, usize) -> Result<(), E>,
) -> Result<(), E> {
    let (only, buffers) = (std::slice::from_ref(segment), Buffers::default());
    let owners = StripOwners::new(only);
    let number = |offset: u64| usize::try_from(offset / BYTES as u64).expect("a segment lies inside the payload");
    let strips = number(segment.offset)..number((segment.offset + segment.size).next_multiple_of(BYTES as u64));
    let ((), digests) = hashed(1, &buffers, |hashing| {
        parallel_map(
            Threads::default(),
            strips,
            || Checker::new(image, &buffers),
            |checker, number| {
                let used = owners.of(number).map_or(0, |(_, used)| used);
                if image.index.strips[number].flags.is_zero() {
                    return Ok::<_, E>((Payload::Zeros, used));
                }
                let checked = checker.check(number, used, true)?;
                Ok((checked.payload.expect("it was asked for"), used))
            },
            |number, (payload, used)| {
                each((number as u64 * BYTES as u64).saturating_sub(segment.offset), &payload, used)?;
                hashing.update(0, payload, used);
                Ok::<_, E>(())
            },
        )
    })?;
    digests.into_iter().try_for_each(|found| compare(segment, found).map(drop)).map_err(E::from)
}

/// Compares the hash, and returns whether there was one to compare with.
fn compare(segment: &Segment, found: Digest) -> Result<bool, ImageError> {
    match segment.sha256 {
        Some(expected) if !checksum::matches(&expected, &found) => {
            Err(ImageError::SegmentMismatch { segment: segment.name.clone(), expected, found })
        }
        expected => Ok(expected.is_some()),
    }
}

impl<'a> Checker<'a> {
    fn new(image: &'a Streamable, buffers: &'a Buffers) -> Self {
        Self { image, buffers, decoder: Decoder::new(&image.index.geometry), file: Vec::new() }
    }

    /// Checks a strip's hash, CRC, deflate stream and flags. Its bytes behind the first `used` must be zero.
    fn check(&mut self, number: usize, used: usize, want_payload: bool) -> Result<Checked, ImageError> {
        let Self { image, buffers, decoder, file } = self;
        let entry = &image.index.strips[number];
        image.fetch_into(number, file)?;
        let raw = decoder.decode(number, entry.at, file, entry.flags, &image.index.geometry)?;
        let (body, crc) = file.split_last_chunk::<4>().expect("a strip's chunk has 12 bytes or more");
        chunk::check_crc(&strip::placed(entry.at, file), &body[8..], u32::from_be_bytes(*crc))?;
        let part = |what: &str| format!("strip {number} at byte {}, {what}", entry.at);
        if entry.flags.is_zero() && !strip::is_zero(raw) {
            return Err(ImageError::malformed(part("flagged as zero"), "only zero bytes", "others"));
        }
        let adler = simd_adler32::adler32(&raw);
        if entry.flags.is_zero() {
            return Ok(Checked { adler, payload: want_payload.then_some(Payload::Zeros) });
        }
        if !want_payload && used == BYTES {
            return Ok(Checked { adler, payload: None });
        }
        let mut bytes = buffers.take_strip();
        image.index.geometry.gather(raw, &mut bytes);
        if !strip::is_zero(&bytes[used..]) {
            return Err(ImageError::malformed(part("behind the segment's end"), "only zero bytes", "others"));
        }
        let payload = buffers.payload(bytes);
        if want_payload {
            return Ok(Checked { adler, payload: Some(payload) });
        }
        buffers.give_payload(payload);
        Ok(Checked { adler, payload: None })
    }
}

/// Checks the order of the chunks: header, text, perhaps the blueprint, index, the zlib header, and the strips without a
/// gap.
fn check_order(image: &Streamable) -> Result<(), ImageError> {
    let blob = &*image.blob;
    const ORDER: [(&str, &[[u8; 4]]); 4] = [
        ("the header", &[*b"IHDR"]),
        ("the metadata", &[*b"tEXt", *b"zTXt", *b"iTXt"]),
        ("the index", &[index::KIND]),
        ("the zlib header's IDAT", &[*b"IDAT"]),
    ];
    let mut at = chunk::SIGNATURE.len() as u64;
    let mut chunk = Chunk::read(blob, at)?;
    for (expected, kinds) in ORDER {
        chunk = Chunk::read(blob, at)?;
        if kinds == [index::KIND] && metadata::is_blueprint(blob, &chunk)? {
            chunk.body(blob, "the blueprint", Limits::default().metadata)?.check_crc()?;
            chunk = Chunk::read(blob, chunk.end())?;
            at = chunk.at;
        }
        if !kinds.contains(&chunk.kind) {
            return Err(ImageError::malformed(format!("the order of chunks at byte {at}"), expected, chunk.name()));
        }
        at = chunk.end();
    }
    let header = chunk.body(blob, "the zlib header", 2)?;
    header.check_crc()?;
    // It must say deflate, a window of 32 KiB and no dictionary, and its check bits must be right.
    if !matches!(header.data[..], [0x78, flags] if (0x7800 + u16::from(flags)) % 31 == 0 && flags & 0x20 == 0) {
        return Err(ImageError::malformed(
            "the zlib header",
            "deflate with a window of 32 KiB and no dictionary",
            "other bytes",
        ));
    }
    for (number, entry) in image.index.strips.iter().enumerate() {
        if entry.at != at {
            return Err(ImageError::malformed(format!("strip {number}"), format_args!("an offset of {at}"), entry.at));
        }
        at = entry.end();
    }
    Ok(())
}

/// Checks what follows the strips: the empty last block with the Adler-32 of all raw bytes, IEND, and nothing else.
fn check_tail(image: &Streamable, adler: u32) -> Result<(), ImageError> {
    let blob = &*image.blob;
    let at = image.index.strips.last().expect("an image has a strip").end();
    let last = Chunk::read(blob, at)?;
    let end = Chunk::read(blob, last.end())?;
    if (&last.kind, &end.kind, end.length) != (b"IDAT", b"IEND", 0) {
        let found = format!("{} and {}", last.name(), end.name());
        return Err(ImageError::malformed("the chunks behind the last strip", "IDAT and an empty IEND", found));
    }
    let body = last.body(blob, "the end of the stream", 9)?;
    body.check_crc()?;
    end.body(blob, "the end of the file", 0)?.check_crc()?;
    let sum = match &body.data[..] {
        [3, 0, sum @ ..] | [1, 0, 0, 0xff, 0xff, sum @ ..] if sum.len() == 4 => sum,
        _ => {
            let expected = "an empty last block and an Adler-32";
            return Err(ImageError::malformed("the end of the stream", expected, "other bytes"));
        }
    };
    if !checksum::matches(&sum, &&adler.to_be_bytes()[..]) {
        let expected = u32::from_be_bytes(sum.try_into().expect("four bytes"));
        return Err(ImageError::malformed("the Adler-32 of the stream", expected, adler));
    }
    if end.end() != blob.len() {
        return Err(ImageError::malformed("the file", format_args!("an end at byte {}", end.end()), blob.len()));
    }
    Ok(())
}
