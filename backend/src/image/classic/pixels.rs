//! The picture of a classic image: its rows, and the bytes that they hold along the curve.

use std::io::BufReader;

use png::DecodingError;

use super::payload::Payload;
use crate::blob::{self, Blob};
use crate::image::ImageError;
use crate::image::hilbert::Grid;

/// The first `size` bytes along the curve over a square picture. It works band by band: a band of rows consists of squares
/// that are each one piece of the payload, so only one band is held in memory.
pub(super) fn payload(
    blob: &dyn Blob,
    side: u32,
    size: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Payload, ImageError> {
    let mut payload = Payload::new(size)?;
    let grid = Grid::new(side);
    let (block, bytes) = (grid.block() as usize, grid.square_bytes());
    let mut pieces = vec![0; grid.squares() * bytes];
    let mut turns = Vec::new();
    for_each_row(blob, side, |y, row| {
        let (band, line) = (y as usize / block, y as usize % block);
        if line == 0 {
            turns = (0..grid.squares()).map(|column| grid.square(column, band)).collect();
        }
        let squares = || turns.iter().map(|(square, turn)| ((square * bytes) as u64, *turn));
        for (((offset, turn), piece), pixels) in
            squares().zip(pieces.chunks_exact_mut(bytes)).zip(row.chunks_exact(4 * block))
        {
            // Behind the payload the grid is padding.
            if offset < size {
                let piece = piece.as_chunks_mut::<4>().0;
                for (pixel, place) in pixels.as_chunks::<4>().0.iter().zip(grid.line(turn, line)) {
                    piece[usize::from(*place)] = *pixel;
                }
            }
        }
        if line + 1 == block {
            for ((offset, _), piece) in squares().zip(pieces.chunks_exact(bytes)).filter(|((at, _), _)| *at < size) {
                payload.write_at(piece, offset)?;
            }
            let stride = 4 * u64::from(side);
            progress(stride * u64::from(y + 1), stride * u64::from(side));
        }
        Ok(())
    })?;
    Ok(payload)
}

/// Decodes the picture and passes its unfiltered rows to `each`, from the top.
pub(super) fn for_each_row(
    blob: &dyn Blob,
    side: u32,
    mut each: impl FnMut(u32, &[u8]) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    // This is enough for a few rows and the inflater's window. The crate's own default is 64 MiB.
    let limits = png::Limits { bytes: 16 << 20 };
    let mut decoder = png::Decoder::new_with_limits(BufReader::with_capacity(1 << 16, blob::Reader::new(blob)), limits);
    decoder.ignore_checksums(false);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let broken = |error| match error {
        DecodingError::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => ImageError::Io(error),
        error => ImageError::malformed("the picture data", "a valid PNG stream", error),
    };
    let mut reader = decoder.read_info().map_err(broken)?;
    for y in 0..side {
        let row = reader.next_row().map_err(broken)?;
        let row = row.ok_or_else(|| ImageError::malformed("the picture data", format_args!("{side} rows"), y))?;
        // The frame of an animation may be smaller than the picture.
        if row.data().len() != 4 * side as usize {
            let expected = format!("rows of {side} pixels");
            return Err(ImageError::malformed("the picture data", expected, row.data().len() / 4));
        }
        each(y, row.data())?;
    }
    reader.finish().map_err(broken)
}
