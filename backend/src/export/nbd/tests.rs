use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;

use pixelrts_shared::catalog::Role;
use tokio::process::Command as Program;

use super::*;
use crate::image::{Effort, Limits, Pack, Source};

/// An image with a kernel and a disk, served on a socket.
struct Server {
    folder: tempfile::TempDir,
    scope: Scope,
    disk: Vec<u8>,
}

impl Server {
    fn start(damage: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk: Vec<u8> = (0..300_000_u32).flat_map(|n| (n / 3).to_le_bytes()).collect();
        let segment = |name: &str, role, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
            Source { name: name.to_owned(), role, path }
        };
        let segments = vec![segment("kernel", Role::Kernel, b"kernel"), segment("root", Role::Disk, &disk)];
        let file = folder.path().join("image");
        Pack { segments, effort: Effort::None, ..Pack::default() }.write(&file, &mut |_, _| {}).unwrap();
        if damage {
            let mut bytes = std::fs::read(&file).unwrap();
            // In the last strip of the disk, which begins at its byte 1,048,576.
            let at = bytes.len() - 200_000;
            bytes[at] ^= 1;
            std::fs::write(&file, bytes).unwrap();
        }
        let image = Arc::new(Image::open_file(&file, &Limits::default()).unwrap());
        let scope = Scope::new();
        let listener = UnixListener::bind(folder.path().join("nbd.sock")).unwrap();
        scope.spawn(serve(listener, image, scope.clone()));
        Self { folder, scope, disk }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("nbd.sock")
    }

    fn url(&self, name: &str) -> String {
        format!("nbd+unix:///{name}?socket={}", self.socket().display())
    }

    async fn end(self) {
        self.scope.shutdown(Duration::from_secs(5)).await.unwrap();
    }

    async fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let output = Program::new(program).args(arguments).kill_on_drop(true).output();
        timeout(Duration::from_secs(60), output).await.unwrap().unwrap_or_else(|error| panic!("{program}: {error}"))
    }

    /// A client of our own, after the greeting.
    async fn connect(&self) -> UnixStream {
        let mut client = UnixStream::connect(self.socket()).await.unwrap();
        let mut greeting = [0; 18];
        client.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, wire::GREETING);
        client.write_u32(3).await.unwrap();
        client
    }

    /// One that has begun to read the disk.
    async fn begin(&self) -> UnixStream {
        let mut client = self.connect().await;
        client.write_all(b"IHAVEOPT\0\0\0\x01\0\0\0\x04root").await.unwrap();
        assert_eq!(client.read_u64().await.unwrap(), self.disk.len() as u64);
        client.read_u16().await.unwrap();
        client
    }
}

/// The error number of one request.
async fn ask(client: &mut UnixStream, command: u16, offset: u64, length: u32) -> u32 {
    client.write_u32(0x2560_9513).await.unwrap();
    client.write_u16(0).await.unwrap();
    client.write_u16(command).await.unwrap();
    client.write_u64(77).await.unwrap();
    client.write_u64(offset).await.unwrap();
    client.write_u32(length).await.unwrap();
    if command == 1 {
        client.write_all(&vec![1; length as usize]).await.unwrap();
    }
    assert_eq!(client.read_u32().await.unwrap(), 0x6744_6698);
    let error = client.read_u32().await.unwrap();
    assert_eq!(client.read_u64().await.unwrap(), 77);
    error
}

fn ok(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[tokio::test]
async fn the_tools_of_others_read_it() {
    let server = Server::start(false);
    let list = ok(&server.run("nbdinfo", &["--list", "--json", &server.url("")]).await);
    assert!(list.contains("\"kernel\"") && list.contains("\"root\""), "{list}");
    let about = ok(&server.run("nbdinfo", &["--json", &server.url("root")]).await);
    assert!(about.contains("\"is_read_only\": true") && about.contains("\"export-size\": 1200000"), "{about}");
    for (name, expected) in [("root", &server.disk[..]), ("", &server.disk[..]), ("kernel", &b"kernel"[..])] {
        let copy = server.folder.path().join("copy");
        let _ = std::fs::remove_file(&copy);
        ok(&server.run("nbdcopy", &[&server.url(name), &copy.display().to_string()]).await);
        assert!(std::fs::read(&copy).unwrap() == expected, "{name}");
    }
    let raw = server.folder.path().join("raw");
    ok(&server.run("qemu-img", &["convert", "-O", "raw", &server.url("root"), &raw.display().to_string()]).await);
    assert!(same_disk(&raw, &server.disk));
    assert!(!server.run("nbdinfo", &[&server.url("none")]).await.status.success());
    server.end().await;
}

/// QEMU rounds the end up to a sector.
fn same_disk(path: &Path, disk: &[u8]) -> bool {
    let mut bytes = std::fs::read(path).unwrap();
    bytes.truncate(disk.len());
    bytes == disk
}

#[tokio::test]
async fn a_bad_strip_is_an_error_of_its_own_reads_only() {
    let server = Server::start(true);
    let mut client = server.begin().await;
    assert_eq!(ask(&mut client, 0, 1_100_000, 4096).await, 5);
    assert_eq!(ask(&mut client, 0, 0, 4).await, 0);
    assert_eq!(client.read_u32().await.unwrap(), 0);
    assert_eq!(ask(&mut client, 0, 1_048_575, 2).await, 5);
    server.end().await;
}

#[tokio::test]
async fn what_lies_outside_or_changes_something_is_refused() {
    let server = Server::start(false);
    let mut client = server.begin().await;
    let size = server.disk.len() as u64;
    for (command, offset, length, error) in [
        (0, size, 1, 22),
        (0, u64::MAX, 2, 22),
        (0, 0, u32::MAX, 22),
        (1, 0, 5000, 1),
        (4, 0, 512, 1),
        (6, 0, 512, 1),
        (3, 0, 0, 0),
        (5, 0, 4096, 0),
        (5, size, 1, 22),
        (99, 0, 0, 22),
        (0, size, 0, 0),
    ] {
        assert_eq!(ask(&mut client, command, offset, length).await, error, "command {command} at {offset}+{length}");
    }
    server.end().await;
}

#[tokio::test]
async fn a_client_that_talks_nonsense_is_left_and_others_are_served() {
    let server = Server::start(false);
    for nonsense in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"IHAVEOPT\0\0\0\x07\xff\xff\xff\xff", b"IHAVEOPT\0\0\0\x02\0\0\0\0"]
    {
        let mut client = server.connect().await;
        client.write_all(nonsense).await.unwrap();
        let mut rest = Vec::new();
        // Bytes that nobody read make a reset of the end.
        let _ = timeout(Duration::from_secs(5), client.read_to_end(&mut rest)).await.unwrap();
    }
    let mut client = server.begin().await;
    client.write_all(&[0; wire::REQUEST]).await.unwrap();
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0, "it is left");
    let mut client = server.begin().await;
    assert_eq!(ask(&mut client, 0, 0, 0).await, 0);
    server.end().await;
}
