//! This terminal as the guest's console: keys go in unchanged, output comes out, and afterwards the terminal is as it
//! was before.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::termios::{InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp};
use tokio::sync::mpsc;

use super::stop_requests::StopRequests;
use crate::machine::{Console, Viewer};
use crate::task::{self, blocking};

/// Ctrl-] ends the machine.
const LEAVE: u8 = 0x1d;

/// While it lives, every key goes to the guest, Ctrl-C too. Dropping it restores the terminal.
#[derive(Debug)]
pub(super) struct Raw {
    before: Termios,
    active: Arc<AtomicBool>,
}

impl Raw {
    /// `None` where standard input is not a terminal, or one that belongs to somebody else now (a job in the
    /// background).
    fn enter(active: &Arc<AtomicBool>) -> Option<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || tcgetpgrp(&stdin).ok()? != getpgrp() {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut raw = before.clone();
        // Only input is changed: what is printed here and there must still begin at the left.
        raw.local_flags &= !(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN);
        raw.input_flags &= !(InputFlags::ICRNL | InputFlags::INLCR | InputFlags::IXON | InputFlags::ISTRIP);
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(&stdin, SetArg::TCSADRAIN, &raw).ok()?;
        active.store(true, Ordering::Relaxed);
        Some(Self { before, active: Arc::clone(active) })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.active.store(false, Ordering::Relaxed);
        // A terminal that is gone needs no restoring.
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before);
    }
}

/// Standard input. One of them serves all attempts to boot, because a read of a terminal cannot be called off.
#[derive(Debug)]
pub(super) struct Keyboard {
    keys: mpsc::Receiver<Vec<u8>>,
    raw: Arc<AtomicBool>,
}

impl Keyboard {
    /// Starts to read. In raw mode, Ctrl-] asks for the end of the machine.
    pub(super) fn start(stops: StopRequests) -> Self {
        let (typed, keys) = mpsc::channel::<Vec<u8>>(16);
        let raw = Arc::new(AtomicBool::new(false));
        let is_raw = Arc::clone(&raw);
        let read = move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = io::stdin().lock().read(&mut buffer) {
                let keys = &buffer[..length];
                let end = match is_raw.load(Ordering::Relaxed) {
                    true => keys.iter().position(|key| *key == LEAVE),
                    false => None,
                };
                if typed.blocking_send(keys[..end.unwrap_or(length)].to_vec()).is_err() {
                    return;
                }
                if end.is_some() {
                    stops.send();
                }
            }
        };
        if let Err(error) = task::until_the_end("keyboard", read) {
            tracing::warn!(%error, "nothing can be typed into the guest");
        }
        Self { keys, raw }
    }

    /// Raw mode, where standard input is this process's terminal.
    pub(super) fn raw(&self) -> Option<Raw> {
        Raw::enter(&self.raw)
    }

    /// Types into the guest, until standard input ends.
    pub(super) async fn type_into(&mut self, console: &Console) {
        while let Some(keys) = self.keys.recv().await {
            console.send(keys).await;
        }
    }
}

/// The guest's output to standard output. When nobody reads that any more, the machine has no reason to go on.
pub(super) async fn show(mut viewer: Viewer, stops: StopRequests) {
    while let Some(chunk) = viewer.next().await {
        let print = move || {
            let mut stdout = io::stdout().lock();
            if chunk.lost > 0 {
                write!(stdout, "\r\n[{} bytes of output are lost: this terminal is too slow]\r\n", chunk.lost)?;
            }
            stdout.write_all(&chunk.bytes)?;
            stdout.flush()
        };
        if blocking(print).await.is_err() {
            stops.send();
            return;
        }
    }
}
