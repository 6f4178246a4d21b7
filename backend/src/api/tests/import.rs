//! Images that people put into the folder of the local catalog.

use std::os::unix::fs::PermissionsExt;

use futures_util::stream;
use pixelrts_shared::catalog::Imported;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

fn image(seed: u32) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    pack(folder.path(), "new", seed)
}

async fn put(shell: &Instance, name: &str, body: Vec<u8>) -> Response {
    let path = format!("{}?name={}", paths::CATALOG_IMPORT, name.replace(' ', "%20"));
    let request = shell.http.put(shell.at(&path)).body(body);
    request.header(CONTENT_TYPE, "application/octet-stream").send().await.unwrap()
}

fn files(shell: &Instance) -> Vec<String> {
    let names = std::fs::read_dir(shell.folder.path().join("images")).unwrap();
    let mut names: Vec<_> = names.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Nothing else is left, some time after a connection was closed.
async fn only(shell: &Instance, expected: &[&str]) {
    let gone = async {
        while files(shell) != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap_or_else(|_| panic!("{:?}", files(shell)));
}

/// The head of a request whose body never comes, and the beginning of the answer.
async fn answer_to_head(shell: &Instance, query: &str, length: &str, beginning: &[u8]) -> String {
    let host = shell.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!("PUT {}?{query} HTTP/1.1\r\nHost: {host}\r\n{length}\r\n", paths::CATALOG_IMPORT);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(beginning).await.unwrap();
    let mut answer = vec![0; 2000];
    let count = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

#[tokio::test]
async fn an_image_is_in_the_catalog_when_the_response_comes() {
    let shell = Instance::start(Role::Shell).await;
    let bytes = image(1);
    let reply = put(&shell, "my image.rts.png", bytes.clone()).await;
    assert_eq!(reply.status(), StatusCode::CREATED);
    let imported: Imported = reply.json().await.unwrap();
    assert_eq!(imported.key, Digest::new(Sha256::digest(&bytes).into()));
    assert_eq!((imported.name.as_str(), imported.file.as_str()), ("Image new", "my image.rts.png"));
    let entries = shell.merged().await.entries;
    assert_eq!((entries[0].entry.sha256, &entries[0].entry.id, entries[0].cached), (imported.key, &imported.id, true));
    let again = put(&shell, "my image.rts.png", bytes).await;
    assert_eq!(again.status(), StatusCode::OK, "the same image");
    assert_eq!(again.json::<Imported>().await.unwrap(), imported);
    let other = put(&shell, "my image.rts.png", image(2)).await;
    assert_eq!(other.status(), StatusCode::CONFLICT);
    let mut same_size = image(1);
    *same_size.last_mut().unwrap() ^= 1;
    assert!(put(&shell, "my image.rts.png", same_size).await.status().is_client_error());
    assert_eq!(files(&shell), ["my image.rts.png"]);
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_leave_nothing() {
    let shell = Instance::start(Role::Shell).await;
    let whole = image(1);
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    for (what, bytes) in
        [("text", b"hello".to_vec()), ("half", whole[..whole.len() / 2].to_vec()), ("damaged", damaged)]
    {
        let reply = put(&shell, "new.rts.png", bytes).await;
        assert_eq!(reply.status(), StatusCode::UNPROCESSABLE_ENTITY, "{what}");
        only(&shell, &[]).await;
    }
    assert_eq!(put(&shell, "new.rts.png", whole).await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn what_is_known_before_the_bytes_is_refused_before_them() {
    let shell = Instance::with(Role::Shell, |images| drop(pack(images, "taken", 1))).await;
    let small = "Content-Length: 1000\r\n";
    for (query, length, expected) in [
        ("", small, "usage.invalid"),
        ("name=a.png", small, "usage.invalid"),
        ("name=.rts.png", small, "usage.invalid"),
        ("name=.a.rts.png", small, "usage.invalid"),
        ("name=..%2Fa.rts.png", small, "usage.invalid"),
        ("name=%2Fetc%2Fa.rts.png", small, "usage.invalid"),
        ("name=a%00.rts.png", small, "usage.invalid"),
        ("name=a%0A.rts.png", small, "usage.invalid"),
        ("name=a%E2%80%AE.rts.png", small, "usage.invalid"),
        ("name=a%FF.rts.png", small, "usage.invalid"),
        ("name=a.rts.png", "Transfer-Encoding: chunked\r\n", "usage.invalid"),
        ("name=a.rts.png", "Content-Length: 4611686018427387904\r\n", "storage.full"),
        ("name=taken.rts.png", small, "conflict.busy"),
    ] {
        let answer = answer_to_head(&shell, query, length, b"").await;
        assert!(answer.contains(expected), "{query} {length}: {answer}");
    }
    let long = format!("name={}.rts.png", "a".repeat(250));
    assert!(answer_to_head(&shell, &long, small, b"").await.contains("usage.invalid"));
    assert_eq!(files(&shell), ["taken.rts.png"]);
    let asked = |name: &str, size: u64| shell.at(&format!("{}?name={name}&size={size}", paths::CATALOG_IMPORT));
    for (name, size, expected) in [("a.rts.png", 9, 204), ("taken.rts.png", 9, 409), ("a.rts.png", 1 << 62, 507)] {
        assert_eq!(shell.http.get(asked(name, size)).send().await.unwrap().status(), expected, "{name} {size}");
    }
    assert_eq!(files(&shell), ["taken.rts.png"]);
}

#[tokio::test]
async fn a_folder_that_takes_nothing_is_named_with_what_to_do() {
    let without = Instance::set(Role::Shell, |_| {}, |settings| settings.catalogs.clear()).await;
    let reply = put(&without, "a.rts.png", image(1)).await;
    assert_eq!(reply.status(), StatusCode::NOT_FOUND);
    assert!(reply.json::<Problem>().await.unwrap().fix.contains("--catalog"));
    let gone = Instance::set(Role::Shell, |_| {}, |settings| settings.catalogs = vec!["/nowhere/at/all".into()]).await;
    let problem: Problem = put(&gone, "a.rts.png", image(1)).await.json().await.unwrap();
    assert!(problem.fix.contains("mkdir -p /nowhere/at/all"), "{problem}");
    let shell = Instance::start(Role::Shell).await;
    let images = shell.folder.path().join("images");
    std::fs::set_permissions(&images, std::fs::Permissions::from_mode(0o555)).unwrap();
    // Nobody refuses root.
    if std::fs::write(images.join("x"), "").is_err() {
        assert_eq!(put(&shell, "a.rts.png", image(1)).await.status(), StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_connection_that_ends_early_leaves_nothing() {
    let shell = Instance::start(Role::Shell).await;
    let bytes = image(1);
    let half = bytes[..bytes.len() / 2].to_vec();
    let broken = stream::iter([Ok(half), Err(std::io::Error::other("the person has closed the page"))]);
    let request = shell.http.put(shell.at(&format!("{}?name=a.rts.png", paths::CATALOG_IMPORT)));
    let request = request.header("content-length", bytes.len()).body(reqwest::Body::wrap_stream(broken));
    request.send().await.unwrap_err();
    only(&shell, &[]).await;
}

#[tokio::test]
async fn only_some_images_arrive_at_once() {
    let shell = Instance::start(Role::Shell).await;
    let host = shell.url.trim_start_matches("http://");
    let mut open = Vec::new();
    for n in 0..2 {
        let mut stream = TcpStream::connect(host).await.unwrap();
        let path = format!("{}?name=slow{n}.rts.png", paths::CATALOG_IMPORT);
        let head = format!("PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\nabc");
        stream.write_all(head.as_bytes()).await.unwrap();
        open.push(stream);
    }
    let begun = async {
        while files(&shell).len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), begun).await.unwrap();
    assert_eq!(put(&shell, "a.rts.png", image(1)).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(shell.merged().await.entries.is_empty(), "what is not complete is not listed");
    drop(open);
    only(&shell, &[]).await;
    assert_eq!(put(&shell, "a.rts.png", image(1)).await.status(), StatusCode::CREATED);
}
