//! `pixelrts cache verify`: hash every image that is kept here.

use clap::Args;
use pixelrts_shared::cache::{CacheContents, CachedImage};
use pixelrts_shared::text::Text;
use pixelrts_shared::{Digest, Problem, ProblemCode};
use serde::Serialize;

use super::keeper::Keeper;
use crate::cache::{SCHEMA, Store, Verdict};
use crate::catalog::Named;
use crate::cli::output::counted;
use crate::cli::{Context, Outcome, locate};
use crate::database::Database;
use crate::task::blocking;

/// Check that the bytes of images are still what they were
#[derive(Debug, Args)]
#[command(after_help = "Example: remove what is damaged, and fetch it again\n  pixelrts cache verify --repair\n\n\
                  Exit code 5 means that an image is damaged and was not replaced.")]
pub(in crate::cli) struct VerifyCache {
    /// Ids, names, or digests (4 digits are enough) [default: all]
    image: Vec<String>,
    /// Remove damaged images, and fetch them again from a server that offers them
    #[arg(long)]
    repair: bool,
}

/// What became of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Became {
    Good,
    /// It is still there.
    Damaged,
    /// It was removed, and cannot be fetched now.
    Removed,
    FetchedAgain,
}

#[derive(Debug, Serialize)]
struct Checked {
    sha256: Digest,
    name: Text,
    became: Became,
    /// The digest that a damaged file has.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Digest>,
    /// Whether a server that answers offers it.
    available: bool,
    /// Why it could not be fetched again.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

impl VerifyCache {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let keeper = Keeper::find(context).await?;
        let contents = keeper.contents().await;
        let index = match &keeper {
            // Its files may be read by everybody, but its index belongs to the backend.
            Keeper::Backend(_) => Store::new(&context.paths, Database::in_memory(&SCHEMA)?),
            Keeper::Here { library, .. } => library.store.clone(),
        };
        keeper.close().await;
        let contents = contents?;
        let images = self.chosen(&contents)?;
        let bar = context.output.progress("verifying", images.iter().map(|image| image.size).sum());
        let mut checked = Vec::new();
        for image in images {
            let (store, digest, told) = (index.clone(), image.sha256, bar.clone());
            let verdict = blocking(move || store.verify(&digest, |count| told.inc(count))).await?;
            let found = match verdict {
                Verdict::Gone => continue,
                Verdict::Right => None,
                Verdict::Damaged(found) => Some(found),
            };
            let became = if found.is_some() { Became::Damaged } else { Became::Good };
            let (name, available) = (image.name.clone(), image.available);
            checked.push(Checked { sha256: digest, name, became, found, available, problem: None });
        }
        bar.finish_and_clear();
        if self.repair {
            for one in checked.iter_mut().filter(|one| one.became == Became::Damaged) {
                index.remove(&one.sha256)?;
                match locate::image(&one.sha256.to_string(), context, locate::Wait::default()).await {
                    Ok(_) => one.became = Became::FetchedAgain,
                    Err(problem) => (one.became, one.problem) = (Became::Removed, Some(problem)),
                }
            }
        }
        context.output.answer(&checked, || text(&checked));
        lost(&checked).map_or(Ok(()), Err)
    }

    fn chosen<'a>(&self, contents: &'a CacheContents) -> Result<Vec<&'a CachedImage>, Problem> {
        if self.image.is_empty() {
            return Ok(contents.items.iter().collect());
        }
        self.image.iter().map(|key| contents.named(key)).collect()
    }
}

fn text(checked: &[Checked]) -> String {
    let mut lines: Vec<_> = checked.iter().filter(|one| one.became != Became::Good).map(line).collect();
    let good = checked.iter().filter(|one| matches!(one.became, Became::Good | Became::FetchedAgain)).count();
    lines.push(format!("{} of {} good", good, counted(checked.len(), "image")));
    lines.join("\n")
}

fn line(one: &Checked) -> String {
    let Checked { sha256, name, .. } = one;
    match (one.became, one.available) {
        (Became::Good, _) => format!("{name} ({sha256}) is good"),
        (Became::Damaged, true) => format!("{name} ({sha256}) is damaged; a server offers it"),
        (Became::Damaged, false) => format!("{name} ({sha256}) is damaged; no server that answers offers it"),
        (Became::FetchedAgain, _) => format!("{name} ({sha256}) was damaged and was fetched again"),
        (Became::Removed, _) => format!("{name} ({sha256}) was damaged and is removed; it cannot be fetched now"),
    }
}

/// The problem with which the command ends when not every image is good in the end.
fn lost(checked: &[Checked]) -> Option<Problem> {
    let damaged = checked.iter().filter(|one| one.became == Became::Damaged).count();
    let mut removed = checked.iter().filter(|one| one.became == Became::Removed);
    if damaged > 0 {
        let what =
            format!("{} of the cache {} damaged.", counted(damaged, "image"), if damaged == 1 { "is" } else { "are" });
        let why = "The bytes on the disk do not have the SHA-256 that is the name of the file.";
        let fix = "Remove what is damaged and fetch it again: pixelrts cache verify --repair";
        return Some(Problem::new(ProblemCode::HashMismatch, what, why, fix));
    }
    let first = removed.next()?;
    let what = format!("{} is damaged and cannot be fetched again now.", first.name);
    let (why, fix) = match &first.problem {
        Some(problem) => (format!("{} {}", problem.what, problem.why), problem.fix.clone()),
        None => ("No server offers it.".to_owned(), "Fetch it when a server offers it.".to_owned()),
    };
    Some(Problem::new(ProblemCode::HashMismatch, what, why, fix).context(first.sha256.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(became: Became, available: bool) -> Checked {
        let sha256 = "ab".repeat(32).parse().unwrap();
        Checked { sha256, name: "Debian".into(), became, found: None, available, problem: None }
    }

    #[test]
    fn what_is_damaged_is_told_with_where_it_can_be_had() {
        let all = [checked(Became::Good, true), checked(Became::FetchedAgain, true)];
        assert!(text(&all).ends_with("was damaged and was fetched again\n2 of 2 images good"), "{}", text(&all));
        assert_eq!(lost(&all), None);
        for (became, available, words) in [
            (Became::Damaged, true, "a server offers it"),
            (Became::Damaged, false, "no server that answers offers it"),
            (Became::Removed, false, "it cannot be fetched now"),
        ] {
            let all = [checked(Became::Good, true), checked(became, available)];
            assert!(text(&all).contains(words) && text(&all).ends_with("1 of 2 images good"), "{}", text(&all));
            assert_eq!(lost(&all).unwrap().code, ProblemCode::HashMismatch);
        }
    }
}
