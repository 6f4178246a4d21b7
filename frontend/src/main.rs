//! The entry point of the page.

#[cfg(target_arch = "wasm32")]
fn main() {
    pixelrts_shell::app::start();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("The shell runs in a browser: build it with `cargo xtask build`, serve it with `pixelrts serve`.");
}
