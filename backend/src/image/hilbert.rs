//! The Hilbert curve that lays a run of pixels over a square.

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
pub(super) fn index(side: u32, mut x: u32, mut y: u32) -> u32 {
    let mut found = 0;
    let mut half = side / 2;
    while half > 0 {
        let right = u32::from(x & half > 0);
        let down = u32::from(y & half > 0);
        found += half * half * ((3 * right) ^ down);
        if down == 0 {
            if right == 1 {
                x = side - 1 - x;
                y = side - 1 - y;
            }
            (x, y) = (y, x);
        }
        half /= 2;
    }
    found
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

    proptest! {
        #[test]
        fn every_pixel_has_one_place(order in 0_u32..=14, seed: u32) {
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
