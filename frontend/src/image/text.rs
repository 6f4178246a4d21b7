//! What an image is doing, in words.

use pixelrts_shared::catalog::{Entry, MergedEntry};
use pixelrts_shared::download::Download;

use super::condition::Condition;
use crate::words;

/// What assistive technology says when the condition of an image changes.
#[must_use]
pub fn announcement(name: &str, condition: &Condition) -> String {
    match condition {
        Condition::Downloading(download) => {
            let total = download.total.unwrap_or(0);
            format!("{name}: {} percent", words::percent(download.received, total))
        }
        other => format!("{name}: {}", other.status().word()),
    }
}

/// `debian, x86-64`
#[must_use]
pub fn system(entry: &Entry) -> String {
    let architecture = entry.architecture.as_ref().map(|name| name.replace('_', "-"));
    [entry.distro.as_deref().map(str::to_owned), architecture].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Whether an image is on this computer, and otherwise whether it can be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    Here,
    Fetchable,
    Nowhere,
}

impl Availability {
    #[must_use]
    pub fn of(entry: &MergedEntry, condition: &Condition) -> Self {
        match (entry.cached, condition) {
            (true, _) => Self::Here,
            (false, Condition::Unavailable(_)) => Self::Nowhere,
            (false, _) => Self::Fetchable,
        }
    }

    /// For the card of the image.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Here => "Works offline",
            Self::Fetchable => "Needs network",
            Self::Nowhere => "Not on this computer",
        }
    }

    /// What a boot will do first; nothing where there can be none.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Here => "All of it is here and verified. It works offline.",
            Self::Fetchable => "Boot downloads it first.",
            Self::Nowhere => "",
        }
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

/// When the next attempt is, and where it begins. The backend names the time once and not every second, so the text says
/// only what stays true.
#[must_use]
pub fn next_attempt(download: &Download) -> String {
    let attempt = download.attempt;
    let when = match download.next_try_seconds {
        Some(seconds) if seconds > 0 => format!("Attempt {attempt} follows within {}.", words::span(seconds)),
        _ => format!("This is attempt {attempt}."),
    };
    format!("{when} It continues where it stopped.")
}

#[cfg(test)]
mod tests {
    use super::super::condition::tests::{download, entry, refusal};
    use super::*;

    #[test]
    fn an_image_works_offline_only_if_it_is_here() {
        let unavailable = Condition::Unavailable("why".to_owned());
        for (cached, condition, word, sentence) in [
            (true, &Condition::Idle, "Works offline", "All of it is here and verified. It works offline."),
            (true, &unavailable, "Works offline", "All of it is here and verified. It works offline."),
            (false, &Condition::Idle, "Needs network", "Boot downloads it first."),
            (false, &unavailable, "Not on this computer", ""),
        ] {
            let availability = Availability::of(&entry(cached, &[]), condition);
            assert_eq!((availability.word(), availability.sentence()), (word, sentence));
        }
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
        assert_eq!(next_attempt(&plain), "This is attempt 3. It continues where it stopped.");
        let asked = "The server asks to wait 4 s.".to_owned();
        let busy = Download { waits_for: Some(asked.clone()), next_try_seconds: Some(4), ..plain.clone() };
        assert_eq!(interruption(&busy), asked);
        assert_eq!(next_attempt(&busy), "Attempt 3 follows within 4\u{a0}s. It continues where it stopped.");
        let refused = Download { problem: Some(refusal()), ..plain };
        assert_eq!((&*interruption(&refused), &*progress(&refused, &entry(false, &[]).entry)), ("what.", "what. Why."));
    }

    #[test]
    fn assistive_technology_hears_percents_while_bytes_arrive() {
        assert_eq!(announcement("Debian", &Condition::Downloading(download("downloading", 1))), "Debian: 10 percent");
        assert_eq!(announcement("Debian", &Condition::Idle), "Debian: Idle");
    }
}
