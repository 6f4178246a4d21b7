//! What a person chooses for the next machine of an image. What is left open follows the image, then the defaults.

use std::collections::BTreeMap;

use pixelrts_shared::boot_decision::{HostLimits, LEAST_MEMORY, MOST_CPUS};
use pixelrts_shared::machine::{BootRequest, Net};
use pixelrts_shared::{Digest, Size};

use crate::words;

/// The options of so many images are remembered; the ones that were changed last.
const REMEMBERED: usize = 200;

/// What becomes of the command line that the image has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Line {
    #[default]
    Own,
    Append,
    Replace,
}

/// The fields as they are, valid or not. Empty fields follow the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    pub memory: String,
    pub cpus: String,
    pub net: Option<Net>,
    pub line: Line,
    /// What is appended, or what replaces the line.
    pub text: String,
}

/// Why a field cannot be used, as a sentence beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    pub memory: Option<String>,
    pub cpus: Option<String>,
    pub text: Option<String>,
}

impl Draft {
    #[must_use]
    pub fn of(request: &BootRequest) -> Self {
        let (line, text) = match (&request.cmdline, &request.append) {
            (Some(line), _) => (Line::Replace, line.clone()),
            (None, Some(added)) => (Line::Append, added.clone()),
            (None, None) => (Line::Own, String::new()),
        };
        Self {
            memory: request.memory.map(|memory| memory.to_string()).unwrap_or_default(),
            cpus: request.cpus.map(|cpus| cpus.to_string()).unwrap_or_default(),
            net: request.net,
            line,
            text,
        }
    }

    /// Something differs from what the image gets by itself.
    #[must_use]
    pub fn differs(&self) -> bool {
        *self != Self::default()
    }

    /// What is sent to boot. The backend refuses the same values; here they are told before anything is booted.
    pub fn request(&self, limits: &HostLimits) -> Result<BootRequest, Refusals> {
        let (memory, cpus, text) = (memory(&self.memory, limits), cpus(&self.cpus), text(self.line, &self.text));
        match (memory, cpus, text) {
            (Ok(memory), Ok(cpus), Ok(text)) => {
                let (cmdline, append) = match self.line {
                    Line::Own => (None, None),
                    Line::Append => (None, text),
                    Line::Replace => (text, None),
                };
                Ok(BootRequest { server: None, memory, cpus, cmdline, append, net: self.net })
            }
            (memory, cpus, text) => Err(Refusals { memory: memory.err(), cpus: cpus.err(), text: text.err() }),
        }
    }
}

fn memory(said: &str, limits: &HostLimits) -> Result<Option<Size>, String> {
    let said = said.trim();
    if said.is_empty() {
        return Ok(None);
    }
    // A number alone counts MiB, as in requests.
    let size = said.parse::<u64>().map(Size::from_mebibytes).or_else(|_| said.parse::<Size>());
    match size {
        Err(_) => Err("Write a size, as in 512M or 2G.".to_owned()),
        Ok(size) if size < LEAST_MEMORY => Err(format!("A machine needs {} at least.", words::memory(LEAST_MEMORY))),
        Ok(size) if size > limits.memory => Err(format!("This computer has {}.", words::memory(limits.memory))),
        Ok(size) => Ok(Some(size)),
    }
}

fn cpus(said: &str) -> Result<Option<u32>, String> {
    match said.trim() {
        "" => Ok(None),
        said => match said.parse() {
            Ok(count) if (1..=MOST_CPUS).contains(&count) => Ok(Some(count)),
            _ => Err(format!("Write a number from 1 to {MOST_CPUS}.")),
        },
    }
}

/// An appended text that is empty changes nothing; a line that is replaced by nothing boots no kernel that anybody sees.
fn text(line: Line, said: &str) -> Result<Option<String>, String> {
    let said = said.trim();
    match line {
        Line::Own => Ok(None),
        _ if said.chars().any(char::is_control) => Err("Write it in one line.".to_owned()),
        Line::Append => Ok(Some(said.to_owned()).filter(|said| !said.is_empty())),
        Line::Replace if said.is_empty() => Err("Write the whole line, or use the image's own.".to_owned()),
        Line::Replace => Ok(Some(said.to_owned())),
    }
}

/// The sizes of memory that are offered: powers of two around what the machine gets by itself, as far as the computer
/// has them. The one that it gets by itself is among them.
#[must_use]
pub fn memories(own: Size, limits: &HostLimits) -> Vec<Size> {
    let mut sizes: Vec<_> =
        (0..4).map(|power| Size::from_mebibytes(512 << power)).filter(|size| *size <= limits.memory).collect();
    if let Err(place) = sizes.binary_search(&own) {
        sizes.insert(place, own);
        // The one that is the farthest away makes room.
        if sizes.len() > 4 {
            sizes.remove(if place < 2 { 4 } else { 0 });
        }
    }
    sizes
}

/// The numbers of processors that are offered.
#[must_use]
pub fn counts(own: u32, limits: &HostLimits) -> Vec<u32> {
    let mut counts: Vec<_> = [1, 2, 4, 8].into_iter().filter(|count| *count <= limits.cpus).collect();
    if let Err(place) = counts.binary_search(&own) {
        counts.insert(place, own);
    }
    counts
}

/// What people chose, for each image. The last one that was changed is the last one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remembered(Vec<(Digest, BootRequest)>);

impl Remembered {
    #[must_use]
    pub fn get(&self, key: &Digest) -> Option<&BootRequest> {
        self.0.iter().find(|(held, _)| held == key).map(|(_, request)| request)
    }

    /// Returns true when something changed.
    pub fn set(&mut self, key: Digest, request: BootRequest) -> bool {
        if self.get(&key).is_some_and(|held| *held == request) {
            return false;
        }
        let had = self.0.extract_if(.., |(held, _)| *held == key).next().is_some();
        if request == BootRequest::default() {
            return had;
        }
        if self.0.len() == REMEMBERED {
            self.0.remove(0);
        }
        self.0.push((key, request));
        true
    }

    /// As a document of its own, in which the order is kept.
    #[must_use]
    pub fn written(&self) -> String {
        let list: Vec<_> = self.0.iter().map(|(key, request)| Kept { key: *key, request: request.clone() }).collect();
        serde_json::to_string(&list).unwrap_or_default()
    }

    /// What is not readable is not remembered.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let list: Vec<Kept> = crate::json::read(text).unwrap_or_default();
        let unique: BTreeMap<_, _> = list.iter().enumerate().map(|(place, kept)| (kept.key, place)).collect();
        let is_last = |(place, kept): &(usize, Kept)| unique.get(&kept.key) == Some(place);
        let kept = list.into_iter().enumerate().filter(is_last).map(|(_, kept)| (kept.key, kept.request));
        Self(kept.take(REMEMBERED).collect())
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    key: Digest,
    request: BootRequest,
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits() -> HostLimits {
        HostLimits { memory: Size::from_gibibytes(4), cpus: 2 }
    }

    fn key(byte: u8) -> Digest {
        format!("{byte:02x}").repeat(32).parse().expect("64 digits are a digest")
    }

    fn draft(memory: &str, cpus: &str, line: Line, text: &str) -> Result<BootRequest, Refusals> {
        Draft { memory: memory.to_owned(), cpus: cpus.to_owned(), net: None, line, text: text.to_owned() }
            .request(&limits())
    }

    #[test]
    fn what_is_left_open_is_not_sent() {
        assert_eq!(Draft::default().request(&limits()), Ok(BootRequest::default()));
        assert_eq!(draft("  ", " ", Line::Append, " "), Ok(BootRequest::default()));
        let own = Draft { text: "left over".to_owned(), ..Draft::default() };
        assert_eq!(own.request(&limits()), Ok(BootRequest::default()), "the image's own line was chosen again");
    }

    #[test]
    fn what_the_backend_would_refuse_is_told_at_its_field() {
        for (memory, refused) in [
            ("512M", false),
            ("512", false),
            ("2 GiB", false),
            ("4G", false),
            ("5G", true),
            ("31M", true),
            ("much", true),
            ("0", true),
        ] {
            assert_eq!(
                draft(memory, "", Line::Own, "").is_err_and(|refusals| refusals.memory.is_some()),
                refused,
                "{memory}"
            );
        }
        for (cpus, refused) in [("1", false), ("64", false), ("65", true), ("0", true), ("-1", true), ("two", true)] {
            assert_eq!(
                draft("", cpus, Line::Own, "").is_err_and(|refusals| refusals.cpus.is_some()),
                refused,
                "{cpus}"
            );
        }
        for (line, text, refused) in
            [(Line::Append, "a\nb", true), (Line::Replace, "", true), (Line::Replace, "quiet", false)]
        {
            assert_eq!(draft("", "", line, text).is_err(), refused, "{line:?} {text}");
        }
        let refusals = draft("much", "two", Line::Replace, "").unwrap_err();
        assert!(refusals.memory.is_some() && refusals.cpus.is_some() && refusals.text.is_some(), "all at once");
    }

    #[test]
    fn what_the_machine_gets_by_itself_is_always_offered() {
        let offered = |mebibytes| {
            memories(Size::from_mebibytes(mebibytes), &limits())
                .iter()
                .map(|size| size.bytes() >> 20)
                .collect::<Vec<_>>()
        };
        assert_eq!(offered(1024), [512, 1024, 2048, 4096]);
        assert_eq!(offered(256), [256, 512, 1024, 2048]);
        assert_eq!(offered(3000), [1024, 2048, 3000, 4096]);
        assert_eq!((counts(1, &limits()), counts(3, &limits())), (vec![1, 2], vec![1, 2, 3]));
    }

    #[test]
    fn options_are_remembered_for_each_image_and_put_back() {
        let mut remembered = Remembered::default();
        let request = BootRequest { cpus: Some(2), append: Some("quiet".to_owned()), ..BootRequest::default() };
        assert!(remembered.set(key(1), request.clone()) && !remembered.set(key(1), request.clone()));
        assert_eq!((remembered.get(&key(1)), remembered.get(&key(2))), (Some(&request), None));
        assert_eq!(Remembered::read(&remembered.written()), remembered);
        assert!(remembered.set(key(1), BootRequest::default()) && remembered == Remembered::default());
        assert!(!remembered.set(key(1), BootRequest::default()));
        for byte in 0..=255 {
            remembered.set(key(byte), request.clone());
        }
        assert_eq!(
            (remembered.0.len(), remembered.get(&key(0)).is_some(), remembered.get(&key(255)).is_some()),
            (200, false, true)
        );
    }

    #[test]
    fn a_damaged_document_is_forgotten() {
        for text in ["", "{", "[{\"key\":1}]", "{}"] {
            assert_eq!(Remembered::read(text), Remembered::default(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_draft_that_is_accepted_is_the_same_draft_when_it_is_read_back(memory in "[0-9]{0,4}[MG]?", cpus in "[0-9]{0,2}", text in "[ -~]{0,20}") {
            for line in [Line::Own, Line::Append, Line::Replace] {
                if let Ok(request) = draft(&memory, &cpus, line, &text) {
                    prop_assert_eq!(Draft::of(&request).request(&limits()), Ok(request));
                }
            }
        }
    }
}
