//! Puts lines together from bytes that arrive in pieces of any length.

/// Longer lines are dropped: the backend sends none, and no sender may fill the memory.
const LONGEST: usize = 256 * 1024;

/// Collects bytes until a line is whole.
#[derive(Debug, Default)]
pub struct Lines {
    rest: Vec<u8>,
    /// The current line is too long, and the rest of it is skipped.
    skipping: bool,
}

impl Lines {
    /// Takes the next bytes and gives `line` each line that they complete, without its end. Empty lines and lines that are
    /// not UTF-8 are left out.
    pub fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        let unfinished = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            self.keep(piece);
            if !std::mem::take(&mut self.skipping)
                && let Ok(text) = std::str::from_utf8(&self.rest)
            {
                let text = text.trim_end_matches('\r');
                if !text.is_empty() {
                    line(text);
                }
            }
            self.rest.clear();
        }
        self.keep(unfinished);
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.skipping || self.rest.len() + piece.len() > LONGEST {
            self.skipping = true;
            self.rest.clear();
        } else {
            self.rest.extend_from_slice(piece);
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, |line| found.push(line.to_owned()));
        }
        found
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_bytes_are_split(
            texts in proptest::collection::vec("[^\r\n]{1,12}", 0..8),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
        ) {
            let bytes: Vec<u8> = texts.iter().flat_map(|text| [text.as_bytes(), b"\n"].concat()).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(split(&chunks), texts);
        }
    }

    #[test]
    fn a_line_without_an_end_waits_and_empty_ones_are_left_out() {
        assert_eq!(split(&[b"\r\n\n{\"a\":", b"1}\r\n{\"b\""]), ["{\"a\":1}"]);
    }

    #[test]
    fn a_line_too_long_is_skipped_and_the_next_one_is_read() {
        let long = vec![b'x'; LONGEST / 2 + 1];
        assert_eq!(split(&[&long, &long, &long, b"\nnext\n"]), ["next"]);
        assert_eq!(split(&[b"\xff\xfe\nnext\n"]), ["next"]);
    }
}
