//! Loads what the first boot will need into memory: the programs and their libraries.
//!
//! A program that has printed its version has loaded all of it. Measured with QEMU 7.2 (18 MB and 28 MB of
//! libraries) out of the page cache: its next start takes 22 ms instead of 80. Advice to the kernel to read the
//! program's file ahead did not help, because the libraries are the larger part.
//!
//! Pictures of images are not made ahead. Each takes about 0.1 s when somebody first looks at it and is then kept, and
//! a thousand of them at a start would delay the first boot.

use pixelrts_shared::Problem;

use super::programs::ask;
use super::{Handler, Purpose, Rule, Site, handler, programs};

struct WarmUp;

handler!(WarmUp);

impl Handler for WarmUp {
    fn name(&self) -> &'static str {
        "warm-up"
    }

    fn priority(&self) -> u32 {
        95
    }

    fn rule(&self) -> Rule {
        Rule::Advisory
    }

    fn should_run(&self, site: &Site) -> Result<bool, Problem> {
        Ok(site.purpose == Purpose::Shell)
    }

    fn execute(&self, site: &Site) -> Result<Vec<String>, Problem> {
        for path in programs(&site.paths).into_iter().filter_map(|program| program.path) {
            // Its version is known already.
            let _ = ask(&path);
        }
        Ok(Vec::new())
    }
}
