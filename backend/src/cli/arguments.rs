//! The words of the command line. Secrets in them are hidden from everybody else as soon as they are read.
//!
//! The list of processes shows the words of each process to every user of the computer. An address among them may hold a
//! password or a signature, so these letters are overwritten in this process's own memory, from where the list takes
//! them. Only in the moment before can they be seen.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// The words as they were given.
#[derive(Debug)]
pub(super) struct Arguments(Vec<OsString>);

impl Arguments {
    /// Reads the words, and hides what is secret in them. Where the system does not allow that, they stay visible.
    pub(super) fn take() -> Self {
        let given = Self(std::env::args_os().collect());
        if given.0.iter().any(|word| word.to_str().is_some_and(|word| !secret_parts(word).is_empty())) {
            let hidden = hide();
            // The log does not exist yet, and the command works without it.
            drop(hidden);
        }
        given
    }

    pub(super) fn words(&self) -> impl Iterator<Item = OsString> {
        self.0.clone().into_iter()
    }

    /// A text that may repeat words, without what is secret in them.
    pub(super) fn hidden_in(&self, text: &str) -> String {
        let words = self.0.iter().filter_map(|word| word.to_str());
        words.fold(text.to_owned(), |text, word| match masked(word) {
            Some(hidden) => text.replace(word, &hidden),
            None => text,
        })
    }
}

/// The secret parts of a word that is an http address: what is before its host, and what follows its path.
fn secret_parts(word: &str) -> Vec<Range<usize>> {
    let Some(begin) = word.find("://").map(|at| at + 3) else { return Vec::new() };
    let scheme = word[..begin].to_ascii_lowercase();
    if !scheme.ends_with("http://") && !scheme.ends_with("https://") {
        return Vec::new();
    }
    let rest = &word[begin..];
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let user = rest[..end].rfind('@').map(|at| begin..begin + at);
    let query = rest.find(['?', '#']).map(|at| begin + at + 1..word.len());
    user.into_iter().chain(query).filter(|part| !part.is_empty()).collect()
}

fn masked(word: &str) -> Option<String> {
    let parts = secret_parts(word);
    let hide = |(at, letter): (usize, char)| {
        if parts.iter().any(|part| part.contains(&at)) { '*' } else { letter }
    };
    (!parts.is_empty()).then(|| word.char_indices().map(hide).collect())
}

/// Overwrites the secrets where the system reads the words of this process.
fn hide() -> io::Result<()> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may hold anything. Of the fields behind it, the 46th says where the words begin.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let start: u64 = fields.split_ascii_whitespace().nth(45).and_then(|field| field.parse().ok()).unwrap_or_default();
    let mut words = Vec::new();
    File::open("/proc/self/cmdline")?.read_to_end(&mut words)?;
    let memory = File::options().write(true).open("/proc/self/mem")?;
    let mut begin = 0;
    for word in words.split(|byte| *byte == 0) {
        for part in std::str::from_utf8(word).map(secret_parts).unwrap_or_default() {
            let at = u64::try_from(begin + part.start).map_err(io::Error::other)?;
            memory.write_all_at(&vec![b'*'; part.len()], start + at)?;
        }
        begin += word.len() + 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_secret_in_an_address_is_hidden() {
        for (word, hidden) in [
            ("http://alice:s3cret@h:1/a?X-Sig=SIG", Some("http://************@h:1/a?*********")),
            ("HTTPS://alice@h/", Some("HTTPS://*****@h/")),
            ("http://h/a@b#x", Some("http://h/a@b#*")),
            ("--url=http://u:p@h", Some("--url=http://***@h")),
            ("http://h/a@b", None),
            ("http://h/?", None),
            ("debian-12@office", None),
            ("ftp://u:p@h", None),
        ] {
            assert_eq!(masked(word).as_deref(), hidden, "{word}");
        }
        let given = Arguments(vec!["pixelrts".into(), "http://u:p@h".into()]);
        assert_eq!(
            given.hidden_in("unexpected argument 'http://u:p@h' found"),
            "unexpected argument 'http://***@h' found"
        );
    }
}
