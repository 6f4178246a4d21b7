use super::*;
use proptest::prelude::*;

/// `distro|name|hue|turn|` and the upper left quarter, a digit for each thread. Another program has computed them.
const GOLDEN: &str = include_str!("golden.txt");

#[test]
fn the_same_texts_give_the_same_cloth_as_elsewhere() {
    assert_eq!(GOLDEN.lines().count(), 24);
    for line in GOLDEN.lines() {
        let [distro, name, hue, turn, quarter] = line.split('|').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let emblem = Emblem::new(Some(distro), name);
        assert_eq!((emblem.hue.to_string().as_str(), emblem.turn.to_string().as_str()), (hue, turn), "{line}");
        let row = |row: &[Thread; COLUMNS]| row[..COLUMNS / 2].iter().map(|cell| digit(*cell)).collect::<String>();
        assert_eq!(emblem.cells[..ROWS / 2].iter().map(row).collect::<Vec<_>>().join(" "), quarter, "{line}");
    }
}

fn digit(thread: Thread) -> char {
    match thread {
        Thread::Dark => '0',
        Thread::Middle => '1',
        Thread::Light => '2',
        Thread::Bright => '3',
    }
}

#[test]
fn case_and_punctuation_make_no_difference() {
    let emblem = Emblem::new(Some("Debian"), "Debian 12 (bookworm)");
    assert_eq!(emblem, Emblem::new(Some("DEBIAN "), "debian-12 Bookworm!"));
    assert_ne!(emblem, Emblem::new(Some("Debian"), "Debian 13 (trixie)"));
    assert_eq!(Emblem::new(None, "x"), Emblem::new(Some(""), "x"));
}

#[test]
fn the_drawing_joins_neighbors_and_the_stamp_is_the_middle() {
    let svg = Emblem::new(Some("Debian"), "Debian 12 installer").svg(Part::Stamp);
    assert!(svg.starts_with("<svg class=\"emblem emblem-stamp\" viewBox=\"0 0 12 12\""));
    assert!(svg.contains("<path fill=\"oklch(.88 .075 88)\" d=\"M0 0h1v1h-1zM2 0h1v1h-1z"), "{svg}");
}

proptest! {
    #[test]
    fn every_text_has_a_cloth_that_is_mirrored_at_both_axes(
        distro in proptest::option::of(".{0,20}"), name in ".{0,40}",
    ) {
        let cells = Emblem::new(distro.as_deref(), &name).cells;
        for (y, row) in cells.iter().enumerate() {
            prop_assert_eq!(row, &cells[ROWS - 1 - y]);
            prop_assert!(row.iter().eq(row.iter().rev()));
        }
    }

    #[test]
    fn a_drawing_covers_each_cell_that_is_not_dark_once(name in "[a-z]{1,12}") {
        let emblem = Emblem::new(None, &name);
        for thread in [Thread::Middle, Thread::Light, Thread::Bright] {
            let path = emblem.path(thread, Part::Plate);
            let lengths = path.split('h').filter_map(|run| run.split_once("v1"));
            let drawn: usize = lengths.map(|(length, _)| length.parse::<usize>().unwrap()).sum();
            let cells = emblem.cells.as_flattened().iter().filter(|cell| **cell == thread).count();
            prop_assert_eq!(drawn, cells);
        }
    }
}
