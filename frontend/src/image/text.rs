//! What an image is doing, in words.

use pixelrts_shared::catalog::{Entry, MergedEntry};
use pixelrts_shared::download::Download;

use super::condition::Condition;
use super::state::State;
use crate::words;

/// What assistive technology says when the condition of an image changes.
#[must_use]
pub fn announcement(name: &str, condition: &Condition, here: bool) -> String {
    match condition {
        Condition::Downloading(download) => {
            let total = download.total.unwrap_or(0);
            format!("{name}: {} percent", words::percent(download.received, total))
        }
        other => format!("{name}: {}", State::of(other.status(), here).word()),
    }
}

/// `debian, x86-64`
#[must_use]
pub fn system(entry: &Entry) -> String {
    let architecture = entry.architecture.as_ref().map(|name| name.replace('_', "-"));
    [entry.distro.as_deref().map(str::to_owned), architecture].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The distribution of an image, as lists and headings name it.
#[must_use]
pub fn distribution(entry: &Entry) -> String {
    entry.distro.as_deref().map_or_else(|| "Other".to_owned(), str::to_owned)
}

/// `x86-64`
#[must_use]
pub fn architecture(entry: &Entry) -> String {
    entry.architecture.as_ref().map_or_else(|| "Not said".to_owned(), |name| name.replace('_', "-"))
}

/// How long ago something was, as roughly as people say it: `12 min ago`, `yesterday`, `3 weeks ago`.
#[must_use]
pub fn ago(seconds: u64) -> String {
    const DAY: u64 = 86_400;
    match seconds {
        0..60 => "just now".to_owned(),
        60..3_600 => format!("{}\u{a0}min ago", seconds / 60),
        3_600..DAY => format!("{}\u{a0}h ago", seconds / 3_600),
        _ => match seconds / DAY {
            1 => "yesterday".to_owned(),
            days @ ..14 => format!("{days}\u{a0}days ago"),
            days @ 14..60 => format!("{}\u{a0}weeks ago", days / 7),
            days @ 60..730 => format!("{}\u{a0}months ago", days / 30),
            days => format!("{}\u{a0}years ago", days / 365),
        },
    }
}

/// For the card: `debian, x86-64, 424 MB`.
#[must_use]
pub fn facts(entry: &Entry) -> String {
    let (system, size) = (system(entry), words::bytes(entry.size));
    if system.is_empty() { size } else { format!("{system}, {size}") }
}

/// For the card of an image at rest: what Boot has to do first. `kept` bytes of it are here from an earlier download.
#[must_use]
pub fn cost(entry: &MergedEntry, kept: u64) -> String {
    let size = entry.entry.size;
    match kept.min(size) {
        _ if entry.cached => "Works without a network".to_owned(),
        0 => format!("Boot fetches {}", words::bytes(size)),
        kept => format!("Boot fetches {}, {} are here", words::bytes(size - kept), words::bytes(kept)),
    }
}

/// `9.00 MB/s, 6 s left`, as far as it is known.
#[must_use]
pub fn pace(download: &Download) -> String {
    [rate(download), time_left(download)].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[must_use]
pub fn rate(download: &Download) -> Option<String> {
    download.bytes_per_second.map(words::rate)
}

#[must_use]
pub fn time_left(download: &Download) -> Option<String> {
    download.eta_seconds.map(|seconds| format!("{} left", words::estimate(seconds)))
}

/// How far a download is, or why it waits to be tried again.
#[must_use]
pub fn progress(download: &Download, entry: &Entry) -> String {
    match &download.problem {
        Some(problem) => format!("{} {}", words::closed(&problem.what), words::sentence(&problem.why)),
        None => {
            let total = download.total.unwrap_or(entry.size);
            let (share, percent) = (words::share(download.received, total), words::percent(download.received, total));
            format!("{share}, {percent} %")
        }
    }
}

/// What a download waits for, or why it is tried again.
#[must_use]
pub fn interruption(download: &Download) -> String {
    let why = download.problem.as_ref().map(|problem| &problem.what);
    download
        .waits_for
        .as_ref()
        .or(why)
        .map_or_else(|| "The last attempt failed.".to_owned(), |text| words::closed(text))
}

/// Which attempt it is, and when it follows. The backend names the time once and not every second, so the text says only
/// what stays true.
#[must_use]
pub fn attempt(download: &Download) -> String {
    let attempt = download.attempt;
    match download.next_try_seconds {
        Some(seconds) if seconds > 0 => format!("attempt {attempt} within {}", words::span(seconds)),
        _ => format!("attempt {attempt}"),
    }
}

/// What is here already: the next attempt continues there.
#[must_use]
pub fn kept(download: &Download, entry: &Entry) -> String {
    match download.received {
        0 => "Nothing has arrived yet.".to_owned(),
        received => format!("{} are kept.", words::share(received, download.total.unwrap_or(entry.size))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::condition::tests::{download, entry, refusal};
    use super::*;

    #[test]
    fn a_card_says_what_boot_costs_before_it_is_pressed() {
        let costs = |cached, kept| cost(&entry(cached, &[]), kept).replace('\u{a0}', " ");
        assert_eq!(costs(true, 0), "Works without a network");
        assert_eq!(costs(false, 0), "Boot fetches 100 B");
        assert_eq!(costs(false, 40), "Boot fetches 60 B, 40 B are here");
        assert_eq!(costs(false, 1000), "Boot fetches 0 B, 100 B are here", "a server that lies about the size");
        assert_eq!(facts(&entry(false, &[]).entry), "100\u{a0}B");
    }

    #[test]
    fn a_download_says_how_far_it_is_and_how_fast() {
        let known = Download { bytes_per_second: Some(9_000_000), eta_seconds: Some(6), ..download("downloading", 1) };
        assert_eq!(pace(&known), "9.00\u{a0}MB/s, 6\u{a0}s left");
        assert_eq!(pace(&download("downloading", 1)), "");
        assert_eq!(progress(&known, &entry(false, &[]).entry), "10\u{a0}of\u{a0}100\u{a0}B, 10 %");
    }

    #[test]
    fn an_interrupted_download_says_why() {
        let plain = download("connecting", 3);
        assert_eq!(interruption(&plain), "The last attempt failed.");
        assert_eq!(attempt(&plain), "attempt 3");
        let entry = entry(false, &[]).entry;
        assert_eq!(kept(&plain, &entry), "10\u{a0}of\u{a0}100\u{a0}B are kept.");
        assert_eq!(kept(&Download { received: 0, ..plain.clone() }, &entry), "Nothing has arrived yet.");
        let asked = "The server asks to wait 4 s.".to_owned();
        let busy = Download { waits_for: Some(asked.clone()), next_try_seconds: Some(4), ..plain.clone() };
        assert_eq!(interruption(&busy), asked);
        assert_eq!(attempt(&busy), "attempt 3 within 4\u{a0}s");
        let refused = Download { problem: Some(refusal()), ..plain };
        assert_eq!((&*interruption(&refused), &*progress(&refused, &entry)), ("what.", "what. Why."));
    }

    #[test]
    fn a_past_moment_is_said_as_roughly_as_people_do() {
        let hours = |hours: u64| ago(hours * 3_600);
        let said = [ago(5), ago(150), hours(5), hours(30), hours(72), hours(24 * 20), hours(24 * 100), hours(24 * 800)];
        let words = [
            "just now",
            "2 min ago",
            "5 h ago",
            "yesterday",
            "3 days ago",
            "2 weeks ago",
            "3 months ago",
            "2 years ago",
        ];
        assert_eq!(said.map(|text| text.replace('\u{a0}', " ")), words);
    }

    #[test]
    fn assistive_technology_hears_percents_while_bytes_arrive() {
        assert_eq!(
            announcement("Debian", &Condition::Downloading(download("downloading", 1)), false),
            "Debian: 10 percent"
        );
        assert_eq!(announcement("Debian", &Condition::Idle, true), "Debian: On this computer");
    }
}
