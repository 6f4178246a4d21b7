//! The downloads that the backend has.

use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::{Digest, DownloadId};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct DownloadList {
    downloads: Vec<Download>,
    /// Finished downloads that the person does not want to see any more.
    cleared: Vec<DownloadId>,
}

/// What an update of downloads led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    pub changed: bool,
    /// An image is complete: the catalog has changed.
    pub arrived: bool,
}

/// All downloads that are under way, together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnderWay {
    pub count: usize,
    pub bytes_per_second: u64,
}

impl DownloadList {
    /// Takes an update of some downloads.
    pub fn accept(&mut self, news: Vec<Download>) -> Accepted {
        let mut accepted = Accepted::default();
        for download in news {
            let held = self.downloads.iter_mut().find(|held| held.id == download.id);
            let before = held.as_ref().map(|held| held.stage);
            accepted.arrived |= download.stage == DownloadStage::Cached && before != Some(DownloadStage::Cached);
            match held {
                Some(held) if *held == download => {}
                Some(held) => {
                    *held = download;
                    accepted.changed = true;
                }
                None => {
                    self.downloads.push(download);
                    accepted.changed = true;
                }
            }
        }
        accepted
    }

    #[must_use]
    pub fn of(&self, key: &Digest) -> Option<&Download> {
        self.downloads.iter().find(|download| download.key == *key)
    }

    #[must_use]
    pub fn get(&self, id: &DownloadId) -> Option<&Download> {
        self.downloads.iter().find(|download| download.id == *id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Download> {
        self.downloads.iter()
    }

    pub fn active(&self) -> impl Iterator<Item = &Download> {
        self.downloads.iter().filter(|download| !download.stage.is_over())
    }

    #[must_use]
    pub fn under_way(&self) -> UnderWay {
        self.active().fold(UnderWay::default(), |sum, download| UnderWay {
            count: sum.count + 1,
            bytes_per_second: sum.bytes_per_second.saturating_add(download.bytes_per_second.unwrap_or(0)),
        })
    }

    /// All downloads except finished ones that were cleared. A cleared download that begins again is shown again.
    #[must_use]
    pub fn shown(&self) -> Vec<DownloadId> {
        let is_cleared = |download: &Download| download.stage.is_over() && self.cleared.contains(&download.id);
        self.downloads.iter().filter(|download| !is_cleared(download)).map(|download| download.id.clone()).collect()
    }

    pub fn clear_finished(&mut self) {
        let over = self.downloads.iter().filter(|download| download.stage.is_over());
        self.cleared = over.map(|download| download.id.clone()).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn download(id: &str, stage: &str, rate: Option<u64>) -> Download {
        serde_json::from_value(json!({
            "id": id.repeat(8), "key": id.repeat(32), "stage": stage, "received": 1, "attempt": 1,
            "bytes_per_second": rate
        }))
        .unwrap()
    }

    #[test]
    fn an_image_arrives_once_and_equal_news_change_nothing() {
        let mut list = DownloadList::default();
        let accept = |list: &mut DownloadList, stage| {
            let Accepted { changed, arrived } = list.accept(vec![download("00", stage, None)]);
            (changed, arrived)
        };
        assert_eq!(accept(&mut list, "downloading"), (true, false));
        assert_eq!(accept(&mut list, "downloading"), (false, false));
        assert_eq!(accept(&mut list, "cached"), (true, true));
        assert_eq!(accept(&mut list, "cached"), (false, false));
    }

    #[test]
    fn only_what_is_under_way_is_counted() {
        let mut list = DownloadList::default();
        list.accept(vec![
            download("00", "downloading", Some(30)),
            download("11", "queued", None),
            download("22", "downloading", Some(12)),
            download("33", "failed", Some(99)),
        ]);
        assert_eq!(list.under_way(), UnderWay { count: 3, bytes_per_second: 42 });
    }

    #[test]
    fn cleared_downloads_are_hidden_until_they_begin_again() {
        let mut list = DownloadList::default();
        list.accept(vec![download("00", "failed", None), download("11", "downloading", None)]);
        list.clear_finished();
        assert_eq!(list.shown(), [download("11", "queued", None).id]);
        list.accept(vec![download("00", "connecting", None)]);
        assert_eq!(list.shown().len(), 2);
    }
}
