//! Why an image cannot be used: because of its content, a limit, or the system.

use std::io;

use pixelrts_shared::{Digest, Problem, ProblemCode};

use crate::files::storage_problem;

/// What a file is before its first bytes are written, in the words of `NotPng`.
pub(super) const EMPTY: &str = "an empty file";
pub(super) const ZEROS: &str = "zeros only";

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// What the file is, in words.
    #[error("it is {found}, not a PNG file")]
    NotPng { found: &'static str },
    #[error(
        "it is a PNG file without the metadata of an image: it never was one, or another program has written the \
         picture anew"
    )]
    NoMetadata,
    /// A streamable image without its index.
    #[error("another program has written this picture anew, which removes the index of the image")]
    Remade,
    /// Both sizes are those of the whole file, in bytes.
    #[error("{part} ends at byte {expected}, the file at byte {found}")]
    Truncated { part: String, expected: u64, found: u64 },
    #[error("{part}: expected {expected}, found {found}")]
    Malformed { part: String, expected: String, found: String },
    #[error("{part} is {found}; only {expected} can be read")]
    Unsupported { part: &'static str, expected: &'static str, found: String },
    /// `offset` is where the strip's chunk begins in the file.
    #[error("strip {strip} at byte {offset}: expected SHA-256 {expected}, found {found}")]
    StripMismatch { strip: usize, offset: u64, expected: Digest, found: Digest },
    #[error("the index: expected SHA-256 {expected}, found {found}")]
    IndexMismatch { expected: Digest, found: Digest },
    #[error("segment {segment}: expected SHA-256 {expected}, found {found}")]
    SegmentMismatch { segment: String, expected: Digest, found: Digest },
    #[error("the payload: expected SHA-256 {expected}, found {found}")]
    PayloadMismatch { expected: Digest, found: Digest },
    #[error("{part} is {found}, the limit is {limit}")]
    Limit { part: &'static str, limit: u64, found: u64 },
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl ImageError {
    /// Whether a file with this fault may only be incomplete, because somebody is still writing it: its end is missing,
    /// or its first bytes are not written yet.
    #[must_use]
    pub fn is_of_an_incomplete_file(&self) -> bool {
        match self {
            Self::Truncated { .. } => true,
            Self::NotPng { found } => matches!(*found, EMPTY | ZEROS),
            _ => false,
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts read best without a borrow")]
    pub(super) fn malformed(part: impl Into<String>, expected: impl ToString, found: impl ToString) -> Self {
        Self::Malformed { part: part.into(), expected: expected.to_string(), found: short(found.to_string()) }
    }
}

/// The beginning of a text that may be as long as the file, without characters that control a terminal.
fn short(mut text: String) -> String {
    const MOST: usize = 200;
    if text.len() > MOST {
        text.truncate(text.floor_char_boundary(MOST));
        text.push_str(" ...");
    }
    printable(&text)
}

/// A text from an image, without characters that control a terminal or change the direction of the text.
pub(crate) fn printable(text: &str) -> String {
    let controls = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if controls(letter) { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Self {
        const AGAIN: &str = "Remove the file, then get the image again. If the new copy has the same fault, the image \
            must be packed again.";
        let why = error.to_string();
        let (code, what, fix) = match &error {
            ImageError::NotPng { .. } | ImageError::NoMetadata => (
                ProblemCode::NotAnImage,
                "This file is not a PixelRTS image.",
                "Choose an .rts.png file, or make one: pixelrts pack --kernel FILE -o OUT.rts.png",
            ),
            ImageError::Remade => (
                ProblemCode::NotAnImage,
                "This file is not a PixelRTS image any more.",
                "Get the original file, and send images as files: programs and services for pictures change them.",
            ),
            ImageError::Truncated { .. } => (ProblemCode::ImageTruncated, "The image is cut short.", AGAIN),
            ImageError::Malformed { .. } => (ProblemCode::ImageMalformed, "The image is damaged.", AGAIN),
            ImageError::Unsupported { .. } => (
                ProblemCode::ImageUnsupported,
                "This kind of image is not supported.",
                "Pack its files again: pixelrts pack --kernel FILE -o OUT.rts.png",
            ),
            ImageError::StripMismatch { .. } => {
                (ProblemCode::StripMismatch, "A strip of the image does not match its hash.", AGAIN)
            }
            ImageError::IndexMismatch { .. } => {
                (ProblemCode::IndexMismatch, "The image's index does not match its digest.", AGAIN)
            }
            ImageError::SegmentMismatch { .. } => {
                (ProblemCode::SegmentMismatch, "A segment of the image does not match its hash.", AGAIN)
            }
            ImageError::PayloadMismatch { .. } => {
                (ProblemCode::HashMismatch, "The image's payload does not match its hash.", AGAIN)
            }
            ImageError::Limit { .. } => (
                ProblemCode::ImageTooLarge,
                "The image is larger than the limits allow.",
                "If you trust where it comes from, pack its files again with: pixelrts pack",
            ),
            ImageError::Io(error) => return storage_problem(error, "The image cannot be read."),
        };
        Self::new(code, what, why, fix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_an_image_cannot_control_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\n\u{9b}1m\u{202e}é"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}1m\u{fffd}é");
        let error = ImageError::malformed("data_size", "a whole number", "\u{9b}31m");
        assert!(!error.to_string().contains(char::is_control), "{error:?}");
    }
}
