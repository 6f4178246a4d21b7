//! Moving on a wall of rows with the arrow keys.

/// A move with an arrow key, Home or End.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Left,
    Right,
    Up,
    Down,
    First,
    Last,
}

impl Move {
    /// The place that this move leads to from `from`, of `count` places in rows of `columns`. A move stops at the edges; a
    /// short last row is reached from above at its last place. `None` when there is nothing on the wall.
    #[must_use]
    pub fn target(self, from: Option<usize>, count: usize, columns: usize) -> Option<usize> {
        let last = count.checked_sub(1)?;
        let columns = columns.max(1);
        let Some(at) = from.map(|at| at.min(last)) else { return Some(if self == Self::Last { last } else { 0 }) };
        Some(match self {
            Self::Left => at.saturating_sub(1),
            Self::Right => (at + 1).min(last),
            Self::Up => at.checked_sub(columns).unwrap_or(at),
            Self::Down if at / columns == last / columns => at,
            Self::Down => (at + columns).min(last),
            Self::First => 0,
            Self::Last => last,
        })
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moves_stop_at_the_edges_and_reach_the_short_row() {
        // 0 1 2
        // 3 4
        let go = |movement: Move, from| movement.target(Some(from), 5, 3);
        assert_eq!(go(Move::Right, 2), Some(3));
        assert_eq!(go(Move::Left, 0), Some(0));
        assert_eq!(go(Move::Up, 1), Some(1));
        assert_eq!(go(Move::Up, 4), Some(1));
        assert_eq!(go(Move::Down, 0), Some(3));
        assert_eq!(go(Move::Down, 2), Some(4));
        assert_eq!(go(Move::Down, 3), Some(3));
        assert_eq!(go(Move::Last, 1), Some(4));
        assert_eq!(Move::Down.target(None, 5, 3), Some(0));
        assert_eq!(Move::Down.target(Some(0), 0, 3), None);
    }

    proptest! {
        #[test]
        fn a_move_stays_on_the_wall(from in proptest::option::of(0usize..50), count in 1usize..50, columns in 0usize..9) {
            for movement in [Move::Left, Move::Right, Move::Up, Move::Down, Move::First, Move::Last] {
                prop_assert!(movement.target(from, count, columns).is_some_and(|at| at < count));
            }
        }
    }
}
