//! Small pictures of images, made once and kept as files.
//!
//! The picture of an image on this computer is drawn from its own bytes. Until an image is here, its server's picture is
//! used: it is fetched on demand, decoded within limits, drawn again with at most 512 pixels in width and height, and
//! kept for that server alone (`server_pictures`).

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use pixelrts_shared::{Digest, Problem};
use tokio::sync::Semaphore;

use super::CheckedFile;
use super::error::CatalogError;
use super::read;
use super::server_pictures::ServerPictures;
use crate::files::{Existing, write_atomically};
use crate::remote::servers::Record;
use crate::remote::{Catalogs, Client};
use crate::task;

/// In pixels. The shell shows at most half of it, which is sharp on a screen of double density.
const SIDE: u32 = 512;
/// The picture of a server may have at most this many bytes after decoding.
const DECODED_LIMIT: usize = 16 << 20;
/// Drawing takes memory and time, so only this many pictures are drawn at once.
const AT_ONCE: usize = 2;

#[derive(Clone, Debug)]
pub struct Thumbnails {
    folder: PathBuf,
    turns: Arc<Semaphore>,
    of_servers: ServerPictures,
}

impl Thumbnails {
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        let of_servers = ServerPictures::new(folder.join("servers"));
        Self { folder, turns: Arc::new(Semaphore::new(AT_ONCE)), of_servers }
    }

    /// Removes the pictures of servers that are not listed any more, or not at that address, as long as the scope of
    /// this task runs.
    pub async fn follow(self, catalogs: Catalogs) {
        let mut changes = catalogs.changes();
        let mut known = None;
        loop {
            let bases = catalogs.addresses().ok();
            if bases.is_some() && bases != known {
                let (pictures, stay) = (self.of_servers.clone(), bases.clone().unwrap_or_default());
                task::blocking(move || pictures.retain(&stay)).await;
                known = bases;
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// The picture of an image that is here, as a PNG file.
    pub async fn of_image(&self, image: CheckedFile) -> Result<Vec<u8>, Problem> {
        let kept = self.folder.join(format!("{}.png", image.digest()));
        if let Ok(picture) = fs::read(&kept) {
            return Ok(picture);
        }
        let _turn = self.turns.acquire().await;
        task::blocking(move || {
            let picture = read::thumbnail(&image, SIDE)?;
            keep(&kept, &picture);
            Ok(picture)
        })
        .await
    }

    /// The picture that a server shows for a digest.
    pub async fn of_server(
        &self,
        client: &Client,
        server: &Record,
        digest: &Digest,
        address: Option<&str>,
    ) -> Result<Vec<u8>, Problem> {
        let (kept, base) = (&self.of_servers, &server.url);
        if let Some(picture) = kept.find(base, digest) {
            return Ok(picture);
        }
        if let Some(problem) = kept.failure(base, digest, Instant::now()) {
            return Err(problem);
        }
        let picture = self.fetched(client, server, digest, address).await;
        match &picture {
            Ok(picture) => kept.keep(base, digest, picture),
            Err(problem) => kept.failed(base, digest, Instant::now(), problem),
        }
        picture
    }

    async fn fetched(
        &self,
        client: &Client,
        server: &Record,
        digest: &Digest,
        address: Option<&str>,
    ) -> Result<Vec<u8>, Problem> {
        let default = || format!("api/v1/thumbnails/{digest}.png");
        let url = server.resolve(&address.map_or_else(default, str::to_owned)).ok_or_else(|| broken("its address"))?;
        let sent = client.thumbnail(&server.endpoint(), &url).await?;
        let _turn = self.turns.acquire().await;
        task::blocking(move || redraw(&sent, SIDE).map_err(|error| broken(&error.to_string()))).await
    }
}

/// A picture that cannot be kept is drawn again the next time.
fn keep(path: &Path, picture: &[u8]) {
    let Some(folder) = path.parent() else { return };
    let kept = fs::create_dir_all(folder)
        .and_then(|()| write_atomically(path, Existing::Replace, |file| file.write_all(picture)));
    if let Err(error) = kept {
        tracing::warn!(%error, "a thumbnail cannot be kept");
    }
}

/// Decodes any PNG and writes it as opaque RGB, each pixel the mean of those it stands for.
fn redraw(file: &[u8], side: u32) -> Result<Vec<u8>, png::DecodingError> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), png::Limits { bytes: DECODED_LIMIT });
    decoder.set_ignore_text_chunk(true);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info()?;
    let size = reader.output_buffer_size().filter(|size| *size <= DECODED_LIMIT);
    let mut pixels = vec![0; size.ok_or(png::DecodingError::LimitsExceeded)?];
    let frame = reader.next_frame(&mut pixels)?;
    let channels = frame.color_type.samples();
    let (width, height) = (frame.width as usize, frame.height as usize);
    let longest = u64::from(frame.width.max(frame.height).max(side));
    let scaled = |length: u32| {
        let length = (u64::from(length) * u64::from(side) / longest).max(1);
        u32::try_from(length).expect("not longer than the side")
    };
    let (to_width, to_height) = if longest == u64::from(side) {
        (frame.width, frame.height)
    } else {
        (scaled(frame.width), scaled(frame.height))
    };
    let span = |i: u32, to: u32, from: usize| {
        let at = |i: u32| i as usize * from / to as usize;
        at(i)..at(i + 1).max(at(i) + 1)
    };
    let mut rgb = Vec::with_capacity(3 * to_width as usize * to_height as usize);
    for y in 0..to_height {
        for x in 0..to_width {
            let mut sum = [0_usize; 3];
            let mut count = 0;
            for row in span(y, to_height, height) {
                for column in span(x, to_width, width) {
                    let pixel = &pixels[(row * width + column) * channels..][..channels];
                    let color = if channels < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] };
                    sum.iter_mut().zip(color).for_each(|(sum, value)| *sum += usize::from(value));
                    count += 1;
                }
            }
            rgb.extend(sum.map(|sum| u8::try_from(sum / count).expect("a mean of bytes is a byte")));
        }
    }
    Ok(encode(to_width, to_height, &rgb))
}

fn encode(width: u32, height: u32, rgb: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(rgb));
    written.expect("a picture of its stated size is written to memory");
    file
}

fn broken(why: &str) -> Problem {
    CatalogError::Picture { why: why.to_owned() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(file: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        (frame.width, frame.height, pixels)
    }

    #[test]
    fn a_large_picture_becomes_small_and_keeps_its_ratio() {
        let rgb: Vec<u8> = (0..1024 * 256).flat_map(|i| if i % 2 == 0 { [255, 0, 100] } else { [0, 0, 100] }).collect();
        let (width, height, pixels) = decode(&redraw(&encode(1024, 256, &rgb), 512).unwrap());
        assert_eq!((width, height), (512, 128));
        assert_eq!(&pixels[..3], [127, 0, 100], "a mean, not a sample");
    }

    #[test]
    fn a_small_picture_stays_and_other_bytes_are_refused() {
        let rgb = [1, 2, 3, 4, 5, 6];
        assert_eq!(decode(&redraw(&encode(2, 1, &rgb), 512).unwrap()), (2, 1, rgb.to_vec()));
        assert!(redraw(b"GIF89a", 512).is_err());
        let cut = encode(2, 1, &rgb);
        assert!(redraw(&cut[..cut.len() / 2], 512).is_err());
    }
}
