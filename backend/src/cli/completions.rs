//! `pixelrts completions`: words for the Tab key of a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Outcome};

/// Print what a shell needs to complete commands and options
#[derive(Debug, Args)]
#[command(after_help = "Examples: for this user, from the next shell on\n  \
    pixelrts completions bash > ~/.local/share/bash-completion/completions/pixelrts\n  \
    pixelrts completions zsh > ~/.zfunc/_pixelrts    (~/.zfunc is in fpath, before compinit)\n  \
    pixelrts completions fish > ~/.config/fish/completions/pixelrts.fish")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "pixelrts", &mut script);
        // A closed pipe (`| head`) is the reader's decision.
        let _ = std::io::Write::write_all(&mut std::io::stdout(), &script);
        Ok(())
    }
}
