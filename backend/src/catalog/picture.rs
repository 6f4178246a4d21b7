//! Drawing small pictures as PNG files that never exceed a size.
//!
//! The pixels of an image are its bytes, which often look like noise, and noise cannot be compressed. So a picture gets
//! what fits: first all colors, then fewer of them, then fewer pixels. The last step fits whatever the picture shows.

use std::io::Cursor;

use crate::image::Thumbnail;

/// The largest picture, in bytes. A wall of 100 images then costs 2 MB.
pub(super) const MOST_BYTES: usize = 20_000;
/// The longest side in pixels: twice what the shell shows, for a screen of double density.
pub(super) const SIDE: u32 = 320;
/// The picture of a server may have at most this many bytes after decoding.
const DECODED_LIMIT: usize = 16 << 20;
/// The longest side and the most colors, the best first. With the last one, a pixel has 4 bits, and all of them together
/// 18,432 bytes.
const STEPS: [(u32, Colors); 9] = [
    (SIDE, Colors::All),
    (SIDE, Colors::Palette(256)),
    (SIDE, Colors::Palette(64)),
    (SIDE, Colors::Palette(32)),
    (256, Colors::Palette(32)),
    (224, Colors::Palette(24)),
    (208, Colors::Palette(16)),
    (192, Colors::Palette(16)),
    (188, Colors::Palette(16)),
];
/// Bits of each color that decide which palette entry it gets.
const BITS: u32 = 5;

#[derive(Clone, Copy, Debug)]
enum Colors {
    All,
    Palette(usize),
}

/// The picture as a PNG file of at most [`MOST_BYTES`].
pub(super) fn encode(picture: &Thumbnail) -> Vec<u8> {
    let mut tried = STEPS.iter().map(|(side, colors)| {
        let smaller = shrink(picture, *side);
        match colors {
            Colors::All => in_all_colors(&smaller),
            Colors::Palette(most) => in_few_colors(&smaller, *most),
        }
    });
    tried.find(|file| file.len() <= MOST_BYTES).expect("the last step fits every picture")
}

/// Decodes any PNG and draws it again, small.
pub(super) fn redraw(file: &[u8]) -> Result<Vec<u8>, png::DecodingError> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), png::Limits { bytes: DECODED_LIMIT });
    decoder.set_ignore_text_chunk(true);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info()?;
    let size = reader.output_buffer_size().filter(|size| *size <= DECODED_LIMIT);
    let mut bytes = vec![0; size.ok_or(png::DecodingError::LimitsExceeded)?];
    let frame = reader.next_frame(&mut bytes)?;
    let channels = frame.color_type.samples();
    let color = |pixel: &[u8]| if channels < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] };
    let count = frame.width as usize * frame.height as usize;
    let pixels = bytes.chunks_exact(channels).take(count).map(color).collect();
    Ok(encode(&Thumbnail { width: frame.width, height: frame.height, pixels }))
}

/// No side is longer than this. Each pixel is the mean of those that it stands for.
fn shrink(picture: &Thumbnail, side: u32) -> Thumbnail {
    let longest = picture.width.max(picture.height).max(1);
    let target = longest.min(side);
    let scaled = |length: u32| {
        let scaled = (u64::from(length) * u64::from(target) / u64::from(longest)).max(1);
        u32::try_from(scaled).expect("no side grows")
    };
    let (width, height) = (scaled(picture.width), scaled(picture.height));
    let span = |i: u32, to: u32, from: u32| {
        let at = |i: u32| i as usize * from as usize / to as usize;
        at(i)..at(i + 1).max(at(i) + 1)
    };
    let mut pixels = Vec::with_capacity(width as usize * height as usize);
    for y in 0..height {
        for x in 0..width {
            let (mut sum, mut count) = ([0_usize; 3], 0);
            for row in span(y, height, picture.height) {
                for column in span(x, width, picture.width) {
                    let pixel = picture.pixels[row * picture.width as usize + column];
                    sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += usize::from(value));
                    count += 1;
                }
            }
            pixels.push(sum.map(|sum| u8::try_from(sum / count).expect("a mean of bytes is a byte")));
        }
    }
    Thumbnail { width, height, pixels }
}

fn in_all_colors(picture: &Thumbnail) -> Vec<u8> {
    write(picture, png::ColorType::Rgb, png::BitDepth::Eight, None, picture.pixels.as_flattened())
}

fn in_few_colors(picture: &Thumbnail, most: usize) -> Vec<u8> {
    let (palette, numbers) = quantize(&picture.pixels, most);
    let (depth, per_byte) = match palette.len() {
        ..=4 => (png::BitDepth::Two, 4),
        5..=16 => (png::BitDepth::Four, 2),
        _ => (png::BitDepth::Eight, 1),
    };
    let bits = 8 / per_byte;
    let mut rows = Vec::new();
    for row in numbers.chunks(picture.width.max(1) as usize) {
        rows.extend(row.chunks(per_byte).map(|several| {
            let shifted = (0..).zip(several).map(|(place, number)| number << (8 - bits * (place + 1)));
            shifted.fold(0, |byte, number| byte | number)
        }));
    }
    write(picture, png::ColorType::Indexed, depth, Some(palette.as_flattened()), &rows)
}

fn write(
    picture: &Thumbnail,
    color: png::ColorType,
    depth: png::BitDepth,
    palette: Option<&[u8]>,
    data: &[u8],
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, picture.width, picture.height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    encoder.set_compression(png::Compression::High);
    if let Some(palette) = palette {
        encoder.set_palette(palette.to_vec());
        // Numbers of colors are no amounts: differences between them say nothing.
        encoder.set_filter(png::Filter::NoFilter);
    }
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(data));
    written.expect("a picture of its stated size is written to memory");
    file
}

/// At most so many colors, and the number of one for each pixel. The color space is cut in halves with equally many
/// pixels, always where colors differ most ("median cut").
fn quantize(pixels: &[[u8; 3]], most: usize) -> (Vec<[u8; 3]>, Vec<u8>) {
    let coarse = |pixel: &[u8; 3]| pixel.map(|value| value >> (8 - BITS));
    let cell = |pixel: &[u8; 3]| {
        let [red, green, blue] = coarse(pixel).map(usize::from);
        (red << (2 * BITS)) | (green << BITS) | blue
    };
    // For each cell of the color space its pixels: how many, and the sum of their colors.
    let mut cells = vec![(0_u64, [0_u64; 3]); 1 << (3 * BITS)];
    for pixel in pixels {
        let (count, sum) = &mut cells[cell(pixel)];
        *count += 1;
        sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u64::from(*value));
    }
    let used: Vec<usize> = (0..cells.len()).filter(|cell| cells[*cell].0 > 0).collect();
    let part = |cell: usize, channel: u32| (cell >> (BITS * (2 - channel))) & ((1 << BITS) - 1);
    // The channel in which the colors of a box differ most, and by how much.
    let widest = |cells: &[usize]| {
        let range = |channel| {
            let values = || cells.iter().map(|cell| part(*cell, channel));
            values().max().unwrap_or_default() - values().min().unwrap_or_default()
        };
        (0..3).map(|channel| (range(channel), channel)).max().expect("there are three")
    };
    let mut boxes = vec![used];
    while boxes.len() < most {
        let Some((at, channel)) = boxes
            .iter()
            .enumerate()
            .map(|(at, cells)| (widest(cells), at))
            .filter(|((range, _), _)| *range > 0)
            .max()
            .map(|((_, channel), at)| (at, channel))
        else {
            break;
        };
        let mut lower = boxes.swap_remove(at);
        lower.sort_by_key(|cell| part(*cell, channel));
        let all: u64 = lower.iter().map(|cell| cells[*cell].0).sum();
        let mut seen = 0;
        let middle = lower.iter().position(|cell| {
            seen += cells[*cell].0;
            2 * seen >= all
        });
        let upper = lower.split_off((middle.unwrap_or_default() + 1).min(lower.len() - 1));
        boxes.extend([lower, upper]);
    }
    let mut numbers = vec![0_u8; cells.len()];
    let mut palette = Vec::with_capacity(boxes.len());
    for (number, members) in (0..=u8::MAX).zip(&boxes) {
        let (mut count, mut sum) = (0, [0; 3]);
        for member in members {
            numbers[*member] = number;
            count += cells[*member].0;
            sum.iter_mut().zip(cells[*member].1).for_each(|(sum, value)| *sum += value);
        }
        palette.push(sum.map(|sum| u8::try_from(sum / count.max(1)).expect("a mean of bytes is a byte")));
    }
    (palette, pixels.iter().map(|pixel| numbers[cell(pixel)]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(file: &[u8]) -> Thumbnail {
        let mut decoder = png::Decoder::new(Cursor::new(file));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut bytes).unwrap();
        assert_eq!(frame.color_type, png::ColorType::Rgb, "opaque");
        Thumbnail { width: frame.width, height: frame.height, pixels: bytes.as_chunks::<3>().0.to_vec() }
    }

    fn picture(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Thumbnail {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| pixel(x, y)).collect();
        Thumbnail { width, height, pixels }
    }

    fn noise(x: u32, y: u32) -> [u8; 3] {
        let mixed = (x.wrapping_mul(0x9e37_79b9) ^ y.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0xc2b2_ae35);
        let [a, b, c, _] = (mixed ^ (mixed >> 15)).wrapping_mul(0x27d4_eb2f).to_be_bytes();
        [a, b, c]
    }

    #[test]
    fn noise_of_any_shape_fits() {
        for (width, height) in [(SIDE, SIDE), (192, 192), (SIDE, 1), (1, SIDE), (300, 200), (700, 500)] {
            let file = encode(&picture(width, height, noise));
            assert!(file.len() <= MOST_BYTES, "{width} x {height}: {}", file.len());
            let small = decode(&file);
            assert!(small.width.max(small.height) >= 188.min(width.max(height)), "{} x {}", small.width, small.height);
        }
    }

    #[test]
    fn what_can_be_kept_is_kept() {
        let smooth =
            picture(SIDE, SIDE, |x, y| [u8::try_from(x * 255 / SIDE).unwrap(), u8::try_from(y / 2).unwrap(), 9]);
        assert_eq!(decode(&encode(&smooth)).pixels, smooth.pixels);
        let small = picture(2, 1, |x, _| [u8::try_from(x).unwrap(), 2, 3]);
        assert_eq!(decode(&redraw(&in_all_colors(&small)).unwrap()).pixels, small.pixels);
    }

    #[test]
    fn a_large_picture_becomes_small_and_keeps_its_ratio() {
        let stripes = picture(1280, 320, |x, _| if x % 2 == 0 { [255, 0, 100] } else { [0, 0, 100] });
        let small = decode(&redraw(&in_all_colors(&stripes)).unwrap());
        assert_eq!((small.width, small.height), (320, 80));
        assert_eq!(small.pixels[0], [127, 0, 100], "a mean, not a sample");
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(redraw(b"GIF89a").is_err());
        let whole = in_all_colors(&picture(2, 1, noise));
        assert!(redraw(&whole[..whole.len() / 2]).is_err());
    }

    proptest! {
        #[test]
        fn few_colors_are_close_to_the_pixels(
            pixels in prop::collection::vec(any::<[u8; 3]>(), 1..300),
            most in 1_usize..=256,
        ) {
            let (palette, numbers) = quantize(&pixels, most);
            prop_assert!(palette.len() <= most);
            prop_assert!(numbers.iter().all(|number| usize::from(*number) < palette.len()));
            let distinct: std::collections::HashSet<_> = pixels.iter().map(|pixel| pixel.map(|value| value >> 3)).collect();
            if distinct.len() <= most {
                for (pixel, number) in pixels.iter().zip(&numbers) {
                    let color = palette[usize::from(*number)];
                    prop_assert!(pixel.iter().zip(color).all(|(a, b)| a.abs_diff(b) < 8), "{pixel:?} became {color:?}");
                }
            }
        }
    }
}
