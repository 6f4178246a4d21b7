//! What a person reads when a SOURCE leads to no image: what it was taken for, why that is none, and what to type.

use std::io;
use std::path::{Path, PathBuf};

use pixelrts_shared::address::ShownAddress;
use pixelrts_shared::{Problem, ProblemCode};

use crate::catalog::is_image_name;
use crate::report::shell_word;

const LIST: &str = "All images of this computer and of the servers are listed by: pixelrts catalog ls";

/// Refuses what its form alone shows to be no image.
pub(super) fn by_form(source: &str) -> Option<Problem> {
    let usage = |what: String, why: &str, fix: String| Some(Problem::new(ProblemCode::Usage, what, why, fix));
    if source.trim().is_empty() {
        return usage("No image is named.".to_owned(), "The name is empty.", format!("Name one. {LIST}"));
    }
    if let Some(scheme) = scheme(source) {
        let shown = ShownAddress::new(source);
        let why = match scheme.as_str() {
            "http" | "https" => "An address has a host, as in http://images.example.org/debian.rts.png".to_owned(),
            "file" => "A file of this computer is meant, but the address names no full path".to_owned(),
            other => format!("It begins with {other}:, and images are fetched from http: and https: addresses only"),
        };
        let fix = match scheme.as_str() {
            "http" | "https" => "Correct the address.".to_owned(),
            "file" => "Give the path alone, as in ./debian.rts.png".to_owned(),
            _ => format!("Fetch the file with another program, and then name the file. {LIST}"),
        };
        return usage(format!("{shown} is no address of an image."), &why, fix);
    }
    match source.split_once('@') {
        Some(("", server)) => usage(
            format!("No image is named before the @ of {source}."),
            "An image of a server is written as ID@SERVER",
            format!("See what the server has: pixelrts catalog ls --server {}", shell_word(server)),
        ),
        Some((id, "")) => usage(
            format!("No server is named behind the @ of {source}."),
            "An image of a server is written as ID@SERVER",
            format!("Leave the @ out: {}. The servers are listed by: pixelrts servers ls", shell_word(id)),
        ),
        _ => None,
    }
}

/// The scheme of an address, in lower case. One letter before a colon is a drive of another system.
fn scheme(source: &str) -> Option<String> {
    let (scheme, _) =
        source.split_once(":/").or_else(|| source.split_once(':').filter(|(scheme, _)| *scheme == "file"))?;
    let is_scheme = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.');
    (scheme.len() > 1 && scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.chars().all(is_scheme))
        .then(|| scheme.to_ascii_lowercase())
}

/// Refuses a path that leads to nothing or to a folder. Whatever else is there is opened, which reports what is wrong.
pub(in crate::cli) fn by_path(path: &Path) -> Option<Problem> {
    match path.metadata() {
        Ok(found) if found.is_dir() => Some(folder(path)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => Some(no_file(path)),
        Ok(_) | Err(_) => None,
    }
}

/// What was said of a word that no catalog lists, when the word may have been meant as a file.
pub(super) fn or_file(problem: Problem, word: &str) -> Problem {
    let path = Path::new(word);
    if problem.code != ProblemCode::EntryNotFound {
        problem
    } else if path.is_dir() {
        folder(path)
    } else if is_file_name(word) {
        no_file(path)
    } else if word.contains('@') {
        problem
    } else {
        let why = format!("The current folder has no file of this name either. {}", problem.why);
        Problem { why, ..problem }
    }
}

/// Whether a word ends as the names of files do: with a dot and a few letters.
fn is_file_name(word: &str) -> bool {
    let ending = Path::new(word).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    matches!(ending.len(), 2..=5)
        && ending.starts_with(|first: char| first.is_ascii_alphabetic())
        && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !word.contains('@')
}

fn no_file(path: &Path) -> Problem {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let why = if path.starts_with("~") {
        "The ~ stands for your home folder only without quotes".to_owned()
    } else if let Ok(target) = path.read_link() {
        format!("It is a link to {}, which does not exist", target.display())
    } else if folder == Path::new(".") {
        "The current folder has no file of this name".to_owned()
    } else if folder.is_dir() {
        format!("The folder {} has no file of this name", folder.display())
    } else {
        format!("The folder {} does not exist", folder.display())
    };
    let fix = match similar(path) {
        Some(other) => format!("Did you mean {}? {LIST}", shell_word(other)),
        None if folder.is_dir() => format!("See what is there: ls {}. {LIST}", shell_word(folder)),
        None => format!("Check the path. {LIST}"),
    };
    Problem::new(ProblemCode::FileNotFound, format!("There is no file {}.", path.display()), why, fix)
}

/// The file that is there when only the ending of images was left out or shortened.
fn similar(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let path = path.with_file_name(format!("{}.rts.png", name.trim_end_matches(".png").trim_end_matches(".rts")));
    path.is_file().then_some(path)
}

fn folder(path: &Path) -> Problem {
    let images = path.read_dir().into_iter().flatten().flatten().filter(|entry| is_image_name(&entry.file_name()));
    let fix = match images.map(|entry| entry.path()).min() {
        Some(image) => format!("Name an image in it, as in {}. {LIST}", shell_word(image)),
        None => format!("No image is in it: see ls {}. {LIST}", shell_word(path)),
    };
    let what = format!("{} is a folder, and no image.", path.display());
    Problem::new(ProblemCode::FileNotFound, what, "An image is one file, whose name ends in .rts.png", fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_no_image_is_refused_by_its_form() {
        for (source, what, fix) in [
            ("", "No image is named.", "pixelrts catalog ls"),
            (" ", "No image is named.", "pixelrts catalog ls"),
            ("ftp://u:secret@h/x", "h/x is no address of an image.", "another program"),
            ("s3://bucket/x", "s3://bucket/x is no address of an image.", "another program"),
            ("http://", "http:// is no address", "Correct the address"),
            ("http:/", "http:/ is no address", "Correct the address"),
            ("file://host/x", "file://host/x is no address", "./debian.rts.png"),
            ("file:x", "file:x is no address", "./debian.rts.png"),
            ("x@", "No server is named", "pixelrts servers ls"),
            ("@office", "No image is named before the @", "pixelrts catalog ls --server office"),
        ] {
            let problem = by_form(source).unwrap_or_else(|| panic!("{source}"));
            assert!(problem.code == ProblemCode::Usage && problem.what.contains(what), "{source}: {problem}");
            assert!(problem.fix.contains(fix) && !problem.to_string().contains("secret"), "{source}: {problem}");
        }
        for source in ["debian-12", "debian-12@office", "My Debian: old", "C:/x", "a:b"] {
            assert_eq!(by_form(source), None, "{source}");
        }
    }

    #[test]
    fn a_path_that_leads_to_no_file_says_why_and_what_to_type() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("images")).unwrap();
        std::fs::write(at("images/debian.rts.png"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", at("link")).unwrap();
        for (path, why, fix) in [
            (at("nope"), "has no file of this name", "ls /"),
            (at("nope/x"), "nope does not exist", "pixelrts catalog ls"),
            (at("link"), "It is a link to nowhere, which does not exist", "pixelrts catalog ls"),
            (at("images/debian"), "has no file", "Did you mean "),
            (at("images/debian.png"), "has no file", "images/debian.rts.png?"),
            (at("images"), "An image is one file", "images/debian.rts.png"),
            (folder.path().to_owned(), "An image is one file", "No image is in it"),
            ("~/x".into(), "without quotes", "pixelrts catalog ls"),
        ] {
            let problem = by_path(&path).unwrap_or_else(|| panic!("{path:?}"));
            assert_eq!(problem.code, ProblemCode::FileNotFound);
            assert!(problem.why.contains(why) && problem.fix.contains(fix), "{problem}");
        }
        assert_eq!(by_path(&at("images/debian.rts.png")), None);
        assert_eq!(by_path(Path::new("/dev/null")), None);
    }

    #[test]
    fn a_word_that_no_catalog_lists_may_have_been_a_file() {
        let unlisted = || Problem::new(ProblemCode::EntryNotFound, "There is no image x.", "Nobody lists it.", "Look.");
        for word in ["nope.png", "debian.iso", "disk.qcow2", "a b.PNG"] {
            let problem = or_file(unlisted(), word);
            assert!(problem.code == ProblemCode::FileNotFound && problem.what.contains(word), "{problem}");
        }
        for word in ["debian-12", "debian-12.5", "nixos-24.11"] {
            let problem = or_file(unlisted(), word);
            assert_eq!(problem.code, ProblemCode::EntryNotFound);
            assert!(problem.why.contains("no file of this name either. Nobody lists it."), "{problem}");
        }
        assert_eq!(or_file(unlisted(), "x.png@office"), unlisted());
        // The tests run in the folder of this crate.
        assert!(or_file(unlisted(), "src").what.contains("src is a folder"));
        let busy = Problem::new(ProblemCode::Ambiguous, "Two.", "Why.", "Fix.");
        assert_eq!(or_file(busy.clone(), "x.png"), busy);
    }
}
