//! `pixelrts cache`: the images that are kept on this computer.
//!
//! A running backend is asked, because it knows which images its servers offer now. Without one the same code runs here,
//! on the same files.

mod keeper;
mod verify;

use clap::{Args, Subcommand};
use pixelrts_shared::Size;
use pixelrts_shared::cache::{CacheCleared, CacheContents, CachedImage, RemovedKind};

use super::output::counted;
use super::{Context, Outcome, runtime};
use keeper::Keeper;

/// Look at the images that are kept on this computer, and remove or keep some
#[derive(Debug, Subcommand)]
#[command(after_help = "An image is named by its id, its name, or its SHA-256, of which 4 digits are enough.\n\
                  Example: see what is there, then remove one\n  pixelrts cache ls\n  pixelrts cache rm debian-12")]
pub(super) enum Cache {
    Ls(Ls),
    Rm(Rm),
    Clear(Clear),
    Gc(Gc),
    Verify(verify::VerifyCache),
    Pin(Pin),
    Unpin(Unpin),
}

/// List images, the one that was used last first
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts cache ls --json")]
pub(super) struct Ls {}

/// Remove images
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  pixelrts cache rm debian-12\n\nA pinned image, and one that a machine uses, stays."
)]
pub(super) struct Rm {
    /// Ids, names, or digests (4 digits are enough)
    #[arg(required = true)]
    image: Vec<String>,
}

/// Remove everything that is neither pinned nor in use
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts cache clear\n\nAlso images go that no server offers any more. Pin what \
                        you want to keep.")]
pub(super) struct Clear {}

/// Remove what the limits do not allow, as a running backend does by itself
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  pixelrts cache gc\n\nThe limits are cache.max_size and cache.ttl of the configuration."
)]
pub(super) struct Gc {}

/// Keep an image, whatever the limits say
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts cache pin debian-12")]
pub(super) struct Pin {
    /// An id, a name, or a digest (4 digits are enough)
    image: String,
}

/// Let the limits decide about an image again
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts cache unpin debian-12")]
pub(super) struct Unpin {
    /// An id, a name, or a digest (4 digits are enough)
    image: String,
}

impl Cache {
    pub(super) fn run(self, context: &Context) -> Outcome {
        runtime()?.block_on(async {
            match self {
                Self::Verify(verify) => verify.run(context).await,
                other => {
                    let keeper = Keeper::find(context).await?;
                    let outcome = other.with(&keeper, context).await;
                    keeper.close().await;
                    outcome
                }
            }
        })
    }

    async fn with(self, keeper: &Keeper, context: &Context) -> Outcome {
        let output = &context.output;
        match self {
            Self::Ls(Ls {}) => {
                let contents = keeper.contents().await?;
                output.answer(&contents, || table(&contents));
            }
            Self::Rm(Rm { image }) => {
                let mut all = CacheCleared::default();
                let mut refused = None;
                for key in &image {
                    match keeper.remove(key).await {
                        Ok(one) => {
                            all.freed += one.freed;
                            all.removed.extend(one.removed);
                        }
                        // The others are removed anyway.
                        Err(problem) => refused = Some(problem),
                    }
                }
                if let Some(problem) = refused {
                    if !all.removed.is_empty() {
                        output.say(&told(&all));
                    }
                    return Err(problem);
                }
                output.answer(&all, || told(&all));
            }
            Self::Clear(Clear {}) => {
                let cleared = keeper.clear().await?;
                output.answer(&cleared, || told(&cleared));
            }
            Self::Gc(Gc {}) => {
                let cleared = keeper.gc().await?;
                output.answer(&cleared, || told(&cleared));
            }
            Self::Pin(Pin { image }) => {
                let pinned = keeper.pin(&image, true).await?;
                output.answer(&pinned, || format!("{} stays until you unpin it", pinned.name));
            }
            Self::Unpin(Unpin { image }) => {
                let image = keeper.pin(&image, false).await?;
                output.answer(&image, || format!("{} is not pinned", image.name));
            }
            Self::Verify(_) => unreachable!("it is run above"),
        }
        Ok(())
    }
}

fn size(bytes: u64) -> String {
    Size::from_bytes(bytes).in_words()
}

fn table(contents: &CacheContents) -> String {
    let mut lines: Vec<_> = contents.items.iter().map(line).collect();
    if !lines.is_empty() {
        lines.insert(0, format!("{:12}  {:>8}  {:>9}  NAME", "SHA-256", "SIZE", "USED"));
    }
    let mut sum = format!(
        "{}, {} of {}",
        counted(contents.items.len(), "image"),
        size(contents.size),
        if contents.limit == u64::MAX { "any size".to_owned() } else { size(contents.limit) }
    );
    if !contents.incomplete.is_empty() {
        let bytes = contents.incomplete.iter().map(|one| one.size).sum();
        let count = counted(contents.incomplete.len(), "incomplete download");
        sum = format!("{sum}; with {count} of {}", size(bytes));
    }
    lines.push(sum);
    lines.join("\n")
}

fn line(image: &CachedImage) -> String {
    let digest: String = image.sha256.to_string().chars().take(12).collect();
    let marks = [
        (image.pinned, "pinned"),
        (image.in_use, "in use"),
        (image.last_booted, "booted last"),
        (!image.available, "no server offers it now"),
        (image.verified_at.is_none(), "not checked yet"),
    ];
    let marks: Vec<_> = marks.into_iter().filter_map(|(holds, mark)| holds.then_some(mark)).collect();
    let marks = if marks.is_empty() { String::new() } else { format!("  ({})", marks.join(", ")) };
    format!("{digest}  {:>8}  {:>9}  {}{marks}", size(image.size), ago(image.idle_seconds), image.name)
}

/// How long something has been idle, in one unit.
fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => "now".to_owned(),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// What was removed, one line each, and why images stay.
fn told(cleared: &CacheCleared) -> String {
    let mut lines = Vec::new();
    let mut pictures = 0;
    for removed in &cleared.removed {
        let key = removed.key.map(|key| key.to_string()).unwrap_or_default();
        match removed.what {
            RemovedKind::Image => lines.push(format!("removed {key}: {}", removed.reason)),
            RemovedKind::Incomplete => lines.push(format!("removed the incomplete download {key}: {}", removed.reason)),
            RemovedKind::Picture => pictures += 1,
        }
    }
    if pictures > 0 {
        lines.push(format!("removed {}", counted(pictures, "small picture")));
    }
    lines.extend(cleared.kept.iter().map(|kept| format!("kept {}: {}", kept.sha256, kept.why)));
    lines.push(if cleared.removed.is_empty() {
        "nothing was removed".to_owned()
    } else {
        format!("{} are free again", size(cleared.freed))
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixelrts_shared::Span;
    use pixelrts_shared::cache::{IncompleteImage, KeptHere, Removed};

    #[test]
    fn what_is_kept_is_listed_with_what_keeps_it() {
        let sha256 = "ab".repeat(32).parse().unwrap();
        let image = CachedImage {
            sha256,
            size: 31_000_000,
            name: "Debian".into(),
            ids: Vec::new(),
            source: None,
            verified_at: Some("2026-01-01T00:00:00Z".to_owned()),
            last_used: None,
            idle_seconds: 7300,
            pinned: true,
            in_use: false,
            last_booted: false,
            available: false,
        };
        let incomplete = vec![IncompleteImage { key: sha256, size: 1000, active: false }];
        let contents = CacheContents {
            size: 31_001_000,
            limit: 20_000_000_000,
            ttl: Span::from_secs(60),
            items: vec![image],
            incomplete,
            pictures: 0,
        };
        assert_eq!(
            table(&contents),
            "SHA-256           SIZE       USED  NAME\n\
             abababababab   31.0 MB    2 h ago  Debian  (pinned, no server offers it now)\n\
             1 image, 31.0 MB of 20.0 GB; with 1 incomplete download of 1.00 KB"
        );
        let empty = CacheContents { items: Vec::new(), incomplete: Vec::new(), size: 0, limit: u64::MAX, ..contents };
        assert_eq!(table(&empty), "0 images, 0 B of any size");
    }

    #[test]
    fn what_was_removed_is_told_with_its_reason() {
        let digest = "ab".repeat(32).parse().unwrap();
        let removed = |key, what| Removed { key, what, size: 500, reason: "somebody asked for it".to_owned() };
        let cleared = CacheCleared {
            freed: 1000,
            removed: vec![removed(Some(digest), RemovedKind::Image), removed(None, RemovedKind::Picture)],
            kept: vec![KeptHere { sha256: digest, why: "it is pinned".to_owned() }],
        };
        let expected = format!(
            "removed {digest}: somebody asked for it\nremoved 1 small picture\nkept {digest}: it is pinned\n1.00 KB are free again"
        );
        assert_eq!(told(&cleared), expected);
        assert_eq!(told(&CacheCleared::default()), "nothing was removed");
    }
}
