//! One table of words through every place where a person writes a size or a duration: each word means the same
//! everywhere, and what is refused in one place is refused in all.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use clap::Parser;
use pixelrts_shared::catalog::Entry;
use pixelrts_shared::machine::BootRequest;
use pixelrts_shared::{Size, Span};
use serde_json::{Value, json};

use super::{Cli, Command};
use crate::catalog::Local;
use crate::config::{Inputs, Loaded, keys_with_unit};
use crate::database::Database;
use crate::image::{Image, Limits, Metadata, Pack, SegmentFile};

/// Words and their number of bytes; `None` for what is refused.
const SIZES: [(&str, Option<u64>); 17] = [
    ("512M", Some(512 << 20)),
    ("512MiB", Some(512 << 20)),
    ("2GiB", Some(2 << 30)),
    ("2G", Some(2 << 30)),
    ("2g", Some(2 << 30)),
    ("2 GiB", Some(2 << 30)),
    ("2048MB", Some(2_048_000_000)),
    ("1.5G", Some(3 << 29)),
    ("1073741824B", Some(1 << 30)),
    ("512", None),
    ("1.5", None),
    ("lots", None),
    ("-1G", None),
    ("NaN", None),
    ("1e3M", None),
    ("2G,slots=4", None),
    ("99999999999T", None),
];

/// Words and their number of milliseconds.
const DURATIONS: [(&str, Option<u64>); 10] = [
    ("250ms", Some(250)),
    ("30s", Some(30_000)),
    ("5m", Some(300_000)),
    ("1.5h", Some(5_400_000)),
    ("7d", Some(604_800_000)),
    ("1h 30m", Some(5_400_000)),
    ("30", None),
    ("-1s", None),
    ("1000y", None),
    ("9999999999d", None),
];

/// What the configuration makes of a key when a file or a variable has this word; `None` when it is refused.
fn configured(folder: &Path, key: &str, word: &str, in_file: bool) -> Option<String> {
    let (section, name) = key.split_once('.').unwrap();
    let file = folder.join("pixelrts.yaml");
    fs::write(&file, format!("{section}:\n  {name}: {word}\n")).unwrap();
    let variable = format!("PIXELRTS_{}", key.to_uppercase().replace('.', "_"));
    let environment = vec![(variable, OsString::from(word))];
    let sources = if in_file {
        Inputs { named: Some(file), ..Inputs::default() }
    } else {
        Inputs { environment, ..Inputs::default() }
    };
    let values = Loaded::load(&sources).ok()?.values();
    let value = values.into_iter().find(|(known, _)| *known == key).unwrap().1;
    match value {
        Value::Array(items) => Some(items[0].as_str().unwrap().to_owned()),
        value => Some(value.as_str().unwrap().to_owned()),
    }
}

fn on_the_command_line(word: &str) -> Option<Size> {
    let cli = Cli::try_parse_from(["pixelrts", "boot", "x", &format!("--memory={word}")]).ok()?;
    let Command::Boot(boot) = cli.command else { panic!("it is boot") };
    boot.memory
}

/// An image whose metadata has exactly this text.
fn image(path: &Path, word: &str) {
    let kernel = path.with_extension("kernel");
    fs::write(&kernel, "kernel").unwrap();
    let segments =
        vec![SegmentFile { name: "kernel".into(), role: pixelrts_shared::catalog::Role::Kernel, path: kernel }];
    let metadata = Metadata { memory: Some(word.to_owned()), ..Metadata::default() };
    Pack { metadata, segments, ..Pack::default() }.write(path, &mut |_, _| {}).unwrap();
}

#[test]
fn a_size_means_the_same_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys_with_unit("512", "512M");
    assert_eq!(keys, ["cache.max_size", "boot.memory", "supervise.memory"]);
    for (word, bytes) in SIZES {
        let expected = bytes.map(Size::from_bytes);
        for key in &keys {
            for in_file in [true, false] {
                let found = configured(folder.path(), key, word, in_file).map(|text| text.parse().unwrap());
                assert_eq!(found, expected, "{key}: {word}");
            }
        }
        assert_eq!(on_the_command_line(word), expected, "--memory {word}");
        let request = serde_json::from_value::<BootRequest>(json!({ "memory": word })).ok();
        assert_eq!(request.and_then(|request| request.memory), expected, "API: {word}");
        let entry = json!({"id": "a", "name": "a", "size": 1, "sha256": "0".repeat(64), "memory": word});
        let entry: Entry = serde_json::from_value(entry).unwrap();
        assert_eq!(entry.memory.unwrap().parse().ok(), expected, "catalog: {word}");
        let path = folder.path().join("a.rts.png");
        image(&path, word);
        let memory = Image::open_file(&path, &Limits::default()).unwrap().metadata().memory.clone();
        assert_eq!(memory.unwrap().parse().ok(), expected, "image: {word}");
    }
}

#[test]
fn a_duration_means_the_same_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys_with_unit("30", "30s");
    assert_eq!(keys, ["cache.ttl", "bootstrap.timeout", "supervise.window", "supervise.backoff"]);
    for (word, millis) in DURATIONS {
        for key in &keys {
            let in_list = if *key == "supervise.backoff" { format!("[{word}]") } else { word.to_owned() };
            for (in_file, word) in [(true, in_list.as_str()), (false, word)] {
                let found = configured(folder.path(), key, word, in_file).map(|text| text.parse().unwrap());
                assert_eq!(found, millis.map(Span::from_millis), "{key}: {word}");
            }
        }
    }
}

#[tokio::test]
async fn an_image_that_asks_for_an_odd_size_is_listed_with_it() {
    let folder = tempfile::tempdir().unwrap();
    image(&folder.path().join("odd.rts.png"), "lots");
    let database = Database::in_memory(&crate::catalog::SCHEMA).unwrap();
    let local = Local::new("a".to_owned(), vec![folder.path().to_owned()], database);
    local.refresh().await;
    let listed = local.catalog().await.unwrap().entries;
    assert_eq!(listed[0].memory, Some("lots".to_owned()));
}
