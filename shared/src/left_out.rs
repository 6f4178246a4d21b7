//! Entries of a catalog that cannot be used, as people read about them.

use serde::{Deserialize, Serialize};

use crate::text::Text;

/// So many entries are named. The others are only counted, because a server may send any number of them.
pub const NAMED: usize = 20;

/// The entries that were left out of a server's catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// All of them.
    pub count: usize,
    /// The first 20.
    #[serde(default)]
    pub first: Vec<LeftOutEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutEntry {
    /// As the server calls it, which need not be an id; empty: it has no name.
    pub id: Text,
    /// Goes on a sentence about the entry, as in "its size is missing".
    pub reason: Text,
}

impl LeftOut {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Counts one more entry. Its name and the reason are needed for the first ones only.
    pub fn add(&mut self, describe: impl FnOnce() -> LeftOutEntry) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < NAMED {
            self.first.push(describe());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_twenty_are_named_and_all_are_counted() {
        let mut left_out = LeftOut::default();
        for n in 0..1000 {
            left_out.add(|| LeftOutEntry { id: n.to_string().as_str().into(), reason: Text::default() });
        }
        assert_eq!((left_out.count, left_out.first.len(), left_out.first[19].id.as_str()), (1000, 20, "19"));
    }
}
