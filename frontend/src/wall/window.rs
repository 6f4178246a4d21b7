//! Which cards of the wall are made: those in sight, and a margin above and below. However many images there are, the
//! page holds no more than [`LIMIT`] cards.
//!
//! All rows are equally high, so that a place on the wall follows from a number. Lengths are whole pixels of CSS.

use std::ops::Range;

/// At most so many cards are in the page.
pub const LIMIT: usize = 200;
/// One of them may be out of sight: the one that has the focus, or that the Tab key leads to.
const IN_ROWS: usize = LIMIT - 1;
/// So many rows above and below what is in sight are made too, so that a slow frame shows no gap.
const MARGIN: usize = 2;

/// How large the wall and its cards are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub width: u32,
    /// Of the part that is in sight.
    pub height: u32,
    /// The least width of a card. Cards share what is left of a row.
    pub card_width: u32,
    pub card_height: u32,
    pub gap: u32,
}

impl Space {
    /// From the top of one row to the top of the next.
    fn pitch(self) -> u32 {
        self.card_height.saturating_add(self.gap).max(1)
    }

    /// The number of rows of which something can be in sight at once, wherever the wall is scrolled to.
    fn rows_in_sight(self) -> usize {
        self.height.div_ceil(self.pitch()) as usize + 1
    }

    /// The rows that fit into the height as a whole, at least one: how far a page goes.
    #[must_use]
    pub fn rows_of_a_page(self) -> usize {
        (self.height / self.pitch()).max(1) as usize
    }

    /// The number of cards in a row. On a wall so large that more cards than the limit would be in sight, there are fewer
    /// and wider ones.
    #[must_use]
    pub fn columns(self) -> usize {
        let fitting = self.width.saturating_add(self.gap) / self.card_width.saturating_add(self.gap).max(1);
        (fitting as usize).min(IN_ROWS / self.rows_in_sight()).max(1)
    }

    /// The height of a wall of so many cards, whether they are made or not.
    #[must_use]
    pub fn height_of(self, count: usize) -> u32 {
        let rows = u32::try_from(count.div_ceil(self.columns())).unwrap_or(u32::MAX);
        rows.saturating_mul(self.pitch()).saturating_sub(self.gap)
    }

    /// The first row of which something is in sight.
    #[must_use]
    pub fn first_row(self, offset: u32) -> usize {
        (offset / self.pitch()) as usize
    }

    /// The places that are made of a wall of `count` images, when `first_row` is the first in sight.
    #[must_use]
    pub fn made(self, first_row: usize, count: usize) -> Range<usize> {
        let (columns, seen) = (self.columns(), self.rows_in_sight());
        let rows = count.div_ceil(columns);
        let most = IN_ROWS / columns;
        let margin = (most.saturating_sub(seen) / 2).min(MARGIN);
        // Images may have gone since the wall was scrolled there.
        let first = first_row.min(rows.saturating_sub(1));
        let start = first.saturating_sub(margin);
        let end = (first + seen + margin).min(start + most).min(rows);
        start * columns..(end * columns).min(count)
    }

    /// Where the wall has to be scrolled to, to show all of a card: as little as possible.
    #[must_use]
    pub fn scrolled_to(self, place: usize, offset: u32) -> u32 {
        let row = u32::try_from(place / self.columns()).unwrap_or(u32::MAX);
        let top = row.saturating_mul(self.pitch());
        let above = top.saturating_sub(self.gap);
        let below = top.saturating_add(self.card_height).saturating_add(self.gap).saturating_sub(self.height);
        if offset > above { above } else { offset.max(below.min(above)) }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A window of 1,440 by 900: three columns.
    const DESKTOP: Space = Space { width: 1320, height: 800, card_width: 400, card_height: 160, gap: 12 };

    fn spaces() -> impl Strategy<Value = Space> {
        (1u32..10_000, 0u32..20_000, 0u32..700, 0u32..400, 0u32..30).prop_map(
            |(width, height, card_width, card_height, gap)| Space { width, height, card_width, card_height, gap },
        )
    }

    #[test]
    fn a_wall_of_ten_thousand_has_a_few_rows() {
        assert_eq!((DESKTOP.columns(), DESKTOP.rows_of_a_page()), (3, 4));
        assert_eq!(DESKTOP.height_of(10_000), 3_334 * 172 - 12);
        assert_eq!(DESKTOP.made(0, 10_000), 0..24);
        assert_eq!(DESKTOP.made(DESKTOP.first_row(17_200), 10_000), 98 * 3..108 * 3);
        assert_eq!(DESKTOP.made(DESKTOP.first_row(u32::MAX), 10_000), 3_331 * 3..10_000);
    }

    #[test]
    fn a_move_scrolls_as_little_as_possible() {
        assert_eq!(DESKTOP.scrolled_to(0, 0), 0);
        assert_eq!(DESKTOP.scrolled_to(14, 0), 4 * 172 + 160 + 12 - 800, "its lower edge comes into sight");
        assert_eq!(DESKTOP.scrolled_to(14, 500), 500, "it is in sight already");
        assert_eq!(DESKTOP.scrolled_to(3, 5000), 172 - 12, "its upper edge comes into sight");
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_and_always_whole_rows(space in spaces(), row: usize, count in 0usize..20_000) {
            let made = space.made(row % 20_000, count);
            prop_assert!(made.len() < LIMIT && made.end <= count);
            prop_assert!(made.start.is_multiple_of(space.columns()));
            prop_assert!(made.end == count || made.end.is_multiple_of(space.columns()));
            prop_assert_eq!(made.is_empty(), count == 0);
        }

        #[test]
        fn all_that_is_in_sight_is_made(space in spaces(), offset in 0u32..4_000_000, count in 1usize..20_000) {
            // Higher than that, not even one column fits into the limit.
            prop_assume!(space.rows_in_sight() < LIMIT);
            let offset = offset.min(space.height_of(count).saturating_sub(space.height));
            let made = space.made(space.first_row(offset), count);
            for place in 0..count {
                let top = u32::try_from(place / space.columns()).unwrap() * space.pitch();
                let in_sight = top < offset + space.height && top + space.card_height > offset;
                prop_assert!(!in_sight || made.contains(&place), "{} {:?}", place, made);
            }
        }

        #[test]
        fn a_card_is_in_sight_once_the_wall_is_scrolled_to_it(
            space in spaces(), offset in 0u32..4_000_000, count in 1usize..20_000, place: usize
        ) {
            prop_assume!(space.height >= space.card_height + 2 * space.gap && space.rows_in_sight() < LIMIT);
            let place = place % count;
            let to = space.scrolled_to(place, offset);
            let top = u32::try_from(place / space.columns()).unwrap() * space.pitch();
            prop_assert!(to <= top && to + space.height >= top + space.card_height);
            prop_assert_eq!(space.scrolled_to(place, to), to, "it stays there");
            prop_assert!(space.made(space.first_row(to), count).contains(&place));
        }
    }
}
