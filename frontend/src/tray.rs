//! The tray: the list of downloads, under the wall.

use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::image_status::{self, Status};

use crate::words;

#[cfg(target_arch = "wasm32")]
pub(crate) mod view;

/// A download in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub status: Status,
    pub text: String,
    /// Bytes, or the time that is left.
    pub amount: String,
}

impl Line {
    #[must_use]
    pub fn of(download: &Download) -> Self {
        let total = download.total.unwrap_or(0);
        let percent = words::percent(download.received, total);
        let share = words::share(download.received, total);
        let status = image_status::of_download(download);
        let (text, amount) = match download.stage {
            DownloadStage::Queued | DownloadStage::Connecting if status == Status::Retrying => {
                (format!("Retrying, {percent} % kept"), share)
            }
            DownloadStage::Queued => ("Waiting to start".to_owned(), share),
            DownloadStage::Connecting => ("Connecting".to_owned(), share),
            DownloadStage::Downloading => {
                (format!("Downloading, {percent} %"), download.eta_seconds.map_or(share, words::estimate))
            }
            DownloadStage::Verifying => ("Verifying".to_owned(), share),
            DownloadStage::Cached => ("Cached and verified".to_owned(), words::bytes(total)),
            DownloadStage::Cancelled => (format!("Cancelled, {percent} % kept"), share),
            DownloadStage::Failed => {
                let what = download.problem.as_ref().map(|problem| words::closed(&problem.what));
                (what.unwrap_or_else(|| "Failed".to_owned()), String::new())
            }
        };
        Self { status, text, amount }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::condition::tests::{download, refusal};

    fn line(download: &Download) -> (Status, String, String) {
        let Line { status, text, amount } = Line::of(download);
        (status, text, amount.replace('\u{a0}', " "))
    }

    #[test]
    fn each_stage_has_a_word_and_an_amount() {
        let of = |stage, attempt| line(&download(stage, attempt));
        assert_eq!(of("queued", 1), (Status::Downloading, "Waiting to start".into(), "10 of 100 B".into()));
        assert_eq!(of("connecting", 1), (Status::Downloading, "Connecting".into(), "10 of 100 B".into()));
        assert_eq!(of("connecting", 2), (Status::Retrying, "Retrying, 10 % kept".into(), "10 of 100 B".into()));
        assert_eq!(of("downloading", 1), (Status::Downloading, "Downloading, 10 %".into(), "10 of 100 B".into()));
        assert_eq!(of("cached", 1), (Status::Idle, "Cached and verified".into(), "100 B".into()));
        assert_eq!(of("failed", 1), (Status::Error, "Failed".into(), String::new()));
    }

    #[test]
    fn the_time_that_is_left_is_shown_where_it_is_known_and_a_failure_says_what_happened() {
        let left = Download { eta_seconds: Some(6), ..download("downloading", 1) };
        assert_eq!(line(&left).2, "6 s");
        let failed = Download { problem: Some(refusal()), ..download("failed", 1) };
        assert_eq!(line(&failed).1, "what.");
    }
}
