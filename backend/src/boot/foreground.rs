//! A machine that belongs to this process.

use std::future::Future;
use std::path::PathBuf;

use pixelrts_shared::machine::Machine;
use pixelrts_shared::{Digest, Problem};

use super::supply::Supply;
use crate::catalog::ImageFile;
use crate::machine::{Attempt, BootBridge, BootOptions, Expected, RunDir, Spec};
use crate::task::{Scope, blocking};

/// A machine that is over.
#[derive(Debug)]
pub struct Ended {
    pub machine: Machine,
    /// What it was booted from.
    pub file: ImageFile,
    /// Somebody wanted it to stop.
    pub stop_requested: bool,
}

/// Boots an image that `supply` gave and waits for the end of the machine; after wrong bytes it boots the image's
/// replacement. Its directory is made in `machines`, and is gone afterwards.
///
/// `follow` shows the machine and ends with it. It returns the machine as it was then, and whether somebody stopped it.
///
/// Call it on a current-thread runtime of the main thread: QEMU is bound to the thread that starts it.
pub async fn foreground<F, I>(
    supply: &Supply<F>,
    (mut file, mut options): (ImageFile, BootOptions),
    machines: PathBuf,
    scope: &Scope,
    mut follow: impl AsyncFnMut(BootBridge) -> (Machine, bool),
) -> Result<Ended, Problem>
where
    F: Fn() -> I,
    I: Future<Output = Result<ImageFile, Problem>>,
{
    let mut attempt = Attempt::First;
    loop {
        let directory = machines.clone();
        let dir = blocking(move || RunDir::create(&directory)).await?;
        // The digest of a file that was named by its path is computed when somebody asks for it.
        let key = file.digest().unwrap_or(Digest::new([0; 32]));
        let image = file.path().to_owned();
        let spec =
            Spec { key, name: file.name.clone(), image, expected: Expected::of(file.index(), file.digest()), options };
        let ended = match BootBridge::boot(spec, &dir, scope) {
            Ok(bridge) => Ok(follow(bridge).await),
            Err(error) => Err(error),
        };
        if let Err(error) = dir.remove() {
            tracing::warn!(%error, "the run directory stays behind");
        }
        let (mut machine, stop_requested) = ended?;
        let Some(problem) = attempt.retry(&machine, stop_requested) else {
            return Ok(Ended { machine, file, stop_requested });
        };
        attempt = Attempt::Last;
        match supply.image(Some(problem)).await {
            Ok(again) => (file, options) = again,
            Err(problem) => {
                machine.problem = Some(problem);
                return Ok(Ended { machine, file, stop_requested });
            }
        }
    }
}
