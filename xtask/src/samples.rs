//! The sample images that tasks boot, made by the binary that was built.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::build::{BINARY, shell};
use crate::command::finish;
use crate::steps::Steps;

pub(crate) const SAMPLES: &str = "target/samples";
/// The cache of the command that makes them, so that nothing outside of the project is used or changed.
const CACHE: &str = "target/cache";
/// Where it keeps the packages of the distribution that it made them of.
pub(crate) const PACKAGES: &str = "target/cache/pixelrts/samples";

/// What the samples hold is decided here.
const RECIPES: &[&str] = &["backend/src/samples.rs", "backend/src/samples", "backend/src/image/boot_file.rs"];

/// Makes the sample images when they are not there, or when their recipes have changed.
pub(crate) fn make(steps: &mut Steps) -> Result<()> {
    // Written last, so that the images of a run that was interrupted are made again.
    let stamp = Path::new(SAMPLES).join(".complete");
    let made = std::fs::metadata(&stamp).and_then(|stamp| stamp.modified()).ok();
    if !are_stale(made, RECIPES.iter().filter_map(|recipe| shell::newest(Path::new(recipe))).max()) {
        return Ok(());
    }
    steps.run("make sample images", || {
        if stamp.exists() {
            std::fs::remove_file(&stamp)?;
        }
        let cache = crate::root().join(CACHE);
        finish(Command::new(BINARY).args(["samples", SAMPLES]).env("XDG_CACHE_HOME", cache))?;
        std::fs::write(&stamp, "").context("the samples' stamp")
    })
}

/// Whether images that were made then are older than the newest recipe.
fn are_stale(made: Option<SystemTime>, recipes: Option<SystemTime>) -> bool {
    made.is_none() || made < recipes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn samples_are_made_again_when_they_are_missing_or_older_than_their_recipes() {
        let (early, late) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(1));
        assert!(are_stale(None, Some(early)) && are_stale(Some(early), Some(late)));
        assert!(!are_stale(Some(late), Some(early)) && !are_stale(Some(late), Some(late)));
    }

    #[test]
    fn every_recipe_is_where_the_task_looks_for_it() {
        for recipe in RECIPES {
            assert!(crate::root().join(recipe).exists(), "{recipe} is gone: samples would never be made again");
        }
    }
}
