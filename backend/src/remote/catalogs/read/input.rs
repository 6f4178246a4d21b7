//! From the bytes of a document to its text: gzip is inflated, byte order marks are removed, UTF-16 (with or without such
//! a mark) becomes UTF-8.
//!
//! What the bytes are is seen in the bytes: headers about it are wrong too often. A document of JSON begins neither as
//! gzip does nor with a byte order mark.

use std::io::Write;

use flate2::write::MultiGzDecoder;

use super::NotACatalog;

const GZIP: [u8; 2] = [0x1f, 0x8b];
/// So many bytes are inflated at once. Deflate makes at most 1,032 bytes of one, so a bomb is noticed in time.
const STEP: usize = 1 << 10;

/// What takes the text.
pub(super) trait Take: FnMut(&[u8]) -> Result<(), NotACatalog> {}
impl<F: FnMut(&[u8]) -> Result<(), NotACatalog>> Take for F {}

#[derive(Debug)]
pub(super) struct Input {
    most: usize,
    compression: Compression,
    charset: Charset,
    /// Bytes as they were sent, and after inflating.
    sent: usize,
    inflated: usize,
}

#[derive(Debug, Default)]
enum Compression {
    #[default]
    Undecided,
    /// The first byte may be the beginning of gzip.
    FirstByte,
    None,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
}

impl Input {
    /// More than `most` bytes are refused, as they are sent and after inflating.
    pub(super) fn new(most: usize) -> Self {
        let (compression, charset) = (Compression::default(), Charset::default());
        Self { most, compression, charset, sent: 0, inflated: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8], take: &mut impl Take) -> Result<(), NotACatalog> {
        self.sent += bytes.len();
        if self.sent > self.most {
            return Err(NotACatalog::TooLarge(self.most));
        }
        match &mut self.compression {
            Compression::None => self.text(bytes, take),
            Compression::Gzip(_) => self.inflate(bytes, take),
            Compression::Undecided | Compression::FirstByte => {
                let held = matches!(self.compression, Compression::FirstByte).then_some(GZIP[0]);
                let start: Vec<u8> = held.into_iter().chain(bytes.iter().copied()).collect();
                match start.as_slice() {
                    [] => Ok(()),
                    [first] if *first == GZIP[0] => {
                        self.compression = Compression::FirstByte;
                        Ok(())
                    }
                    _ if start.starts_with(&GZIP) => {
                        self.compression = Compression::Gzip(Box::new(MultiGzDecoder::new(Vec::new())));
                        self.inflate(&start, take)
                    }
                    _ => {
                        self.compression = Compression::None;
                        self.text(&start, take)
                    }
                }
            }
        }
    }

    /// There are no more bytes.
    pub(super) fn finish(&mut self, take: &mut impl Take) -> Result<(), NotACatalog> {
        match std::mem::replace(&mut self.compression, Compression::None) {
            Compression::Undecided | Compression::None => {}
            Compression::FirstByte => self.text(&GZIP[..1], take)?,
            Compression::Gzip(mut decoder) => {
                decoder.try_finish().map_err(|_| NotACatalog::Cut)?;
                let rest = std::mem::take(decoder.get_mut());
                self.text(&rest, take)?;
            }
        }
        self.charset.finish(take)
    }

    fn inflate(&mut self, bytes: &[u8], take: &mut impl Take) -> Result<(), NotACatalog> {
        for step in bytes.chunks(STEP) {
            let Compression::Gzip(decoder) = &mut self.compression else { return Ok(()) };
            decoder.write_all(step).map_err(|error| NotACatalog::Compression(error.to_string()))?;
            let text = std::mem::take(decoder.get_mut());
            self.text(&text, take)?;
        }
        Ok(())
    }

    fn text(&mut self, bytes: &[u8], take: &mut impl Take) -> Result<(), NotACatalog> {
        self.inflated += bytes.len();
        if self.inflated > self.most {
            return Err(NotACatalog::TooLarge(self.most));
        }
        self.charset.push(bytes, take)
    }
}

/// How the text is written.
#[derive(Debug)]
enum Charset {
    /// The bytes so far may be a byte order mark.
    Mark(Vec<u8>),
    Utf8,
    Utf16 {
        big: bool,
        /// Half of a unit.
        half: Option<u8>,
        /// The first unit of a pair.
        high: Option<u16>,
    },
}

impl Default for Charset {
    fn default() -> Self {
        Self::Mark(Vec::new())
    }
}

impl Charset {
    fn push(&mut self, bytes: &[u8], take: &mut impl Take) -> Result<(), NotACatalog> {
        match self {
            Self::Utf8 => take(bytes),
            Self::Utf16 { big, half, high } => take(utf16(bytes, *big, half, high).as_bytes()),
            Self::Mark(start) => {
                start.extend_from_slice(bytes);
                let Some((charset, mark)) = Self::of(start) else { return Ok(()) };
                let start = std::mem::take(start);
                *self = charset;
                self.push(&start[mark..], take)
            }
        }
    }

    /// How text that begins so is written, and how many of its bytes are a mark. `None`: more of it is needed.
    fn of(start: &[u8]) -> Option<(Self, usize)> {
        let utf16 = |big| Self::Utf16 { big, half: None, high: None };
        Some(match start {
            [] | [_] | [0xef, 0xbb] => return None,
            [0xef, 0xbb, 0xbf, ..] => (Self::Utf8, 3),
            [0xff, 0xfe, ..] => (utf16(false), 2),
            [0xfe, 0xff, ..] => (utf16(true), 2),
            // Without a mark: the first character of a document is one of ASCII.
            [0, first, ..] if *first != 0 => (utf16(true), 0),
            [first, 0, ..] if *first != 0 => (utf16(false), 0),
            _ => (Self::Utf8, 0),
        })
    }

    /// There are no more bytes.
    fn finish(&mut self, take: &mut impl Take) -> Result<(), NotACatalog> {
        match self {
            Self::Mark(start) => take(&std::mem::take(start)),
            Self::Utf8 | Self::Utf16 { .. } => Ok(()),
        }
    }
}

/// UTF-16 as UTF-8; what is no character becomes a replacement character.
fn utf16(bytes: &[u8], big: bool, half: &mut Option<u8>, high: &mut Option<u16>) -> String {
    let mut units: Vec<u16> = high.take().into_iter().collect();
    for byte in bytes {
        match half.take() {
            None => *half = Some(*byte),
            Some(first) if big => units.push(u16::from_be_bytes([first, *byte])),
            Some(first) => units.push(u16::from_le_bytes([first, *byte])),
        }
    }
    if units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
        *high = units.pop();
    }
    char::decode_utf16(units).map(|found| found.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}
