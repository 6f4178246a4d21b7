//! The emblem of an image: a small cloth, woven from its system and its name, by which people recognize it.
//!
//! It is a face and no checksum: known systems differ surely, others and names mostly, and the name stands beside it.
//! The same texts give the same cloth everywhere, so there is nothing in it but whole numbers. `docs/DESIGN.md` describes
//! every step in words.

mod cloth;
mod known;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use cloth::{COLUMNS, Cells, ROWS, Thread};

/// Hues in degrees (OKLCH), so far apart that neighbors can be told apart.
const HUES: [u16; 16] = [12, 32, 52, 74, 98, 124, 146, 168, 190, 214, 238, 260, 282, 304, 326, 348];
/// By so many degrees the hue of the light thread is turned. The name decides, so that images of one system differ.
const TURNS: [u16; 4] = [15, 60, 100, 320];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emblem {
    /// In degrees (OKLCH).
    hue: u16,
    /// In degrees, added to the hue for the light thread.
    turn: u16,
    cells: Cells,
}

/// How much of an emblem is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Plate,
    /// The middle, which is square, beside a name.
    Stamp,
}

impl Part {
    const fn columns(self) -> std::ops::Range<usize> {
        match self {
            Self::Plate => 0..COLUMNS,
            Self::Stamp => 2..COLUMNS - 2,
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Plate => "emblem-plate",
            Self::Stamp => "emblem-stamp",
        }
    }
}

impl Emblem {
    /// A name that begins with a known word wins: a classroom is a classroom, whatever it is made from. Then the system
    /// (the `distro` of an image), then the first word of the name. Both are in Unicode's normal form C.
    #[must_use]
    pub fn new(distro: Option<&str>, name: &str) -> Self {
        let label = normal(name);
        let word = first_word(&label);
        let named = distro.map(normal).filter(|system| !system.is_empty());
        let system = named.as_deref().unwrap_or(word);
        let (of_system, of_name) = (hash(system), hash(&label));
        let place = [word, system, first_word(system)].into_iter().find_map(known::place);
        let (hue, weave) =
            place.unwrap_or((of_system as usize % HUES.len(), (of_system >> 8) as usize % cloth::WEAVES));
        Self {
            hue: HUES[hue],
            turn: TURNS[(of_name >> 13) as usize % TURNS.len()],
            cells: cloth::weave(weave, of_name),
        }
    }

    /// An SVG element. It brings its colors itself, so that a page needs no style for it, and its policy may forbid
    /// styles in elements.
    #[must_use]
    pub fn svg(&self, part: Part) -> String {
        let width = part.columns().len();
        let mut svg = format!(
            "<svg class=\"emblem {}\" viewBox=\"0 0 {width} {ROWS}\" shape-rendering=\"crispEdges\" aria-hidden=\"true\">\
             <path fill=\"oklch(.36 .085 {})\" d=\"M0 0h{width}v{ROWS}h-{width}z\"/>",
            part.class(),
            self.hue,
        );
        // Lightness, chroma, and the hue's turn.
        for (thread, color, turn) in
            [(Thread::Middle, ".58 .135", 0), (Thread::Light, ".88 .075", self.turn), (Thread::Bright, ".78 .13", 60)]
        {
            let (path, hue) = (self.path(thread, part), (self.hue + turn) % 360);
            if !path.is_empty() {
                let _ = write!(svg, "<path fill=\"oklch({color} {hue})\" d=\"{path}\"/>");
            }
        }
        svg.push_str("</svg>");
        svg
    }

    /// The cells of one thread as one path; neighbors in a row are joined.
    fn path(&self, thread: Thread, part: Part) -> String {
        let mut path = String::new();
        for (y, row) in self.cells.iter().enumerate() {
            let mut x = 0;
            for run in row[part.columns()].chunk_by(PartialEq::eq) {
                if run[0] == thread {
                    let _ = write!(path, "M{x} {y}h{0}v1h-{0}z", run.len());
                }
                x += run.len();
            }
        }
        path
    }
}

/// Lower case, and one space for every run of other characters than letters and digits.
fn normal(text: &str) -> String {
    let lower = text.to_lowercase();
    lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// FNV-1a with 32 bits (<https://www.rfc-editor.org/rfc/rfc9923>), and its bits mixed once more: the emblem takes some of
/// them for each of its signs.
fn hash(text: &str) -> u32 {
    let mixed = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let mixed = (mixed ^ mixed >> 16).wrapping_mul(0x7feb_352d);
    mixed ^ mixed >> 15
}
