//! Real images to begin with. They are made on this computer from packages of its distribution, without root.
//!
//! On Debian and related distributions these are the kernel for virtual machines with BusyBox as its whole userland,
//! and the Debian installer. They come from packages, so apt has checked every byte. Elsewhere it is the kernel in
//! `/boot` with a BusyBox that needs no libraries. Two runs from the same packages give the same images. An image
//! appears when it is complete, and everything before that is in a folder that is removed.

mod debian;
mod error;
mod initramfs;

use std::path::{Path, PathBuf};

use pixelrts_shared::catalog::Role;

use crate::image::{Metadata, Pack, PackError, SegmentFile};
use crate::machine::LEAN_BOOT;
use crate::paths;
use crate::task;
pub use error::SampleError;

/// An image that was made.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Sample {
    pub name: &'static str,
    pub path: PathBuf,
    /// The size of the file in bytes.
    pub size: u64,
}

/// What a sample is made of.
struct Recipe {
    file: &'static str,
    name: &'static str,
    description: &'static str,
    distro: Option<String>,
    version: Option<String>,
    cmdline: String,
    kernel: PathBuf,
    initrd: PathBuf,
    /// Kernel and initrd are stored inflated, so a guest starts sooner, from a larger image.
    inflate_boot_files: bool,
}

/// Makes all samples for which this system has the parts, in `folder`. Packages are kept in `cache`. Each step is
/// reported to `say`. When this is dropped, it stops and leaves no part of an image behind.
pub async fn make(folder: &Path, cache: &Path, say: &(dyn Fn(&str) + Sync)) -> Result<Vec<Sample>, SampleError> {
    for path in [folder, cache] {
        std::fs::create_dir_all(path).map_err(SampleError::io(path))?;
    }
    let scratch = tempfile::tempdir_in(cache).map_err(SampleError::io(cache))?;
    let recipes = match debian::is_here().await {
        true => from_packages(cache, scratch.path(), say).await?,
        false => vec![from_boot(scratch.path(), say)?],
    };
    let mut samples = Vec::new();
    for recipe in recipes {
        let path = folder.join(recipe.file);
        say(&format!("Packing {}", path.display()));
        samples.push(task::blocking(move || recipe.pack(path)).await?);
    }
    Ok(samples)
}

impl Recipe {
    fn pack(self, path: PathBuf) -> Result<Sample, SampleError> {
        let source = |name: &str, role, path| SegmentFile { name: name.to_owned(), role, path };
        let pack = Pack {
            metadata: Metadata {
                name: Some(self.name.to_owned()),
                description: Some(self.description.to_owned()),
                version: self.version,
                distro: self.distro,
                cmdline: Some(self.cmdline),
                ..Metadata::default()
            },
            segments: vec![source("kernel", Role::Kernel, self.kernel), source("initrd", Role::Initrd, self.initrd)],
            inflate_boot_files: self.inflate_boot_files,
            ..Pack::default()
        };
        let packed = match pack.write(&path, &mut |_, _| {}) {
            // A distribution may compress them in another way, which the guest understands.
            Err(PackError::Inflate { .. }) => Pack { inflate_boot_files: false, ..pack }.write(&path, &mut |_, _| {}),
            packed => packed,
        }?;
        Ok(Sample { name: self.name, path, size: packed.size })
    }
}

/// Packages that stand for the newest kernel for virtual machines, and for any machine: Debian's, then Ubuntu's.
fn kernel_packages(architecture: &str) -> [String; 3] {
    ["cloud-", "virtual", ""].map(|kind| match kind {
        "virtual" => "linux-image-virtual".to_owned(),
        kind => format!("linux-image-{kind}{architecture}"),
    })
}

async fn from_packages(cache: &Path, scratch: &Path, say: &(dyn Fn(&str) + Sync)) -> Result<Vec<Recipe>, SampleError> {
    let architecture = debian::architecture().await?;
    let unpacked = async |package: &debian::Package| {
        say(&format!("Fetching {} {} from the distribution", package.name, package.version));
        let folder = scratch.join(&package.name);
        package.unpack(cache, &folder).await.map(|()| folder)
    };

    let mut kernel = None;
    for name in kernel_packages(&architecture) {
        let meta = debian::Package::find(&name).await?;
        if let Some(real) = meta.as_ref().and_then(|meta| meta.dependency("linux-image-")) {
            kernel = debian::Package::find(real).await?;
            break;
        }
    }
    let kernel = kernel.ok_or(SampleError::UnknownPackage { name: format!("linux-image-cloud-{architecture}") })?;
    let busybox = debian::Package::find("busybox-static")
        .await?
        .ok_or(SampleError::UnknownPackage { name: "busybox-static".to_owned() })?;
    let program = unpacked(&busybox).await?.join("bin/busybox");
    let mut linux = linux(newest_kernel(&unpacked(&kernel).await?.join("boot"))?, &program, scratch)?;
    linux.version = Some(kernel.version);
    let mut recipes = vec![linux];

    match debian::installer(&architecture).await? {
        Some(package) => {
            let images = unpacked(&package).await?.join("usr/lib/debian-installer/images");
            recipes.push(installer(&images, &package)?);
        }
        None => say("Left out: the Debian installer, which this distribution's packages do not include"),
    }
    Ok(recipes)
}

fn from_boot(scratch: &Path, say: &(dyn Fn(&str) + Sync)) -> Result<Recipe, SampleError> {
    say("There is no apt here: taking the kernel in /boot and a static BusyBox");
    let kernel = newest_kernel(Path::new("/boot"))?;
    let mut programs = ["busybox-static", "busybox"].into_iter().flat_map(paths::programs);
    let busybox = programs.find(|program| std::fs::read(program).is_ok_and(|bytes| is_static(&bytes)));
    linux(kernel, &busybox.ok_or(SampleError::NoBusybox)?, scratch)
}

fn linux(kernel: PathBuf, busybox: &Path, scratch: &Path) -> Result<Recipe, SampleError> {
    let initrd = scratch.join("initramfs.cpio");
    let program = std::fs::read(busybox).map_err(SampleError::io(busybox))?;
    std::fs::write(&initrd, initramfs::busybox(&program)).map_err(SampleError::io(&initrd))?;
    Ok(Recipe {
        file: "linux-busybox.rts.png",
        name: "Linux with BusyBox",
        description: "A Linux kernel with a shell on the serial console, ready in seconds",
        distro: std::fs::read_to_string("/etc/os-release").ok().and_then(|text| distribution(&text)),
        version: None,
        cmdline: format!("console={CONSOLE} quiet panic=-1 {LEAN_BOOT}"),
        kernel,
        initrd,
        inflate_boot_files: true,
    })
}

/// `images` holds one folder per release, and in it the text variant; the rest of the path has been stable since
/// Debian 5.
fn installer(images: &Path, package: &debian::Package) -> Result<Recipe, SampleError> {
    let release = std::fs::read_dir(images).map_err(SampleError::io(images))?.flatten().next();
    let release = release.ok_or(SampleError::NoKernel { folder: images.to_owned() })?;
    let architecture = package.name.rsplit('-').next().unwrap_or_default();
    let files = release.path().join(architecture).join("text/debian-installer").join(architecture);
    Ok(Recipe {
        file: "debian-installer.rts.png",
        name: "Debian installer",
        description: "Installs Debian over the network, in text mode on the serial console",
        distro: Some("Debian".to_owned()),
        version: Some(package.version.clone()),
        // The installer passes what follows --- on to the system that it installs.
        cmdline: format!("console={CONSOLE},115200n8 {LEAN_BOOT} --- console={CONSOLE},115200n8"),
        kernel: files.join("linux"),
        initrd: files.join("initrd.gz"),
        // It would be twice as large, and would wait for the network too.
        inflate_boot_files: false,
    })
}

/// The first serial port, as the kernel names it.
const CONSOLE: &str = if cfg!(target_arch = "aarch64") { "ttyAMA0" } else { "ttyS0" };

/// The first word of `NAME` in `/etc/os-release`: `Debian`, `Ubuntu`, `Fedora`.
fn distribution(os_release: &str) -> Option<String> {
    let name = os_release.lines().find_map(|line| line.strip_prefix("NAME="))?;
    name.trim_matches('"').split_whitespace().next().map(str::to_owned)
}

/// The `vmlinuz-*` that was changed last.
fn newest_kernel(folder: &Path) -> Result<PathBuf, SampleError> {
    let entries = std::fs::read_dir(folder).map_err(SampleError::io(folder))?.flatten();
    let kernels = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("vmlinuz-"));
    let newest = kernels.max_by_key(|entry| entry.metadata().and_then(|metadata| metadata.modified()).ok());
    newest.map(|entry| entry.path()).ok_or(SampleError::NoKernel { folder: folder.to_owned() })
}

/// A 64-bit little-endian ELF program without an interpreter (`PT_INTERP`): it needs no libraries.
fn is_static(elf: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let number = |at: usize, size: usize| -> Option<u64> {
        let bytes = elf.get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let kinds = || -> Option<Vec<u64>> {
        let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        (0..count).map(|n| number(usize::try_from(table.checked_add(n * size)?).ok()?, 4)).collect()
    };
    elf.starts_with(b"\x7fELF\x02\x01")
        && kinds().is_some_and(|kinds| !kinds.is_empty() && !kinds.contains(&INTERPRETER.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file with program headers of these kinds.
    fn elf(kinds: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(kinds.len()).unwrap();
        for kind in kinds {
            bytes.push(*kind);
            bytes.resize(bytes.len() + 55, 0);
        }
        bytes
    }

    #[test]
    fn a_program_with_an_interpreter_is_not_static() {
        assert!(is_static(&elf(&[1, 1, 6])));
        assert!(!is_static(&elf(&[6, 3, 1])));
        assert!(!is_static(b"#!/bin/sh"));
        assert!(!is_static(&elf(&[1])[..66]), "cut off");
        assert!(!is_static(&std::fs::read("/bin/ls").unwrap()));
    }

    #[test]
    fn the_distribution_is_named_by_its_first_word() {
        assert_eq!(distribution("ID=debian\nNAME=\"Debian GNU/Linux\"\n").as_deref(), Some("Debian"));
        assert_eq!(distribution("NAME=Ubuntu").as_deref(), Some("Ubuntu"));
        assert_eq!(distribution("PRETTY_NAME=x"), None);
    }

    #[test]
    fn the_newest_kernel_is_found_and_a_missing_one_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(newest_kernel(folder.path()), Err(SampleError::NoKernel { .. })));
        let now = std::time::SystemTime::now();
        for (name, age) in [("vmlinuz-5", 9), ("vmlinuz-6", 1), ("vmlinuz-4", 5), ("config-7", 0)] {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            file.set_modified(now - std::time::Duration::from_secs(age)).unwrap();
        }
        assert!(newest_kernel(folder.path()).unwrap().ends_with("vmlinuz-6"));
    }
}
