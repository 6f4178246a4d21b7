//! Runs every file of the corpus through its target, with all checksums checked.

use std::fs;
use std::path::Path;

#[test]
fn no_target_has_a_finding_in_its_corpus() {
    for (name, target) in pixelrts_fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            println!("{}", file.display());
            target(&fs::read(file).unwrap());
        }
    }
}
