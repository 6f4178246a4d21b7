//! How the threads of a cloth lie.

pub(super) const COLUMNS: usize = 16;
pub(super) const ROWS: usize = 12;
pub(super) const WEAVES: usize = 10;
/// Of one thread, where that is possible: a cloth of one color is not recognized.
const MOST_OF_ONE: usize = COLUMNS * ROWS / 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thread {
    Dark,
    Middle,
    Light,
    Bright,
}

pub(super) type Cells = [[Thread; COLUMNS]; ROWS];

use Thread::{Bright as B, Dark as D, Light as L, Middle as M};

/// The threads that follow each other, again and again.
const RHYTHMS: [&[Thread]; 8] = [
    &[D, D, M, L],
    &[B, D, D, M, M],
    &[D, M, M, L, D],
    &[M, M, D, B, D],
    &[L, L, D, D, M],
    &[D, D, L, M, M, B],
    &[D, L, L, M, M, D],
    &[M, L, L, M, D, D],
];

/// The cloth of a weave with the rhythm, phase and hem that a name gives.
pub(super) fn weave(weave: usize, of_name: u32) -> Cells {
    let start = (of_name >> 4) as usize;
    let rhythms = (0..RHYTHMS.len()).map(|k| RHYTHMS[(of_name as usize + k) % RHYTHMS.len()]);
    let mut cloths = rhythms.map(|threads| {
        let phase = start % threads.len();
        each(|u, v| threads[(step(weave, u, v) + phase) % threads.len()])
    });
    // No rhythm may do. Then it is the name's own.
    let own = cloths.next().expect("there are rhythms");
    let cloth = if is_mixed(&own) { own } else { cloths.find(is_mixed).unwrap_or(own) };
    let hem = of_name >> 9 & 3;
    let mut cells = cloth.into_iter().flatten();
    each(|u, v| {
        let woven = cells.next().expect("a cloth has all cells");
        match hem {
            1 if v == 5 => D,
            2 if v == 5 && u % 2 == 0 => D,
            2 if v == 5 => L,
            3 if u + v >= 10 => B,
            _ => woven,
        }
    })
}

fn is_mixed(cells: &Cells) -> bool {
    let count = |thread| cells.as_flattened().iter().filter(|cell| **cell == thread).count();
    [D, M, L, B].into_iter().all(|thread| count(thread) <= MOST_OF_ONE)
}

/// All cells in their order, from `u`, the steps from the upright axis (0 to 7), and `v`, those from the lying one (0 to
/// 5). So a cloth is mirrored at both.
fn each(mut cell: impl FnMut(usize, usize) -> Thread) -> Cells {
    let from_axis = |place: usize, half: usize| if place < half { half - 1 - place } else { place - half };
    std::array::from_fn(|y| std::array::from_fn(|x| cell(from_axis(x, COLUMNS / 2), from_axis(y, ROWS / 2))))
}

/// Which step of the rhythm a cell takes. Beside each: what it looks like.
const fn step(weave: usize, u: usize, v: usize) -> usize {
    const fn larger(a: usize, b: usize) -> usize {
        if a > b { a } else { b }
    }
    match weave {
        0 => u + v,                                           // Diamond.
        1 => larger(u, v),                                    // Chamber.
        2 => u.abs_diff(v),                                   // Saltire.
        3 => u + v - larger(u, v),                            // Cross.
        4 => v + (if u % 4 < 2 { u % 4 } else { 4 - u % 4 }), // Peaks.
        5 => u / 2 + v / 2 + (u & v & 1),                     // Steps.
        6 => larger(u + v / 2, v + u / 2),                    // Star.
        7 => u + 6 - v,                                       // Arrow.
        8 => v + u / 4 * 2,                                   // Bands.
        _ => (u / 2) ^ (v / 2),                               // Basket.
    }
}
