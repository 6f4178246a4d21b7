//! Runs one target under libFuzzer: `PIXELRTS_FUZZ=chunks pixelrts-fuzz [OPTION]... [FOLDER|FILE]...`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<pixelrts_fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("PIXELRTS_FUZZ").expect("PIXELRTS_FUZZ names the target");
    pixelrts_fuzz::target(&name).expect("PIXELRTS_FUZZ names one of the targets")
});

fuzz_target!(|data: &[u8]| TARGET(data));
