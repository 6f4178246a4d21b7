//! The binary `pixelrts`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    pixelrts::cli::run()
}
