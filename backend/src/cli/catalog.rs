//! `pixelrts catalog`: what can be booted, from this computer and from all servers.
//!
//! A running backend is asked, which knows it already. Without one, the same code runs here.

use std::time::Duration;

use clap::{Args, Subcommand};
use pixelrts_shared::catalog::{CatalogCopy, CatalogPage, MergedCatalog, MergedEntry};
use pixelrts_shared::{Problem, ServerId, Size, paths};

use super::output::table;
use super::running::Running;
use super::{Context, Outcome, locate, runtime};
use crate::task::Scope;

/// While the servers are being asked, the backend is asked again, so often and so many times.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
const AT_MOST: u32 = 20;
/// What one page has at most.
const PAGE: usize = 1_000;

/// Show what can be booted
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  pixelrts catalog ls --search debian
  pixelrts boot debian-12@office      # an id of the list, at one of its servers")]
pub(super) enum Catalog {
    Ls(List),
}

/// List the images of this computer and of all servers
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pixelrts catalog ls
  pixelrts catalog ls --search \"debian cloud\" --server office
  pixelrts catalog ls --here --json")]
pub(super) struct List {
    /// Only images in whose name, description or server all of these words are
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    search: String,
    /// Only images of this server; `local` is this computer
    #[arg(long, value_name = "ID")]
    server: Option<ServerId>,
    /// Only images that are on this computer, which need no network
    #[arg(long)]
    here: bool,
}

impl Catalog {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Self::Ls(list) = self;
        let mut catalog = runtime()?.block_on(list.catalog(context))?;
        let all = catalog.entries.len();
        catalog.entries.retain(|entry| list.shows(entry));
        context.output.answer(&catalog, || text(&catalog.entries, all));
        for error in &catalog.errors {
            context.output.say(&format!("{}: {} {}", error.server, error.problem.what, error.problem.fix));
        }
        if catalog.stale {
            context.output.say("Servers are still being asked. There may be more in a moment.");
        }
        Ok(())
    }
}

impl List {
    fn shows(&self, entry: &MergedEntry) -> bool {
        let text = entry.searched().to_lowercase();
        let found = self.search.split_whitespace().all(|word| text.contains(&word.to_lowercase()));
        found && (entry.cached || !self.here)
    }

    async fn catalog(&self, context: &Context) -> Result<MergedCatalog, Problem> {
        if let Some(backend) = Running::find(context)? {
            return self.of_backend(&backend).await;
        }
        let scope = Scope::new();
        let library = locate::library(context, false, &scope).await?;
        locate::refresh(&library).await;
        let catalog = match &self.server {
            Some(server) => library.merged_of(server),
            None => library.merged(),
        };
        // Tasks that still run only hold what is not needed any more.
        let _ = scope.shutdown(Duration::from_secs(1)).await;
        catalog
    }

    /// What the backend knows, once its servers have answered.
    async fn of_backend(&self, backend: &Running) -> Result<MergedCatalog, Problem> {
        let mut tries = 0;
        loop {
            let catalog = match &self.server {
                Some(server) => backend.get(&format!("{}?server={server}", paths::CATALOG_REMOTE)).await?,
                None => pages(backend).await?,
            };
            tries += 1;
            if !catalog.stale || tries == AT_MOST {
                return Ok(catalog);
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

async fn pages(backend: &Running) -> Result<MergedCatalog, Problem> {
    let mut copy = CatalogCopy::default();
    let mut path = format!("{}?limit={PAGE}", paths::CATALOG_REMOTE);
    loop {
        let page: CatalogPage = backend.get(&path).await?;
        let next = page.next.clone();
        copy.add(page);
        let Some(next) = next else { return Ok(copy.whole()) };
        path = format!("{}?limit={PAGE}&after={next}", paths::CATALOG_REMOTE);
    }
}

/// `all`: how many there are with those that are not shown.
fn text(entries: &[MergedEntry], all: usize) -> String {
    if entries.is_empty() && all == 0 {
        return "There is no image. Make one: pixelrts samples ~/pixelrts/images; or add a server: pixelrts servers add \
                http://images.example.org"
            .to_owned();
    }
    if entries.is_empty() {
        return format!("None of {all} images is like that.");
    }
    let head = ["ID", "NAME", "SIZE", "HERE", "SERVERS"].map(str::to_owned).to_vec();
    let row = |merged: &MergedEntry| {
        let servers: Vec<_> = merged.sources.iter().map(|source| source.server.as_str()).collect();
        let size = Size::from_bytes(merged.entry.size).in_words();
        let here = if merged.cached { "yes" } else { "" };
        vec![merged.entry.id.to_string(), merged.entry.name.to_string(), size, here.to_owned(), servers.join(", ")]
    };
    table(&std::iter::once(head).chain(entries.iter().map(row)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(id: &str, cached: bool) -> MergedEntry {
        let source = json!({"server": "office", "name": "Office", "id": id, "size": 1, "health": {"state": "up"}});
        serde_json::from_value(json!({
            "id": id, "name": format!("The {id}"), "size": 3 << 20, "sha256": "00".repeat(32), "segments": [],
            "description": "Small and quick", "sources": [source], "cached": cached, "status": "idle"
        }))
        .unwrap()
    }

    #[test]
    fn words_and_places_choose_what_is_shown() {
        let list = |search: &str, here| List { search: search.to_owned(), server: None, here };
        let (here, away) = (entry("debian-12", true), entry("alpine", false));
        for (list, expected) in [
            (list("", false), [true, true]),
            (list("SMALL quick", false), [true, true]),
            (list("debian office", false), [true, false]),
            (list("debian alpine", false), [false, false]),
            (list("", true), [true, false]),
        ] {
            assert_eq!([&here, &away].map(|entry| list.shows(entry)), expected, "{list:?}");
        }
    }

    #[test]
    fn the_list_is_a_table_with_ids_that_other_commands_take() {
        let shown = text(&[entry("debian-12", true), entry("x", false)], 2);
        let lines: Vec<_> = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[0], "ID NAME SIZE HERE SERVERS");
        assert!(lines[1].starts_with("debian-12 The debian-12 ") && lines[1].ends_with(" yes office"), "{shown}");
        assert!(lines[2].starts_with("x The x ") && lines[2].ends_with(" office"), "{shown}");
        assert!(text(&[], 3).contains("None of 3 images"));
        assert!(text(&[], 0).contains("pixelrts servers add"));
    }
}
