//! A guest's disks: the guest reads them from the image when it needs them, and its changes are thrown away.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use pixelrts_tests::{Console, Home, LINUX, packages, sample, sha256};
use serde_json::Value;
use tokio::process::Command;

/// The drivers of a disk, as files in `/drivers`. The guest loads them in several rounds, because some need others.
const DRIVERS: [&str; 6] =
    ["virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk"];
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox --install -s /bin
export PATH=/bin
for round in 1 2 3 4; do for driver in /drivers/*.ko; do insmod $driver 2>/dev/null; done; done
while [ ! -b /dev/vdb ]; do sleep 0.1; done
mkdir /disk && mount -t ext4 /dev/vda /disk
echo "big $(sha256sum < /disk/big)"
echo "second $(sha256sum < /dev/vdb)"
echo changed > /disk/small && sync && umount /disk && mount -t ext4 /dev/vda /disk
echo "small $(cat /disk/small)"
umount /disk
poweroff -f
"#;

async fn run(program: &str, arguments: &[&Path], folder: &Path) -> Result<()> {
    // Debian leaves the folder of mke2fs out of a user's PATH.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH")?);
    let mut command = Command::new(program);
    command.env("PATH", path);
    let output = command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().await?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The package of the sample's kernel: the one that the sample was made of, or a new download.
async fn kernel_package(home: &Home, version: &str) -> Result<PathBuf> {
    let name = format!("linux-image-{version}");
    let is_it = |file: &PathBuf| file.to_string_lossy().contains(&format!("/{name}_"));
    if let Some(package) = packages()?.into_iter().find(is_it) {
        return Ok(package);
    }
    run("apt-get", &["download".as_ref(), name.as_ref()], home.path()).await?;
    let mut files = fs::read_dir(home.path())?.flatten().map(|file| file.path());
    files.find(is_it).context("apt-get brought nothing")
}

/// The sample's archive, followed by another one with drivers and a new first process. The kernel unpacks both.
async fn initrd(home: &Home, sample: &Path, version: &str) -> Result<PathBuf> {
    let (package, root) = (home.path().join("package"), home.path().join("root"));
    fs::create_dir_all(root.join("drivers"))?;
    run("dpkg-deb", &["-x".as_ref(), &kernel_package(home, version).await?, &package], home.path()).await?;
    let drivers = package.join(format!("lib/modules/{version}/kernel/drivers"));
    for driver in DRIVERS {
        let places = ["virtio", "block"].map(|folder| drivers.join(folder).join(format!("{driver}.ko")));
        // A driver that is not a file is built into the kernel.
        if let Some(file) = places.iter().find(|file| file.is_file()) {
            fs::copy(file, root.join(format!("drivers/{driver}.ko")))?;
        }
    }
    fs::write(root.join("init"), INIT)?;
    let script = "chmod 755 init && find . | cpio --quiet --create --format newc > ../more.cpio";
    run("sh", &["-c".as_ref(), script.as_ref()], &root).await?;
    let all = [fs::read(sample.join("initrd"))?, fs::read(home.path().join("more.cpio"))?].concat();
    let path = home.path().join("initrd");
    fs::write(&path, all)?;
    Ok(path)
}

#[tokio::test]
async fn a_guest_reads_its_disks_and_its_writes_are_thrown_away() -> Result<()> {
    let home = Home::new()?;
    let at = |name: &str| home.path().join(name);
    let inspected = home.run(&["--json".as_ref(), "inspect".as_ref(), sample(LINUX)?.as_os_str()]).await?.good()?;
    let inspected: Value = serde_json::from_str(&inspected)?;
    let version = inspected["metadata"]["kernel_version"].as_str().context("no version of the kernel")?.to_owned();
    home.run(&["unpack".as_ref(), sample(LINUX)?.as_os_str(), at("sample").as_os_str()]).await?.good()?;

    fs::create_dir(at("files"))?;
    let big: Vec<u8> = (0..2_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(at("files/big"), &big)?;
    fs::write(at("files/small"), "small")?;
    run(
        "mke2fs",
        &["-q".as_ref(), "-t".as_ref(), "ext4".as_ref(), "-d".as_ref(), &at("files"), &at("a.img"), "32M".as_ref()],
        home.path(),
    )
    .await?;
    let second = &big[..1_000_448];
    fs::write(at("b.img"), second)?;

    let image = at("disks.rts.png");
    let (kernel, initrd) = (at("sample/kernel"), initrd(&home, &at("sample"), &version).await?);
    let named = format!("second={}", at("b.img").display());
    let mut pack = vec!["pack".into(), "--kernel".into(), kernel.into_os_string(), "--initrd".into()];
    pack.extend([
        initrd.into_os_string(),
        "--disk".into(),
        at("a.img").into_os_string(),
        "--disk".into(),
        named.into(),
    ]);
    pack.extend([
        "--cmdline".into(),
        "console=ttyS0 quiet panic=-1".into(),
        "-o".into(),
        image.clone().into_os_string(),
    ]);
    home.run(&pack).await?.good()?;
    let before = sha256(&fs::read(&image)?);

    let mut console = Console::boot(&home, &[&image])?;
    console.expect(&format!("big {}", sha256(&big))).await?;
    console.expect(&format!("second {}", sha256(second))).await?;
    console.expect("small changed").await?;
    let (said, status) = console.end().await?;
    ensure!(status.code() == Some(0), "{status}: {said}");
    ensure!(sha256(&fs::read(&image)?) == before, "the image has changed");
    home.expect_nothing_left().await
}
