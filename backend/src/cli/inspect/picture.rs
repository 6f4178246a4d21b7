//! The picture of an image on a terminal: each character shows two pixels, one above the other.

use std::fmt::Write;

use crate::image::Thumbnail;

/// The longest side in pixels: it takes as many columns, or half as many lines.
pub(super) const SIDE: u32 = 32;
/// The columns between picture and text.
const GAP: usize = 3;

/// Puts the picture on the left of the text where both fit into the terminal, otherwise above it, or leaves it out.
pub(super) fn beside(picture: Option<Thumbnail>, text: &str, columns: usize) -> String {
    let Some(picture) = picture.filter(|picture| picture.width as usize <= columns) else { return text.to_owned() };
    let (lines, width) = (lines(&picture), picture.width as usize);
    let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    if width + GAP + longest > columns {
        return format!("{}\n\n{text}", lines.join("\n"));
    }
    let mut all = Vec::new();
    let (mut left, mut right) = (lines.into_iter(), text.lines());
    loop {
        match (left.next(), right.next()) {
            (None, None) => return all.join("\n"),
            (Some(line), None) => all.push(line),
            (Some(line), Some(text)) => all.push(format!("{line}{:GAP$}{text}", "")),
            (None, Some("")) => all.push(String::new()),
            (None, Some(text)) => all.push(format!("{:1$}{text}", "", width + GAP)),
        }
    }
}

/// One line for two rows of pixels. Below an odd last row is the terminal's own colour.
fn lines(picture: &Thumbnail) -> Vec<String> {
    let rows: Vec<_> = picture.pixels.chunks_exact(picture.width as usize).collect();
    let line = |rows: &[&[[u8; 3]]]| {
        let mut line = String::new();
        let mut before = None;
        for (column, upper) in rows[0].iter().enumerate() {
            let colours = (upper, rows.get(1).map(|lower| &lower[column]));
            // Colours stay until others are set.
            if before != Some(colours) {
                let ([r, g, b], below) = colours;
                let _ = write!(line, "\x1b[38;2;{r};{g};{b}m");
                if let Some([r, g, b]) = below {
                    let _ = write!(line, "\x1b[48;2;{r};{g};{b}m");
                }
                before = Some(colours);
            }
            line.push('\u{2580}');
        }
        line + "\x1b[0m"
    };
    rows.chunks(2).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: [u8; 3] = [255, 0, 0];
    const BLUE: [u8; 3] = [0, 0, 255];

    fn picture() -> Option<Thumbnail> {
        Some(Thumbnail { width: 2, height: 3, pixels: vec![RED, RED, BLUE, BLUE, BLUE, RED] })
    }

    const FIRST: &str = "\x1b[38;2;255;0;0m\x1b[48;2;0;0;255m\u{2580}\u{2580}\x1b[0m";
    const SECOND: &str = "\x1b[38;2;0;0;255m\u{2580}\x1b[38;2;255;0;0m\u{2580}\x1b[0m";

    #[test]
    fn it_stands_beside_the_text_above_it_or_not_at_all() {
        assert_eq!(beside(picture(), "ab\n\nd\n\ne", 7), format!("{FIRST}   ab\n{SECOND}   \n     d\n\n     e"));
        assert_eq!(beside(picture(), "ab", 7), format!("{FIRST}   ab\n{SECOND}"));
        assert_eq!(beside(picture(), "ab", 6), format!("{FIRST}\n{SECOND}\n\nab"));
        assert_eq!(beside(picture(), "ab", 1), "ab");
        assert_eq!(beside(None, "ab", 80), "ab");
    }
}
