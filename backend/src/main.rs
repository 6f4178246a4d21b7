//! The binary `pixelrts`; everything is in the library.

use std::process::ExitCode;

#[cfg(fuzzing)]
compile_error!("with --cfg fuzzing nothing is verified: only the fuzz targets are built like this");

fn main() -> ExitCode {
    pixelrts::cli::run()
}
