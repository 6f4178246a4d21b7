//! Makes PNG files from any parts.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// How the bytes of a part are written to the file.
#[derive(Clone, Copy, Debug)]
pub enum Deflated {
    /// As they are: they are deflated already.
    Already,
    /// Deflated when the file is made.
    Now,
}

impl Deflated {
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Already => bytes.to_vec(),
            Self::Now => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(bytes).expect("a Vec takes all bytes");
                encoder.finish().expect("a Vec takes all bytes")
            }
        }
    }
}

/// A file of these sides, in pixels, with these chunks before its end.
#[must_use]
pub fn png(width: u32, height: u32, chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", &header[..])].iter().chain(chunks).chain(&[(b"IEND", &[][..])]) {
        let mut crc = flate2::Crc::new();
        crc.update(*kind);
        crc.update(data);
        file.extend(u32::try_from(data.len()).expect("parts are small").to_be_bytes());
        file.extend(*kind);
        file.extend(*data);
        file.extend(crc.sum().to_be_bytes());
    }
    file
}
