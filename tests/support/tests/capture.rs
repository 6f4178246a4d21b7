//! libtest hides what a passing test prints, but not a skip.

use std::process::Command;

use pixelrts_testing::{Skip, skip};

/// Tells the test that it runs inside of itself.
const INSIDE: &str = "SKIP_INSIDE_OF_THE_TEST";

#[test]
fn a_skip_goes_past_the_capture_of_libtest() {
    if std::env::var_os(INSIDE).is_some() {
        println!("hidden");
        return skip("nothing", "it runs inside of its own test");
    }
    for threads in ["1", "2"] {
        let mut inside = Command::new(std::env::current_exe().unwrap());
        inside.args(["--exact", "a_skip_goes_past_the_capture_of_libtest", "--test-threads", threads]);
        let output = inside.env(INSIDE, "1").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let skips: Vec<_> = text.lines().filter_map(Skip::read).map(|skip| skip.name).collect();
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        assert_eq!(skips, ["nothing"], "{text}");
        assert!(!text.contains("hidden"), "{text}");
    }
}
