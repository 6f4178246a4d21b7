//! Where a window is.

/// The size of a window together with the frame of the page and a margin, in pixels, as in the stylesheet.
const WINDOW: (i32, i32) = (720 + 24, 500 + 52 + 36 + 24);
const MARGIN: i32 = 12;
/// The offset of each further window, in pixels. After eight windows it begins again.
const CASCADE: i32 = 28;

/// From the top left, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub x: i32,
    pub y: i32,
}

impl Position {
    /// Windows open at the bottom right, because the pictures begin at the top left. `place` is the number of windows that
    /// are open already.
    #[must_use]
    pub fn initial(page: (i32, i32), place: usize) -> Self {
        let offset = i32::try_from(place % 8).unwrap_or(0) * CASCADE;
        Self { x: (page.0 - WINDOW.0 - offset).max(MARGIN), y: (page.1 - WINDOW.1 - offset).max(MARGIN) }
    }

    /// A window cannot be dragged to where its title would be out of reach.
    #[must_use]
    pub fn dragged(x: i32, y: i32) -> Self {
        Self { x: x.max(-200), y: y.max(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::Position;

    #[test]
    fn windows_cascade_from_the_bottom_right_and_stay_on_a_small_page() {
        let at = |page, place| {
            let Position { x, y } = Position::initial(page, place);
            (x, y)
        };
        assert_eq!(at((1280, 900), 0), (536, 288));
        assert_eq!(at((1280, 900), 1), (508, 260));
        assert_eq!(at((1280, 900), 8), (536, 288));
        assert_eq!(at((400, 300), 3), (12, 12));
    }

    #[test]
    fn the_title_stays_within_reach() {
        assert_eq!(Position::dragged(-500, -5), Position { x: -200, y: 0 });
        assert_eq!(Position::dragged(30, 40), Position { x: 30, y: 40 });
    }
}
