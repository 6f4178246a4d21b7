use super::*;
use proptest::prelude::*;
use std::io::{Read, Write};
use std::time::Duration;

/// A console and the guest's end of its line.
fn console(scope: &Scope) -> (Console, StdUnixStream, mpsc::Receiver<Sign>) {
    let (host, guest) = StdUnixStream::pair().unwrap();
    let (signs, seen) = mpsc::channel(4);
    (Console::start(host, None, signs, scope).unwrap(), guest, seen)
}

async fn read_all(mut viewer: Viewer) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = viewer.next().await {
        assert_eq!(chunk.lost, 0);
        bytes.extend(chunk.bytes);
    }
    bytes
}

proptest! {
    /// The ring is the end of the stream, and positions in it are positions in the stream.
    #[test]
    fn the_ring_is_the_end_of_the_stream(sizes in prop::collection::vec(0_usize..700_000, 0..6), back in 0_u64..2_000_000) {
        let mut ring = Ring::default();
        let mut stream = Vec::new();
        for (index, size) in sizes.iter().enumerate() {
            let piece: Vec<u8> = (0..*size).map(|byte| (byte * 31 + index).to_le_bytes()[0]).collect();
            ring.push(&piece);
            stream.extend(piece);
        }
        let end = ring.start + ring.bytes.len() as u64;
        prop_assert_eq!(end, stream.len() as u64);
        prop_assert_eq!(ring.bytes.len(), stream.len().min(RING));
        let position = end.saturating_sub(back);
        let chunk = ring.read(position);
        let from = usize::try_from(position + chunk.lost).unwrap();
        prop_assert_eq!(&chunk.bytes[..], &stream[from..stream.len().min(from + CHUNK)]);
        prop_assert_eq!(chunk.lost, ring.start.saturating_sub(position));
    }
}

#[tokio::test]
async fn early_and_late_viewers_see_the_same() {
    let scope = Scope::new();
    let (console, mut guest, mut signs) = console(&scope);
    let early = console.viewer();
    guest.write_all(b"Linux version 6.1\n").unwrap();
    assert_eq!(signs.recv().await, Some(Sign::FirstByte));
    let late = console.viewer();
    drop(guest);
    console.closed().await;
    assert_eq!(read_all(early).await, b"Linux version 6.1\n");
    assert_eq!(read_all(late).await, b"Linux version 6.1\n");
}

#[tokio::test]
async fn a_viewer_that_never_reads_delays_nobody() {
    let scope = Scope::new();
    let (console, mut guest, _signs) = console(&scope);
    let mut slow = console.viewer();
    let flood = vec![b'x'; 3 << 20];
    let length = flood.len() as u64;
    tokio::time::timeout(Duration::from_secs(20), crate::task::blocking(move || guest.write_all(&flood)))
        .await
        .unwrap()
        .unwrap();
    console.closed().await;
    let chunk = slow.next().await.unwrap();
    assert_eq!(chunk.lost, length - RING as u64);
    assert_eq!(chunk.bytes.len(), CHUNK);
}

#[tokio::test]
async fn viewers_on_the_socket_see_and_type() {
    let scope = Scope::new();
    let (console, mut guest, _signs) = console(&scope);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serial.sock");
    let _server = scope.spawn(console.clone().serve(UnixListener::bind(&path).unwrap(), scope.clone()));
    guest.write_all(b"login: ").unwrap();

    let mut viewers = [UnixStream::connect(&path).await.unwrap(), UnixStream::connect(&path).await.unwrap()];
    for viewer in &mut viewers {
        let mut seen = [0; 7];
        viewer.read_exact(&mut seen).await.unwrap();
        assert_eq!(&seen, b"login: ");
    }
    viewers[1].write_all(b"root\n").await.unwrap();
    let mut guest = crate::task::blocking(move || {
        let mut typed = [0; 5];
        guest.read_exact(&mut typed).unwrap();
        assert_eq!(&typed, b"root\n");
        guest
    })
    .await;
    // Typing may end; looking goes on.
    viewers[0].shutdown().await.unwrap();
    guest.write_all(b"#").unwrap();
    drop(guest);
    let mut rest = String::new();
    viewers[0].read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "#");
}
