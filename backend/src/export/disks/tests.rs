use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use pixelrts_shared::catalog::Role;
use tokio::process::Command as Program;

use super::*;
use crate::image::{Effort, Limits, Pack, SegmentFile};

const STRIP: u64 = 256 << 10;

/// An image with a kernel and a disk, served on a socket.
struct Server {
    folder: tempfile::TempDir,
    scope: Scope,
    disk: Vec<u8>,
}

impl Server {
    fn start(damage: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The second and third strip are zeros.
        let number = |n: u32| if (65_536..196_608).contains(&n) { 0 } else { n / 3 + 1 };
        let disk: Vec<u8> = (0..300_000_u32).flat_map(|n| number(n).to_le_bytes()).collect();
        let segment = |name: &str, role, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
            SegmentFile { name: name.to_owned(), role, path }
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
        scope.spawn(Disks::new(image).unwrap().serve(listener, scope.clone()));
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

    /// A client of this test, after the greeting.
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
async fn other_programs_read_it() {
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
    let map = ok(&server.run("nbdinfo", &["--map", "--json", &server.url("root")]).await);
    let map: serde_json::Value = serde_json::from_str(&map).unwrap();
    let found = map.as_array().unwrap().iter().map(|extent| [&extent["offset"], &extent["length"], &extent["type"]]);
    let found: Vec<_> = found.map(|extent| extent.map(|number| number.as_u64().unwrap())).collect();
    assert_eq!(found, [[0, STRIP, 0], [STRIP, 2 * STRIP, 3], [3 * STRIP, 1_200_000 - 3 * STRIP, 0]]);
    let map = ok(&server.run("qemu-img", &["map", "--output=json", &server.url("root")]).await);
    assert!(
        map.contains("\"start\": 262144, \"length\": 524288, \"depth\": 0, \"present\": true, \"zero\": true"),
        "{map}"
    );
    let sparse = server.folder.path().join("sparse");
    ok(&server.run("nbdcopy", &[&server.url("root"), &sparse.display().to_string()]).await);
    assert!(std::fs::metadata(&sparse).unwrap().blocks() * 512 < 1_200_000 - 2 * STRIP + 16_384, "holes stay holes");
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
async fn a_bad_strip_is_an_error_of_its_reads_only() {
    let server = Server::start(true);
    let mut client = server.begin().await;
    assert_eq!(ask(&mut client, 0, 1_100_000, 4096).await, 5);
    assert_eq!(ask(&mut client, 0, 0, 4).await, 0);
    assert_eq!(client.read_u32_le().await.unwrap(), 1);
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
        // Nobody asked whether it may be asked.
        (7, 0, 4096, 22),
        (99, 0, 0, 22),
        (0, size, 0, 0),
    ] {
        assert_eq!(ask(&mut client, command, offset, length).await, error, "command {command} at {offset}+{length}");
    }
    server.end().await;
}

#[tokio::test]
async fn a_client_that_sends_nonsense_is_disconnected_and_others_are_served() {
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

#[tokio::test]
async fn requests_before_the_end_are_answered() {
    let server = Server::start(false);
    let mut client = server.begin().await;
    let request = |command: u16, length: u32| {
        let words = [0_u64, 0].map(u64::to_be_bytes).concat();
        [&0x2560_9513_u32.to_be_bytes()[..], &[0, 0], &command.to_be_bytes(), &words, &length.to_be_bytes()].concat()
    };
    // More requests than may be under way at the same time, and the request to disconnect after them.
    let reads = 3 * MAX_READS as usize;
    let all = [request(0, 262_144).repeat(reads), request(2, 0)].concat();
    client.write_all(&all).await.unwrap();
    let mut replies = Vec::new();
    timeout(Duration::from_secs(30), client.read_to_end(&mut replies)).await.unwrap().unwrap();
    assert_eq!(replies.len(), reads * (16 + 262_144));
    assert!(replies.chunks(16 + 262_144).all(|reply| reply[16..] == server.disk[..262_144]));
    server.end().await;
}

/// One that reads the disk in chunks, and asks for extents.
async fn structured(server: &Server) -> UnixStream {
    let mut client = server.connect().await;
    let set = b"IHAVEOPT\0\0\0\x0a\0\0\0\x1f\0\0\0\x04root\0\0\0\x01\0\0\0\x0fbase:allocation";
    // Extents before structured replies are refused; then a reply of 20 bytes, one of 20 + 4 + 15, and one of 20.
    for (option, answers) in [(&set[..], 20), (b"IHAVEOPT\0\0\0\x08\0\0\0\0", 20), (set, 59)] {
        client.write_all(option).await.unwrap();
        client.read_exact(&mut vec![0; answers]).await.unwrap();
    }
    client.write_all(b"IHAVEOPT\0\0\0\x01\0\0\0\x04root").await.unwrap();
    client.read_exact(&mut [0; 10]).await.unwrap();
    client
}

/// Sends a request and gives the chunks of its reply: their type and data.
async fn chunks(client: &mut UnixStream, flags: u16, command: u16, offset: u64, length: u32) -> Vec<(u16, Vec<u8>)> {
    let head = [&0x2560_9513_u32.to_be_bytes()[..], &flags.to_be_bytes(), &command.to_be_bytes()].concat();
    let rest = [&77_u64.to_be_bytes()[..], &offset.to_be_bytes(), &length.to_be_bytes()].concat();
    client.write_all(&[head, rest].concat()).await.unwrap();
    let mut found = Vec::new();
    loop {
        assert_eq!(client.read_u32().await.unwrap(), 0x668e_33ef);
        let (flags, kind) = (client.read_u16().await.unwrap(), client.read_u16().await.unwrap());
        assert_eq!(client.read_u64().await.unwrap(), 77);
        let mut data = vec![0; client.read_u32().await.unwrap() as usize];
        client.read_exact(&mut data).await.unwrap();
        found.push((kind, data));
        if flags == 1 {
            return found;
        }
    }
}

#[tokio::test]
async fn holes_are_reported_and_not_sent() {
    let server = Server::start(false);
    let mut client = structured(&server).await;
    let reply = chunks(&mut client, 0, 0, STRIP - 4, 3 * 262_144).await;
    let word = |bytes: &[u8]| u64::from_be_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(
        reply.iter().map(|(kind, data)| (*kind, word(data))).collect::<Vec<_>>(),
        [(1, STRIP - 4), (2, STRIP), (1, 3 * STRIP)]
    );
    assert_eq!(reply[0].1[8..], server.disk[262_140..262_144]);
    assert_eq!(reply[1].1[8..], 524_288_u32.to_be_bytes());
    assert!(reply[2].1[8..] == server.disk[786_432..1_048_572]);
    assert_eq!(chunks(&mut client, 0, 0, 5, 0).await, [(0, vec![])]);

    let words = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>();
    let all = words(&[1, 262_143, 0, 524_288, 3, 10, 0]);
    assert_eq!(chunks(&mut client, 0, 7, 1, 262_143 + 524_288 + 10).await, [(5, all)]);
    assert_eq!(chunks(&mut client, 8, 7, STRIP + 1, 524_288).await, [(5, words(&[1, 524_287, 3]))]);
    for (offset, length) in [(0, 0), (1_200_000, 1), (u64::MAX, 1)] {
        assert_eq!(chunks(&mut client, 0, 7, offset, length).await, [(0x8001, [&words(&[22])[..], &[0, 0]].concat())]);
    }
    server.end().await;
}
