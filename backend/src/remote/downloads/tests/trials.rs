//! Servers that misbehave in the ways that people have met, and mixes of all of them.

use pixelrts_testing::fault_server::{FaultServer, Logged, Reply};
use proptest::prelude::*;

use super::*;

/// More than a piece, so that a piece is not the whole.
const SIZE: u32 = 3 << 20;

fn picture(size: u32) -> Vec<u8> {
    let noise = (0..size / 4).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes());
    b"\x89PNG\r\n\x1a\n".iter().copied().chain(noise).collect()
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
