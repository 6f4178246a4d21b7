//! Lets the linker say where each address stands, when the WASM is to be cut in two (`cargo xtask build`).

fn main() {
    let is = |name| std::env::var_os(name).is_some();
    if is("CARGO_FEATURE_SPLIT") && std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|target| target == "wasm32") {
        println!("cargo::rustc-link-arg-bins=--emit-relocs");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
