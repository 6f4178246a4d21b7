use super::*;
use proptest::prelude::*;

const REPEATS: Repeats = Repeats { redirect: true, versions: 1 };

fn validator(text: &str) -> Option<Validator> {
    Validator::parse(text)
}

/// 40 of 100 bytes are here.
fn promised() -> Here {
    Here { received: 40, promised: true, validator: None, size: Some(100), copy: None }
}

fn unpromised() -> Here {
    Here { received: 40, promised: false, validator: validator("\"1\""), size: None, copy: None }
}

fn nothing(here: Here) -> Here {
    Here { received: 0, validator: None, ..here }
}

/// A head in one line: the status, then headers.
fn reply(text: &str) -> Reply {
    let mut lines = text.split("; ");
    let status = lines.next().unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()));
    Reply::new(status, &headers.collect::<HeaderMap>(), false, false)
}

fn step(here: &Here, text: &str) -> Step {
    decide(&Request::new(here, false), &reply(text), here, REPEATS)
}

fn take(from: u64, until: Option<u64>, whole: Option<u64>) -> Step {
    Step::Take(Part { from, until, whole, anew: false, marked: true, compressed: false })
}

fn anew(whole: u64) -> Step {
    Step::Take(Part { from: 0, until: Some(whole), whole: Some(whole), anew: true, marked: true, compressed: false })
}

#[test]
fn promised_bytes_are_kept_whatever_the_head_says() {
    let here = promised();
    assert_eq!(Request::new(&here, false).headers().len(), 2, "a range, no encoding, and no condition");
    let all = Some(100);
    for (text, expected) in [
        ("206; content-range: bytes 40-99/100; content-length: 60; etag: \"2\"", take(40, all, all)),
        // Shorter than asked, without the size of the whole, with bytes that are here already.
        ("206; content-range: bytes 40-49/100; content-length: 10", take(40, Some(50), all)),
        ("206; content-range: bytes 40-99/*; content-length: 60", take(40, all, all)),
        ("206; content-range: bytes 10-99/100; content-length: 90", take(10, all, all)),
        // Elsewhere, nowhere, several.
        ("206; content-range: bytes 47-99/100; content-length: 53", Step::AskWhole),
        ("206; content-range: bytes 0-39/100; content-length: 40", Step::AskWhole),
        ("206; content-length: 50", Step::AskWhole),
        ("206; content-range: bytes */100; content-length: 100", Step::AskWhole),
        // What servers write wrong, where the digest would show a mistake.
        ("206; content-length: 60", take(40, all, all)),
        ("206; content-range: bytes */100; content-length: 60", take(40, all, all)),
        ("206; content-range: Bytes=40-99/100; content-length: 60", take(40, all, all)),
        ("206; content-range: bytes 40-100/100; content-length: 60", take(40, all, all)),
        ("200; content-range: bytes 40-99/100; content-length: 60", take(40, all, all)),
        ("200; content-range: bytes 0-99/100; content-length: 100", take(0, all, all)),
        ("200; content-length: 7; transfer-encoding: chunked", take(0, None, all)),
        ("200; content-length: 100; content-encoding: utf-8", take(0, all, all)),
        // The range of a compressed file is not that of the image.
        ("206; content-range: bytes 40-59/60; content-length: 20; content-encoding: gzip", Step::AskWhole),
        ("206; content-range: bytes 99-40/100", Step::AskWhole),
        ("206; content-range: bytes 40-99/100; content-type: multipart/byteranges", Step::AskWhole),
        // The whole for a range.
        ("200; content-length: 100", take(0, all, all)),
        ("412; etag: \"2\"", Step::AskWhole),
        ("416; content-range: bytes */100", Step::AskWhole),
        ("416", Step::AskWhole),
        ("416; content-range: bytes */40", Step::Complete),
        ("416; content-range: bytes */7", Step::Shorter { whole: 7 }),
        ("206; content-range: bytes 40-49/50", Step::OtherSize { announced: 100, found: 50 }),
        ("200; content-length: 99", Step::OtherSize { announced: 100, found: 99 }),
        ("304", Step::Status),
        ("404", Step::Status),
        ("503", Step::Status),
    ] {
        assert_eq!(step(&here, text), expected, "{text}");
    }
    let unknown = Here { size: None, ..promised() };
    assert_eq!(step(&unknown, "200; content-length: 39"), Step::Shorter { whole: 39 });
    assert_eq!(step(&unknown, "200; content-length: 40"), Step::Complete);
    let unmarked = Part { from: 0, until: None, whole: None, anew: false, marked: false, compressed: false };
    assert_eq!(step(&unknown, "200"), Step::Take(unmarked));
    assert_eq!(step(&unknown, "200; transfer-encoding: chunked"), Step::Take(Part { marked: true, ..unmarked }));
}

#[test]
fn without_a_promise_bytes_of_two_versions_are_never_put_together() {
    let here = unpromised();
    assert_eq!(Request::new(&here, false).headers()[IF_RANGE], "\"1\"");
    for (text, expected) in [
        ("206; content-range: bytes 40-99/100; content-length: 60; etag: \"1\"", take(40, Some(100), Some(100))),
        ("206; content-range: bytes 40-99/100; content-length: 60; etag: \"2\"", Step::AskSameVersion),
        ("200; content-length: 100; etag: \"1\"", take(0, Some(100), Some(100))),
        ("200; content-length: 100; etag: \"2\"", Step::AskSameVersion),
        ("416; content-range: bytes */40; etag: \"1\"", Step::Complete),
        ("416; content-range: bytes */40; etag: \"2\"", Step::AskSameVersion),
        ("412; etag: \"2\"", Step::AskSameVersion),
    ] {
        assert_eq!(step(&here, text), expected, "{text}");
    }
    let patience_is_over = Repeats { versions: 0, ..REPEATS };
    for text in ["206; content-range: bytes 40-99/100; etag: \"2\"", "416; content-range: bytes */40; etag: \"2\""] {
        let decided = decide(&Request::new(&here, false), &reply(text), &here, patience_is_over);
        assert_eq!(decided, Step::AskWhole, "{text}");
    }
    let other = reply("200; content-length: 100; etag: \"2\"");
    assert_eq!(decide(&Request::new(&here, false), &other, &here, patience_is_over), anew(100));
    let unversioned = Here { validator: None, ..unpromised() };
    assert_eq!(Request::new(&unversioned, false).from, 0, "nothing proves what the rest belongs to");
    assert_eq!(step(&unversioned, "200; content-length: 100"), anew(100));
    let weak = Here { validator: validator("W/\"1\""), ..unpromised() };
    assert_eq!(step(&weak, "200; content-length: 100; etag: W/\"1\""), anew(100));
}

#[test]
fn a_request_for_the_whole_gets_it_or_makes_no_sense() {
    for here in [nothing(promised()), nothing(unpromised())] {
        let whole = here.size.or(Some(100));
        assert_eq!(step(&here, "200; content-length: 100"), take(0, Some(100), whole));
        assert_eq!(step(&here, "206; content-range: bytes 0-49/100; content-length: 50"), take(0, Some(50), whole));
        for nonsense in ["206; content-range: bytes 5-99/100", "206", "412", "416; content-range: bytes */100"] {
            assert_eq!(step(&here, nonsense), Step::Nonsense, "{nonsense}");
        }
    }
}

#[test]
fn an_address_behind_a_redirect_that_has_expired_leads_back_to_the_original_one_once() {
    let here = promised();
    for status in [401, 403, 404, 410] {
        let reply = Reply { status, redirected: true, ..Reply::default() };
        let decided = |redirect| decide(&Request::new(&here, false), &reply, &here, Repeats { redirect, versions: 0 });
        assert_eq!((decided(true), decided(false)), (Step::AskOriginal, Step::Status));
    }
}

#[test]
fn a_copy_that_is_here_is_not_sent_again() {
    let here = Here { copy: validator("\"1\""), ..nothing(unpromised()) };
    assert_eq!(Request::new(&here, false).headers()["if-none-match"], "\"1\"");
    assert_eq!(step(&here, "304; etag: \"1\""), Step::Unchanged);
    assert_eq!(step(&here, "200; content-length: 100; etag: \"1\""), Step::Unchanged, "it ignores conditions");
    assert_eq!(step(&here, "200; content-length: 100; etag: \"2\""), take(0, Some(100), Some(100)));
}

proptest! {
    #[test]
    fn no_head_makes_a_splice_or_loses_promised_bytes(
        status in prop::sample::select(vec![200_u16, 203, 206, 304, 403, 412, 416, 429, 500]),
        range in prop::option::of((0_u64..120, 0_u64..120)),
        total in prop::option::of(0_u64..120),
        length in prop::option::of(0_u64..120),
        tag in prop::option::of(prop::sample::select(vec!["\"1\"", "\"2\"", "W/\"1\""])),
        ours in prop::option::of(prop::sample::select(vec!["\"1\"", "W/\"1\""])),
        received in 0_u64..100, size in prop::option::of(1_u64..120),
        promised: bool, whole: bool, redirected: bool, compressed: bool, versions in 0_u32..2,
    ) {
        let ours = ours.filter(|_| received > 0 && !promised).and_then(validator);
        let size = size.filter(|_| promised);
        let here = Here { received, promised, validator: ours.clone(), size, copy: None };
        let request = Request::new(&here, whole);
        let found = tag.and_then(validator);
        let fits = range.filter(|(first, last)| first <= last && *last < total.unwrap_or(u64::MAX));
        let reply = Reply {
            status, range: fits, whole: total, length, validator: found.clone(), marked: true, redirected, compressed,
            several: false,
        };
        match decide(&request, &reply, &here, Repeats { redirect: true, versions }) {
            Step::Take(part) => {
                prop_assert!(part.from <= received, "a gap");
                prop_assert!(!(promised && part.anew), "promised bytes are thrown away");
                prop_assert!(!part.anew || part.from == 0);
                if status == 206 && !part.anew {
                    prop_assert!(part.until.is_some_and(|until| until > received), "nothing new");
                }
                if !promised && received > 0 && !part.anew {
                    let same = ours.is_some() && found == ours && ours.is_some_and(|ours| ours.is_strong());
                    let by_condition = status == 206 && request.if_range.is_some();
                    prop_assert!(same || by_condition, "a splice");
                }
            }
            Step::AskWhole => prop_assert!(request.from > 0, "the same request again"),
            Step::Complete => prop_assert!(received > 0),
            _ => {}
        }
    }

    #[test]
    fn no_content_range_panics(text in "(bytes )?[0-9*/= -]{0,30}") {
        if let (Some((first, last)), whole) = content_range(&text) {
            prop_assert!(first <= last && whole.is_none_or(|whole| last < whole));
        }
    }
}

#[test]
fn a_content_range_is_read_leniently_and_never_beyond_its_size() {
    assert_eq!(content_range("bytes 5-9/10"), (Some((5, 9)), Some(10)));
    assert_eq!(content_range("bytes 5-9/*"), (Some((5, 9)), None));
    assert_eq!(content_range("bytes */10"), (None, Some(10)));
    assert_eq!(content_range("BYTES=5-9/10"), (Some((5, 9)), Some(10)));
    assert_eq!(content_range("bytes 5-10/10"), (Some((5, 9)), Some(10)), "some count the byte behind");
    for text in ["", "bytes 9-5/10", "bytes 5-11/10", "bytes 10-10/10", "5-9/10", "bytes 5-9", "items 5-9/10"] {
        assert_eq!(content_range(text), (None, None), "{text}");
    }
}
