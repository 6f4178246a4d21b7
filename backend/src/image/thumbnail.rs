//! A small picture of an image: some of its rows, averaged along the row, opaque.
//!
//! Only the strips that hold a sampled row are read, one at a time, so that the largest image costs a few megabytes.

use super::ImageError;

/// The sides of the thumbnail. It keeps the picture's ratio; its sides are at most `max_side`, at least 1, and never
/// longer than those of the picture.
fn shrink(width: u32, height: u32, max_side: u32) -> (u32, u32) {
    let longest = u64::from(width.max(height)).max(1);
    let target = longest.min(u64::from(max_side.max(1)));
    let side = |side: u32| u32::try_from((u64::from(side) * target / longest).max(1)).expect("no side grows");
    (side(width), side(height))
}

/// Opaque RGB pixels.
#[derive(Debug)]
pub struct Thumbnail {
    /// The width in pixels.
    pub width: u32,
    pub height: u32,
    /// The pixels row by row, from the top.
    pub pixels: Vec<[u8; 3]>,
}

impl Thumbnail {
    /// `rows` passes on the RGBA pixels of the requested rows, in ascending order.
    pub(super) fn make(
        width: u32,
        height: u32,
        max_side: u32,
        rows: impl FnOnce(&[u32], &mut dyn FnMut(&[u8])) -> Result<(), ImageError>,
    ) -> Result<Self, ImageError> {
        let (small_width, small_height) = shrink(width, height, max_side);
        // The middle one of the rows that a row of the thumbnail represents.
        let middle = |row: u32| (2 * u64::from(row) + 1) * u64::from(height) / (2 * u64::from(small_height));
        let wanted: Vec<_> =
            (0..small_height).map(|row| u32::try_from(middle(row)).expect("a row of the picture")).collect();
        let edge = |column: u32| {
            usize::try_from(u64::from(column) * u64::from(width) / u64::from(small_width))
                .expect("a column of the picture")
        };
        let mut pixels = Vec::with_capacity(small_width as usize * small_height as usize);
        rows(&wanted, &mut |row| {
            for column in 0..small_width {
                let run = row[4 * edge(column)..4 * edge(column + 1)].as_chunks::<4>().0;
                pixels.push([0, 1, 2].map(|channel| {
                    let sum: usize = run.iter().map(|pixel| usize::from(pixel[channel])).sum();
                    u8::try_from(sum / run.len()).expect("an average of bytes is a byte")
                }));
            }
        })?;
        Ok(Self { width: small_width, height: small_height, pixels })
    }

    /// Encodes the thumbnail as a PNG file.
    pub fn png(&self) -> Result<Vec<u8>, ImageError> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(self.pixels.as_flattened()))
            .map_err(|error| ImageError::Io(std::io::Error::other(error)))?;
        Ok(file)
    }
}
