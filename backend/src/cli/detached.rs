//! A command that returns when its work has begun, while another process goes on with it.
//!
//! The process is forked, not started anew: it need not load, parse and find everything once more, which is half of
//! what mounting takes. So this comes before any thread is there.

use std::io::{self, PipeWriter, Read, Write};
use std::marker::PhantomData;

use fork::Fork;
use pixelrts_shared::{Problem, ProblemCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Outcome;

/// The one word to the command that waits.
#[derive(Debug)]
pub(super) struct Word<T> {
    pipe: Option<PipeWriter>,
    of: PhantomData<T>,
}

/// Does the work in another process. The command gets what it says of itself, or why it failed before that; the other
/// process, when its work is over, gets nothing: nobody listens to it any more.
pub(super) fn detached<T: Serialize + DeserializeOwned>(
    work: impl FnOnce(&mut Word<T>) -> Outcome,
) -> Result<Option<T>, Problem> {
    debug_assert!(is_alone(), "other threads do not live on in a forked process");
    let (mut reader, writer) = io::pipe().map_err(|error| failed(&error))?;
    match fork::fork().map_err(|error| failed(&error))? {
        Fork::Child => {
            let mut word = Word { pipe: Some(writer), of: PhantomData };
            if let Err(problem) = work(&mut word) {
                // Who does not listen any more was told of it, or is gone.
                let _ = word.say(&Err(problem));
            }
            Ok(None)
        }
        Fork::Parent(_) => {
            drop(writer);
            // Only the other process has the other end, which closes with its word or with it, however it ends. What
            // it does before may take long, as a download does, and shows how far it is.
            let mut said = Vec::new();
            reader.read_to_end(&mut said).map_err(|error| failed(&error))?;
            let said = serde_json::from_slice::<Result<T, Problem>>(&said);
            said.unwrap_or_else(|_| Err(failed(&io::Error::other("it ended without a word")))).map(Some)
        }
    }
}

impl<T: Serialize> Word<T> {
    /// Lets go of the terminal and of the working directory, and tells the command that the work goes on without it.
    /// Fails when nobody waits for it any more.
    pub(super) fn begun(&mut self, what: T) -> io::Result<()> {
        // An interrupt at the terminal is not meant for this process from here on.
        nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0))?;
        fork::redirect_stdio()?;
        std::env::set_current_dir("/")?;
        self.say(&Ok(what))
    }

    fn say(&mut self, word: &Result<T, Problem>) -> io::Result<()> {
        self.pipe.take().map_or(Ok(()), |mut pipe| pipe.write_all(&serde_json::to_vec(word)?))
    }
}

fn is_alone() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

fn failed(error: &io::Error) -> Problem {
    let what = "The process that goes on with it cannot be started.";
    Problem::new(ProblemCode::Internal, what, error.to_string(), "See what it says: add --foreground")
}
