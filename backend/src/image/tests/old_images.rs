use super::*;
use pixelrts_shared::{Problem, ProblemCode};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

fn payload(image: &Image, segment: &str) -> (usize, String) {
    let bytes = read(image, image.segment(segment).unwrap(), 100_000).unwrap();
    (bytes.len(), Digest::new(Sha256::digest(&bytes).into()).to_string())
}

#[test]
fn good_images_give_their_payload() {
    for (name, segment, size, sha256) in [
        ("tiny", "payload", 1000, "1e9bc38cbf860b9ec31918b065f9b52476c549a782e0e7990bed8ce3868d2371"),
        (
            "compressed_mislabelled",
            "payload",
            20000,
            "497c21825b6ce91364b262bc2bab8df19b77ec16744c4358bef3b58ff9ca793f",
        ),
        ("code_wasm", "payload", 41, "f61fd62f57c41269c3c23f360eeaf1090b1db9c38651106674d48bc65dba88ba"),
        ("kernel_initrd", "kernel", 12_288, "2ac0706eb1729466f3db7b27748c5e6407cec1a8504e774d63c327ea55448823"),
        ("kernel_initrd", "initrd", 990, "99fa9c816a39e72442dcc3846e7caade8745e953e4318e43fed27f7d066e289f"),
    ] {
        let image = open(old_image(name)).unwrap();
        assert_eq!(image.profile(), Profile::Classic);
        assert_eq!(payload(&image, segment), (size, sha256.to_owned()), "{name} {segment}");
        assert!(image.verify(Depth::Deep, &mut |_| {}).is_ok());
    }
}

#[test]
fn metadata_of_the_older_tools_are_read() {
    let file = old_image("kernel_initrd");
    let image = open(file).unwrap();
    assert_eq!(image.metadata().kernel_version.as_deref(), Some("6.1.0-56-cloud-amd64"));
    assert_eq!(image.metadata().architecture.as_deref(), Some("x86_64"));
    assert_eq!(image.first(Role::Kernel).unwrap().name, "kernel");
    assert_eq!(image.first(Role::Initrd).unwrap().name, "initrd");
    assert!(image.metadata_json().starts_with("{\"format\":\"PixelRTS-2.0\""));
    let thumbnail = image.thumbnail(16).unwrap().png().unwrap();
    let reader = png::Decoder::new(std::io::Cursor::new(&thumbnail)).read_info().unwrap();
    assert_eq!((reader.info().width, reader.info().height), (16, 16));
}

#[test]
fn the_version_of_a_kernel_is_read_when_it_is_packed() {
    let file = old_image("kernel_initrd");
    let image = open(file).unwrap();
    let kernel = read(&image, image.segment("kernel").unwrap(), 1 << 20).unwrap();
    let metadata = open(packed(&[("kernel", Role::Kernel, &kernel)], Effort::None)).unwrap().metadata().clone();
    assert_eq!(metadata.kernel_version.as_deref(), Some("6.1.0-56-cloud-amd64"));
    assert_eq!(metadata.architecture.as_deref(), Some("x86_64"));
}

#[test]
fn damaged_images_are_refused_with_a_reason() {
    for (name, code) in [
        ("bad_truncated_idat", ProblemCode::ImageMalformed),
        ("bad_cut_file", ProblemCode::ImageTruncated),
        ("bad_data_hash", ProblemCode::HashMismatch),
        ("bad_nonsquare", ProblemCode::ImageMalformed),
        ("bad_no_metadata", ProblemCode::NotAnImage),
        ("bad_bomb_header", ProblemCode::ImageTooLarge),
    ] {
        let problem = Problem::from(open(old_image(name)).unwrap_err());
        assert_eq!(problem.code, code, "{name}: {problem}");
    }
}

#[test]
fn a_broken_index_does_not_make_a_classic_image_streamable() {
    let file = old_image("tiny");
    let idat = file.windows(4).position(|window| window == b"IDAT").unwrap() - 4;
    let mut with_index = file[..idat].to_vec();
    chunk::write(&mut with_index, index::KIND, &[7; 104]).unwrap();
    with_index.extend_from_slice(&file[idat..]);
    assert_eq!(open(with_index).unwrap().profile(), Profile::Classic);
}

#[test]
fn a_classic_image_cut_anywhere_is_refused() {
    for name in ["tiny", "code_wasm", "compressed_mislabelled"] {
        let file = old_image(name);
        for len in 0..file.len() {
            assert!(open(file[..len].to_vec()).is_err(), "{name} cut to {len} bytes");
        }
        let mut longer = file;
        longer.push(0);
        assert!(matches!(open(longer), Err(ImageError::Malformed { .. } | ImageError::Truncated { .. })), "{name}");
    }
}

proptest! {
    #[test]
    fn changed_images_never_panic_and_never_give_other_bytes(
        name in prop_oneof![Just("tiny"), Just("code_wasm"), Just("compressed_mislabelled")],
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut file = old_image(name);
        let good = open(file.clone()).unwrap();
        for (at, byte) in changes {
            let place = at.index(file.len());
            file[place] = byte;
        }
        // Every chunk has a CRC: what still opens is what it was.
        if let Ok(image) = open(file) {
            prop_assert_eq!(payload(&image, "payload"), payload(&good, "payload"));
        }
    }
}
