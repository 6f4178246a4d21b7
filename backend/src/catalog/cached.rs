//! The cache as people see it: images with their names and ids instead of files with digests.

use std::collections::BTreeSet;

use pixelrts_shared::cache::{
    CacheCleared, CacheContents, CachedImage, IncompleteImage, KeptHere, Removed, RemovedKind,
};
use pixelrts_shared::catalog::Entry;
use pixelrts_shared::{Digest, EntryId, Problem, ProblemCode, Span};

use super::{CheckedFile, Library, read};
use crate::cache::{CacheError, Cached, Inventory, Item, KeptImage, Removal};
use crate::task::blocking;

/// So many digits of a digest name an image; fewer are taken for an id or a name only.
const LEAST_DIGITS: usize = 4;

impl Library {
    /// Everything in the cache.
    pub async fn cache(&self) -> Result<CacheContents, Problem> {
        let this = self.clone();
        blocking(move || this.contents()).await
    }

    /// Removes one image, or what has arrived of one.
    pub async fn remove_cached(&self, key: &str) -> Result<CacheCleared, Problem> {
        let (this, key) = (self.clone(), key.to_owned());
        blocking(move || {
            let contents = this.contents()?;
            let digest = match contents.named(&key) {
                Ok(image) => image.sha256,
                Err(problem) if problem.code == ProblemCode::EntryNotFound => {
                    let incomplete = this.incomplete_named(&contents, &key)?.ok_or(problem)?;
                    return this.discard_incomplete(&incomplete);
                }
                Err(problem) => return Err(problem),
            };
            let freed = this.store.discard(&digest)?;
            let reason = "somebody asked for it".to_owned();
            let removed = vec![Removed { key: Some(digest), what: RemovedKind::Image, size: freed, reason }];
            Ok(CacheCleared { freed, removed, kept: Vec::new() })
        })
        .await
    }

    /// The incomplete download that a key means: its digest, the beginning of it, or what catalogs call the image.
    fn incomplete_named(&self, contents: &CacheContents, key: &str) -> Result<Option<IncompleteImage>, Problem> {
        let low = key.to_ascii_lowercase();
        let called = self.look(|view| view.called(key, None))?;
        let is_meant = |one: &&IncompleteImage| {
            (low.len() >= LEAST_DIGITS && one.key.to_string().starts_with(&low)) || called.contains(&one.key)
        };
        let found: Vec<_> = contents.incomplete.iter().filter(is_meant).collect();
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some((*one).clone())),
            several => {
                let candidates = several.iter().map(|one| one.key.to_string()).collect();
                Err(CacheError::Ambiguous { key: key.to_owned(), candidates }.into())
            }
        }
    }

    fn discard_incomplete(&self, one: &IncompleteImage) -> Result<CacheCleared, Problem> {
        let IncompleteImage { key, size, .. } = *one;
        self.store.discard_incomplete(&key)?;
        if let Ok(remote) = self.remote.get() {
            remote.downloads.forget_ended(&key);
        }
        let reason = "somebody asked for it".to_owned();
        let removed = vec![Removed { key: Some(key), what: RemovedKind::Incomplete, size, reason }];
        Ok(CacheCleared { freed: size, removed, kept: Vec::new() })
    }

    /// Pins an image, or unpins it, and returns how it is then.
    pub async fn pin_cached(&self, key: &str, pinned: bool) -> Result<CachedImage, Problem> {
        let (this, key) = (self.clone(), key.to_owned());
        blocking(move || {
            let image = this.contents()?.named(&key)?.clone();
            if pinned {
                this.store.pin(&image.sha256)?;
            } else {
                this.store.unpin(&image.sha256)?;
            }
            Ok(CachedImage { pinned, ..image })
        })
        .await
    }

    /// Removes everything that is neither pinned nor in use.
    pub async fn clear_cache(&self) -> CacheCleared {
        let store = self.store.clone();
        let (removed, stay) = blocking(move || store.clear()).await;
        let kept = stay.into_iter().map(|(sha256, why)| KeptHere { sha256, why: why.to_string() });
        CacheCleared { kept: kept.collect(), ..cleared(removed) }
    }

    /// Brings the cache within its limits now.
    pub async fn tidy_cache(&self) -> CacheCleared {
        let store = self.store.clone();
        cleared(blocking(move || store.keep_within_limits()).await)
    }

    /// The image of the cache that calls itself so.
    pub(super) fn cached_with_name(&self, name: &str) -> Result<Option<Digest>, Problem> {
        let contents = self.contents()?;
        let named: Vec<_> = contents.items.iter().filter(|image| image.name.as_str() == name).collect();
        match named.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.sha256)),
            several => Err(ambiguous(name, several)),
        }
    }

    fn contents(&self) -> Result<CacheContents, Problem> {
        let Inventory { size, limits, images, incomplete, pictures } = self.store.inventory();
        let known = self.known_servers()?;
        let items = images.into_iter().map(|image| {
            let offered = known.iter().filter_map(|known| known.catalog.as_ref()?.find(&image.digest));
            let offered: Vec<Entry> = offered.map(|entry| Entry::clone(entry)).collect();
            let own = self.local.get(&image.digest).map(|local| Entry::clone(&local.entry));
            item(image, own.into_iter().chain(offered).collect())
        });
        let incomplete = incomplete.into_iter().map(|(key, size, active)| IncompleteImage { key, size, active });
        let (limit, ttl) = limits.map_or((u64::MAX, Span::from_secs(0)), |limits| (limits.max_size, limits.ttl.into()));
        Ok(CacheContents { size, limit, ttl, items: items.collect(), incomplete: incomplete.collect(), pictures })
    }
}

/// `offered`: the entries with this digest.
fn item(image: KeptImage, offered: Vec<Entry>) -> CachedImage {
    let mut ids: BTreeSet<EntryId> = offered.iter().map(|entry| entry.id.clone()).collect();
    ids.extend(image.listed.iter().map(|listed| listed.id.clone()));
    // The image knows its own name best. One that cannot be read has none.
    let file = Cached { digest: image.digest, path: image.path.clone(), size: image.size };
    let own = CheckedFile::open_cached(&file).and_then(|file| read::entry(&file)).map(|entry| entry.name);
    let name = own.ok().or_else(|| offered.into_iter().next().map(|entry| entry.name));
    CachedImage {
        sha256: image.digest,
        size: image.size,
        name: name.unwrap_or_else(|| image.digest.to_string().into()),
        ids: ids.into_iter().collect(),
        source: image.source,
        verified_at: image.verified_at,
        last_used: image.last_used,
        idle_seconds: image.idle.as_secs(),
        pinned: image.pinned,
        in_use: image.in_use,
        last_booted: image.last_booted,
        available: image.can_be_had,
    }
}

fn cleared(removals: Vec<Removal>) -> CacheCleared {
    let removed = removals.into_iter().map(|removal| {
        let (key, what) = match removal.item {
            Item::Image(digest) => (Some(digest), RemovedKind::Image),
            Item::Incomplete(key) => (Some(key), RemovedKind::Incomplete),
            Item::Picture(_) => (None, RemovedKind::Picture),
        };
        Removed { key, what, size: removal.size, reason: removal.reason.to_string() }
    });
    let removed: Vec<_> = removed.collect();
    CacheCleared { freed: removed.iter().map(|one| one.size).sum(), removed, kept: Vec::new() }
}

fn ambiguous(key: &str, several: &[&CachedImage]) -> Problem {
    let candidates = several.iter().map(|image| format!("{} ({})", image.sha256, image.name)).collect();
    CacheError::Ambiguous { key: key.to_owned(), candidates }.into()
}

/// Finds images by what people call them.
pub trait Named {
    /// The image that a key means: its digest, the beginning of it, its id or its name.
    fn named(&self, key: &str) -> Result<&CachedImage, Problem>;
}

impl Named for CacheContents {
    fn named(&self, key: &str) -> Result<&CachedImage, Problem> {
        let low = key.to_ascii_lowercase();
        let is_prefix = low.len() >= LEAST_DIGITS && low.bytes().all(|byte| byte.is_ascii_hexdigit());
        let exact = |image: &&CachedImage| {
            image.sha256.to_string() == low
                || image.name.as_str() == key
                || image.ids.iter().any(|id| id.as_str() == key)
        };
        let mut found: Vec<_> = self.items.iter().filter(exact).collect();
        if found.is_empty() && is_prefix {
            found = self.items.iter().filter(|image| image.sha256.to_string().starts_with(&low)).collect();
        }
        match found.as_slice() {
            [one] => Ok(one),
            [] => Err(CacheError::NotHere(key.to_owned()).into()),
            several => Err(ambiguous(key, several)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(digits: &str, name: &str, id: &str) -> CachedImage {
        let sha256: Digest = format!("{digits:0<64}").parse().unwrap();
        CachedImage {
            sha256,
            size: 1,
            name: name.into(),
            ids: vec![EntryId::from_name(id)],
            source: None,
            verified_at: None,
            last_used: None,
            idle_seconds: 0,
            pinned: false,
            in_use: false,
            last_booted: false,
            available: false,
        }
    }

    #[test]
    fn an_image_is_named_by_digest_prefix_id_or_name() {
        let items = vec![
            image("abcd1", "Debian", "debian-12"),
            image("abcd2", "Alpine", "alpine"),
            image("face", "Alpine", "x"),
        ];
        let contents =
            CacheContents { size: 3, limit: 9, ttl: Span::from_secs(1), items, incomplete: Vec::new(), pictures: 0 };
        let at = |key: &str| contents.named(key).map(|found| found.sha256.to_string()[..5].to_owned());
        for key in ["abcd1", "ABCD1", "Debian", "debian-12", &format!("{:0<64}", "abcd1")] {
            assert_eq!(at(key).unwrap(), "abcd1", "{key}");
        }
        let ambiguous = at("abcd").unwrap_err();
        assert_eq!(ambiguous.code, ProblemCode::Ambiguous);
        assert!(ambiguous.context.unwrap().contains("(Debian)"));
        assert_eq!(at("Alpine").unwrap_err().code, ProblemCode::Ambiguous);
        for key in ["", "abc", "beef", "../x"] {
            assert_eq!(at(key).unwrap_err().code, ProblemCode::EntryNotFound, "{key}");
        }
    }
}
