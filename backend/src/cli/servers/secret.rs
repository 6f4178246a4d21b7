//! A token or a password for a server. It is read from a file, a variable or standard input, never from the command
//! line, which every user of the computer can read.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use pixelrts_shared::{Problem, ProblemCode};

/// A longer one is a mistake, such as the name of an image.
const MOST: u64 = 4 << 10;

#[derive(Debug, Args)]
pub(super) struct Secret {
    /// A file with the token that the server asks for; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, group = "secret")]
    token_file: Option<PathBuf>,
    /// A variable with the token that the server asks for
    #[arg(long, value_name = "VARIABLE", group = "secret")]
    token_env: Option<String>,
}

impl Secret {
    pub(super) fn read(&self) -> Result<Option<String>, Problem> {
        if let Some(path) = &self.token_file {
            return read_file(path).and_then(|text| checked(&text, &path.display().to_string())).map(Some);
        }
        let Some(name) = &self.token_env else { return Ok(None) };
        match std::env::var(name) {
            Ok(text) => checked(&text, name).map(Some),
            Err(error) => Err(unusable(&format!("{name}: {error}"))),
        }
    }
}

fn read_file(path: &Path) -> Result<String, Problem> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(MOST + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MOST + 1).read_to_string(&mut text))
    };
    read.map(|_| text).map_err(|error| unusable(&format!("{}: {error}", path.display())))
}

/// One line of visible characters. `place` says where it was, because the text itself is never shown.
fn checked(text: &str, place: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() || text.len() as u64 > MOST || !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
    {
        return Err(unusable(&format!("{place} does not hold one line of letters, digits and signs")));
    }
    Ok(text.to_owned())
}

fn unusable(why: &str) -> Problem {
    Problem::new(
        ProblemCode::Usage,
        "The token or password cannot be read.",
        format!("{why}."),
        "Put it alone into a file that only you can read, and name that file; or name a variable that holds it.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_line_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Secret { token_file: Some(path.clone()), token_env: None }.read()
        };
        assert_eq!(read("hunter2 3\n"), Ok(Some("hunter2 3".to_owned())));
        for text in ["", "\n", "hunter2\nhunter3", "hünter2", &"hunter2".repeat(1000)] {
            let problem = read(text).unwrap_err().to_string();
            assert!(!problem.contains("hunter") && problem.contains("token"), "{problem}");
        }
        let missing = Secret { token_file: None, token_env: Some("PIXELRTS_TEST_NO_SUCH_VARIABLE".to_owned()) };
        assert_eq!(missing.read().unwrap_err().code, ProblemCode::Usage);
        assert_eq!(Secret { token_file: None, token_env: None }.read(), Ok(None));
    }
}
