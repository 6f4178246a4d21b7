//! The fault server does what its tables say, seen with the simplest client.

#![allow(clippy::unwrap_used, reason = "a client of a test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use pixelrts_testing::fault_server::{After, Fault, FaultServer, Kinds, Reply};

fn image() -> Vec<u8> {
    (0..300_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect()
}

struct Answer {
    status: u16,
    headers: Vec<String>,
    body: Vec<u8>,
    /// The body is what was announced.
    complete: bool,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

fn get(address: &str, headers: &str) -> Answer {
    let (host, path) = address.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let status = lines.first().and_then(|line| line.split(' ').nth(1)).map_or(0, |status| status.parse().unwrap());
    let mut answer = Answer { status, headers: lines, body: Vec::new(), complete: true };
    let length = answer.header("Content-Length").map(|length| length.parse::<u64>().unwrap());
    let read = match length {
        Some(length) => reader.take(length).read_to_end(&mut answer.body),
        None => reader.read_to_end(&mut answer.body),
    };
    answer.complete = read.is_ok() && length.is_none_or(|length| length == answer.body.len() as u64);
    answer
}

#[test]
fn an_unknown_name_is_an_honest_server() {
    let server = FaultServer::start(image());
    let catalog = get(&format!("{}/api/v1/catalog", server.base("ok")), "");
    let text = String::from_utf8(catalog.body).unwrap();
    assert!(text.contains(server.sha256()) && text.contains("\"size\":300000"), "{text}");
    let whole = get(&server.image("ok"), "");
    assert_eq!((whole.status, whole.body == image()), (200, true));
    let part = get(&server.image("ok"), "Range: bytes=1000-1999\r\nIf-Range: \"v1\"\r\n");
    assert_eq!((part.status, part.header("Content-Range")), (206, Some("bytes 1000-1999/300000")));
    assert_eq!(part.body, &image()[1000..2000]);
    for (headers, status) in [
        ("Range: bytes=5-\r\nIf-Range: \"other\"\r\n", 200),
        ("Range: bytes=5-\r\nIf-Match: \"other\"\r\n", 412),
        ("Range: bytes=300000-\r\n", 416),
        ("If-None-Match: \"v1\"\r\n", 304),
    ] {
        assert_eq!(get(&server.image("ok"), headers).status, status, "{headers}");
    }
}

#[test]
fn the_log_knows_what_was_asked_and_how_much_was_sent() {
    let server = FaultServer::start(image());
    get(&server.image("ok"), "Range: bytes=299990-\r\nAuthorization: Bearer x\r\n");
    get(&format!("{}/catalog.json", server.base("ok")), "");
    let [request] = &server.image_requests("ok")[..] else { panic!("{:?}", server.requests()) };
    assert_eq!((request.sent, request.request.header("range")), (10, Some("bytes=299990-")));
    assert_eq!(request.request.header("authorization"), Some("Bearer x"));
    assert_eq!((server.requests().len(), server.image_bytes("ok")), (2, 10));
    server.forget();
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn answers_break_where_they_should() {
    let (server, image) = (FaultServer::start(image()), image());
    for (name, length) in [("cut/1000", 1000), ("disc1m", 37_500), ("short206", 135_000), ("discwrong", 150_000)] {
        let answer = get(&server.image(name), "");
        assert_eq!((answer.body.len(), answer.complete), (length, false), "{name}");
        assert_eq!(answer.body == image[..length], name != "discwrong", "{name}");
    }
    let short = get(&server.image("short"), "");
    assert_eq!((short.body.len(), short.complete), (300_000, false));
    let reset = get(&server.image("norangealt"), "Range: bytes=7-\r\n");
    assert_eq!((reset.status, reset.body.len(), reset.complete), (200, 75_000, false));
}

#[test]
fn ranges_are_wrong_in_the_ways_that_are_promised() {
    let (server, image) = (FaultServer::start(image()), image());
    let ask = |name: &str| {
        get(&server.image(name), "");
        get(&server.image(name), "Range: bytes=1000-\r\n")
    };
    let short = ask("short206");
    assert_eq!((short.status, short.body == image[1000..76_000]), (206, true));
    let other = ask("wrong206");
    assert_eq!((other.header("Content-Range"), other.body == image[1007..]), (Some("bytes 1007-299999/300000"), true));
    let lie = ask("lie206");
    assert_eq!((lie.header("Content-Range"), lie.body == image[..299_000]), (Some("bytes 1000-299999/300000"), true));
    let star = ask("star206");
    assert_eq!((star.header("Content-Range"), star.body == image[1000..]), (Some("bytes 1000-299999/*"), true));
    assert_eq!((ask("whole200").status, ask("etagflip").status, ask("e404").status), (200, 412, 404));
    let busy = ask("busy429");
    assert_eq!((busy.status, busy.header("Retry-After")), (429, Some("4")));
    assert_eq!(ask("chunked").header("Transfer-Encoding"), Some("chunked"));
    assert!(ask("html").body.starts_with(b"<!doctype html>"));
}

#[test]
fn redirects_lead_where_they_should_and_the_second_port_is_marked() {
    let server = FaultServer::start(image());
    let other = get(&server.image("redirother"), "");
    let address = other.header("Location").unwrap();
    assert!(address.starts_with(server.elsewhere()), "{address}");
    assert_eq!(get(address, "").body.len(), 300_000);
    assert!(server.requests()[1].request.elsewhere && !server.requests()[0].request.elsewhere);
    // The first signature has expired, the next one is good.
    let host = format!("http://{}", server.address());
    for status in [403, 200] {
        let signed = get(&server.image("signed"), "");
        assert_eq!(get(&format!("{host}{}", signed.header("Location").unwrap()), "").status, status);
    }
}

#[test]
fn spoiled_catalogs_are_what_they_are_called() {
    let server = FaultServer::start(image());
    let at = |name: &str, file: &str| get(&format!("{}/{file}", server.base(name)), "");
    let first = |name: &str| at(name, "api/v1/catalog");
    assert_eq!((first("cats3").status, at("cats3", "catalog.json").status), (403, 200));
    assert_eq!(first("catspa").header("Content-Encoding"), Some("gzip"));
    assert!(first("catbom").body.starts_with(b"\xef\xbb\xbf{"));
    for (name, part) in [
        ("catmemint", "\"memory\":2048"),
        ("catsize7", "\"size\":7,"),
        ("catnull", "\"tags\":null"),
        ("catthumb", server.elsewhere()),
        ("catbadentry", "{\"id\":\"nothing\"}"),
        ("entries/50", "\"id\":\"e49\""),
        ("entries/2/7", "0000000000000000000000000000000700000000000000000000000000000001"),
    ] {
        let text = String::from_utf8(first(name).body).unwrap();
        assert!(text.contains(part), "{name}: {text}");
    }
    assert_eq!(first("catsevens").body.len(), 4_000_000 * 2 - 1 + 54);
    assert_eq!((first("cat503").status, first("catetag").header("ETag")), (503, Some("\"c1\"")));
    assert_eq!(get(&format!("{}/catalog.json", server.base("catetag")), "If-None-Match: \"c1\"\r\n").status, 304);
    server.offer_catalog("{}");
    assert_eq!((first("ok").body, first("catbom").body), (b"{}".to_vec(), b"\xef\xbb\xbf{}".to_vec()));
}

/// A client that keeps what it has, follows redirects, and trusts nothing but the bytes.
fn fetch(server: &FaultServer, name: &str, right: &[u8]) -> (Vec<u8>, usize) {
    let (mut have, mut tries) = (Vec::new(), 0);
    let mut address = server.image(name);
    while have.len() < right.len() {
        tries += 1;
        assert!(tries < 100, "{name}: {:?}", server.requests());
        let answer = get(&address, &format!("Range: bytes={}-\r\n", have.len()));
        address = server.image(name);
        match answer.status {
            302 => address = format!("http://{}{}", server.address(), answer.header("Location").unwrap()),
            200 | 206 if answer.header("Transfer-Encoding").is_none() => {
                let range = answer.header("Content-Range").and_then(|range| range.strip_prefix("bytes "));
                let at = range.map_or(0, |range| range.split('-').next().unwrap().parse().unwrap());
                let fits = right.get(at..at + answer.body.len()) == Some(&answer.body);
                if fits && at <= have.len() && at + answer.body.len() > have.len() {
                    have.truncate(at);
                    have.extend(answer.body);
                }
            }
            _ => {}
        }
    }
    (have, tries)
}

#[test]
fn a_mix_goes_wrong_as_often_as_it_was_told_and_then_behaves() {
    let (server, image) = (FaultServer::start(image()), image());
    for seed in 0..20 {
        let name = format!("mix-quick/{seed}/4");
        let (bytes, tries) = fetch(&server, &name, &image);
        assert!(bytes == image, "{name}");
        assert!(tries <= 9, "{name} took {tries}: {:?}", server.image_requests(&name));
        assert_eq!(get(&server.image(&format!("mix/{seed}/0")), "").body, image);
    }
    assert_eq!(Kinds::named("mix").faults().len(), Fault::ALL.len());
}

#[test]
fn a_test_decides_an_answer_of_its_own() {
    let server = FaultServer::deciding(image(), |request| {
        let own = request.path == "/own" && request.number == 2;
        own.then(|| Reply::with_body(200, "text/plain", "mine").with("X-Number", request.number).then(After::Close))
    });
    let own = server.base("own");
    assert_eq!(get(&own, "").body.len(), 300_000);
    let answer = get(&own, "");
    assert_eq!((answer.body, answer.headers.contains(&"X-Number: 2".to_owned())), (b"mine".to_vec(), true));
}

#[test]
fn a_server_ends_at_once_whatever_it_is_doing() {
    let server = FaultServer::start(image());
    let mut streams = Vec::new();
    for name in ["hanghead", "hangmid", "endless", "drip", "100cont", "rate/1"] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        write!(stream, "GET /{name}/x.rts.png HTTP/1.1\r\n\r\n").unwrap();
        streams.push(stream);
    }
    while server.requests().len() < 6 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let since = Instant::now();
    drop(server);
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
}
