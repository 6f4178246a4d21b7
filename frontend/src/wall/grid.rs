//! Moving on a wall of rows with the keyboard.

/// A move with an arrow key, Home, End, or a page up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Left,
    Right,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
}

impl Move {
    /// The place that this move leads to from `from`, of `count` places in rows of `columns`; a page has `page` rows. A
    /// move stops at the edges; a short last row is reached from above at its last place. `None` when there is nothing on
    /// the wall.
    #[must_use]
    pub fn target(self, from: Option<usize>, count: usize, columns: usize, page: usize) -> Option<usize> {
        let last = count.checked_sub(1)?;
        let columns = columns.max(1);
        let Some(at) = from.map(|at| at.min(last)) else { return Some(if self == Self::Last { last } else { 0 }) };
        let (above, below) = (at / columns, last / columns - at / columns);
        let up = |rows: usize| at - rows.min(above) * columns;
        let down = |rows: usize| (at + rows.min(below) * columns).min(last);
        Some(match self {
            Self::Left => at.saturating_sub(1),
            Self::Right => (at + 1).min(last),
            Self::Up => up(1),
            Self::Down => down(1),
            Self::PageUp => up(page),
            Self::PageDown => down(page),
            Self::First => 0,
            Self::Last => last,
        })
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Move; 8] =
        [Move::Left, Move::Right, Move::Up, Move::Down, Move::PageUp, Move::PageDown, Move::First, Move::Last];

    #[test]
    fn moves_stop_at_the_edges_and_reach_the_short_row() {
        // 0 1 2
        // 3 4
        let go = |movement: Move, from| movement.target(Some(from), 5, 3, 1);
        assert_eq!(go(Move::Right, 2), Some(3));
        assert_eq!(go(Move::Left, 0), Some(0));
        assert_eq!(go(Move::Up, 1), Some(1));
        assert_eq!(go(Move::Up, 4), Some(1));
        assert_eq!(go(Move::Down, 0), Some(3));
        assert_eq!(go(Move::Down, 2), Some(4));
        assert_eq!(go(Move::Down, 3), Some(3));
        assert_eq!(go(Move::Last, 1), Some(4));
        assert_eq!(Move::Down.target(None, 5, 3, 1), Some(0));
        assert_eq!(Move::Down.target(Some(0), 0, 3, 1), None);
    }

    #[test]
    fn a_page_keeps_the_column_and_stops_at_the_first_and_the_last_row() {
        let go = |movement: Move, from| movement.target(Some(from), 10_000, 3, 4);
        assert_eq!((go(Move::PageDown, 1), go(Move::PageUp, 13)), (Some(13), Some(1)));
        assert_eq!((go(Move::PageUp, 4), go(Move::PageDown, 9_985)), (Some(1), Some(9_997)));
        assert_eq!(go(Move::PageDown, 9_998), Some(9_999), "the last row has one place");
    }

    proptest! {
        #[test]
        fn a_move_stays_on_the_wall(
            from in proptest::option::of(0usize..50), count in 1usize..50, columns in 0usize..9, page in 0usize..9
        ) {
            for movement in ALL {
                prop_assert!(movement.target(from, count, columns, page).is_some_and(|at| at < count));
            }
        }
    }
}
