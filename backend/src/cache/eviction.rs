//! What leaves the cache, and why. A decision without effects: `room` gathers what it needs and carries it out.
//!
//! - Age alone removes only what a server can give again now: it answered, and still offers the image.
//! - The last image that was booted, what a person pinned, and what somebody uses stay, whatever the limits say.
//! - The limit of size holds for everything together. Incomplete downloads that nobody continues make room first, then
//!   the images that were used longest ago, and small pictures at last, because they are small.
//! - When all of that is not enough for an image that is to come, nothing is removed for it and it is refused.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use pixelrts_shared::{Digest, Size, Span};

/// The longest time between finding an image and holding it in the process of a machine.
pub(super) const JUST_NOW: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The size of everything in the cache together, in bytes.
    pub max_size: u64,
    /// An image that was not used for longer than this is removed when a server can give it again.
    pub ttl: Duration,
}

/// How long ago something was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastUse {
    /// Time that this computer has run since then. No clock can change it.
    pub(super) idle: Duration,
    /// What the clock said then. It only orders what has been idle for equally long.
    pub(super) clock: SystemTime,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) used: LastUse,
    /// By a person.
    pub(super) pinned: bool,
    /// A machine has it open.
    pub(super) in_use: bool,
    pub(super) last_booted: bool,
    /// A server can give it again now.
    pub(super) can_be_had: bool,
}

/// A download that is not complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Incomplete {
    /// The digest of the image where it is known, else a hash of its address.
    pub(super) key: Digest,
    /// The bytes that are here.
    pub(super) size: u64,
    /// The bytes for which room was made; they may be on their way.
    pub(super) reserved: u64,
    pub(super) used: LastUse,
    /// Somebody downloads it.
    pub(super) held: bool,
    pub(super) can_be_had: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) path: PathBuf,
    pub(super) size: u64,
    pub(super) clock: SystemTime,
}

/// Everything in the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) images: Vec<Image>,
    pub(super) incomplete: Vec<Incomplete>,
    pub(super) pictures: Vec<Picture>,
}

/// Something that can leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Image(Digest),
    Incomplete(Digest),
    Picture(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Not used for this long, and a server can give it again.
    Unused(Duration),
    /// The cache is larger than this.
    Limit(u64),
    /// So many bytes are missing on the disk for what is to come.
    Disk(u64),
    /// A person wants it to go.
    Asked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    pub item: Item,
    pub size: u64,
    pub reason: Reason,
}

/// Why an image stays although the room is needed. The first that fits counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kept {
    Pinned,
    InUse,
    LastBooted,
    /// It was found a moment ago, and a machine is about to open it.
    JustUsed,
    OnlyCopy,
}

/// Everything that can be removed is not enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// The bytes that are missing.
    pub missing: u64,
    pub limit: u64,
    /// What stays, in words.
    pub stays: String,
    /// There may be room after this time, because some images were used only a moment ago.
    pub soon: Option<Duration>,
}

/// What is short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Short {
    /// Bytes above the limit.
    pub(super) limit: u64,
    /// Bytes that are missing on the disk.
    pub(super) disk: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) removals: Vec<Removal>,
    /// What is still short after them.
    pub(super) short: Short,
}

impl Image {
    pub(super) fn kept(&self) -> Option<Kept> {
        let reasons = [
            (self.pinned, Kept::Pinned),
            (self.in_use, Kept::InUse),
            (self.last_booted, Kept::LastBooted),
            (self.used.idle < JUST_NOW, Kept::JustUsed),
            (!self.can_be_had, Kept::OnlyCopy),
        ];
        reasons.into_iter().find_map(|(holds, reason)| holds.then_some(reason))
    }
}

impl Incomplete {
    fn counts(&self) -> u64 {
        self.size.max(self.reserved)
    }
}

impl Contents {
    /// The bytes of everything, those on their way included.
    pub(super) fn size(&self) -> u64 {
        let images = self.images.iter().map(|image| image.size);
        let incomplete = self.incomplete.iter().map(Incomplete::counts);
        images.chain(incomplete).chain(self.pictures.iter().map(|picture| picture.size)).sum()
    }

    /// Bytes that are to come and have room.
    fn on_their_way(&self) -> u64 {
        self.incomplete.iter().map(|one| one.counts() - one.size).sum()
    }

    /// Everything that may leave to make room, in this order.
    fn candidates(&self) -> Vec<(Item, u64)> {
        let mut incomplete: Vec<_> = self.incomplete.iter().filter(|one| !one.held).collect();
        incomplete.sort_by_key(|one| (std::cmp::Reverse(one.used.idle), one.used.clock, one.key));
        let mut images: Vec<_> = self.images.iter().filter(|image| image.kept().is_none()).collect();
        images.sort_by_key(|image| (std::cmp::Reverse(image.used.idle), image.used.clock, image.digest));
        let mut pictures: Vec<_> = self.pictures.iter().collect();
        pictures.sort_by_key(|picture| (picture.clock, &picture.path));
        let incomplete = incomplete.into_iter().map(|one| (Item::Incomplete(one.key), one.size));
        let images = images.into_iter().map(|image| (Item::Image(image.digest), image.size));
        let pictures = pictures.into_iter().map(|picture| (Item::Picture(picture.path.clone()), picture.size));
        incomplete.chain(images).chain(pictures).collect()
    }

    /// What is too old.
    fn unused(&self, ttl: Duration) -> impl Iterator<Item = Removal> {
        let images = self.images.iter().filter(move |image| image.kept().is_none() && image.used.idle > ttl);
        let incomplete = self.incomplete.iter().filter(move |one| !one.held && one.can_be_had && one.used.idle > ttl);
        let images = images.map(|image| (Item::Image(image.digest), image.size));
        let incomplete = incomplete.map(|one| (Item::Incomplete(one.key), one.size));
        images.chain(incomplete).map(move |(item, size)| Removal { item, size, reason: Reason::Unused(ttl) })
    }

    /// What stays although the room is needed, in words; and whether some of it stays for a moment only.
    pub(super) fn refusal(&self, missing: u64, limit: u64) -> NoRoom {
        let of = |kept: Kept| {
            let images = self.images.iter().filter(move |image| image.kept() == Some(kept));
            images.fold((0_usize, 0_u64), |(count, size), image| (count + 1, size + image.size))
        };
        let held = self.incomplete.iter().filter(|one| one.held);
        let arriving = held.fold((0, 0), |(count, size), one| (count + 1, size + one.counts()));
        let said = [
            (of(Kept::Pinned), "pinned"),
            (of(Kept::InUse), "used by machines"),
            (of(Kept::LastBooted), "the one that was booted last"),
            (of(Kept::JustUsed), "used a moment ago"),
            (of(Kept::OnlyCopy), "offered by no server that answers"),
            (arriving, "being downloaded"),
        ];
        let said = said.into_iter().filter(|((count, _), _)| *count > 0);
        let stays = said.map(|((count, size), what)| format!("{count} {what} ({})", Size::from_bytes(size).in_words()));
        let just = of(Kept::JustUsed);
        NoRoom {
            missing,
            limit,
            stays: stays.collect::<Vec<_>>().join(", "),
            soon: (just.1 >= missing).then_some(JUST_NOW),
        }
    }
}

/// What leaves the cache. `free` is what the disk has left. With `all_or_nothing`, as for an image that is to come,
/// nothing is removed for room that cannot be made.
pub(super) fn decide(contents: &Contents, limits: &Limits, free: u64, all_or_nothing: bool) -> Decision {
    let mut removals: Vec<_> = contents.unused(limits.ttl).collect();
    let old: u64 = removals.iter().map(|removal| removal.size).sum();
    let mut short = Short {
        limit: (contents.size() - old).saturating_sub(limits.max_size),
        disk: contents.on_their_way().saturating_sub(free.saturating_add(old)),
    };
    let aged = removals.len();
    for (item, size) in contents.candidates() {
        if short == Short::default() {
            break;
        }
        if removals[..aged].iter().any(|removal| removal.item == item) {
            continue;
        }
        let reason = if short.limit > 0 { Reason::Limit(limits.max_size) } else { Reason::Disk(short.disk) };
        removals.push(Removal { item, size, reason });
        short = Short { limit: short.limit.saturating_sub(size), disk: short.disk.saturating_sub(size) };
    }
    if all_or_nothing && short != Short::default() {
        removals.truncate(aged);
    }
    Decision { removals, short }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unused(ttl) => {
                write!(f, "it was not used for {}, and a server can give it again", Span::from(*ttl))
            }
            Self::Limit(limit) => write!(f, "the cache may have {}", Size::from_bytes(*limit).in_words()),
            Self::Asked => write!(f, "somebody asked for it"),
            Self::Disk(missing) => write!(f, "{} are missing on the disk", Size::from_bytes(*missing).in_words()),
        }
    }
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (missing, limit) = (Size::from_bytes(self.missing).in_words(), Size::from_bytes(self.limit).in_words());
        write!(f, "{missing} are missing: the cache may have {limit} (cache.max_size)")?;
        if self.stays.is_empty() { Ok(()) } else { write!(f, ", and these images stay: {}", self.stays) }
    }
}

#[cfg(test)]
mod tests;
