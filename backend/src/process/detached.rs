//! A command that returns when its work has begun, while a copy of its process goes on with that work.
//!
//! The copy is forked, not started anew: it need not load and parse everything once more, which is half of the time
//! that mounting takes. A forked process has only the thread that forked it, so this comes before any other thread.

use std::io::{self, PipeWriter, Read, Write};
use std::marker::PhantomData;

use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fork, setpgid};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What [`detach`] returns in each of the two processes.
#[derive(Debug)]
pub enum Detached<T, E> {
    /// In the process that called it: what the copy reported, or why its work failed before it could report.
    Caller(Result<T, E>),
    /// In the copy, when its work is over. Nobody listens to this process any more.
    Copy,
}

/// The copy's line to the process that started it and waits. It carries one message.
#[derive(Debug)]
pub struct Starter<T> {
    pipe: Option<PipeWriter>,
    message: PhantomData<T>,
}

/// Forks, and does `work` in the copy. Waits until the copy calls [`Starter::report`], or ends without it.
///
/// The work may take long before it reports, as a download does. The copy keeps the terminal until then, so it can
/// show its progress.
pub fn detach<T, E>(work: impl FnOnce(&mut Starter<T>) -> Result<(), E>) -> io::Result<Detached<T, E>>
where
    T: Serialize + DeserializeOwned,
    E: Serialize + DeserializeOwned,
{
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("this process has more than one thread"));
    }
    let (mut reader, writer) = io::pipe()?;
    #[expect(unsafe_code, reason = "there is no safe way to fork")]
    // SAFETY: this process has a single thread, as was just checked, so the copy is as complete as the original.
    let forked = unsafe { fork() }?;
    match forked {
        ForkResult::Child => {
            drop(reader);
            let mut starter = Starter { pipe: Some(writer), message: PhantomData };
            if let Err(error) = work(&mut starter) {
                // This fails when the starter has ended, or has had its message already: then nobody is left to ask.
                let _ = starter.send(&Err::<T, _>(error));
            }
            Ok(Detached::Copy)
        }
        ForkResult::Parent { .. } => {
            drop(writer);
            // The copy has the only other end. It closes after the message, or with the process, however that ends.
            let mut message = Vec::new();
            reader.read_to_end(&mut message)?;
            let message = serde_json::from_slice(&message);
            message.map(Detached::Caller).map_err(|_| io::Error::other("the process ended without a message"))
        }
    }
}

impl<T: Serialize> Starter<T> {
    /// Leaves the terminal and the working directory, and tells the starter that the work goes on without it. Fails
    /// when the starter no longer waits.
    pub fn report(&mut self, message: T) -> io::Result<()> {
        // From here on, an interrupt at the terminal is not meant for this process.
        setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
        dup2_stdin(&null)?;
        dup2_stdout(&null)?;
        dup2_stderr(&null)?;
        std::env::set_current_dir("/")?;
        self.send(&Ok::<_, ()>(message))
    }

    fn send<E: Serialize>(&mut self, message: &Result<T, E>) -> io::Result<()> {
        self.pipe.take().map_or(Ok(()), |mut pipe| pipe.write_all(&serde_json::to_vec(message)?))
    }
}
