//! Cuts the text of a catalog into its parts: the members of the document, and each entry of its list.
//!
//! It looks at structure only and keeps no more than the part that it is in, however deep or long that is. What is in
//! a part is for others to read.

use super::NotACatalog;

/// An entry may have so many bytes, after long texts in it were cut.
pub(super) const MOST_ENTRY: usize = 4 << 10;
/// The rest of a longer text is dropped, so that a long description does not cost its entry. Addresses are never used
/// when they are so long.
pub(super) const MOST_TEXT: usize = 2 << 10;
/// So much of a document that is none is repeated to people.
const SHOWN: usize = 20;

/// A part of the document, as JSON. A text that is longer than `MOST_TEXT` is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// The list of entries begins.
    Entries,
    Member {
        key: &'a [u8],
        value: &'a [u8],
    },
    Entry(&'a [u8]),
    /// The beginning of an entry that is too long.
    LongEntry(&'a [u8]),
}

#[derive(Debug, Default)]
pub(super) struct Splitter {
    at: At,
    /// The value or key that is being read, while it is not over.
    open: Option<Value>,
    key: Vec<u8>,
    buffer: Vec<u8>,
    offset: usize,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Start,
    Key,
    Colon,
    Value,
    AfterValue,
    Entry,
    AfterEntry,
    End,
}

impl Splitter {
    pub(super) fn push(
        &mut self,
        mut text: &[u8],
        take: &mut impl FnMut(Part<'_>) -> Result<(), NotACatalog>,
    ) -> Result<(), NotACatalog> {
        while let Some(byte) = text.first() {
            let used = match &mut self.open {
                Some(value) => {
                    let (used, over) = value.push(text, &mut self.buffer);
                    if over {
                        self.over(take)?;
                    }
                    used
                }
                None if byte.is_ascii_whitespace() => 1,
                None => usize::from(self.token(*byte, text, take)?),
            };
            self.offset += used;
            text = &text[used..];
        }
        Ok(())
    }

    /// There is no more text.
    pub(super) fn finish(&self) -> Result<(), NotACatalog> {
        match self.at {
            At::End => Ok(()),
            At::Start => Err(NotACatalog::Malformed("it is empty".to_owned())),
            _ => Err(NotACatalog::Cut),
        }
    }

    /// A byte outside of values. Returns whether it is used up; the first byte of a value is not.
    fn token(
        &mut self,
        byte: u8,
        text: &[u8],
        take: &mut impl FnMut(Part<'_>) -> Result<(), NotACatalog>,
    ) -> Result<bool, NotACatalog> {
        let next = match (self.at, byte) {
            (At::Start, b'{') | (At::AfterValue, b',') => At::Key,
            (At::Start, b'<') => {
                return Err(NotACatalog::Markup(
                    String::from_utf8_lossy(&text[..text.len().min(1 << 10)]).into_owned(),
                ));
            }
            (At::Colon, b':') => At::Value,
            (At::Key | At::AfterValue, b'}') => At::End,
            (At::Value, b'[') if self.key == b"\"entries\"" => {
                take(Part::Entries)?;
                At::Entry
            }
            (At::AfterEntry, b',') => At::Entry,
            (At::Entry | At::AfterEntry, b']') => At::AfterValue,
            (At::Key, b'"') => return Ok(self.begin(byte)),
            (At::Value | At::Entry, _) if !matches!(byte, b',' | b':' | b']' | b'}') => return Ok(self.begin(byte)),
            _ => {
                let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN)]).into_owned();
                return Err(NotACatalog::Malformed(format!("{shown:?} is at byte {}", self.offset)));
            }
        };
        self.at = next;
        Ok(true)
    }

    fn begin(&mut self, byte: u8) -> bool {
        self.buffer.clear();
        self.open = Some(Value::new(byte));
        false
    }

    fn over(&mut self, take: &mut impl FnMut(Part<'_>) -> Result<(), NotACatalog>) -> Result<(), NotACatalog> {
        let long = self.open.take().is_some_and(|value| value.long);
        match self.at {
            At::Key => {
                std::mem::swap(&mut self.key, &mut self.buffer);
                self.at = At::Colon;
            }
            At::Entry => {
                self.at = At::AfterEntry;
                take(if long { Part::LongEntry(&self.buffer) } else { Part::Entry(&self.buffer) })?;
            }
            _ => {
                self.at = At::AfterValue;
                take(Part::Member { key: &self.key, value: &self.buffer })?;
            }
        }
        Ok(())
    }
}

/// A value while it is read.
#[derive(Debug)]
struct Value {
    kind: Kind,
    /// Brackets that are open.
    depth: usize,
    within: Within,
    /// Bytes of the current text that are kept.
    text: usize,
    cut: bool,
    /// More than `MOST_ENTRY` bytes: the rest is not kept.
    long: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nested,
    Text,
    /// A number or a word: it ends before the next byte of structure.
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Structure,
    Text,
    /// After a backslash.
    Escape,
    /// In the digits of `\u`: so many are missing.
    Hex(u8),
}

impl Value {
    fn new(first: u8) -> Self {
        let kind = match first {
            b'{' | b'[' => Kind::Nested,
            b'"' => Kind::Text,
            _ => Kind::Plain,
        };
        Self { kind, depth: 0, within: Within::Structure, text: 0, cut: false, long: false }
    }

    /// Reads on. Returns how many bytes were used, and whether the value is over.
    fn push(&mut self, text: &[u8], kept: &mut Vec<u8>) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            match self.within {
                Within::Text => {
                    let rest = &text[at..];
                    let run = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                    self.keep_text(&rest[..run], kept);
                    at += run;
                    match rest.get(run) {
                        Some(b'"') => {
                            self.within = Within::Structure;
                            self.keep(b"\"", kept);
                            at += 1;
                            if self.kind == Kind::Text {
                                return (at, true);
                            }
                        }
                        Some(_) => {
                            self.within = Within::Escape;
                            self.cut |= self.text >= MOST_TEXT;
                            self.keep_escape(b'\\', kept);
                            at += 1;
                        }
                        None => {}
                    }
                }
                Within::Escape => {
                    self.within = if byte == b'u' { Within::Hex(4) } else { Within::Text };
                    self.keep_escape(byte, kept);
                    at += 1;
                }
                Within::Hex(missing) => {
                    self.within = if missing > 1 { Within::Hex(missing - 1) } else { Within::Text };
                    // A quote here is the end of a broken text. It is read as such, so that the text has an end.
                    if byte == b'"' {
                        self.within = Within::Text;
                        continue;
                    }
                    self.keep_escape(byte, kept);
                    at += 1;
                }
                Within::Structure => {
                    match byte {
                        b'"' => (self.within, self.text, self.cut) = (Within::Text, 0, false),
                        b'{' | b'[' => self.depth += 1,
                        b',' | b']' | b'}' if self.kind == Kind::Plain => return (at, true),
                        b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                        _ if self.kind == Kind::Plain && byte.is_ascii_whitespace() => return (at, true),
                        _ => {}
                    }
                    self.keep(&[byte], kept);
                    at += 1;
                    if self.kind == Kind::Nested && self.depth == 0 {
                        return (at, true);
                    }
                }
            }
        }
        (at, false)
    }

    fn keep(&mut self, bytes: &[u8], kept: &mut Vec<u8>) {
        let room = MOST_ENTRY - kept.len();
        self.long |= bytes.len() > room;
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// A run of a text. It is cut between characters.
    fn keep_text(&mut self, run: &[u8], kept: &mut Vec<u8>) {
        if self.cut || run.is_empty() {
            return;
        }
        let mut end = run.len().min(MOST_TEXT.saturating_sub(self.text));
        while run.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
            end += 1;
        }
        if end < run.len() {
            self.cut = true;
            drop_half_pair(&run[..end], kept);
        }
        self.text += end;
        self.keep(&run[..end], kept);
    }

    fn keep_escape(&mut self, byte: u8, kept: &mut Vec<u8>) {
        if self.cut {
            return drop_half_pair(&[], kept);
        }
        self.text += 1;
        self.keep(&[byte], kept);
    }
}

/// A text that is cut may end with the first half of a pair, as in `\ud83d`, which is no character.
fn drop_half_pair(behind: &[u8], kept: &mut Vec<u8>) {
    let Some(start) = kept.len().checked_sub(6).filter(|_| behind.is_empty()) else { return };
    if let [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'A' | b'b' | b'B', _, _] = kept[start..] {
        kept.truncate(start);
    }
}
