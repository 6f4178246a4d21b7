//! `pixelrts boot FILE`: the image's own wishes, as they reach QEMU's command line. Nothing is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use pixelrts::image::{Metadata, Pack, SegmentFile};
use pixelrts_shared::catalog::Role;
use serde_json::Value;

fn pack(folder: &Path, memory: &str, cpus: &str, net: &str) -> PathBuf {
    let kernel = folder.join("kernel");
    std::fs::write(&kernel, "kernel").unwrap();
    let said = |text: &str| Some(text.to_owned());
    let pack = Pack {
        metadata: Metadata {
            architecture: said("x86_64"),
            memory: said(memory),
            cpus: said(cpus),
            net: said(net),
            ..Metadata::default()
        },
        segments: vec![SegmentFile { name: "kernel".to_owned(), role: Role::Kernel, path: kernel }],
        ..Pack::default()
    };
    let path = folder.join(format!("{net}.rts.png"));
    pack.write(&path, &mut |_, _| {}).unwrap();
    path
}

/// The document of `boot --dry-run`, in a home of its own.
fn dry_run(home: &Path, image: &Path, options: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pixelrts"));
    command.args(["--json", "boot", "--dry-run", "--accel", "tcg"]).args(options).arg(image);
    command.env_clear().env("HOME", home).env("XDG_RUNTIME_DIR", home).current_dir(home);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn value<'a>(document: &'a Value, option: &str) -> &'a str {
    let words = document["argv"].as_array().unwrap();
    let place = words.iter().position(|word| word == option).unwrap();
    words[place + 1].as_str().unwrap()
}

fn has_network_card(document: &Value) -> bool {
    document["argv"].as_array().unwrap().iter().any(|word| word == "-netdev")
}

#[test]
fn a_file_is_booted_with_what_it_asks_for() {
    let home = tempfile::tempdir().unwrap();
    let image = pack(home.path(), "96M", "1", "none");
    let document = dry_run(home.path(), &image, &[]);
    assert_eq!((value(&document, "-m"), value(&document, "-smp")), ("96M", "1"));
    assert!(!has_network_card(&document) && document["notes"] == serde_json::json!([]), "{document}");
    let document = dry_run(home.path(), &image, &["--memory", "128M", "--net", "restricted"]);
    assert_eq!(value(&document, "-m"), "128M");
    assert!(has_network_card(&document));
}

#[test]
fn a_file_never_gets_more_network_than_the_default_and_odd_sizes_are_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let image = pack(home.path(), "lots", "many", "internet");
    std::fs::write(home.path().join("config.yaml"), "boot: {memory: 160M, cpus: 1, net: none}\n").unwrap();
    let document = dry_run(home.path(), &image, &["--config", "config.yaml"]);
    assert_eq!((value(&document, "-m"), value(&document, "-smp")), ("160M", "1"));
    assert!(!has_network_card(&document));
    let notes: Vec<_> = document["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(notes[0].contains("\"lots\" of memory") && notes[2].contains("the network internet"), "{notes:?}");
}
