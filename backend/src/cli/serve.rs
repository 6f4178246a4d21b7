//! `pixelrts serve`: the backend and the shell, or a catalog server.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, FromArgMatches, ValueEnum};
use pixelrts_shared::{Problem, ProblemCode};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Context, Global, Outcome, runtime};
use crate::app::{self, Ready, Settings};
use crate::paths::Paths;
use crate::supervisor;

/// Run the backend and the shell
#[derive(Debug, Args)]
#[command(after_help = "Example: offer a folder of images to others\n  \
    pixelrts serve --role catalog --catalog ~/pixelrts/images --listen 0.0.0.0:8090")]
pub(super) struct Serve {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// A folder with images; may be given several times [default: ~/pixelrts/images]
    #[arg(long = "catalog", value_name = "DIR")]
    catalogs: Vec<PathBuf>,
    /// `shell`: everything, for you; `catalog`: images and their list, for anyone, reads only
    #[arg(long, value_enum, default_value = "shell")]
    role: Role,
    /// The name of this catalog for people [default: the host's name]
    #[arg(long)]
    name: Option<String>,
    /// One more name under which the shell is reached, as behind a proxy; may be given several times
    #[arg(long = "allowed-host", value_name = "HOST")]
    allowed_hosts: Vec<String>,
    /// Offer the shell to a network you trust without encryption
    #[arg(long)]
    insecure_http: bool,
    /// In a container that publishes its port here: listen on every address of it, and answer as if it were this one
    #[arg(long, value_name = "ADDRESS", hide = true, conflicts_with = "listen")]
    behind_publish: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    Shell,
    Catalog,
}

/// The line of `--json`, once it listens.
#[derive(Serialize)]
struct Listening<'a> {
    url: &'a str,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<&'a str>,
}

impl Serve {
    fn catalogs(&self, paths: &Paths) -> Vec<PathBuf> {
        if self.catalogs.is_empty() { vec![paths.catalog.clone()] } else { self.catalogs.clone() }
    }

    pub(super) fn run(self, context: &Context) -> Outcome {
        runtime()?.block_on(self.serve(context))
    }

    async fn serve(self, context: &Context) -> Outcome {
        let listen = match self.behind_publish {
            Some(published) => every_address(published)?,
            None => self.listen,
        };
        let listener = TcpListener::bind(listen).await.map_err(|error| cannot_listen(listen, &error))?;
        let settings = Settings {
            role: match self.role {
                Role::Shell => app::Role::Shell,
                Role::Catalog => app::Role::Catalog,
            },
            catalogs: self.catalogs(&context.paths),
            name: self.name.unwrap_or_else(host_name),
            published: self.behind_publish,
            allowed_hosts: self.allowed_hosts,
            insecure_http: self.insecure_http,
            paths: context.paths.clone(),
        };
        let ready = |ready: &Ready| {
            let Ready { url, login } = ready;
            if context.output.is_json() {
                context.output.line(&Listening { url, pid: std::process::id(), login: login.as_deref() });
            }
            context.output.say(&format!("listening on {url}"));
            if let Some(login) = login {
                context.output.say(&format!("open once to log in: {login}"));
            }
        };
        let shutdown = CancellationToken::new();
        let serving = app::run(settings, listener, ready, shutdown.clone());
        tokio::pin!(serving);
        tokio::select! {
            outcome = &mut serving => return outcome,
            () = stop_signal() => shutdown.cancel(),
        }
        serving.await
    }
}

/// Ctrl-C or SIGTERM.
pub(super) async fn stop_signal() {
    let mut term = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be handled");
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn host_name() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "pixelrts".to_owned())
}

/// Only where another network is between us and everyone: on a computer of its own it would serve all of them.
fn every_address(published: SocketAddr) -> Result<SocketAddr, Problem> {
    // The first process of a container is its program; that of a computer is never this one.
    if std::process::id() == 1 {
        return Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, published.port())));
    }
    Err(Problem::new(
        ProblemCode::ConfigExposed,
        "The shell would be offered to the network without a token.",
        "--behind-publish is for containers, and this is none.",
        "Let pixelrts up start the container, or use --listen.",
    ))
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Problem {
    let what = format!("Nothing can be served at {address}.");
    let (code, fix) = match error.kind() {
        std::io::ErrorKind::AddrInUse => (
            ProblemCode::Busy,
            "Stop the program that uses the port, or choose another: pixelrts serve --listen 127.0.0.1:0",
        ),
        std::io::ErrorKind::PermissionDenied => {
            (ProblemCode::PermissionDenied, "Choose a port above 1023: pixelrts serve --listen 127.0.0.1:8080")
        }
        _ => (ProblemCode::ConfigInvalid, "Choose an address of this computer: pixelrts serve --listen 127.0.0.1:8080"),
    };
    Problem::new(code, what, error.to_string(), fix)
}

/// Flags that `up` says in its own way.
const TOLD: [&str; 5] = ["name", "listen", "catalogs", "behind_publish", "json"];

/// The flags of `serve` on the command line of `up`: checked there, and handed on as they were given.
#[derive(Debug)]
pub(super) struct Forwarded {
    serve: Serve,
    flags: Vec<OsString>,
}

impl Forwarded {
    /// What the backend is told: nothing in it depends on the folder that we are in, or changes with a restart.
    pub(super) fn told(self, paths: &Paths) -> Result<supervisor::Serve, Problem> {
        if !matches!(self.serve.role, Role::Shell) {
            let why = "Only a backend of the role shell has the socket that is asked whether it lives.";
            let fix = "Start it alone: pixelrts serve --role catalog";
            return Err(Problem::new(ProblemCode::Usage, "A catalog server cannot be kept up.", why, fix));
        }
        let mut listen = self.serve.listen;
        if listen.port() == 0 {
            let free = std::net::TcpListener::bind(listen).and_then(|listener| listener.local_addr());
            listen = free.map_err(|error| cannot_listen(listen, &error))?;
        }
        // A container has no name that says anything to people.
        let mut flags = vec![format!("--name={}", self.serve.name.clone().unwrap_or_else(host_name)).into()];
        flags.extend(self.flags);
        if self.serve.catalogs.is_empty() {
            // A container can only be given what is there; where this fails there is nothing to read either.
            let _ = std::fs::create_dir_all(&paths.catalog);
        }
        let folders = self.serve.catalogs(paths).into_iter();
        let readable: Vec<_> = folders.map(|folder| std::path::absolute(&folder).unwrap_or(folder)).collect();
        flags.extend(readable.iter().flat_map(|folder| ["--catalog".into(), folder.into()]));
        Ok(supervisor::Serve { paths: paths.clone(), listen, readable, flags })
    }
}

/// Any flag that `serve` has or will have is one of `up` too.
impl Args for Forwarded {
    fn augment_args(command: clap::Command) -> clap::Command {
        Serve::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Serve::augment_args_for_update(command)
    }
}

impl FromArgMatches for Forwarded {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Vec::new();
        for flag in Global::augment_args(Serve::augment_args(clap::Command::new("serve"))).get_arguments() {
            let id = flag.get_id().as_str();
            let given = matches.value_source(id) == Some(ValueSource::CommandLine) && !TOLD.contains(&id);
            let Some(long) = flag.get_long().filter(|_| given) else { continue };
            match flag.get_action() {
                ArgAction::Count => flags.extend((0..matches.get_count(id)).map(|_| format!("--{long}").into())),
                action if !action.takes_values() => flags.push(format!("--{long}").into()),
                _ => flags.extend(matches.get_raw(id).into_iter().flatten().map(|value| {
                    let mut word = OsString::from(format!("--{long}="));
                    word.push(value);
                    word
                })),
            }
        }
        Ok(Self { serve: Serve::from_arg_matches(matches)?, flags })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        command: Only,
        #[command(flatten)]
        _global: Global,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Only {
        Up {
            #[command(flatten)]
            serve: Forwarded,
        },
    }

    fn told(words: &[&str]) -> Result<supervisor::Serve, Problem> {
        let paths = Paths::from_environment(|_| Some("/proc/h".into()));
        let Only::Up { serve } = Cli::try_parse_from([&["pixelrts", "up"], words].concat()).unwrap().command;
        serve.told(&paths)
    }

    #[test]
    fn every_flag_is_handed_on_once() {
        let words = ["-vv", "--json", "--listen", "127.0.0.1:99", "--catalog", "/a b", "--catalog=/c", "--name", "x"];
        let serve =
            told(&[&words[..], &["--allowed-host", "a", "--allowed-host=b", "--insecure-http"]].concat()).unwrap();
        assert_eq!(serve.listen, "127.0.0.1:99".parse().unwrap());
        assert_eq!(serve.readable, ["/a b", "/c"].map(PathBuf::from));
        let hosts = ["--allowed-host=a", "--allowed-host=b", "--insecure-http"];
        let rest = [&hosts[..], &["--verbose", "--verbose", "--catalog", "/a b", "--catalog", "/c"]].concat();
        assert_eq!(serve.flags, [&["--name=x"], &rest[..]].concat().iter().map(OsString::from).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_depends_on_the_folder_or_changes_with_a_restart() {
        let serve = told(&["--listen", "127.0.0.1:0", "--catalog", "here"]).unwrap();
        assert_ne!(serve.listen.port(), 0);
        assert_eq!(serve.readable, [std::env::current_dir().unwrap().join("here")]);
        assert_eq!(told(&[]).unwrap().readable, [PathBuf::from("/proc/h/pixelrts/images")]);
    }

    #[test]
    fn a_catalog_server_is_refused_and_so_is_serving_everyone_outside_of_a_container() {
        assert_eq!(told(&["--role", "catalog"]).unwrap_err().code, ProblemCode::Usage);
        assert_eq!(every_address("127.0.0.1:80".parse().unwrap()).unwrap_err().code, ProblemCode::ConfigExposed);
    }
}
