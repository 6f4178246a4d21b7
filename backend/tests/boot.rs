//! `pixelrts boot FILE`: what the image asks for, as it reaches QEMU's command line. Nothing is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use pixelrts::image::{Metadata, Pack, SegmentFile};
use pixelrts_shared::catalog::Role;
use serde::Deserialize;

/// The document of `boot --dry-run --json`.
#[derive(Debug, Deserialize)]
struct DryRun {
    argv: Vec<String>,
    notes: Vec<String>,
}

impl DryRun {
    /// The word behind an option of QEMU.
    fn value(&self, option: &str) -> Option<&str> {
        let place = self.argv.iter().position(|word| word == option)?;
        self.argv.get(place + 1).map(String::as_str)
    }

    fn has_network_card(&self) -> bool {
        self.value("-netdev").is_some()
    }
}

fn pack(folder: &Path, memory: &str, cpus: &str, net: &str) -> PathBuf {
    let kernel = folder.join("kernel");
    std::fs::write(&kernel, "kernel").expect("the folder can be written");
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
    pack.write(&path, &mut |_, _| {}).expect("the image is written");
    path
}

/// In a home of its own.
fn dry_run(home: &Path, image: &Path, options: &[&str]) -> DryRun {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pixelrts"));
    command.args(["--json", "boot", "--dry-run", "--accel", "tcg"]).args(options).arg(image);
    command.env_clear().env("HOME", home).env("XDG_RUNTIME_DIR", home).current_dir(home);
    let output = command.output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    serde_json::from_str(&text).expect("the answer is the document")
}

#[test]
fn a_file_is_booted_with_what_it_asks_for() {
    let home = tempfile::tempdir().unwrap();
    let image = pack(home.path(), "96M", "1", "none");
    let run = dry_run(home.path(), &image, &[]);
    assert_eq!((run.value("-m"), run.value("-smp")), (Some("96M"), Some("1")));
    assert!(!run.has_network_card() && run.notes.is_empty(), "{run:?}");
    let run = dry_run(home.path(), &image, &["--memory", "128M", "--net", "restricted"]);
    assert!(run.value("-m") == Some("128M") && run.has_network_card(), "{run:?}");
}

#[test]
fn a_file_never_gets_more_network_than_the_default_and_odd_sizes_are_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let image = pack(home.path(), "lots", "many", "internet");
    std::fs::write(home.path().join("config.yaml"), "boot: {memory: 160M, cpus: 1, net: none}\n").unwrap();
    let run = dry_run(home.path(), &image, &["--config", "config.yaml"]);
    assert_eq!((run.value("-m"), run.value("-smp")), (Some("160M"), Some("1")));
    assert!(!run.has_network_card() && run.notes.len() == 3, "{run:?}");
    assert!(run.notes[0].contains("\"lots\" of memory") && run.notes[2].contains("the network internet"), "{run:?}");
}
