//! How a server is spoken to, as the options say it.
//!
//! A token or a password is read from a file, a variable or standard input, never from the command line, which every
//! user of the computer can read.

use std::env::VarError;
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
    /// A user's name that the server asks for, together with a password
    #[arg(long, value_name = "NAME", conflicts_with_all = ["token_file", "token_env"])]
    user: Option<String>,
    /// A file with the password of that user; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, group = "secret")]
    password_file: Option<PathBuf>,
    /// A variable with the password of that user
    #[arg(long, value_name = "VARIABLE", group = "secret")]
    password_env: Option<String>,
}

/// Where a server may lead, and how it proves that it is the right one.
#[derive(Debug, Args)]
pub(super) struct Reach {
    /// Another place in a private network to which the server may lead, as in http://10.0.0.5:9000; may be given several
    /// times; '' allows none
    #[arg(long, value_name = "ORIGIN")]
    allow: Vec<String>,
    /// The authorities that sign the server's certificate, as a file (PEM); '' goes back to those of this computer
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    ca_file: Option<PathBuf>,
    /// The SHA-256 of the server's certificate, which is then the only one that is accepted; '' accepts others
    /// again
    #[arg(long, value_name = "SHA256")]
    pin: Option<String>,
}

/// What the server asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) auth: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

impl Told {
    /// Everything is to be forgotten.
    pub(super) fn nothing() -> Self {
        let none = || Some(String::new());
        Self { auth: none(), user: none(), password: none() }
    }
}

impl Secret {
    pub(super) fn read(&self) -> Result<Told, Problem> {
        Ok(Told {
            auth: read(self.token_file.as_deref(), self.token_env.as_deref())?,
            user: self.user.clone(),
            password: read(self.password_file.as_deref(), self.password_env.as_deref())?,
        })
    }
}

impl Reach {
    pub(super) fn allow(&self) -> Option<Vec<String>> {
        let some = self.allow.iter().filter(|origin| !origin.is_empty()).cloned().collect();
        (!self.allow.is_empty()).then_some(some)
    }

    /// As a full path, because the backend runs in another directory.
    pub(super) fn ca_file(&self) -> Option<String> {
        let path = self.ca_file.as_ref()?;
        Some(std::path::absolute(path).map_or_else(|_| String::new(), |path| path.to_string_lossy().into_owned()))
    }

    pub(super) fn pin(&self) -> Option<String> {
        self.pin.clone()
    }
}

fn read(file: Option<&Path>, variable: Option<&str>) -> Result<Option<String>, Problem> {
    if let Some(path) = file {
        return read_file(path).and_then(|text| checked(&text, &path.display().to_string())).map(Some);
    }
    let Some(name) = variable else { return Ok(None) };
    match std::env::var(name) {
        Ok(text) => checked(&text, name).map(Some),
        Err(VarError::NotPresent) => Err(unusable(&format!("The variable {name} is not set"))),
        // The error would show it.
        Err(VarError::NotUnicode(_)) => Err(unusable(&format!("The variable {name} holds no text"))),
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
            read(Some(&path), None)
        };
        assert_eq!(read("hunter2 3\n"), Ok(Some("hunter2 3".to_owned())));
        for text in ["", "\n", "hunter2\nhunter3", "hünter2", &"hunter2".repeat(1000)] {
            let problem = read(text).unwrap_err().to_string();
            assert!(!problem.contains("hunter") && problem.contains("token"), "{problem}");
        }
        let missing = super::read(None, Some("PIXELRTS_TEST_NO_SUCH_VARIABLE"));
        assert_eq!(missing.unwrap_err().code, ProblemCode::Usage);
        assert_eq!(super::read(None, None), Ok(None));
    }
}
