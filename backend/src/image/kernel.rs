//! What a kernel file says about itself: version and architecture.
//!
//! Three formats are known: a bzImage (the x86 boot protocol's setup header), an ARM64 `Image`, and ELF (`vmlinux`). The last
//! two contain the banner `Linux version ...` in their data.

use crate::blob::Blob;

/// What the kernel file claims. Nothing verifies it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kernel {
    pub(super) version: Option<String>,
    pub(super) architecture: Option<&'static str>,
}

/// Returns `None` if the file is not a kernel of a known format, or cannot be read.
pub(super) fn identify(blob: &dyn Blob) -> Option<Kernel> {
    let mut head = vec![0; usize::try_from(blob.len()).map_or(0x1000, |len| len.min(0x1000))];
    blob.read_exact_at(&mut head, 0).ok()?;
    let word = |at: usize| Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?));
    if head.get(0x202..0x206) == Some(b"HdrS") {
        // Boot protocol 2.12 brought xloadflags; its bit 0 says that there is a 64-bit entry.
        let is_64_bit = word(0x206)? >= 0x20c && word(0x236)? & 1 != 0;
        let version = word(0x20e).filter(|at| *at != 0).and_then(|at| first_word(blob, 0x200 + u64::from(at)));
        return Some(Kernel { version, architecture: Some(if is_64_bit { "x86_64" } else { "i386" }) });
    }
    let architecture = if head.get(0x38..0x3c) == Some(b"ARM\x64") {
        Some("aarch64")
    } else if head.starts_with(b"\x7fELF\x02\x01") {
        match word(0x12)? {
            62 => Some("x86_64"),
            183 => Some("aarch64"),
            243 => Some("riscv64"),
            _ => None,
        }
    } else {
        return None;
    };
    Some(Kernel { version: banner(blob), architecture })
}

/// The text at `at` up to a space, if it looks like a version.
fn first_word(blob: &dyn Blob, at: u64) -> Option<String> {
    let mut bytes = [0; 128];
    let count = blob.read_at(&mut bytes, at).ok()?;
    let word = bytes[..count].split(|byte| !byte.is_ascii_graphic()).next()?;
    word.first().is_some_and(u8::is_ascii_digit).then(|| String::from_utf8_lossy(word).into_owned())
}

/// The version in the banner, looked for in the first 64 MiB.
fn banner(blob: &dyn Blob) -> Option<String> {
    const BANNER: &[u8] = b"Linux version ";
    const PIECE: usize = 1 << 20;
    let mut piece = vec![0; PIECE + BANNER.len()];
    for start in (0..blob.len().min(64 << 20)).step_by(PIECE) {
        let count = blob.read_at(&mut piece, start).ok()?;
        let mut from = 0;
        while let Some(found) = piece[from..count].windows(BANNER.len()).position(|window| window == BANNER) {
            from += found + BANNER.len();
            if let Some(version) = first_word(blob, start + from as u64) {
                return Some(version);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::MemoryBlob;

    #[test]
    fn a_bzimage_says_its_version_and_architecture() {
        let mut file = vec![0; 0x2000];
        file[0x202..0x206].copy_from_slice(b"HdrS");
        file[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
        file[0x20e..0x210].copy_from_slice(&0x1400_u16.to_le_bytes());
        file[0x236] = 1;
        file[0x1600..0x1610].copy_from_slice(b"6.1.0-9-amd64 (d");
        let expected = Kernel { version: Some("6.1.0-9-amd64".into()), architecture: Some("x86_64") };
        assert_eq!(identify(&MemoryBlob::from(file.clone())), Some(expected));
        file[0x236] = 0;
        assert_eq!(identify(&MemoryBlob::from(file)).unwrap().architecture, Some("i386"));
    }

    #[test]
    fn the_banner_of_an_arm_image_says_its_version() {
        let mut file = vec![0; (1 << 20) + 100];
        file[0x38..0x3c].copy_from_slice(b"ARM\x64");
        // Across the border of two pieces, behind a format string that is no banner.
        file[0x100..0x110].copy_from_slice(b"Linux version %s");
        let at = (1 << 20) - 5;
        file[at..at + 20].copy_from_slice(b"Linux version 6.6.1 ");
        let expected = Kernel { version: Some("6.6.1".into()), architecture: Some("aarch64") };
        assert_eq!(identify(&MemoryBlob::from(file)), Some(expected));
    }

    #[test]
    fn other_files_are_not_kernels() {
        for file in [Vec::new(), b"HdrS".to_vec(), vec![0; 0x202], b"\x7fELF\x02\x01".to_vec()] {
            assert_eq!(identify(&MemoryBlob::from(file)), None);
        }
    }
}
