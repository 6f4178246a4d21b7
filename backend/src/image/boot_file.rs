//! Kernels and initrds before their compression.
//!
//! A `bzImage` is a small loader around a compressed ELF file. QEMU starts that ELF file itself if it has the PVH
//! entry point, which saves the guest the unpacking. Also, deflate packs plain bytes better than compressed ones. An initrd is one or more cpio archives, each plain or compressed.
//!
//! Sources: Linux `Documentation/arch/x86/boot.rst` (setup header), `Documentation/driver-api/early-userspace/
//! buffer-format.rst` (initrd), the Xen ELF note 18 (PVH), `lib/decompress_unlz4.c` (the legacy LZ4 frame).

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use crate::blob::Blob;

/// A boot file may become at most so many bytes. Kernel and initrd are held in memory while they are packed.
const MOST: u64 = 1 << 30;
/// A legacy LZ4 block holds this many plain bytes at most.
const LZ4_BLOCK: usize = 8 << 20;

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    Gzip,
    Lz4,
    Xz,
    Zstd,
}

impl Compression {
    fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x02, 0x21, 0x4c, 0x18, ..] => Some(Self::Lz4),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Inflates `packed` from its first byte on, and appends the result to `out`.
    fn inflate(self, packed: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Gzip => bounded(MultiGzDecoder::new(packed), out),
            Self::Xz => bounded(lzma_rust2::XzReader::new(packed, true), out),
            Self::Zstd => {
                let mut rest = packed;
                while rest.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
                    let frame = ruzstd::decoding::StreamingDecoder::new(&mut rest).map_err(io::Error::other)?;
                    bounded(frame, out)?;
                }
                Ok(())
            }
            Self::Lz4 => lz4(packed, out),
        }
    }
}

/// Appends the content of the stream to `out`, up to the limit.
fn bounded(stream: impl Read, out: &mut Vec<u8>) -> io::Result<()> {
    let room = MOST.saturating_sub(out.len() as u64);
    let read = stream.take(room + 1).read_to_end(out)?;
    if read as u64 > room { Err(io::Error::other(format!("it becomes more than {MOST} bytes"))) } else { Ok(()) }
}

/// The legacy frame: a magic number, then blocks, each with its length. It ends where no further block follows.
fn lz4(packed: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut rest = packed.get(4..).unwrap_or_default();
    let mut block = vec![0; LZ4_BLOCK];
    while let Some((length, bytes)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some((data, behind)) = bytes.split_at_checked(length).filter(|_| length > 0) else { break };
        let count = lz4_flex::block::decompress_into(data, &mut block).map_err(io::Error::other)?;
        bounded(&block[..count], out)?;
        rest = behind;
    }
    if out.is_empty() { Err(io::Error::other("it holds no block")) } else { Ok(()) }
}

/// The ELF file inside a `bzImage`. Returns `None` if the kernel is not compressed. The error completes a sentence.
pub(super) fn inflate_kernel(kernel: &dyn Blob) -> Result<Option<Vec<u8>>, String> {
    let mut head = [0; 0x250];
    let is_bzimage = kernel.read_exact_at(&mut head, 0).is_ok() && head[0x202..0x206] == *b"HdrS";
    if !is_bzimage {
        return Ok(None);
    }
    let word = |at: usize| u64::from(u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes")));
    let sectors = if head[0x1f1] == 0 { 4 } else { u64::from(head[0x1f1]) };
    let (start, length) = ((sectors + 1) * 512 + word(0x248), word(0x24c));
    if length == 0 || start + length > kernel.len() {
        return Err(format!("its header places {length} bytes of payload at byte {start} of {}", kernel.len()));
    }
    let packed = read(kernel, start, length).map_err(|error| error.to_string())?;
    let compression = Compression::of(&packed).ok_or("its compression is unknown")?;
    let stream = match compression {
        Compression::Gzip => &packed[..],
        // The kernel's build appends the plain size to formats that do not end with it.
        Compression::Lz4 | Compression::Xz | Compression::Zstd => &packed[..packed.len().saturating_sub(4)],
    };
    let mut elf = Vec::new();
    compression.inflate(stream, &mut elf).map_err(|error| format!("its payload ({compression:?}): {error}"))?;
    if has_pvh_entry(&elf) {
        Ok(Some(elf))
    } else {
        Err("the kernel inside has no PVH entry point, so that QEMU cannot start it".to_owned())
    }
}

/// Looks for the Xen note with a 32-bit entry point in a 64-bit little-endian ELF file.
fn has_pvh_entry(elf: &[u8]) -> bool {
    const NOTE: u32 = 4;
    const PHYS32_ENTRY: [u8; 4] = 18_u32.to_le_bytes();
    let int = |at: u64, size: usize| -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let bytes = elf.get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    let notes = || {
        let (table, size, count) = (int(0x20, 8)?, int(0x36, 2)?, int(0x38, 2)?);
        (0..count).find_map(|number| {
            let header = table.checked_add(number * size)?;
            let is_note = int(header, 4)? == u64::from(NOTE);
            let (at, length) = (int(header + 8, 8)?, int(header + 32, 8)?);
            let (start, end) = (usize::try_from(at).ok()?, usize::try_from(at.checked_add(length)?).ok()?);
            let note = elf.get(start..end)?;
            // A note is: size of the name with its zero byte, size of the value (4 or 8 bytes), kind, name.
            let found = note
                .windows(16)
                .step_by(4)
                .any(|note| note[..4] == 4_u32.to_le_bytes() && note[8..12] == PHYS32_ENTRY && &note[12..] == b"Xen\0");
            (is_note && found).then_some(())
        })
    };
    elf.starts_with(b"\x7fELF\x02\x01") && notes().is_some()
}

/// The archives of an initrd without compression. Returns `None` if none of them is compressed.
pub(super) fn inflate_initrd(initrd: &dyn Blob) -> Result<Option<Vec<u8>>, String> {
    let packed = read(initrd, 0, initrd.len()).map_err(|error| error.to_string())?;
    let (mut plain, mut at) = (Vec::new(), 0);
    loop {
        // Archives begin at multiples of four, and zeros between them are padding.
        at += packed[at..].iter().take_while(|byte| **byte == 0).count();
        let rest = &packed[at..];
        if rest.is_empty() {
            return Ok(None);
        }
        if let Some(compression) = Compression::of(rest) {
            plain.resize(plain.len().next_multiple_of(4), 0);
            // A compressed archive is the last one: all bytes that follow belong to it.
            let outcome = compression.inflate(rest, &mut plain);
            return outcome
                .map(|()| Some(plain))
                .map_err(|error| format!("its archive at byte {at} ({compression:?}): {error}"));
        }
        let length =
            archive_len(rest).ok_or_else(|| format!("at byte {at} begins something that is not a known archive"))?;
        plain.resize(plain.len().next_multiple_of(4), 0);
        plain.extend_from_slice(&rest[..length]);
        at += length;
    }
}

/// The length in bytes of the plain cpio archive (`newc`) that begins here, with its trailer.
fn archive_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0_usize;
    loop {
        let header = bytes.get(at..at.checked_add(110)?)?;
        let field = |number: usize| {
            let digits = std::str::from_utf8(&header[6 + 8 * number..][..8]).ok()?;
            usize::from_str_radix(digits, 16).ok()
        };
        if !matches!(&header[..6], b"070701" | b"070702") {
            return None;
        }
        let (size, name_len) = (field(6)?, field(11)?);
        let name = bytes.get(at + 110..(at + 110).checked_add(name_len)?)?;
        at = (at + 110 + name_len).next_multiple_of(4).checked_add(size)?.checked_next_multiple_of(4)?;
        if name == b"TRAILER!!!\0" {
            return Some(at.min(bytes.len()));
        }
    }
}

fn read(blob: &dyn Blob, start: u64, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).ok().filter(|length| *length as u64 <= MOST);
    let mut bytes = vec![0; length.ok_or(io::ErrorKind::FileTooLarge)?];
    blob.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
