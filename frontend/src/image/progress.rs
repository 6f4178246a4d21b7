//! How much of an image a download has brought, and how its picture shows that: as a gradient with a hard stop.
//!
//! The file is sequential, so what has arrived is the top of the picture: strip *i* of *n* is the band from *i/n* to
//! *(i+1)/n*. A strip that is not complete is not shown.

use pixelrts_shared::catalog::Entry;
use pixelrts_shared::download::{Download, DownloadStage};

/// The pixels of one strip of a streamable image.
const STRIP: u64 = 65_536;

/// The share of an image that a download has brought, in thousandths. A download that failed with all its bytes was
/// refused, and nothing of it was kept.
#[must_use]
pub fn of(download: &Download, entry: &Entry) -> u16 {
    let total = download.total.unwrap_or(entry.size);
    match download.stage {
        DownloadStage::Failed if download.received >= total => 0,
        _ => thousandths(download.received, total, strips(entry)),
    }
}

/// The share of the picture's height that is here, in thousandths, cut to whole strips.
#[must_use]
pub fn thousandths(received: u64, total: u64, strips: u64) -> u16 {
    let (received, total, strips) =
        (u128::from(received.min(total)), u128::from(total.max(1)), u128::from(strips.max(1)));
    let complete = received * strips / total;
    u16::try_from(complete * 1000 / strips).unwrap_or(1000)
}

/// The number of strips of a picture, or of its rows when it has no strips.
#[must_use]
pub fn strips(entry: &Entry) -> u64 {
    let (width, height) = (u64::from(entry.width.unwrap_or(0)), u64::from(entry.height.unwrap_or(0)));
    match width.saturating_mul(height) {
        0 => 1000,
        pixels if entry.index_sha256.is_some() && pixels.is_multiple_of(STRIP) => pixels / STRIP,
        _ => height,
    }
}

/// A CSS gradient from one edge to the other: `ink` for the part that is here, then nothing.
#[must_use]
pub fn gradient(degrees: u16, ink: &str, thousandths: u16) -> String {
    let (whole, tenth) = (thousandths / 10, thousandths % 10);
    format!("linear-gradient({degrees}deg,{ink} {whole}.{tenth}%,#0000 0)")
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    proptest! {
        #[test]
        fn never_more_than_is_here(received: u64, total in 1u64.., strips in 1u64..1_000_000) {
            let received = received.min(total);
            let shown = thousandths(received, total, strips);
            prop_assert!(shown <= 1000);
            prop_assert!(u128::from(shown) * u128::from(total) <= u128::from(received) * 1000);
            prop_assert_eq!(thousandths(total, total, strips), 1000);
        }
    }

    #[test]
    fn only_complete_strips_are_shown() {
        assert_eq!(thousandths(74, 100, 4), 500);
        assert_eq!(thousandths(75, 100, 4), 750);
        assert_eq!(thousandths(7, 0, 0), 0);
    }

    #[test]
    fn an_image_that_was_refused_is_not_here() {
        let sha256 = "00".repeat(32);
        let entry = json!({"id": "e", "name": "E", "size": 100, "sha256": sha256, "segments": []});
        let entry: Entry = serde_json::from_value(entry).unwrap();
        let share = |stage, received| {
            let download = json!({
                "id": &sha256[..16], "key": sha256, "stage": stage, "received": received, "total": 100, "attempt": 1
            });
            of(&serde_json::from_value(download).unwrap(), &entry)
        };
        assert_eq!([share("verifying", 100), share("failed", 100), share("failed", 50)], [1000, 0, 500]);
    }

    #[test]
    fn a_gradient_has_one_hard_stop() {
        assert_eq!(gradient(180, "#000", 433), "linear-gradient(180deg,#000 43.3%,#0000 0)");
    }
}
