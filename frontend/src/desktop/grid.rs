//! Moving on a wall of rows with the arrow keys.

/// Where a key leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Left,
    Right,
    Up,
    Down,
    First,
    Last,
}

impl Step {
    /// The name of a key, as the browser gives it.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        Some(match key {
            "ArrowLeft" => Self::Left,
            "ArrowRight" => Self::Right,
            "ArrowUp" => Self::Up,
            "ArrowDown" => Self::Down,
            "Home" => Self::First,
            "End" => Self::Last,
            _ => return None,
        })
    }

    /// The object this step leads to from `from`, of `count` in rows of `columns`. Edges hold; the short last row is
    /// reached from above by its last object. `None` when there is nothing.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edges_hold_and_the_short_row_is_reached() {
        // 0 1 2
        // 3 4
        let go = |step: Step, from| step.target(Some(from), 5, 3);
        assert_eq!(go(Step::Right, 2), Some(3));
        assert_eq!(go(Step::Left, 0), Some(0));
        assert_eq!(go(Step::Up, 1), Some(1));
        assert_eq!(go(Step::Up, 4), Some(1));
        assert_eq!(go(Step::Down, 0), Some(3));
        assert_eq!(go(Step::Down, 2), Some(4));
        assert_eq!(go(Step::Down, 3), Some(3));
        assert_eq!(go(Step::Last, 1), Some(4));
        assert_eq!(Step::Down.target(None, 5, 3), Some(0));
        assert_eq!(Step::Down.target(Some(0), 0, 3), None);
    }

    proptest! {
        #[test]
        fn a_step_stays_on_the_wall(from in proptest::option::of(0usize..50), count in 1usize..50, columns in 0usize..9) {
            for step in [Step::Left, Step::Right, Step::Up, Step::Down, Step::First, Step::Last] {
                prop_assert!(step.target(from, count, columns).is_some_and(|at| at < count));
            }
        }
    }
}
