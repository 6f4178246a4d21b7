//! The wall: which images it shows, in which order, and how keys move on it.

use pixelrts_shared::Digest;

pub mod filter;
pub mod grid;
pub mod order;
pub mod window;

#[cfg(target_arch = "wasm32")]
pub(crate) mod card;
#[cfg(target_arch = "wasm32")]
pub(crate) mod empty;
#[cfg(target_arch = "wasm32")]
pub(crate) mod store;
#[cfg(target_arch = "wasm32")]
pub(crate) mod view;

/// The one image that the Tab key leads to: the selected one where it is shown, else the first.
#[must_use]
pub fn entrance<'a>(selected: Option<&'a Digest>, shown: &'a [Digest]) -> Option<&'a Digest> {
    selected.filter(|selected| shown.contains(selected)).or(shown.first())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_way_in_as_long_as_anything_is_shown() {
        let [first, second, hidden] = ["00", "11", "22"].map(|byte| byte.repeat(32).parse::<Digest>().unwrap());
        let shown = [first, second];
        assert_eq!(entrance(Some(&second), &shown), Some(&second));
        assert_eq!(entrance(Some(&hidden), &shown), Some(&first));
        assert_eq!((entrance(None, &shown), entrance(Some(&hidden), &[])), (Some(&first), None));
    }
}
