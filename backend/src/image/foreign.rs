//! Recognizes by its first bytes what is no image, and says in words what it is instead.

use super::chunk::{FRAME, HEAD, SIGNATURE};
use super::error::{EMPTY, ZEROS};
use super::{index, metadata};

/// How many bytes are enough to tell.
pub const ENOUGH: usize = 1024;

/// Beginnings of files, and what such a file is.
const BEGINNINGS: &[(usize, &[u8], &str)] = &[
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF8", "a GIF picture"),
    (8, b"WEBP", "a WebP picture"),
    (4, b"ftypavi", "an AVIF picture"),
    (4, b"ftypheic", "a HEIF picture"),
    (4, b"ftypmif1", "a HEIF picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (0, b"<svg", "an SVG picture"),
    (0, b"\x1f\x8b", "data compressed with gzip"),
    (0, b"(\xb5/\xfd", "data compressed with zstd"),
    (0, b"\xfd7zXZ\0", "data compressed with xz"),
    (0, b"BZh", "data compressed with bzip2"),
    (0, b"\x04\x22\x4d\x18", "data compressed with lz4"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"PK\x05\x06", "an empty ZIP archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"!<arch>\n", "a package or a static library"),
    (0, b"07070", "an initramfs that is not compressed"),
    (0, b"hsqs", "a SquashFS file system"),
    (0, b"QFI\xfb", "a QCOW2 disk"),
    (0, b"KDMV", "a VMDK disk"),
    (0, b"conectix", "a VHD disk"),
    (0, b"vhdxfile", "a VHDX disk"),
    (0x202, b"HdrS", "a Linux kernel"),
    (0, b"\x7fELF", "a program or a kernel (ELF)"),
    (510, b"\x55\xaa", "a raw disk or a boot sector"),
    (0, b"MZ", "a Windows or EFI program"),
    (0, b"%PDF", "a PDF document"),
    (0, b"version https://git-lfs", "a pointer of Git LFS in place of the file"),
    (0, b"\x89PNG\n", "a PNG file that was sent as text, which has changed its line ends"),
    (0, b"\x89PNG\r\r\n", "a PNG file that was sent as text, which has changed its line ends"),
];

/// What the bytes are that begin like this. `None`: they begin as a PNG file does, as far as there are any.
#[must_use]
pub fn foreign(first: &[u8]) -> Option<&'static str> {
    let signature = &first[..first.len().min(SIGNATURE.len())];
    if !first.is_empty() && SIGNATURE.starts_with(signature) {
        return None;
    }
    if first.is_empty() {
        return Some(EMPTY);
    }
    let known = BEGINNINGS.iter().find(|(at, begins, _)| first.get(*at..).is_some_and(|rest| rest.starts_with(begins)));
    Some(known.map_or_else(|| of_text(first), |(.., name)| name))
}

/// Whether a PNG file begins like this in which the picture comes before our index: another program has written it, and
/// what made it a streamable image is gone. Images of older tools have no index, but a text with our keyword.
#[must_use]
pub fn is_remade(first: &[u8]) -> bool {
    let Some(mut rest) = first.strip_prefix(&SIGNATURE[..]) else { return false };
    let mut has_classic_text = false;
    while let Some((head, data)) = rest.split_first_chunk::<HEAD>() {
        let [a, b, c, d, kind @ ..] = *head;
        let length = u64::from(u32::from_be_bytes([a, b, c, d]));
        match &kind {
            b"IDAT" => return !has_classic_text,
            &index::KIND => return false,
            b"tEXt" | b"zTXt" | b"iTXt" if data.starts_with(metadata::KEYWORD.as_bytes()) => {
                let known = &data[..data.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
                has_classic_text = !String::from_utf8_lossy(known).contains("\"PixelRTS-2.1\"");
            }
            _ => {}
        }
        let Some(next) = usize::try_from(length + FRAME).ok().and_then(|next| rest.get(next..)) else { return false };
        rest = next;
    }
    false
}

/// What is named by no magic number.
fn of_text(first: &[u8]) -> &'static str {
    if first.iter().all(|byte| *byte == 0) {
        return ZEROS;
    }
    // The last letter may be cut.
    let readable = match std::str::from_utf8(first) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&first[..error.valid_up_to()]).ok(),
        Err(_) => None,
    };
    let is_control = |letter: char| letter.is_control() && !letter.is_whitespace();
    let Some(text) = readable.filter(|text| !text.contains(is_control)) else { return "data of an unknown kind" };
    let text = text.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    match text.as_bytes() {
        [b'<', ..]
            if ["<!doctype html", "<html", "<head", "<title", "<body"].iter().any(|tag| text.starts_with(tag)) =>
        {
            "a web page"
        }
        [b'<', ..] if text.contains("<svg") => "an SVG picture",
        [b'<', ..] if text.contains("<error>") => "an error message of an object store (XML)",
        [b'<', ..] if text.starts_with("<?xml") => "an XML document",
        [b'{' | b'[', ..] => "a JSON document",
        _ => "text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_image_is_named_in_words() {
        let at = |place: usize, bytes: &[u8]| [&vec![7; place][..], bytes].concat();
        for (bytes, name) in [
            (b"".to_vec(), "an empty file"),
            (b"RIFF\x24\0\0\0WEBPVP8 ".to_vec(), "a WebP picture"),
            (b"\xff\xd8\xff\xe0".to_vec(), "a JPEG picture"),
            (b"\x1f\x8b\x08".to_vec(), "data compressed with gzip"),
            (at(257, b"ustar"), "a tar archive"),
            (at(0x202, b"HdrS"), "a Linux kernel"),
            (b"<!DOCTYPE html>\n<html>".to_vec(), "a web page"),
            ("\u{feff} <HTML lang=en>".as_bytes().to_vec(), "a web page"),
            (b"<?xml version='1.0'?><Error><Code>AccessDenied".to_vec(), "an error message of an object store (XML)"),
            (b"{\"format\":1}".to_vec(), "a JSON document"),
            ("Zu spät \u{e4}".as_bytes()[..9].to_vec(), "text"),
            (vec![0; 2000], "zeros only"),
            (vec![1, 2, 3], "data of an unknown kind"),
            (b"\x89PNG\n\x1a\n".to_vec(), "a PNG file that was sent as text, which has changed its line ends"),
        ] {
            assert_eq!(foreign(&bytes), Some(name), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn only_what_begins_as_a_png_file_passes(bytes in prop::collection::vec(any::<u8>(), 0..40), cut in 0_usize..20) {
            let png = [&SIGNATURE[..], &bytes].concat();
            prop_assert_eq!(foreign(&png[..cut.clamp(1, png.len())]), None);
            prop_assert_eq!(foreign(&bytes).is_none(), !bytes.is_empty() && SIGNATURE.starts_with(&bytes[..bytes.len().min(8)]));
        }
    }
}
