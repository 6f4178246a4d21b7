use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::blob::MemoryBlob;
use proptest::prelude::*;

/// An archive with one file, as `cpio -o -H newc` writes it.
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in [(name, content), ("TRAILER!!!", &[])] {
        let mut fields = [0_usize; 13];
        (fields[6], fields[11]) = (content.len(), name.len() + 1);
        out.extend_from_slice(b"070701");
        for field in fields {
            out.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

/// What a real compressor makes of it.
fn compressed(command: &str, bytes: &[u8]) -> Vec<u8> {
    let mut words = command.split(' ');
    let mut program = Command::new(words.next().unwrap());
    let mut child = program.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    output.stdout
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn initrd(bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
    inflate_initrd(&MemoryBlob::from(bytes.to_vec()))
}

/// Microcode in a plain archive before the compressed one: what distributions ship.
#[test]
fn archives_before_the_compressed_one_are_kept_as_they_are() {
    let (early, main) = (archive("kernel/x86/microcode", b"code!"), archive("init", &vec![7; 100_000]));
    let expected = [&early[..], &main].concat();
    let plain = [&early[..], &[0; 512], &main].concat();
    assert_eq!(initrd(&plain).unwrap(), None, "all of it is plain");
    assert_eq!(initrd(&[&early[..], &[0; 512], &gzip(&main)].concat()).unwrap(), Some(expected));
    assert!(initrd(&[&early[..], b"what is this"].concat()).unwrap_err().contains(&format!("byte {}", early.len())));
    let cut = gzip(&main);
    assert!(initrd(&cut[..cut.len() / 2]).unwrap_err().contains("Gzip"));
}

#[test]
fn every_common_compressor_is_known() {
    let main = archive("init", &(0..3_000_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect::<Vec<_>>());
    for command in ["gzip -1", "xz -0 --check=crc32", "zstd -1 -q", "lz4 -l -1 -q -c"] {
        let packed = compressed(command, &main);
        assert!(packed.len() < main.len(), "{command} did not compress");
        assert!(
            initrd(&packed).unwrap_or_else(|error| panic!("{command}: {error}")).as_ref() == Some(&main),
            "{command}"
        );
    }
}

/// The smallest ELF file with one note.
fn elf(kind: u32) -> Vec<u8> {
    let mut file = vec![0; 0x40 + 0x38];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file[0x20] = 0x40;
    file[0x36] = 0x38;
    file[0x38] = 1;
    file[0x40] = 4;
    file[0x48] = 0x78;
    file[0x60] = 24;
    for word in [4, 8, kind] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(b"Xen\0");
    file.extend_from_slice(&[0; 8]);
    file
}

fn bzimage(payload: &[u8]) -> MemoryBlob {
    let mut file = vec![0; 0x400];
    file[0x1f1] = 1;
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x24c..0x250].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    file.extend_from_slice(payload);
    MemoryBlob::from(file)
}

#[test]
fn a_kernel_becomes_the_elf_file_in_it() {
    assert_eq!(inflate_kernel(&bzimage(&gzip(&elf(18)))), Ok(Some(elf(18))));
    assert!(inflate_kernel(&bzimage(&gzip(&elf(17)))).unwrap_err().contains("PVH"));
    assert!(inflate_kernel(&bzimage(b"BZh what else")).unwrap_err().contains("unknown"));
    assert!(inflate_kernel(&bzimage(b"")).unwrap_err().contains("0 bytes"));
    // Linux puts the plain size behind what does not end with it (`size_append` in scripts/Makefile.lib).
    let kernel = [elf(18), vec![0; 100_000]].concat();
    for command in ["xz -0 --check=crc32", "zstd -1 -q", "lz4 -l -1 -q -c"] {
        let payload = [compressed(command, &kernel), 100_148_u32.to_le_bytes().to_vec()].concat();
        assert_eq!(inflate_kernel(&bzimage(&payload)).as_ref(), Ok(&Some(kernel.clone())), "{command}");
    }
    assert_eq!(inflate_kernel(&MemoryBlob::from(elf(18))), Ok(None), "it is plain already");
    assert_eq!(inflate_kernel(&MemoryBlob::from(b"short".to_vec())), Ok(None));
}

proptest! {
    #[test]
    fn random_files_never_panic(mut bytes: Vec<u8>, kind in 0..6_usize) {
        let _ = initrd(&bytes);
        let heads: [&[u8]; 6] =
            [b"\x1f\x8b", b"\x02\x21\x4c\x18", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"070701", b"\x7fELF\x02\x01"];
        bytes.splice(0..0, heads[kind].iter().copied());
        let _ = initrd(&bytes);
        let _ = has_pvh_entry(&bytes);
        let _ = inflate_kernel(&bzimage(&bytes));
    }
}
