//! Which image is at which place: no two are at the same one. This is pure.

use std::collections::{BTreeMap, HashMap};

use pixelrts_shared::Digest;
use pixelrts_shared::catalog::{Place, Position};

#[derive(Clone, Debug, Default)]
pub(super) struct Arrangement {
    places: HashMap<Digest, Position>,
    taken: HashMap<Position, Digest>,
}

impl Arrangement {
    pub(super) fn at(&self, position: Position) -> Option<Digest> {
        self.taken.get(&position).copied()
    }

    /// All images that have a place.
    pub(super) fn all(&self) -> impl Iterator<Item = Digest> {
        self.places.keys().copied()
    }

    /// What differs after these moves, each of which swaps two images when the place is taken.
    pub(super) fn moved(&self, moves: &[(Digest, Option<Position>)]) -> Vec<Place> {
        let mut after = Self::default();
        // Only what is touched is copied.
        let mut touched = BTreeMap::new();
        let mut look = |after: &mut Self, digest: Digest| {
            touched.entry(digest).or_insert_with(|| {
                let before = self.places.get(&digest).copied();
                after.set(digest, before);
                before
            });
        };
        for (digest, to) in moves {
            look(&mut after, *digest);
            if let Some(there) = to.and_then(|to| self.at(to)) {
                look(&mut after, there);
            }
            let from = after.places.get(digest).copied();
            let other = to.and_then(|to| after.at(to)).filter(|other| other != digest);
            after.set(*digest, None);
            if let Some(other) = other {
                after.set(other, None);
                after.set(other, from);
            }
            after.set(*digest, *to);
        }
        let now = |(sha256, before): (Digest, Option<Position>)| {
            let position = after.places.get(&sha256).copied();
            (position != before).then_some(Place { sha256, position })
        };
        touched.into_iter().filter_map(now).collect()
    }

    pub(super) fn put(&mut self, places: &[Place]) {
        // All leave before one of them arrives.
        for Place { sha256, .. } in places {
            self.set(*sha256, None);
        }
        for Place { sha256, position } in places {
            self.set(*sha256, *position);
        }
    }

    fn set(&mut self, digest: Digest, to: Option<Position>) {
        if let Some(before) = self.places.remove(&digest) {
            self.taken.remove(&before);
        }
        if let Some(to) = to {
            self.places.insert(digest, to);
            self.taken.insert(to, digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(n: u8) -> Digest {
        Digest::new([n; 32])
    }

    fn at(x: u32) -> Position {
        Position { x, y: 0 }
    }

    /// The rule, in the plainest way.
    fn plainly(places: &mut BTreeMap<u8, u32>, n: u8, to: Option<u32>) {
        let from = places.remove(&n);
        if let Some(to) = to {
            let other = places.iter().find(|(_, place)| **place == to).map(|(other, _)| *other);
            if let Some(other) = other {
                places.remove(&other);
                if let Some(from) = from {
                    places.insert(other, from);
                }
            }
            places.insert(n, to);
        }
    }

    proptest! {
        #[test]
        fn moves_swap_and_no_two_images_share_a_place(
            batches in prop::collection::vec(prop::collection::vec((0u8..6, prop::option::of(0u32..6)), 0..5), 0..8)
        ) {
            let (mut arrangement, mut expected) = (Arrangement::default(), BTreeMap::new());
            for batch in batches {
                let before = expected.clone();
                batch.iter().for_each(|(n, to)| plainly(&mut expected, *n, *to));
                let moves: Vec<_> = batch.iter().map(|(n, to)| (digest(*n), to.map(at))).collect();
                let moved = arrangement.moved(&moves);
                arrangement.put(&moved);
                let now: BTreeMap<_, _> = (0..6)
                    .filter_map(|n| Some((n, arrangement.places.get(&digest(n))?.x)))
                    .collect();
                prop_assert_eq!(&now, &expected);
                prop_assert_eq!(arrangement.taken.len(), expected.len());
                let differs = (0..6).filter(|n| before.get(n) != expected.get(n)).count();
                prop_assert_eq!(moved.len(), differs, "only what differs is told");
            }
        }
    }
}
