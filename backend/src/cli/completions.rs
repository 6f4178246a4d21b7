//! `pixelrts completions`: what a shell needs to complete words when Tab is pressed.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Outcome};

/// Print a script that completes commands and options when you press Tab in bash, zsh or fish
#[derive(Debug, Args)]
#[command(after_help = "Examples: for this user, from the next terminal on\n  \
    pixelrts completions bash >~/.local/share/bash-completion/completions/pixelrts\n  \
    pixelrts completions zsh > ~/.zfunc/_pixelrts    (a folder of fpath)\n  \
    pixelrts completions fish > ~/.config/fish/completions/pixelrts.fish")]
pub(super) struct Completions {
    /// The command-line shell that you use
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "pixelrts", &mut script);
        // When the pipe is closed (`| head`), nobody wants to read the rest.
        let _ = std::io::Write::write_all(&mut std::io::stdout(), &script);
        Ok(())
    }
}
