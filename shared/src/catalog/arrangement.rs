//! How a person arranges images: places on the wall, and favorites.

use serde::{Deserialize, Deserializer, Serialize};

use crate::Digest;

/// A place on the wall, in columns and rows from the top left. No two images have the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    pub x: u32,
    pub y: u32,
}

impl Position {
    /// No column and no row has a higher number.
    pub const LAST: u32 = 99_999;

    /// Whether a person can mean it.
    #[must_use]
    pub const fn is_on_the_wall(self) -> bool {
        self.x <= Self::LAST && self.y <= Self::LAST
    }
}

/// The body of `POST /api/v1/catalog/layout`. An image that has this place already gets the one that becomes free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// An entry's SHA-256, or an id where it is unambiguous.
    pub entry_id: String,
    /// `null` takes the image out of the arrangement.
    #[serde(deserialize_with = "present")]
    pub position: Option<Position>,
}

/// The body of `POST /api/v1/catalog/layout/batch`. The moves happen one after the other: all of them, or none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moves {
    pub entries: Vec<Move>,
}

impl Moves {
    /// A request has no more.
    pub const MOST: usize = 1_000;
}

/// The answer to a change of the arrangement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// All images that have another place now, those that had to make way too.
    pub changed: Vec<Place>,
}

/// Where an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub sha256: Digest,
    /// `null`: it has no place any more.
    pub position: Option<Position>,
}

/// Without this, a field that is absent would count as `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Position>, D::Error> {
    Option::deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_says_where_to() {
        let read = serde_json::from_str::<Move>;
        assert_eq!(read(r#"{"entry_id":"a","position":null}"#).unwrap().position, None);
        assert_eq!(
            read(r#"{"entry_id":"a","position":{"x":1,"y":2}}"#).unwrap().position,
            Some(Position { x: 1, y: 2 })
        );
        for wrong in [
            r#"{"entry_id":"a"}"#,
            r#"{"entry_id":"a","position":{"x":-1,"y":2}}"#,
            r#"{"entry_id":"a","position":{"x":1.5,"y":2}}"#,
            r#"{"entry_id":"a","position":{"x":4294967296,"y":2}}"#,
            r#"{"entry_id":"a","position":{"x":1}}"#,
            r#"{"entry_id":"a","position":{"x":1,"y":2,"z":3}}"#,
            r#"{"entry_id":1,"position":null}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
