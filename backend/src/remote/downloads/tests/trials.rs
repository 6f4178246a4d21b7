//! Servers that misbehave in the ways that people have met, and mixes of all of them.

use pixelrts_testing::fault_server::{After, FaultServer, Logged, Reply};
use proptest::prelude::*;

use super::*;

/// More than a piece, so that a piece is not the whole.
const SIZE: u32 = 3 << 20;

/// The chunks of a PNG file, with noise instead of pixels.
fn picture(size: u32) -> Vec<u8> {
    let noise: Vec<u8> = (0..size / 4).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let sides = [size.isqrt().to_be_bytes(), size.isqrt().to_be_bytes()].concat();
    let header = [&sides[..], &[8, 6, 0, 0, 0]].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", &header[..]), (b"tEXt", b"PixelRTS\0{}"), (b"IDAT", &noise[..]), (b"IEND", &[])] {
        file.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        file.extend(kind);
        file.extend(data);
        file.extend([0; 4]);
    }
    file
}

/// A place in which nobody waits long, and nobody is given up for failing often.
fn patient() -> Place {
    let place = place();
    let backoff = Backoff::steps(vec![Duration::from_millis(1)]);
    let timing =
        Timing { stall: Duration::from_millis(300), slow_below: 10_000, slow_over: Duration::from_millis(500) };
    let downloads = Downloads::new(place.store.clone(), Client::default(), place.scope.clone(), backoff, timing);
    Place { downloads, ..place }
}

fn at(server: &FaultServer, fault: &str) -> Mirror {
    let base: Url = format!("{}/", server.base(fault)).parse().unwrap();
    mirror(&fault.replace('/', "-"), &base)
}

fn promised(server: &FaultServer, faults: &[&str]) -> FetchRequest {
    let key = server.sha256().parse().unwrap();
    let mirrors = faults.iter().map(|fault| Mirror { size: Some(server.size()), ..at(server, fault) });
    FetchRequest { key, promise: Promise::Digest(key), mirrors: mirrors.collect(), listed: Vec::new() }
}

fn by_address(server: &FaultServer, fault: &str) -> FetchRequest {
    let mirror = at(server, fault);
    let key = digest(mirror.url.as_str().as_bytes());
    FetchRequest { key, promise: Promise::Checked(|_| Ok(())), mirrors: vec![mirror], listed: Vec::new() }
}

async fn fetched(place: &Place, wanted: FetchRequest) -> Vec<u8> {
    let cached = tokio::time::timeout(Duration::from_secs(60), place.downloads.fetch(wanted)).await;
    std::fs::read(cached.expect("it comes to an end").unwrap().path).unwrap()
}

fn ranges(server: &FaultServer, fault: &str) -> Vec<Option<u64>> {
    let from =
        |logged: &Logged| logged.request.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok();
    server.image_requests(fault).iter().map(from).collect()
}

#[tokio::test]
async fn whatever_a_request_can_get_is_fetched_without_sending_it_twice() {
    for fault in [
        "ok",
        "chunked",
        "gzip",
        "http10",
        "closeka",
        "short206",
        "star206",
        "mirrors",
        "disc1m",
        "signed",
        "signedmid",
        "short",
        "cut/400000",
    ] {
        let (place, image) = (patient(), picture(SIZE));
        let server = FaultServer::start(image.clone());
        let size = server.size();
        if fault == "short" {
            // It contradicts its catalog, so another source is needed.
            assert!(fetched(&place, promised(&server, &[fault, "ok"])).await == image, "{fault}");
            continue;
        }
        assert!(fetched(&place, promised(&server, &[fault])).await == image, "{fault}");
        let sent = server.image_bytes(fault);
        let requests = server.image_requests(fault).len() as u64;
        assert!(sent <= size + size / 100 + requests * (256 << 10), "{fault}: {sent} of {size} in {requests} requests");
    }
}

#[tokio::test]
async fn an_address_without_a_promise_is_fetched_from_the_same_servers() {
    for fault in
        ["ok", "chunked", "gzip", "http10", "closeka", "short206", "mirrors", "signed", "whole200", "cut/400000"]
    {
        let (place, image) = (patient(), picture(SIZE));
        let server = FaultServer::start(image.clone());
        assert!(fetched(&place, by_address(&server, fault)).await == image, "{fault}");
    }
}

#[tokio::test]
async fn mirrors_with_other_etags_continue_each_others_bytes() {
    let (place, image) = (patient(), picture(SIZE));
    let server = FaultServer::start(image.clone());
    assert!(fetched(&place, promised(&server, &["mirrors"])).await == image);
    let ranges = ranges(&server, "mirrors");
    assert!(ranges.len() <= 6, "{ranges:?}");
    assert!(ranges.is_sorted(), "it never began again: {ranges:?}");
}

#[tokio::test]
async fn the_whole_for_a_range_is_skipped_to_where_it_is_new() {
    let (place, image) = (patient(), picture(SIZE));
    let server = FaultServer::start(image.clone());
    assert!(fetched(&place, promised(&server, &["whole200"])).await == image);
    assert_eq!(server.image_requests("whole200").len(), 2);
}

#[tokio::test]
async fn a_server_that_is_busy_says_when_it_is_asked_again_and_that_is_shown() {
    let (place, image) = (patient(), picture(SIZE));
    let server = FaultServer::deciding(image.clone(), |request| {
        (request.number < 3).then(|| Reply::new(429).with("Retry-After", 1))
    });
    let interest = place.downloads.join(promised(&server, &["busy"]));
    let mut shown = interest.watch();
    let waiting = shown.wait_for(|now| now.waits_for.is_some()).await.unwrap().clone();
    assert_eq!(waiting.waits_for.as_deref(), Some("busy asks to wait 1 s."));
    assert_eq!((waiting.stage, waiting.next_try_seconds), (DownloadStage::Queued, Some(1)));
    assert!(waiting.problem.is_some());
    let begun = std::time::Instant::now();
    interest.outcome().await.unwrap();
    assert!(begun.elapsed() > Duration::from_millis(1500), "it waits as it was told");
    assert_eq!(interest.now().waits_for, None);
}

#[tokio::test]
async fn wrong_bytes_cost_one_clean_try_and_then_the_reason_is_known() {
    let (place, image) = (patient(), picture(SIZE));
    let server = FaultServer::start(image.clone());
    for (fault, most) in [("discwrong", 4), ("wrong", 1), ("lie206", 40)] {
        let problem = place.downloads.fetch(promised(&server, &[fault])).await.unwrap_err();
        assert_eq!(problem.code, ProblemCode::HashMismatch, "{fault}: {problem}");
        let requests = server.image_requests(fault).len();
        assert!(requests <= most, "{fault}: {requests} requests");
    }
    assert!(fetched(&place, promised(&server, &["discwrong", "wrong", "lie206", "ok"])).await == image);
}

#[tokio::test]
async fn what_is_no_image_is_named_in_words_after_its_first_bytes() {
    let place = patient();
    let server = FaultServer::start(picture(SIZE));
    for (fault, words) in [("html", "Log in to HotelNet"), ("webp", "WebP"), ("endless", "zeros")] {
        for wanted in [by_address(&server, fault), promised(&server, &[fault])] {
            let problem = place.downloads.fetch(wanted).await.unwrap_err();
            assert!(problem.to_string().contains(words), "{fault}: {problem}");
            assert!(!problem.to_string().contains('['), "{fault}: {problem}");
        }
    }
    assert!(nothing_left(&place));
}

#[tokio::test]
async fn an_image_that_nobody_has_announced_has_a_limit() {
    let place = patient();
    let server = FaultServer::start(picture(SIZE));
    place.store.set_limits(crate::cache::Limits { max_size: 1 << 20, ttl: Duration::from_secs(3600) });
    for fault in ["ok", "chunkedendless"] {
        let problem = place.downloads.fetch(by_address(&server, fault)).await.unwrap_err();
        assert!(problem.to_string().contains("cache.max_size"), "{fault}: {problem}");
    }
}

#[tokio::test]
async fn a_server_that_lies_about_the_size_or_stalls_or_is_slow_keeps_no_other_one_from_serving() {
    for fault in ["catsize7", "hangmid", "hanghead", "rate/1000", "norangealt", "etagflip", "e503", "less", "onebyte"] {
        let (place, image) = (patient(), picture(SIZE));
        let server = FaultServer::start(image.clone());
        let mut wanted = promised(&server, &[fault, "ok"]);
        if fault == "catsize7" {
            wanted.mirrors[0].size = Some(7);
        }
        if fault == "hanghead" {
            // The client waits for a head on its own.
            continue;
        }
        assert!(fetched(&place, wanted).await == image, "{fault}");
    }
}

#[tokio::test]
async fn an_address_that_promises_more_than_it_has_ends_with_the_reason_at_once() {
    let size = picture(SIZE).len();
    // The whole image under a larger length, a part of it under the right one: always from the first byte.
    for (sent, announced) in [(size, size + 1000), (size / 2, size)] {
        let place = patient();
        let server = FaultServer::deciding(picture(SIZE), move |_| {
            let whole = Reply::with_body(200, "image/png", &picture(SIZE)[..sent]).with("ETag", "\"1\"");
            Some(whole.with("Content-Length", announced).then(After::Close))
        });
        let problem = place.downloads.fetch(by_address(&server, "more")).await.unwrap_err();
        assert_eq!(problem.code, ProblemCode::WrongLength, "{problem}");
        assert!(
            problem.to_string().contains(&format!("announces {announced} bytes and ends after {sent}")),
            "{problem}"
        );
        assert!(server.requests().len() <= 2, "{:?}", server.requests());
    }
    let (place, server) = (patient(), FaultServer::start(picture(SIZE)));
    let problem = place.downloads.fetch(by_address(&server, "short")).await.unwrap_err();
    assert_eq!((problem.code, server.image_requests("short").len()), (ProblemCode::WrongLength, 1), "{problem}");
}

#[tokio::test]
async fn a_body_without_an_end_is_left_where_the_image_ends() {
    let image = picture(SIZE);
    let zeros: &[u8] = &[0; 65536];
    let mut idat = 65_524_u32.to_be_bytes().to_vec();
    idat.extend(b"IDAT");
    idat.resize(65536, 7);
    for (first, then, words) in [
        // Behind the image, in the middle of its chunks, and chunks without an end.
        (&image[..], zeros, "an end at byte"),
        (&image[..33], zeros, "a part of a picture from byte 33 on"),
        (&image[..33], &idat[..], "or before it"),
    ] {
        let place = patient();
        let (first, then) = (first.to_vec(), then.to_vec());
        let server =
            FaultServer::deciding(Vec::new(), move |_| Some(Reply::new(200).endless(first.clone(), then.clone())));
        let problem = place.downloads.fetch(by_address(&server, "endless")).await.unwrap_err();
        assert!(problem.to_string().contains(words), "{problem}");
        assert!(nothing_left(&place));
        let most = 64 << 20;
        assert!(server.image_bytes("endless") < most, "{} bytes for {words}", server.image_bytes("endless"));
    }
    // A little behind the end is what some programs write.
    let place = patient();
    let longer = [&image[..], b"made by a program\n"].concat();
    let server = FaultServer::start(longer.clone());
    assert!(fetched(&place, by_address(&server, "chunked")).await == longer);
}

#[tokio::test]
async fn an_address_whose_answers_are_all_of_other_versions_is_taken_in_one_piece_or_left() {
    // By a promise the bytes count.
    let (place, image) = (patient(), picture(SIZE));
    let server = FaultServer::start(image.clone());
    let interest = place.downloads.join(promised(&server, &["etagflip"]));
    let mut shown = interest.watch();
    shown.wait_for(|now| now.received > u64::from(SIZE) * 4 / 5).await.unwrap();
    drop(interest);
    assert!(fetched(&place, promised(&server, &["etagflip", "ok"])).await == image);
    let sent = server.image_bytes("ok");
    assert!(sent < server.size() / 4, "the bytes of the first were kept: {sent}");
    // By an address they cannot be put together, and no answer is complete.
    let (place, server) = (patient(), FaultServer::start(image.clone()));
    let problem = place.downloads.fetch(by_address(&server, "etagflip")).await.unwrap_err();
    assert!(problem.to_string().contains("another version (ETag)"), "{problem}");
    let whole = server.image_requests("etagflip").iter().filter(|logged| logged.did.starts_with("200")).count();
    assert!(whole <= 8, "{whole} answers");
    // The eighth answer is complete.
    let (place, whole) = (patient(), image.clone());
    let server = FaultServer::deciding(image.clone(), move |request| {
        let tag = format!("\"{}\"", request.number);
        let reply = Reply::with_body(200, "image/png", &whole[..]).with("ETag", tag);
        Some(if request.number < 8 { reply.cut(1 << 20).then(After::Reset) } else { reply })
    });
    assert!(fetched(&place, by_address(&server, "flip")).await == image);
}

#[tokio::test]
async fn what_an_address_had_is_used_when_its_server_gives_it_no_more() {
    for status in [401, 403, 404, 410] {
        let (place, image) = (patient(), picture(SIZE));
        let server =
            FaultServer::deciding(image.clone(), move |request| (request.number > 1).then(|| Reply::new(status)));
        let wanted = by_address(&server, "once");
        assert!(fetched(&place, wanted.clone()).await == image);
        let interest = place.downloads.join(wanted);
        assert_eq!(interest.outcome().await.unwrap().digest, digest(&image));
        let note = interest.note().expect("a person is told");
        assert!(note.contains("does not give the image any more"), "{note}");
        assert!(note.contains("the copy on this computer is used"), "{note}");
    }
    let (place, server) = (patient(), FaultServer::start(picture(SIZE)));
    let problem = place.downloads.fetch(by_address(&server, "e404")).await.unwrap_err();
    assert_eq!(problem.code, ProblemCode::RemoteNotFound, "nothing is here");
}

#[tokio::test]
async fn no_file_of_a_download_holds_a_secret_of_its_address() {
    let place = patient();
    let server = FaultServer::start(picture(SIZE));
    let address = format!("{}?token=hunter2", server.image("rate/3000000")).replace("://", "://alice:hunter2@");
    let (endpoint, url) = Endpoint::of_address(address.parse().unwrap());
    let mirrors = vec![Mirror { server: ServerId::from_name("x"), endpoint, url, size: None }];
    let key = digest(address.as_bytes());
    let interest =
        place.downloads.join(FetchRequest { key, promise: Promise::Checked(|_| Ok(())), mirrors, listed: Vec::new() });
    interest.watch().wait_for(|now| now.received > 0).await.unwrap();
    let folder = place.paths.partial().join(key.to_string());
    for file in std::fs::read_dir(&folder).unwrap().flatten() {
        let bytes = std::fs::read(file.path()).unwrap();
        let secret = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
        assert!(!secret(b"hunter2") && !secret(b"alice") && !secret(b"http"), "{}", file.path().display());
    }
    drop(interest);
    // A file of an earlier version.
    let key = digest(b"another");
    let folder = place.paths.partial().join(key.to_string());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("version"), "http://alice:hunter2@host/x?token=hunter2\n\"v1\"").unwrap();
    std::fs::write(folder.join("data"), "bytes").unwrap();
    let partial = place.store.begin(&key).unwrap();
    assert_eq!(partial.validator().as_deref(), Some("\"v1\""));
    assert_eq!(std::fs::read_to_string(folder.join("version")).unwrap(), "\"v1\"");
}

#[tokio::test]
async fn a_picture_that_another_program_has_written_is_named_as_such() {
    let place = patient();
    let server = FaultServer::deciding(picture(SIZE), |_| {
        let mut remade = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, data) in [(b"IHDR", &[0; 13][..]), (b"IDAT", &[0; 4000])] {
            remade.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
            remade.extend(kind);
            remade.extend(data);
            remade.extend([0; 4]);
        }
        Some(Reply::with_body(200, "image/png", remade))
    });
    let problem = place.downloads.fetch(promised(&server, &["remade"])).await.unwrap_err();
    assert!(problem.to_string().contains("another program has written this picture anew"), "{problem}");
}

#[tokio::test]
async fn what_an_address_had_is_not_sent_again_and_is_used_while_its_server_is_away() {
    let (place, image) = (patient(), picture(SIZE));
    let server = FaultServer::start(image.clone());
    let wanted = by_address(&server, "ok");
    assert!(fetched(&place, wanted.clone()).await == image);
    server.forget();
    assert!(fetched(&place, wanted.clone()).await == image);
    assert_eq!((server.image_requests("ok").len(), server.image_bytes("ok")), (1, 0), "it was only asked");
    drop(server);
    let interest = place.downloads.join(wanted.clone());
    assert_eq!(std::fs::read(interest.outcome().await.unwrap().path).unwrap(), image);
    let note = interest.note().expect("a person is told");
    assert!(note.contains("the copy on this computer is used"), "{note}");
    std::fs::remove_file(place.store.find(&digest(&image)).unwrap().unwrap().path).unwrap();
    let interest = place.downloads.join(wanted);
    let mut shown = interest.watch();
    assert!(shown.wait_for(|now| now.problem.is_some()).await.is_ok(), "nothing is here any more");
}

#[tokio::test]
async fn stopping_often_costs_no_bytes_beyond_what_was_on_the_way() {
    let (place, image) = (patient(), picture(SIZE));
    let server = FaultServer::start(image.clone());
    for _ in 0..20 {
        let interest = place.downloads.join(promised(&server, &["rate/3000000"]));
        let mut shown = interest.watch();
        let before = shown.borrow().received;
        let _ = tokio::time::timeout(Duration::from_millis(40), shown.wait_for(|now| now.received > before)).await;
        drop(interest);
        let _ = shown.wait_for(|now| now.stage.is_over()).await;
    }
    assert!(fetched(&place, promised(&server, &["rate/3000000"])).await == image);
    let sent = server.image_bytes("rate/3000000");
    assert!(sent <= server.size() + 20 * (1 << 20), "{sent}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_faults_that_leave_one_honest_source_end_in_the_image(
        seed: u32, faults in 0_u32..12, honest_at in 0_usize..3,
        liars in prop::collection::vec(
            prop::sample::select(vec![
                "wrong", "discwrong", "lie206", "html", "e404", "e500", "etagflip", "less", "norangealt", "mix-quick/1/9",
            ]),
            0..3,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (place, image) = (patient(), picture(1 << 20));
            let server = FaultServer::start(image.clone());
            let honest = format!("mix-quick-sound/{seed}/{faults}");
            let mut sources = liars.clone();
            sources.insert(honest_at.min(liars.len()), &honest);
            prop_assert!(fetched(&place, promised(&server, &sources)).await == image, "{sources:?}");
            if liars.is_empty() {
                // Each request costs a buffer at most, unless the server sends the whole for a range.
                let requests = server.image_requests(&honest);
                let again = requests.iter().filter(|logged| logged.did.starts_with("200")).count() as u64;
                let sent = server.image_bytes(&honest);
                let bound = server.size() * (again + 1) + requests.len() as u64 * (256 << 10);
                prop_assert!(sent <= bound, "{sent} bytes in {requests:?}");
            }
            Ok(())
        })?;
    }
}
