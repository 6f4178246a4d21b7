//! Writing a classic image: the whole payload along one curve, as the older tools read it.
//!
//! The hashes come before the picture, so the files are read twice: once from end to end, and once in bands of rows,
//! which all cores map and deflate. A band consists of squares that are each one piece of the curve, so only the bands
//! that are being worked on are in memory. A checksum for each square shows when a file was changed in between.

use std::io::{BufWriter, Seek, Write};
use std::path::Path;

use pixelrts_shared::Digest;
use sha2::{Digest as _, Sha256};

use super::{Input, Pack, PackError, Packed, end, write_header, write_texts};
use crate::files::{Existing, write_atomically};
use crate::image::hilbert::Grid;
use crate::image::idat::{self, Deflater, ZLIB_HEADER, adler_concat};
use crate::image::metadata::{self, ProfileFields};
use crate::image::parallel_map::parallel_map;
use crate::image::{Limits, Segment, chunk};

/// How many squares are read at once while the files are hashed: 1 MiB where squares have 16 KiB.
const AT_ONCE: usize = 64;

pub(super) fn write(pack: &Pack, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Packed, PackError> {
    let (inputs, mut segments) = pack.lay_out(1)?;
    let limits = Limits::default();
    let data_size = end(&segments);
    let grid = Grid::for_bytes(data_size).filter(|grid| grid.side() <= limits.side);
    let grid = grid.ok_or(PackError::TooLarge { limit: limits.classic_payload, found: data_size })?;
    // Each of the two passes counts half.
    let mut done = 0;
    let mut step = |bytes: usize| {
        done += bytes as u64;
        progress(done / 2, data_size);
    };
    let payload = Payload { inputs: &inputs, grid: &grid };
    let (data_hash, sums) = payload.hash(&mut segments, &mut step)?;
    let metadata = pack.describe(&inputs, &segments);
    let fields = ProfileFields::Classic { data_size, data_hash, grid_size: grid.side() };
    let text = metadata::text_chunk(&metadata, &segments, fields);
    if text.len() > limits.metadata {
        return Err(PackError::Metadata { limit: limits.metadata, found: text.len() });
    }
    let blueprint = pack.blueprint()?;
    let side = grid.side();
    write_atomically(path, Existing::Replace, |file| {
        let mut out = BufWriter::with_capacity(1 << 20, &mut *file);
        write_header(&mut out, side, side)?;
        write_texts(&mut out, &text, blueprint.as_ref())?;
        chunk::write(&mut out, *b"IDAT", &ZLIB_HEADER)?;
        let mut adler = 1;
        parallel_map(
            pack.threads,
            0..grid.squares(),
            || (Deflater::new(pack.effort), vec![0; payload.band_len()]),
            |(deflater, raw), band| Ok((payload.band(&segments, band, &sums, raw)?, deflater.run(raw, Vec::new()))),
            |_, (bytes, run)| {
                out.write_all(&run.chunk)?;
                adler = adler_concat(adler, run.adler, payload.band_len());
                step(bytes);
                Ok::<_, PackError>(())
            },
        )?;
        idat::write_end(&mut out, adler)?;
        out.flush()?;
        let size = out.stream_position()?;
        drop(out);
        Ok(Packed { size, index_sha256: None, width: side, height: side, strips: None, reused: 0, segments, metadata })
    })
}

/// The payload: the files, one after the other.
struct Payload<'a> {
    inputs: &'a [Input<'a>],
    grid: &'a Grid,
}

impl Payload<'_> {
    /// Hashes the payload, and sets the hash of every segment. Returns a checksum for each square too.
    fn hash(&self, segments: &mut [Segment], step: &mut impl FnMut(usize)) -> Result<(Digest, Vec<u32>), PackError> {
        let (square, size) = (self.grid.square_bytes(), end(segments));
        let mut buffer = vec![0; AT_ONCE * square];
        let (mut whole, mut sums) = (Sha256::new(), Vec::new());
        let mut hashes: Vec<_> = segments.iter().map(|_| Sha256::new()).collect();
        for offset in (0..size).step_by(buffer.len()) {
            let bytes = self.read(segments, offset, &mut buffer, |place, part| hashes[place].update(part))?;
            whole.update(bytes);
            sums.extend(bytes.chunks(square).map(idat::adler));
            step(bytes.len());
        }
        for (segment, hash) in segments.iter_mut().zip(hashes) {
            segment.sha256 = Some(Digest::new(hash.finalize().into()));
        }
        Ok((Digest::new(whole.finalize().into()), sums))
    }

    /// Fills the rows of a band, and returns how many bytes of payload they hold.
    fn band(&self, segments: &[Segment], band: usize, sums: &[u32], raw: &mut [u8]) -> Result<usize, PackError> {
        raw.fill(0);
        let (mut buffer, mut filled) = (vec![0; self.grid.square_bytes()], 0);
        for column in 0..self.grid.squares() {
            let (square, turn) = self.grid.square(column, band);
            let Some(sum) = sums.get(square) else { continue };
            buffer.fill(0);
            let offset = (square * buffer.len()) as u64;
            let bytes = self.read(segments, offset, &mut buffer, |_, _| {})?;
            if idat::adler(bytes) != *sum {
                let place = segments.partition_point(|segment| segment.offset <= offset) - 1;
                return Err(PackError::Changed { path: self.inputs[place].path.to_owned() });
            }
            filled += bytes.len();
            let width = 4 * self.grid.block() as usize;
            for (line, row) in raw.chunks_exact_mut(self.stride()).enumerate() {
                let pixels = row[1 + column * width..][..width].chunks_exact_mut(4);
                for (pixel, place) in pixels.zip(self.grid.line(turn, line)) {
                    pixel.copy_from_slice(&buffer[4 * usize::from(*place)..][..4]);
                }
            }
        }
        Ok(filled)
    }

    /// Fills the buffer from `offset` of the payload on, as far as there are bytes. `part` gets the part of each segment.
    fn read<'b>(
        &self,
        segments: &[Segment],
        offset: u64,
        buffer: &'b mut [u8],
        mut part: impl FnMut(usize, &[u8]),
    ) -> Result<&'b [u8], PackError> {
        let mut filled = 0;
        for (place, segment) in segments.iter().enumerate() {
            let at = offset + filled as u64;
            let Some(within) = at.checked_sub(segment.offset).filter(|within| *within < segment.size) else { continue };
            let rest = buffer.len() - filled;
            let count = usize::try_from(segment.size - within).map_or(rest, |left| left.min(rest));
            let bytes = &mut buffer[filled..filled + count];
            self.inputs[place].read(bytes, within)?;
            part(place, bytes);
            filled += count;
        }
        Ok(&buffer[..filled])
    }

    /// The number of bytes of a row, with its filter byte.
    fn stride(&self) -> usize {
        1 + 4 * self.grid.side() as usize
    }

    fn band_len(&self) -> usize {
        self.grid.block() as usize * self.stride()
    }
}
