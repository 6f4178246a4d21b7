//! The command line: one file per command, one place for output and exit codes.
//!
//! `run` stays synchronous, because commands that own a machine must enter a mount namespace before any thread
//! exists, and must start QEMU from the main thread; each command builds the runtime it needs.

mod boot;
mod fetch;
mod inspect;
mod local;
mod machine;
mod mount;
mod output;
mod pack;
mod samples;
mod serve;
mod source;
mod unpack;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use pixelrts_shared::{Problem, ProblemCode};

use crate::paths::Paths;
use output::Output;

const BEGIN: &str = "Where to begin:
  pixelrts samples ~/pixelrts/images   make images that boot, from this system's packages
  pixelrts boot ~/pixelrts/images/linux-busybox.rts.png
  pixelrts serve                       then open http://127.0.0.1:8080 in a browser

Each command explains itself: pixelrts boot --help";

/// Boot operating systems as easily as one opens an image.
#[derive(Debug, Parser)]
#[command(name = "pixelrts", version, max_term_width = 100, arg_required_else_help = true, after_help = BEGIN)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
struct Global {
    /// One JSON document on standard output; progress and messages stay on standard error
    #[arg(long, global = true)]
    json: bool,
    /// Only errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// More detail; twice for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Boot(boot::Boot),
    Fetch(fetch::Fetch),
    Pack(Box<pack::Pack>),
    Unpack(unpack::Unpack),
    Inspect(inspect::Inspect),
    Verify(verify::Verify),
    Mount(mount::MountImage),
    Umount(mount::Umount),
    Samples(samples::Samples),
    #[command(hide = true)]
    Machine(machine::RunMachine),
}

/// What a command gets besides its own arguments.
#[derive(Debug)]
struct Context {
    output: Output,
    paths: Paths,
}

/// Parses the arguments, runs the command, and turns its outcome into an exit code.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    let output = Output::new(cli.global.json, cli.global.quiet, cli.global.verbose);
    output.init_log(matches!(cli.command, Command::Serve(_) | Command::Machine(_)));
    let paths = Paths::from_environment(|name| std::env::var_os(name).map(PathBuf::from));
    let context = Context { output, paths };
    let outcome = match cli.command {
        Command::Serve(command) => command.run(&context),
        Command::Boot(command) => command.run(&context),
        Command::Fetch(command) => command.run(&context),
        Command::Pack(command) => command.run(&context),
        Command::Unpack(command) => command.run(&context),
        Command::Inspect(command) => command.run(&context),
        Command::Verify(command) => command.run(&context),
        Command::Mount(command) => command.run(&context),
        Command::Umount(command) => command.run(&context),
        Command::Samples(command) => command.run(&context),
        Command::Machine(command) => command.run(&context),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            context.output.problem(&problem);
            ExitCode::from(problem.code.exit_code())
        }
    }
}

/// Help, version and mistakes are clap's to print; for programs a mistake is a document like every other problem.
fn misused(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json");
    if !error.use_stderr() || !json {
        // A closed pipe is the reader's decision.
        let _ = error.print();
        return if error.use_stderr() { ExitCode::from(ProblemCode::Usage.exit_code()) } else { ExitCode::SUCCESS };
    }
    let text = error.to_string();
    let lines: Vec<_> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let lines = lines.join(" ");
    let why = lines.trim_start_matches("error: ");
    let fix = "See what the command takes: pixelrts COMMAND --help";
    let problem = Problem::new(ProblemCode::Usage, "The command cannot be understood.", why, fix);
    Output::new(true, false, 0).problem(&problem);
    ExitCode::from(problem.code.exit_code())
}

/// The async runtime of a command that serves or asks; commands that own a machine start it after their namespace.
fn runtime() -> Result<tokio::runtime::Runtime, Problem> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Problem::new(
            ProblemCode::Internal,
            "The program cannot start its threads.",
            error.to_string(),
            "Check the limits on processes and open files (ulimit -a).",
        )
    })
}

/// What every command returns. A command whose ending is not a failure but not 0 either (a guest that panicked)
/// says so with a problem too.
type Outcome = Result<(), Problem>;
