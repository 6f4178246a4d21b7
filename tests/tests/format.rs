//! docs/FORMAT.md is enough: `reader.py`, which was written from that page alone, and the binary agree about images.
//! A browser shows them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use pixelrts_tests::{Browser, Finished, Home, READER, StaticServer, WRITER, old_image, old_linux, python, sha256};
use serde_json::{Value, json};

const PROFILES: [&str; 2] = ["streamable", "classic"];

#[tokio::test]
async fn another_reader_reads_what_we_pack() -> Result<()> {
    let home = Home::new()?;
    let text = "a line that compresses well\n".repeat(2000).into_bytes();
    // The disk has strips of zeros and of bytes that do not compress, and is long enough for a wider picture.
    let disk = [vec![0; 700_000], noise(400_001), vec![0; 1_500_000]].concat();
    let files = [("kernel", [noise(50_000), text.clone()].concat()), ("initrd", text), ("disk", disk)];
    let mut inputs = Vec::new();
    for (name, bytes) in &files {
        let path = home.path().join(name);
        fs::write(&path, bytes)?;
        inputs.extend([format!("--{name}"), path.to_string_lossy().into_owned()]);
    }
    for profile in PROFILES {
        for compress in ["fast", "best", "none"] {
            let name = format!("{profile}-{compress}");
            let image = home.path().join(format!("{name}.rts.png"));
            let output = image.to_string_lossy();
            let mut pack = vec!["pack", "--profile", profile, "--compress", compress, "--name", "Größe", "-o", &output];
            pack.extend(inputs.iter().map(String::as_str));
            home.run(&pack).await?.good()?;

            let folder = home.path().join(&name);
            let found: Value = serde_json::from_str(&read(&image, &folder).await?.good()?)?;
            ensure!(found["profile"] == profile, "{name}: {found}");
            ensure!(found["segments"].as_array().map(Vec::len) == Some(files.len()), "{name}: {found}");
            for (segment, (file, bytes)) in found["segments"].as_array().into_iter().flatten().zip(&files) {
                let expected = json!([file, file, bytes.len(), sha256(bytes)]);
                let got = json!([segment["name"], segment["role"], segment["size"], segment["sha256"]]);
                ensure!(got == expected, "{name}: {got} instead of {expected}");
                ensure!(fs::read(folder.join(file))? == *bytes, "{name}: other bytes in {file}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn one_wrong_byte_of_the_picture_is_refused_by_both_readers() -> Result<()> {
    let home = Home::new()?;
    let kernel = home.path().join("kernel");
    // The payload fills a square of 512 by 512 pixels: wrong pixels behind it would be allowed in a classic image.
    fs::write(&kernel, noise(1 << 20))?;
    for profile in PROFILES {
        let image = home.path().join(format!("{profile}.rts.png"));
        let (input, output) = (kernel.to_string_lossy(), image.to_string_lossy());
        // Stored bytes can be decoded whatever they are, so only a check finds the wrong one.
        let pack = ["pack", "--kernel", &input, "--profile", profile, "--compress", "none", "-o", &output];
        home.run(&pack).await?.good()?;
        read(&image, &home.path().join("good")).await?.good()?;

        let sound = fs::read(&image)?;
        let (at, length) = longest_idat(&sound).context("there is no IDAT")?;
        for mend_crc in [false, true] {
            let mut bytes = sound.clone();
            bytes[at + 8 + length / 4] ^= 1;
            if mend_crc {
                let crc = crc32(&bytes[at + 4..at + 8 + length]);
                bytes[at + 8 + length..at + 12 + length].copy_from_slice(&crc.to_be_bytes());
            }
            fs::write(&image, bytes)?;
            let case = format!("{profile}, with the right CRC: {mend_crc}");
            let ours = home.run(&["verify", "--deep", &output]).await?;
            ensure!(matches!(ours.code, Some(1 | 5)), "{case}: {ours:?}");
            refused(&read(&image, &home.path().join("bad")).await?).context(case)?;
        }
    }
    ensure!(!home.path().join("bad").exists(), "something of a damaged image was written");
    Ok(())
}

const GOOD: [&str; 4] = ["tiny", "kernel_initrd", "compressed_mislabelled", "code_wasm"];
const DAMAGED: [&str; 6] =
    ["bad_truncated_idat", "bad_cut_file", "bad_data_hash", "bad_nonsquare", "bad_no_metadata", "bad_bomb_header"];

#[tokio::test]
async fn both_readers_agree_about_images_of_the_older_tools() -> Result<()> {
    let home = Home::new()?;
    let images = GOOD.map(|name| (name, old_image(name)));
    let linux = [("linux", old_linux(&home).await?)];
    for (name, image) in images.iter().chain(&linux) {
        let theirs: Value = serde_json::from_str(&read(image, &home.path().join(name)).await?.good()?)?;
        let ours = home.run(&["inspect", "--json", &image.to_string_lossy()]).await?.good()?;
        let ours: Value = serde_json::from_str(&ours)?;
        ensure!(
            theirs["segments"] == ours["segments"] && theirs["segments"][0].is_object(),
            "{name}: {theirs}, {ours}"
        );

        // Packed again it is streamable, and both readers find the same files in it.
        let new = home.path().join(format!("{name}-again.rts.png"));
        home.run(&["pack", "--from", &image.to_string_lossy(), "-o", &new.to_string_lossy()]).await?.good()?;
        let after: Value = serde_json::from_str(&read(&new, &home.path().join("again")).await?.good()?)?;
        ensure!(after["profile"] == "streamable", "{name}: {after}");
        let files = |found: &Value| -> Vec<Value> {
            let segments = found["segments"].as_array().into_iter().flatten();
            segments.map(|segment| json!([segment["name"], segment["role"], segment["sha256"]])).collect()
        };
        ensure!(files(&theirs) == files(&after), "{name}: {theirs} and {after}");
    }
    for name in DAMAGED {
        refused(&read(&old_image(name), &home.path().join(name)).await?).context(name)?;
    }
    Ok(())
}

#[tokio::test]
async fn the_committed_images_are_what_the_writer_writes() -> Result<()> {
    let folder = old_image("tiny").parent().context("a file is in a folder")?.to_owned();
    let said = python(&[WRITER.as_ref(), "check".as_ref(), &folder]).await?.good()?;
    ensure!(said.starts_with(&format!("{} images ", GOOD.len() + DAMAGED.len())), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_browser_shows_every_pixel_of_an_image() -> Result<()> {
    let home = Home::new()?;
    // Three strips without padding. A canvas gives back the bytes of pixels that are opaque.
    let mut kernel = noise(3 << 18);
    kernel.iter_mut().skip(3).step_by(4).for_each(|alpha| *alpha = 255);
    fs::write(home.path().join("kernel"), &kernel)?;
    let sum: u64 = kernel.iter().copied().map(u64::from).sum();
    for profile in PROFILES {
        home.run(&["pack", "--kernel", "kernel", "--profile", profile, "-o", profile]).await?.good()?;
        let image = fs::read(home.path().join(profile))?;
        let side = |at: usize| u32::from_be_bytes([16, 17, 18, 19].map(|byte| image[at + byte]));
        let expected = json!([side(0), side(4), sum]);
        let page = "<!DOCTYPE html><title>A picture</title><img src=image.rts.png>".as_bytes().to_vec();
        let server =
            StaticServer::start([("/page.html".to_owned(), page), ("/image.rts.png".to_owned(), image)].into())?;
        Browser::tell(&format!("picture-{profile}"), async |browser| {
            browser.driver.goto(&format!("{}/page.html", server.url)).await?;
            browser.find("img").await?;
            browser.screenshot(&format!("picture-{profile}")).await?;
            let script = "const done = arguments[0], picture = document.images[0];
                picture.decode().then(() => {
                    const {naturalWidth: width, naturalHeight: height} = picture;
                    const canvas = Object.assign(document.createElement('canvas'), {width, height}).getContext('2d');
                    canvas.drawImage(picture, 0, 0);
                    done([width, height, canvas.getImageData(0, 0, width, height).data.reduce((a, b) => a + b, 0)]);
                }).catch((error) => done(String(error)));";
            let shown = browser.driver.execute_async(script, vec![]).await?;
            ensure!(*shown.json() == expected, "{profile}: {:?} instead of {expected}", shown.json());
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_worked_example_in_format_md_is_what_pack_writes() -> Result<()> {
    let home = Home::new()?;
    fs::write(home.path().join("hello"), "hello")?;
    let pack = ["pack", "--kernel", "hello", "--name", "Hello", "--arch", "x86_64", "-o", "hello.rts.png"];
    home.run(&pack).await?.good()?;
    let image = fs::read(home.path().join("hello.rts.png"))?;
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/FORMAT.md"))?;
    let mut checked = 0;
    for line in page.lines() {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| word.len() == 8);
        let Some(at) = address.and_then(|word| usize::from_str_radix(word, 16).ok()) else { continue };
        let byte = |word: &str| u8::from_str_radix(word, 16).ok().filter(|_| word.len() == 2);
        let bytes: Vec<u8> = words.map_while(byte).collect();
        ensure!(image.get(at..at + bytes.len()) == Some(&*bytes), "the image has other bytes: {line}");
        checked += bytes.len();
    }
    ensure!(checked > 100, "the page has an example of {checked} bytes");
    Ok(())
}

/// Runs `reader.py IMAGE FOLDER`.
async fn read(image: &Path, folder: &Path) -> Result<Finished> {
    python(&[READER.as_ref(), image, folder]).await
}

/// Checks that the reader refused in one line. A reader that crashes prints more.
fn refused(finished: &Finished) -> Result<()> {
    let one_line = finished.stderr.starts_with("refused: ") && finished.stderr.lines().count() == 1;
    ensure!(finished.code == Some(1) && one_line && finished.stdout.is_empty(), "{finished:?}");
    Ok(())
}

/// Bytes that do not compress, the same every time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let step = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    std::iter::repeat_with(step).take(length).collect()
}

/// Where the longest IDAT chunk of a PNG file begins, and the length of its data.
fn longest_idat(file: &[u8]) -> Option<(usize, usize)> {
    let mut at = 8;
    let chunks = std::iter::from_fn(|| {
        let (length, kind) = file.get(at..at + 8)?.split_first_chunk::<4>()?;
        let (begin, length) = (at, usize::try_from(u32::from_be_bytes(*length)).ok()?);
        at += 12 + length;
        Some((kind == b"IDAT", begin, length))
    });
    chunks.filter(|(idat, ..)| *idat).map(|(_, begin, length)| (begin, length)).max_by_key(|(_, length)| *length)
}

/// The CRC of PNG chunks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}
