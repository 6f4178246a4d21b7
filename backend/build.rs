//! Tells Cargo to embed the shell again when it was built again.
//! The folder may be absent: the binary then serves a page that says how to build the shell.

fn main() {
    println!("cargo:rerun-if-changed=../frontend/dist");
}
