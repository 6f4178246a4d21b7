//! `pixelrts samples`: make real images to begin with.

use std::path::PathBuf;

use clap::Args;
use pixelrts_shared::{Problem, ProblemCode};
use serde::Serialize;

use super::{Context, Outcome, runtime};
use crate::samples::{self, Sample};

/// Make real, bootable sample images
///
/// They are made from packages of the distribution, without root: Linux with BusyBox, and the Debian installer.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  pixelrts samples ~/pixelrts/images\n  pixelrts boot ~/pixelrts/images/linux-busybox.rts.png"
)]
pub(super) struct Samples {
    /// The folder for the images; created if it does not exist [default: the first folder that the shell shows]
    dir: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made {
    samples: Vec<Sample>,
}

impl Samples {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let folder = self.dir.as_ref().or(context.config.settings.catalogs.first()).ok_or_else(no_folder)?;
        let cache = context.paths.cache.join("samples");
        let samples = runtime()?.block_on(async {
            let say = |message: &str| context.output.say(message);
            tokio::select! {
                made = samples::make(folder, &cache, &say) => Ok(made?),
                _ = tokio::signal::ctrl_c() => Err(interrupted()),
            }
        })?;
        let made = Made { samples };
        context.output.answer(&made, || {
            let lines: Vec<_> = made.samples.iter().map(|sample| sample.path.display().to_string()).collect();
            lines.join("\n")
        });
        Ok(())
    }
}

fn no_folder() -> Problem {
    let fix = "Name one: pixelrts samples DIR";
    Problem::new(ProblemCode::Usage, "There is no folder for images.", "The setting `catalogs` is empty.", fix)
}

fn interrupted() -> Problem {
    Problem::new(
        ProblemCode::Interrupted,
        "The samples are not complete.",
        "The command was interrupted. Images that are complete stay.",
        "Run it again. Packages that were downloaded are kept.",
    )
}
