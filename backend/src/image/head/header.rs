//! The first chunk, IHDR: the picture's sides, and the one pixel format that images have.

use crate::image::ImageError;
use crate::image::chunk::Body;

/// Width and height, if the header says 8-bit RGBA without interlace.
pub(super) fn sides(body: &Body) -> Result<(u32, u32), ImageError> {
    body.check_crc()?;
    let side = |at: usize| u32::from_be_bytes(body.data[at..at + 4].try_into().expect("IHDR has 13 bytes"));
    let (width, height) = (side(0), side(4));
    if [width, height].iter().any(|side| *side == 0 || *side > i32::MAX.unsigned_abs()) {
        let found = format!("{width} x {height}");
        return Err(ImageError::malformed("the picture", "sides of 1 to 2147483647 pixels", found));
    }
    match body.data[8..] {
        [8, 6, 0, 0, 0] => Ok((width, height)),
        [depth, colour, _, _, interlace] => Err(ImageError::Unsupported {
            part: "the picture",
            expected: "8-bit RGBA without interlace",
            found: format!("of bit depth {depth}, colour type {colour}, interlace {interlace}"),
        }),
        _ => unreachable!("IHDR has 13 bytes"),
    }
}
