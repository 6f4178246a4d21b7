//! Mounts an image with every strip decoded and in memory, for `cargo xtask bench image`: what the road from memory
//! through the kernel to a program costs, and nothing else.
//!
//! `floor IMAGE DIR` prints a line when the files are there, and unmounts when its standard input ends.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use pixelrts::export::Mount;
use pixelrts::image::internals::decoded;
use pixelrts::image::{Image, Limits};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo adds an option of its own.
    let mut arguments = std::env::args_os().skip(1);
    let (Some(image), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: floor IMAGE DIR".into());
    };
    let image = decoded(Image::open_file(Path::new(&image), &Limits::default())?)?;
    let mount = Mount::new(Arc::new(image), Path::new(&folder))?;
    println!("mounted");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(mount);
    Ok(())
}
