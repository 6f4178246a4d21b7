//! Programs that a task needs: found on this computer, or installed.
//!
//! Programs of the distribution come through `apt-get`. nginx, the bundler (Trunk), `wasm-bindgen` of the version in
//! `Cargo.lock`, `wasm-opt` and cargo-deny are kept under `target/tools`, so that the system stays as it is.

mod crates;
mod debian;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use pixelrts_testing::nginx;

use crate::command::{find, finish, output};
use crate::steps::Steps;
use crates::Crate;
pub(crate) use debian::as_root;

const TRUNK: &str = "0.21.14";
const DENY: &str = "0.20.2";
/// The npm package that carries `wasm-opt`.
const BINARYEN: &str = "132.0.0";

/// What the programs are needed for. Each purpose needs what the ones before it need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    Check,
    Build,
    Run,
    Image,
    Test,
}

/// A program of the distribution: its name (or the path of a file, for a library), its Debian package, and what it is
/// needed for.
struct Program(&'static str, &'static str, &'static str);

const BUILD: &[Program] =
    &[Program("cc", "build-essential", "compiles SQLite and links"), Program("npm", "npm", "brings wasm-opt")];
const RUN: &[Program] = &[
    #[cfg(target_arch = "aarch64")]
    Program("qemu-system-aarch64", "qemu-system-arm", "runs the machines"),
    #[cfg(not(target_arch = "aarch64"))]
    Program("qemu-system-x86_64", "qemu-system-x86", "runs the machines"),
    Program("fusermount3", "fuse3", "mounts images"),
];
const IMAGE: &[Program] = &[
    Program("podman", "podman", "runs the backend in a container"),
    Program("runc", "runc", "is what podman starts containers with where there is no systemd"),
    Program("iptables", "iptables", "publishes the ports of containers"),
    Program("debootstrap", "debootstrap", "makes the container's root file system from Debian packages"),
];
const TEST: &[Program] = &[
    Program("chromium", "chromium", "opens the shell in the stories"),
    Program("chromedriver", "chromium-driver", "drives Chromium"),
    Program(
        "/usr/lib/python3/dist-packages/PIL/__init__.py",
        "python3-pil",
        "decodes and writes pictures for tests/reader.py and tests/writer.py",
    ),
    Program("nbdinfo", "libnbd-bin", "describes the disks of an image over NBD"),
    Program("nbdcopy", "libnbd-bin", "reads the disks of an image over NBD"),
    Program("openssl", "openssl", "makes certificates of all kinds"),
    Program("faketime", "faketime", "lets clocks be wrong"),
    Program("cpio", "cpio", "makes an initrd for the story of the disks"),
    Program("mke2fs", "e2fsprogs", "makes a disk for it"),
    Program("qemu-img", "qemu-utils", "reads and writes disks as QEMU does"),
    Program("xz", "xz-utils", "compresses boot files"),
    Program("zstd", "zstd", "compresses boot files, and inflates for tests/reader.py"),
    Program("lz4", "lz4", "compresses boot files"),
];
const PEERS: &[Program] = &[
    Program("openssl", "openssl", "is the peer for hashing"),
    Program("squashfuse_ll", "squashfuse", "is the peer for mounting"),
    Program("mksquashfs", "squashfs-tools", "makes the file systems that squashfuse mounts"),
    Program("time", "time", "reads the peak memory of a command"),
];

/// What the network is measured with.
const NETWORK_PEERS: &[Program] = &[
    Program("curl", "curl", "is the peer for fetching"),
    Program("aria2c", "aria2", "is the peer for fetching with a checksum"),
    Program("sqlite3", "sqlite3", "is the peer for reading the database of servers"),
];

/// What the older Python tools need.
const PREDECESSOR: &[Program] = &[
    Program("/usr/lib/python3/dist-packages/PIL/__init__.py", "python3-pil", "reads and writes their pictures"),
    Program("/usr/lib/python3/dist-packages/numpy/__init__.py", "python3-numpy", "holds their pixels"),
];

/// Finds or installs everything for `purpose`. It prints what is missing and why it is needed.
pub(crate) fn ensure(steps: &mut Steps, purpose: Purpose) -> Result<()> {
    let lists = [
        (Purpose::Check, &BUILD[..1]),
        (Purpose::Build, &BUILD[1..]),
        (Purpose::Run, RUN),
        (Purpose::Image, IMAGE),
        (Purpose::Test, TEST),
    ];
    let wanted = lists.into_iter().filter(|(needed, _)| *needed <= purpose).flat_map(|(_, programs)| programs);
    ensure_programs(steps, wanted)?;
    if output("rustc", &["--print", "target-libdir", "--target", WASM]).is_none_or(|path| !Path::new(&path).is_dir()) {
        println!("Missing: Rust's standard library for the browser ({WASM})");
        steps.run("install the wasm target", || {
            ensure!(find("rustup").is_some(), "rustup is missing: see https://rustup.rs");
            finish(Command::new("rustup").args(["target", "add", WASM]))
        })?;
    }
    let mut crates = Vec::new();
    if matches!(purpose, Purpose::Check | Purpose::Test) {
        crates.push(Crate {
            program: "cargo-deny",
            version: DENY.to_owned(),
            why: "checks licences and sources of dependencies",
            arguments: &["cargo-deny", "--no-default-features", "--locked"],
        });
    }
    if purpose == Purpose::Test {
        ensure_nginx(steps)?;
    }
    if purpose >= Purpose::Build {
        crates.extend(bundler()?);
        ensure_wasm_opt(steps)?;
    }
    crates::ensure(steps, &folder(), &crates)
}

/// Finds or installs the peers that a benchmark is compared with, and what the older tools need if they are compared.
pub(crate) fn ensure_peers(steps: &mut Steps, network: bool, predecessor: bool) -> Result<()> {
    let more = [(NETWORK_PEERS, network), (PREDECESSOR, predecessor)];
    let more = more.into_iter().filter(|(_, wanted)| *wanted).flat_map(|(programs, _)| programs);
    ensure_programs(steps, PEERS.iter().chain(more))?;
    if network { ensure_nginx(steps) } else { Ok(()) }
}

fn ensure_programs<'a>(steps: &mut Steps, wanted: impl IntoIterator<Item = &'a Program>) -> Result<()> {
    let wanted: Vec<&Program> = wanted.into_iter().collect();
    // Installing one package may remove another, which is then missing in the second round.
    for _ in 0..2 {
        let missing: Vec<_> = wanted.iter().filter(|program| find(program.0).is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        for Program(name, package, why) in &missing {
            println!("Missing: {name} ({why}), in the Debian package {package}");
        }
        let packages: Vec<&str> = missing.iter().map(|program| program.1).collect();
        steps.run("install Debian packages", || debian::install(&packages))?;
    }
    let missing: Vec<_> = wanted.iter().filter(|program| find(program.0).is_none()).map(|program| program.0).collect();
    ensure!(missing.is_empty(), "still missing after their packages were installed: {}", missing.join(", "));
    Ok(())
}

pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// What bundles the shell. The version of `wasm-bindgen` must be that of the library in `Cargo.lock`.
fn bundler() -> Result<[Crate; 2]> {
    let bindgen = locked_version("wasm-bindgen", &std::fs::read_to_string("Cargo.lock")?)
        .context("Cargo.lock has no wasm-bindgen")?;
    let trunk = Crate {
        program: "trunk",
        version: TRUNK.to_owned(),
        why: "bundles the shell",
        arguments: &["trunk", "--no-default-features", "--features", "rustls", "--locked"],
    };
    let bindgen = Crate {
        program: "wasm-bindgen",
        version: bindgen,
        why: "connects WASM and JavaScript, and runs tests in a browser",
        // Without --locked: its own lock file names versions that registries have withdrawn.
        arguments: &["wasm-bindgen-cli"],
    };
    Ok([trunk, bindgen])
}

fn ensure_wasm_opt(steps: &mut Steps) -> Result<()> {
    let manifest = std::fs::read_to_string(folder().join("node_modules/binaryen/package.json")).unwrap_or_default();
    if manifest.contains(&format!("\"version\": \"{BINARYEN}\"")) {
        return Ok(());
    }
    println!("Missing: wasm-opt (makes the shell smaller), in the npm package binaryen {BINARYEN}");
    steps.run("install wasm-opt", || {
        let package = format!("binaryen@{BINARYEN}");
        std::fs::create_dir_all(folder())?;
        let arguments = ["install", &package, "--no-audit", "--no-fund", "--prefix"];
        finish(Command::new("npm").args(arguments).arg(folder()))
    })
}

/// nginx as its package has it, but kept in `target/tools`: the package itself would start a web server of the system.
fn ensure_nginx(steps: &mut Steps) -> Result<()> {
    let there = nginx::program();
    if there.is_file() {
        return Ok(());
    }
    println!("Missing: nginx (serves catalogs and images as files), in the Debian package nginx");
    steps.run("unpack nginx", || debian::unpack("nginx", &folder().join("nginx")))?;
    ensure!(nginx::program().is_file(), "the package nginx has no {}", there.display());
    Ok(())
}

/// The environment's `PATH`, with our tools in front.
pub(crate) fn search_path() -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let ours = [folder().join("bin"), folder().join("node_modules/.bin")];
    Ok(std::env::join_paths(ours.into_iter().chain(std::env::split_paths(&path)))?)
}

pub(crate) fn folder() -> PathBuf {
    crate::root().join("target/tools")
}

/// The version of a package in a `Cargo.lock`.
fn locked_version(package: &str, lock: &str) -> Option<String> {
    let wanted = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != wanted);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"').map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locked_version_is_that_of_the_very_package() {
        let lock = "[[package]]\nname = \"wasm-bindgen-macro\"\nversion = \"9.9.9\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.1\"\n";
        assert_eq!(locked_version("wasm-bindgen", lock).as_deref(), Some("0.2.1"));
        assert_eq!(locked_version("wasm", lock), None);
    }

    #[test]
    fn each_purpose_needs_more_than_the_one_before() {
        let all = [Purpose::Check, Purpose::Build, Purpose::Run, Purpose::Image, Purpose::Test];
        assert!(all.is_sorted());
    }
}
