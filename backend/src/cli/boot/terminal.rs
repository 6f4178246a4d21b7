//! This terminal as the guest's console: keys go in unchanged, output comes out, and the terminal is as before after.

use std::io::{self, IsTerminal, Read, Write};

use nix::sys::termios::{InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp};
use tokio::sync::mpsc;

use crate::machine::{Console, Viewer};
use crate::task::{self, Scope, blocking};

/// Ctrl-]: ends the machine.
const LEAVE: u8 = 0x1d;

/// Every key goes to the guest, Ctrl-C too; dropping it restores the terminal.
#[derive(Debug)]
pub(super) struct Raw(Termios);

impl Raw {
    /// `None` where standard input is no terminal, or one that belongs to somebody else now (a job in the background).
    pub(super) fn enter() -> Option<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || tcgetpgrp(&stdin).ok()? != getpgrp() {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut raw = before.clone();
        // Only input: what is printed here and there must still begin at the left.
        raw.local_flags &= !(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN);
        raw.input_flags &= !(InputFlags::ICRNL | InputFlags::INLCR | InputFlags::IXON | InputFlags::ISTRIP);
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(&stdin, SetArg::TCSADRAIN, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}

/// Standard input to the guest. On a terminal in raw mode, Ctrl-] asks to leave.
pub(super) fn type_into(console: Console, raw: bool, leave: mpsc::Sender<()>, scope: &Scope) {
    let (typed, mut keys) = mpsc::channel::<Vec<u8>>(16);
    // A read of a terminal cannot be called off, so it has a thread that ends with the process.
    let read = move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = io::stdin().lock().read(&mut buffer) {
            let keys = &buffer[..length];
            let end = if raw { keys.iter().position(|key| *key == LEAVE) } else { None };
            if typed.blocking_send(keys[..end.unwrap_or(length)].to_vec()).is_err() {
                return;
            }
            if end.is_some() {
                let _ = leave.blocking_send(());
            }
        }
    };
    if let Err(error) = task::until_the_end("keyboard", read) {
        tracing::warn!(%error, "nothing can be typed into the guest");
    }
    scope.spawn(async move {
        while let Some(keys) = keys.recv().await {
            console.send(keys).await;
        }
    });
}

/// The guest's output to standard output. When nobody reads that any more, the machine has no reason to go on.
pub(super) async fn show(mut viewer: Viewer, leave: mpsc::Sender<()>) {
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
            let _ = leave.send(()).await;
            return;
        }
    }
}
