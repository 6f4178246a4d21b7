//! Our catalog role as a server, compared with nginx: a large file, ranges of it, a long catalog, many connections.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flate2::Crc;
use pixelrts_testing::nginx::Nginx;

use super::super::backend::Backend;
use super::super::paired::{compare, process_mib};
use super::super::report::Row;
use super::super::{BINARY, Bench};
use super::requests::{Connection, Expected, together};

const CONNECTIONS: usize = 8;
const ENTRIES: usize = 10_000;
const MANY: usize = 1000;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = files(bench)?;
    rows.extend(catalog(bench)?);
    Ok(rows)
}

fn host(url: &str) -> &str {
    url.trim_start_matches("http://")
}

fn files(bench: &Bench) -> Result<Vec<Row>> {
    let image = super::fetch::image(bench)?;
    let size = image.metadata()?.len();
    let folder = image.parent().context("an image is in a folder")?;
    let nginx = Nginx::with_workers(folder, &bench.scratch("nginx"), "keepalive_requests 1000000;", 2)?;
    let backend = Backend::catalog(&bench.scratch("role"), folder)?;
    let digest = backend.catalog_digests()?.into_iter().next().context("the catalog is empty")?;
    let ours = (backend.address.clone(), format!("/api/v1/images/{digest}.rts.png"));
    let peer = (host(&nginx.url()).to_owned(), format!("/{}", image.file_name().unwrap_or_default().to_string_lossy()));
    let mut rows = Vec::new();
    let mut row = |what, goal, connections: usize, requests: usize, range: Option<u64>| {
        let run = |(address, path): &(String, String)| {
            together(address, connections, requests, |connection, place, number| match range {
                None => connection.ask(path, "", Expected { status: 200, length: size }),
                Some(length) => {
                    // Places that no cache can guess, the same for both.
                    let at = (place * requests + number) as u64 * 7_919 * 65_536 % (size - length);
                    let headers = format!("Range: bytes={at}-{}\r\n", at + length - 1);
                    connection.ask(path, &headers, Expected { status: 206, length })
                }
            })
        };
        let bytes = range.unwrap_or(size) * (connections * requests) as u64;
        let pair = compare(|| run(&ours), || run(&peer))?.as_speed();
        rows.push(Row::speed("W5", what, goal, pair, bytes));
        Ok::<_, anyhow::Error>(())
    };
    row("our server, whole file, speed against nginx", ">= 0.9x", 1, 4, None)?;
    row(
        "our server, ranges of 256 KiB on 8 connections, speed against nginx",
        ">= 0.9x",
        CONNECTIONS,
        500,
        Some(256 << 10),
    )?;
    row(
        "our server, ranges of 64 KiB on 8 connections, speed against nginx",
        ">= 0.8x",
        CONNECTIONS,
        2000,
        Some(64 << 10),
    )?;
    rows.push(memory(&backend, &ours, &nginx, &peer)?);
    backend.stop()?;
    Ok(rows)
}

/// The memory of both with so many connections, each of which was answered once.
fn memory(backend: &Backend, ours: &(String, String), nginx: &Nginx, peer: &(String, String)) -> Result<Row> {
    let grows = |(address, path): &(String, String), memory: &dyn Fn() -> Result<f64>| -> Result<(f64, usize)> {
        let before = memory()?;
        let mut open = Vec::new();
        for _ in 0..MANY {
            let mut connection = Connection::to(address, Duration::from_secs(2))?;
            // A server may refuse more than a number of connections.
            let expected = Expected { status: 206, length: 64 << 10 };
            if connection.ask(path, "Range: bytes=0-65535\r\n", expected).is_err() {
                break;
            }
            open.push(connection);
        }
        Ok((memory()? - before, open.len()))
    };
    let (of_ours, ours_open) = grows(ours, &|| backend.memory())?;
    let (of_peer, _) = grows(peer, &|| tree_mib(nginx.id().context("nginx has ended")?))?;
    Ok(Row {
        id: "W5",
        what: "our server, memory that 1,000 connections add",
        goal: "flat",
        measured: format!("{of_ours:.1} MiB"),
        note: format!("{ours_open} of {MANY} connections answered and kept; nginx {of_peer:.1} MiB"),
    })
}

/// The resident memory of a process and its children, in MiB.
fn tree_mib(id: u32) -> Result<f64> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
    let mut sum = process_mib(id, "VmRSS")?;
    for child in children.split_whitespace() {
        sum += process_mib(child.parse()?, "VmRSS")?;
    }
    Ok(sum)
}

fn catalog(bench: &Bench) -> Result<Vec<Row>> {
    let folder = images(bench)?;
    let backend = Backend::catalog(&bench.scratch("long-role"), &folder)?;
    let answer = backend.get("/api/v1/catalog")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
    let entries = body.matches("\"sha256\"").count();
    ensure!(entries >= ENTRIES, "the catalog has {entries} entries");
    let tag = head.lines().find_map(|line| line.to_lowercase().strip_prefix("etag: ").map(|_| line[6..].to_owned()));
    let tag = tag.context("our catalog has no ETag")?;
    let www = bench.scratch("catalog-www");
    fs::create_dir_all(&www)?;
    fs::write(www.join("catalog.json"), body)?;
    let nginx = Nginx::with_workers(&www, &bench.scratch("catalog-nginx"), "keepalive_requests 1000000;", 2)?;
    let its_tag = crate::command::output("curl", &["-sSI", &format!("{}/catalog.json", nginx.url())]);
    let its_tag = its_tag.unwrap_or_default().lines().find_map(|line| line.strip_prefix("ETag: ").map(str::to_owned));
    let its_tag = its_tag.context("nginx sends no ETag")?;
    let run = |address: &str, path: &str, tag: &str| {
        let headers = format!("If-None-Match: {}\r\n", tag.trim());
        together(address, CONNECTIONS, 200, |connection, _, _| {
            connection.ask(path, &headers, Expected { status: 304, length: 0 })
        })
    };
    let nginx_url = nginx.url();
    let pair = compare(
        || run(&backend.address, "/api/v1/catalog", &tag),
        || run(host(&nginx_url), "/catalog.json", &its_tag),
    )?
    .as_speed();
    let row = Row::paired(
        "W5",
        "our catalog of 10,000 entries, ETag hit on 8 connections, speed against nginx",
        ">= 1.0x",
        pair,
    );
    backend.stop()?;
    Ok(vec![row])
}

/// Small images that differ in a comment at their end, which no reader looks at.
fn images(bench: &Bench) -> Result<PathBuf> {
    let folder = bench.scratch("images-10000");
    fs::create_dir_all(&folder)?;
    let (payload, first) = (bench.scratch("small"), bench.scratch("small.rts.png"));
    fs::write(&payload, [7; 4096])?;
    let mut pack = Command::new(BINARY);
    pack.args(["--quiet", "pack", "--kernel"]).arg(&payload).args(["--name", "Small", "-o"]).arg(&first);
    ensure!(pack.stdout(Stdio::null()).status()?.success(), "packing a small image failed");
    let image = fs::read(&first)?;
    let end = image.len().checked_sub(12).context("an image ends with IEND")?;
    for number in 0..ENTRIES {
        write(&folder.join(format!("image-{number}.rts.png")), &image[..end], &image[end..], number)?;
    }
    Ok(folder)
}

fn write(path: &Path, image: &[u8], end: &[u8], number: usize) -> Result<()> {
    let content = format!("Comment\0{number}");
    let mut crc = Crc::new();
    crc.update(b"tEXt");
    crc.update(content.as_bytes());
    let mut file = fs::File::create(path)?;
    file.write_all(image)?;
    file.write_all(&u32::try_from(content.len())?.to_be_bytes())?;
    file.write_all(b"tEXt")?;
    file.write_all(content.as_bytes())?;
    file.write_all(&crc.sum().to_be_bytes())?;
    Ok(file.write_all(end)?)
}
