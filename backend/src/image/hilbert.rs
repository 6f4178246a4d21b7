//! The Hilbert curve, which puts a run of pixels onto a square.

/// Column and row of pixel `index` on the curve over a square of `side` pixels, a power of two up to 65,536.
pub(super) fn position(side: u32, index: u32) -> (u32, u32) {
    let (mut x, mut y, mut rest) = (0, 0, index);
    let mut half = 1;
    while half < side {
        let right = 1 & (rest >> 1);
        let down = 1 & (rest ^ right);
        if down == 0 {
            if right == 1 {
                x = half - 1 - x;
                y = half - 1 - y;
            }
            (x, y) = (y, x);
        }
        x += half * right;
        y += half * down;
        rest >>= 2;
        half *= 2;
    }
    (x, y)
}

/// The pixel of the curve at column `x` and row `y`: the inverse of [`position`].
pub(super) fn index(side: u32, x: u32, y: u32) -> u32 {
    turned(side, x, y).0
}

/// How the curve is turned in a part of a square, compared with the curve over a square of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// Columns and rows change places.
    swap: bool,
    /// Columns and rows both count from the other side.
    flip: bool,
}

/// The pixel at column `x` and row `y`, and how the curve would be turned within that pixel if it were a square.
fn turned(side: u32, mut x: u32, mut y: u32) -> (u32, Turn) {
    let (mut found, mut turn) = (0, Turn::default());
    let mut half = side / 2;
    while half > 0 {
        let right = u32::from(x & half > 0);
        let down = u32::from(y & half > 0);
        found += half * half * ((3 * right) ^ down);
        if down == 0 {
            if right == 1 {
                x = side - 1 - x;
                y = side - 1 - y;
                turn.flip = !turn.flip;
            }
            (x, y) = (y, x);
            turn.swap = !turn.swap;
        }
        half /= 2;
    }
    (found, turn)
}

/// The square of a classic image, divided into small squares that are each one piece of the curve.
///
/// A curve visits every aligned square of a power of two once, from end to end, in one of four turns. One table for
/// each turn replaces the walk along the curve for every pixel.
#[derive(Debug)]
pub(super) struct Grid {
    side: u32,
    block: u32,
    /// The number along the curve of each pixel of a small square, row by row; one table for each turn.
    tables: [Vec<u16>; 4],
}

/// A square of 64 pixels has 16 KiB: it stays in the nearest cache with its table.
const BLOCK: u32 = 64;

impl Grid {
    /// `side` is a power of two, up to 65,536.
    pub(super) fn new(side: u32) -> Self {
        let block = side.min(BLOCK);
        let table = |swap: bool, flip: bool| {
            let number = |x: u32, y: u32| {
                let (x, y) = if swap { (y, x) } else { (x, y) };
                let (x, y) = if flip { (block - 1 - x, block - 1 - y) } else { (x, y) };
                u16::try_from(index(block, x, y)).expect("a square has 4096 pixels")
            };
            (0..block).flat_map(|y| (0..block).map(move |x| (x, y))).map(|(x, y)| number(x, y)).collect()
        };
        Self { side, block, tables: [table(false, false), table(true, false), table(false, true), table(true, true)] }
    }

    /// The smallest square that the older tools make for so many bytes (`docs/FORMAT.md`, 2.1); `None` beyond
    /// 65,536 pixels.
    pub(super) fn for_bytes(size: u64) -> Option<Self> {
        let pixels = size.checked_next_multiple_of(64)?.div_ceil(4).max(1);
        (0..=16)
            .map(|order| 1_u64 << order)
            .find(|side| side * side >= pixels)
            .map(|side| Self::new(u32::try_from(side).expect("up to 65,536")))
    }

    pub(super) fn side(&self) -> u32 {
        self.side
    }

    /// The side of a small square in pixels.
    pub(super) fn block(&self) -> u32 {
        self.block
    }

    /// How many small squares are in a row of the grid.
    pub(super) fn squares(&self) -> usize {
        (self.side / self.block) as usize
    }

    /// The number of payload bytes in a small square.
    pub(super) fn square_bytes(&self) -> usize {
        4 * (self.block * self.block) as usize
    }

    /// Which piece of the curve the small square in this column and row holds, and how the curve is turned there.
    pub(super) fn square(&self, column: usize, row: usize) -> (usize, Turn) {
        let small = |at: usize| u32::try_from(at).expect("a small square of this grid");
        let (number, turn) = turned(self.side / self.block, small(column), small(row));
        (number as usize, turn)
    }

    /// The numbers along the curve of a row's pixels, in a small square with this turn.
    pub(super) fn line(&self, turn: Turn, row: usize) -> &[u16] {
        let (table, block) = (usize::from(turn.swap) + 2 * usize::from(turn.flip), self.block as usize);
        &self.tables[table][row * block..][..block]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_vectors() {
        let order_2 = [
            (0, 0),
            (1, 0),
            (1, 1),
            (0, 1),
            (0, 2),
            (0, 3),
            (1, 3),
            (1, 2),
            (2, 2),
            (2, 3),
            (3, 3),
            (3, 2),
            (3, 1),
            (2, 1),
            (2, 0),
            (3, 0),
        ];
        for (index, expected) in (0..).zip(order_2) {
            assert_eq!(position(4, index), expected, "order 2, pixel {index}");
        }
        let golden = [
            (3, 4, (2, 0)),
            (3, 5, (3, 0)),
            (3, 15, (0, 3)),
            (3, 16, (0, 4)),
            (3, 32, (4, 4)),
            (3, 63, (7, 0)),
            (11, 64, (8, 0)),
            (11, 1000, (30, 6)),
            (11, 12345, (123, 62)),
            (11, 2_097_152, (1024, 1024)),
            (11, 4_194_303, (2047, 0)),
            (12, 64, (0, 8)),
            (12, 1000, (6, 30)),
            (12, 12345, (62, 123)),
            (12, 8_388_608, (2048, 2048)),
        ];
        for (order, pixel, expected) in golden {
            assert_eq!(position(1 << order, pixel), expected, "order {order}, pixel {pixel}");
        }
    }

    #[test]
    fn the_side_is_that_of_the_older_tools() {
        let sides = [(1, 4), (64, 4), (65, 8), (1000, 16), (1024, 16), (1025, 32), (4097, 64)];
        for (size, side) in sides.into_iter().chain([(15_217_512, 2048), (67_108_864, 4096)]) {
            assert_eq!(Grid::for_bytes(size).map(|grid| grid.side()), Some(side), "{size}");
        }
        assert!(Grid::for_bytes(u64::MAX).is_none() && Grid::for_bytes(1 << 40).is_none());
    }

    proptest! {
        #[test]
        fn each_small_square_is_one_piece_of_the_curve(order in 0_u32..=9, seed: u32) {
            let grid = Grid::new(1 << order);
            let pixel = seed % (grid.side() * grid.side());
            let (x, y) = position(grid.side(), pixel);
            let (number, turn) = grid.square((x / grid.block()) as usize, (y / grid.block()) as usize);
            let in_square = grid.block() * grid.block();
            prop_assert_eq!(number, (pixel / in_square) as usize);
            let line = grid.line(turn, (y % grid.block()) as usize);
            prop_assert_eq!(u32::from(line[(x % grid.block()) as usize]), pixel % in_square);
        }

        #[test]
        fn every_pixel_has_exactly_one_place(order in 0_u32..=14, seed: u32) {
            let side = 1 << order;
            let pixel = seed % (side * side);
            let (x, y) = position(side, pixel);
            prop_assert!(x < side && y < side);
            prop_assert_eq!(index(side, x, y), pixel);
        }

        #[test]
        fn the_curve_never_jumps(order in 1_u32..=14, seed: u32) {
            let side = 1 << order;
            let pixel = seed % (side * side - 1);
            let ((x, y), (next_x, next_y)) = (position(side, pixel), position(side, pixel + 1));
            prop_assert_eq!(x.abs_diff(next_x) + y.abs_diff(next_y), 1);
        }
    }
}
