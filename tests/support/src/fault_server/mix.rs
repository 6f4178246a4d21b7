//! `mix/SEED/FAULTS/x.rts.png`: a random fault in each of the first FAULTS answers (5 when no number stands there), then
//! an honest server. The seed decides which, so a failed test can be repeated.
//!
//! `mix-quick` leaves out what costs more than a moment (stalls, waits), `mix-sound` what sends wrong bytes or ends a
//! source for good: with it, a client that never gives up must get the image from this server alone.
//! `mix-quick-sound` does both.

use std::time::{Duration, SystemTime};

use super::Offer;
use super::image::{honest, http_date, not_satisfiable, page, part, redirect, whole};
use super::reply::{After, Reply};
use super::request::Request;

/// What goes wrong in one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The connection breaks at a random byte.
    Reset,
    /// It falls silent there.
    Stall,
    /// A range is answered with a part of it.
    ShortRange,
    /// A range is answered with the whole.
    WholeForRange,
    /// A range is answered with another one.
    OtherRange,
    /// The same bytes have another ETag, and the answer breaks.
    OtherTag,
    /// The announced length is larger than the body.
    LargerLength,
    /// 416, whatever was asked for.
    NotSatisfiable,
    /// 412, whatever was asked for.
    PreconditionFailed,
    /// 429 with Retry-After in seconds.
    Busy,
    /// 503 with Retry-After as a date.
    Unavailable,
    /// 500.
    Broken,
    /// A redirect to a signed address that works.
    Signed,
    /// A redirect to a signed address that has expired.
    Expired,
    /// A page with status 200.
    Page,
    /// One wrong byte in all that is sent.
    WrongByte,
    /// The head comes late, but it comes.
    SlowHead,
    /// No length, but chunks, and no range.
    Chunked,
    /// No length, and the end of the connection is the end of the body.
    Http10,
    /// The connection is closed although it was promised to be kept.
    ClosedConnection,
    /// The connection is closed before anything is sent.
    NoAnswer,
}

impl Fault {
    pub const ALL: [Self; 21] = [
        Self::Reset,
        Self::Stall,
        Self::ShortRange,
        Self::WholeForRange,
        Self::OtherRange,
        Self::OtherTag,
        Self::LargerLength,
        Self::NotSatisfiable,
        Self::PreconditionFailed,
        Self::Busy,
        Self::Unavailable,
        Self::Broken,
        Self::Signed,
        Self::Expired,
        Self::Page,
        Self::WrongByte,
        Self::SlowHead,
        Self::Chunked,
        Self::Http10,
        Self::ClosedConnection,
        Self::NoAnswer,
    ];

    /// It costs more than a moment.
    #[must_use]
    pub fn is_slow(self) -> bool {
        matches!(self, Self::Stall | Self::Busy | Self::Unavailable | Self::SlowHead)
    }

    /// It sends bytes that are not the image's, or says that the image is not there.
    #[must_use]
    pub fn is_unsound(self) -> bool {
        matches!(self, Self::Page | Self::WrongByte | Self::Expired)
    }
}

/// Which faults a mix has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    pub quick: bool,
    pub sound: bool,
}

impl Kinds {
    /// As the first part of a path names them.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let has = |word| name.split('-').any(|part| part == word);
        Self { quick: has("quick"), sound: has("sound") }
    }

    #[must_use]
    pub fn faults(self) -> Vec<Fault> {
        let mut all = Fault::ALL.to_vec();
        all.retain(|fault| !(self.quick && fault.is_slow() || self.sound && fault.is_unsound()));
        all
    }

    /// The fault of an answer, by its number from 1: what the server will do, for the message of a failed test.
    #[must_use]
    pub fn fault(self, seed: u64, number: usize) -> Fault {
        let faults = self.faults();
        faults[answer(seed, number).below(faults.len())]
    }
}

/// The random numbers of one answer.
fn answer(seed: u64, number: usize) -> Random {
    Random::new(seed ^ ((number as u64) << 32))
}

pub(super) fn reply(offer: &Offer, request: &Request, kinds: Kinds, numbers: &[u64]) -> Reply {
    let (seed, faults) = (numbers.first().copied().unwrap_or_default(), numbers.get(1).copied().unwrap_or(5));
    match request.query() {
        Some("sig=expired") => return Reply::new(403),
        Some(_) => return honest(offer, request),
        None => {}
    }
    if request.number as u64 > faults {
        return honest(offer, request);
    }
    let mut random = answer(seed, request.number);
    let possible = kinds.faults();
    let fault = possible[random.below(possible.len())];
    let size = offer.len();
    let range = request.range(size).filter(|range| range.start < size).unwrap_or(0..size);
    let from = range.start;
    let middle = random.below(range.len() + 1);
    let rest = || part(offer, request, range.clone());
    match fault {
        Fault::Reset => rest().cut(middle).then(After::Reset),
        Fault::Stall => rest().cut(middle).then(After::Hang),
        Fault::ShortRange if request.header("range").is_some() => {
            part(offer, request, from..(from + middle.max(1)).min(size))
        }
        Fault::ShortRange => rest().cut(middle).then(After::Close),
        Fault::WholeForRange => whole(offer),
        Fault::OtherRange => {
            let other = random.below(size.max(1));
            part(offer, request, other..size)
        }
        Fault::OtherTag => rest().with("ETag", format!("\"other{}\"", request.number)).cut(middle).then(After::Reset),
        Fault::LargerLength => {
            let length = range.len() + 1 + random.below(100_000);
            rest().with("Content-Length", length).then(After::Close)
        }
        Fault::NotSatisfiable => not_satisfiable(offer),
        Fault::PreconditionFailed => Reply::new(412).with("ETag", "\"none\""),
        Fault::Busy => Reply::new(429).with("Retry-After", 1),
        Fault::Unavailable => {
            Reply::new(503).with("Retry-After", http_date(SystemTime::now() + Duration::from_secs(1)))
        }
        Fault::Broken => Reply::new(500),
        Fault::Signed => redirect(&format!("{}?sig={}", request.path, request.number)),
        Fault::Expired => redirect(&format!("{}?sig=expired", request.path)),
        Fault::Page => page(),
        Fault::WrongByte => {
            let mut bytes = offer.bytes[range.clone()].to_vec();
            if let Some(byte) = bytes.get_mut(middle.saturating_sub(1)) {
                *byte ^= 1;
            }
            let length = bytes.len();
            rest().with_part_of(&bytes.into(), 0..length)
        }
        Fault::SlowHead => rest().after(Duration::from_secs(2)),
        Fault::Chunked => whole(offer).without("ETag").without("Accept-Ranges").chunked(),
        Fault::Http10 => whole(offer).without("ETag").without("Accept-Ranges").http10(),
        Fault::ClosedConnection => rest().with("Connection", "keep-alive").then(After::Close),
        Fault::NoAnswer => Reply::new(200).without_head().then(After::Close),
    }
}

/// Random numbers that are the same each time (splitmix64).
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let random = mixed ^ (mixed >> 31);
        usize::try_from(random % (end.max(1) as u64)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_the_faults_and_many_seeds_bring_all_of_them() {
        for name in ["mix", "mix-quick", "mix-sound", "mix-quick-sound"] {
            let kinds = Kinds::named(name);
            let plan = |seed| (1..=20).map(|number| kinds.fault(seed, number)).collect::<Vec<_>>();
            assert_eq!(plan(7), plan(7));
            assert_ne!(plan(7), plan(8));
            let seen: std::collections::HashSet<_> = (0..50).flat_map(plan).collect();
            assert_eq!(seen, kinds.faults().into_iter().collect(), "{name}");
        }
    }

    #[test]
    fn quick_and_sound_mixes_leave_out_what_they_say() {
        assert!(!Kinds::named("mix-quick").faults().iter().any(|fault| fault.is_slow()));
        assert!(!Kinds::named("mix-quick-sound").faults().iter().any(|fault| fault.is_unsound()));
        assert_eq!(Kinds::named("mix").faults().len(), Fault::ALL.len());
    }
}
