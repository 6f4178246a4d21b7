//! The command line: one file per command, and one place for output and exit codes.
//!
//! `run` stays synchronous: commands that own a machine must enter a mount namespace before any other thread exists,
//! and must start QEMU from the main thread. So each command builds the runtime that it needs.

mod arguments;
mod boot;
mod cache;
mod catalog;
mod completions;
mod config;
mod doctor;
mod fetch;
mod inspect;
mod local;
mod locate;
mod machine;
mod mount;
mod output;
mod pack;
mod running;
mod samples;
mod serve;
mod servers;
#[cfg(test)]
mod sizes;
mod unpack;
mod up;
mod verify;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueHint};
use pixelrts_shared::{Problem, ProblemCode};
use tokio::runtime::{Builder, Runtime};

use crate::bootstrap::{self, Purpose, Site};
use crate::config::{Flag, Inputs, Loaded};
use crate::files;
use crate::paths::Paths;
use crate::remote::egress::Ours;
use crate::remote::{Client, Proxies};
use arguments::Arguments;
use output::Output;

const BEGIN: &str = "Where to begin:
  pixelrts samples ~/pixelrts/images   make images from this system's packages
  pixelrts boot ~/pixelrts/images/linux-busybox.rts.png
  pixelrts serve                       then open the address that it prints

Every command has a help text of its own: pixelrts boot --help";

/// Boot operating systems as easily as you open an image.
#[derive(Debug, Parser)]
#[command(name = "pixelrts", version, max_term_width = 80, arg_required_else_help = true, after_help = BEGIN)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The help shows these options after the command's own.
const LAST: usize = 100;

/// Options that every command takes.
#[derive(Debug, Args)]
struct Global {
    /// Print one JSON document on standard output; progress and messages stay on standard error
    #[arg(long, global = true, display_order = LAST)]
    json: bool,
    /// The configuration file [default: the first that exists of ./pixelrts.yaml,
    /// ~/.config/pixelrts/config.yaml and /etc/pixelrts/config.yaml]
    #[arg(short, long, global = true, display_order = LAST, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Print only errors
    #[arg(short, long, global = true, display_order = LAST, conflicts_with = "verbose")]
    quiet: bool,
    /// Print more detail; give it twice for even more
    #[arg(short, long, global = true, display_order = LAST, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Up(up::Up),
    Boot(boot::Boot),
    Fetch(fetch::Fetch),
    #[command(subcommand)]
    Cache(cache::Cache),
    Pack(Box<pack::Pack>),
    Unpack(unpack::Unpack),
    Inspect(inspect::Inspect),
    Verify(verify::Verify),
    Mount(mount::MountImage),
    Umount(mount::Umount),
    #[command(subcommand)]
    Catalog(catalog::Catalog),
    #[command(subcommand)]
    Servers(servers::Servers),
    Samples(samples::Samples),
    Doctor(doctor::Doctor),
    #[command(subcommand)]
    Config(config::Config),
    Completions(completions::Completions),
    #[command(hide = true)]
    TryMount(doctor::TryMount),
    #[command(hide = true)]
    Machine(machine::RunMachine),
}

/// What every command gets besides its own arguments.
#[derive(Debug)]
struct Context {
    output: Output,
    paths: Paths,
    config: Loaded,
    /// Where the configuration was read from, so that it can be read again.
    sources: Inputs,
    proxies: Proxies,
}

impl Context {
    /// The file with the API's token.
    fn token_file(&self) -> PathBuf {
        Some(&self.config.settings.token_file)
            .filter(|path| !path.as_os_str().is_empty())
            .cloned()
            .unwrap_or_else(|| self.paths.token())
    }
}

impl Context {
    /// For servers elsewhere, and for the backend on this computer.
    fn client(&self) -> Client {
        Client::new(self.proxies.clone(), Ours::default())
    }

    /// Runs the part of the bootstrap phase that a command needs: afterwards everything that it uses exists.
    async fn prepare(&self, purpose: Purpose) -> Outcome {
        let settings = self.config.settings.bootstrap.clone();
        bootstrap::run(Site { settings, ..Site::new(self.paths.clone(), purpose) })
            .await
            .map(|outcome| outcome.log_made())
    }
}

/// Parses the arguments, runs the command, and turns its outcome into an exit code.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::take();
    let cli = match Cli::try_parse_from(arguments.words()) {
        Ok(cli) => cli,
        Err(error) => return misused(&error, &arguments),
    };
    let output = Output::new(cli.global.json, cli.global.quiet);
    let mut paths = Paths::from_environment(|name| std::env::var_os(name).map(PathBuf::from));
    let sources = Inputs::new(cli.global.config.clone(), cli.flags(), &paths);
    let config = match cli.command.configuration(&sources) {
        Ok(config) => config,
        Err(problem) => return failed(&output, &problem),
    };
    let serving = matches!(cli.command, Command::Serve(_) | Command::Up(_) | Command::Machine(_));
    output.init_log(&config, serving);
    config.warn();
    if let Ok(cache) = std::path::absolute(&config.settings.cache.dir) {
        // An empty path cannot be made absolute. It means the usual place.
        paths.cache = cache;
    }
    // The runtime directory is on this computer, wherever cache and state are.
    files::stand_ins(paths.runtime.join("locks"));
    let proxies = Proxies::from_environment(|name| std::env::var(name).ok());
    let context = Context { output, paths, config, sources, proxies };
    let outcome = match cli.command {
        Command::Serve(command) => command.run(&context),
        Command::Up(command) => command.run(&context),
        Command::Boot(command) => command.run(&context),
        Command::Fetch(command) => command.run(&context),
        Command::Cache(command) => command.run(&context),
        Command::Pack(command) => command.run(&context),
        Command::Unpack(command) => command.run(&context),
        Command::Inspect(command) => command.run(&context),
        Command::Verify(command) => command.run(&context),
        Command::Mount(command) => command.run(&context),
        Command::Umount(command) => command.run(&context),
        Command::Catalog(command) => command.run(&context),
        Command::Servers(command) => command.run(&context),
        Command::Samples(command) => command.run(&context),
        Command::TryMount(command) => command.run(&context),
        Command::Config(command) => command.run(&context),
        Command::Completions(command) => command.run(),
        Command::Machine(command) => command.run(&context),
        Command::Doctor(command) => return ended(&context, command.run(&context)),
    };
    ended(&context, outcome.map(|()| ExitCode::SUCCESS))
}

fn ended(context: &Context, outcome: Result<ExitCode, Problem>) -> ExitCode {
    match outcome {
        Ok(_) if context.output.is_lost() => ExitCode::FAILURE,
        Ok(code) => code,
        Err(problem) => failed(&context.output, &problem),
    }
}

fn failed(output: &Output, problem: &Problem) -> ExitCode {
    output.problem(problem);
    ExitCode::from(problem.code.exit_code())
}

impl Cli {
    /// The settings that options set.
    fn flags(&self) -> Vec<Flag> {
        let mut flags = match &self.command {
            Command::Serve(serve) => serve.flags(),
            Command::Up(up) => up.flags(),
            _ => Vec::new(),
        };
        flags.push(match (self.global.quiet, self.global.verbose) {
            (true, _) => Flag::new("log.level", "--quiet", Some("error")),
            (_, 0) => Flag::new("log.level", "--verbose", None::<&str>),
            (_, 1) => Flag::new("log.level", "--verbose", Some("debug")),
            (_, _) => Flag::new("log.level", "--verbose", Some("trace")),
        });
        flags
    }
}

impl Command {
    fn configuration(&self, sources: &Inputs) -> Result<Loaded, Problem> {
        match self {
            // These read it themselves, or need none.
            Self::Config(_) | Self::Completions(_) | Self::TryMount(_) => Ok(Loaded::default()),
            // The backend has put everything else into the run directory, and has printed the warnings.
            Self::Machine(_) => Ok(Loaded::load(&sources.without_files()).unwrap_or_default().silent()),
            // The doctor reports a configuration that cannot be used as a finding.
            Self::Doctor(_) => Ok(Loaded::load(sources).unwrap_or_default()),
            _ => Ok(Loaded::load(sources)?),
        }
    }
}

/// Clap prints help, version and mistakes. For programs (`--json`) a mistake is a document like every other problem.
fn misused(error: &clap::Error, arguments: &Arguments) -> ExitCode {
    let json = arguments.words().take_while(|word| word != "--").any(|word| word == "--json");
    if !error.use_stderr() || !json {
        let text = error.render();
        let is_harmless = arguments.hidden_in(&text.to_string()) == text.to_string();
        // When the pipe is closed, nobody wants to read it.
        let _ = match is_harmless {
            true => error.print(),
            false => writeln!(std::io::stderr(), "{}", arguments.hidden_in(&text.to_string()).trim_end()),
        };
        return if error.use_stderr() { ExitCode::from(ProblemCode::Usage.exit_code()) } else { ExitCode::SUCCESS };
    }
    let text = arguments.hidden_in(&error.to_string());
    let lines: Vec<_> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let lines = lines.join(" ");
    let why = lines.trim_start_matches("error: ");
    let fix = "See which options the command has: pixelrts COMMAND --help";
    let problem = Problem::new(ProblemCode::Usage, "The command cannot be understood.", why, fix);
    Output::new(true, false).problem(&problem);
    ExitCode::from(problem.code.exit_code())
}

/// The runtime of a command that serves or asks others.
fn runtime() -> Result<Runtime, Problem> {
    built(&mut Builder::new_multi_thread())
}

/// A runtime without threads of its own, for a command that waits for little, must start quickly, or owns a machine.
fn on_this_thread() -> Result<Runtime, Problem> {
    built(&mut Builder::new_current_thread())
}

fn built(builder: &mut Builder) -> Result<Runtime, Problem> {
    builder.enable_all().build().map_err(|error| {
        Problem::new(
            ProblemCode::Internal,
            "The program cannot start its threads.",
            error.to_string(),
            "Check the limits on processes and open files (ulimit -a).",
        )
    })
}

/// What every command returns. A problem decides the exit code, also where the command itself did not fail, as after
/// the panic of a guest.
type Outcome = Result<(), Problem>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_every_command_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    /// A terminal has 80 columns, and so has whatever a person pastes the help into.
    #[test]
    fn every_command_explains_itself_in_80_columns_and_with_an_example() {
        fn look(command: &mut clap::Command, name: &str) {
            let help = command.render_long_help().to_string() + &command.render_help().to_string();
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{name}: {line}");
                assert!(!line.starts_with("pixelrts "), "{name}: an example was wrapped: {line}");
            }
            let has_commands = command.get_subcommands().next().is_some();
            assert!(has_commands || help.contains("Example"), "{name} has no example");
            let is_for_people = |command: &&mut clap::Command| !command.is_hide_set() && command.get_name() != "help";
            for command in command.get_subcommands_mut().filter(is_for_people) {
                let name = format!("{name} {}", command.get_name());
                look(command, &name);
            }
        }
        let mut command = <Cli as clap::CommandFactory>::command().term_width(80);
        command.build();
        look(&mut command, "pixelrts");
    }

    #[test]
    fn a_command_is_prepared_as_configured() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::below(folder.path());
        let sources = Inputs::new(None, Vec::new(), &paths);
        let output = Output::new(true, false);
        let proxies = Proxies::default();
        let mut context = Context { output, paths, config: Loaded::default(), sources, proxies };
        for enabled in [false, true] {
            context.config.settings.bootstrap.enabled = enabled;
            runtime().unwrap().block_on(context.prepare(Purpose::Boot)).unwrap();
            assert_eq!(context.paths.machines().exists(), enabled);
        }
    }
}
