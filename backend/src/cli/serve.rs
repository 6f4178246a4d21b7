//! `pixelrts serve`: the backend and the shell, or a catalog server.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, ValueHint};
use pixelrts_shared::{Level, Problem, ProblemCode};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Context, Outcome, runtime};
use crate::app::{self, BackendSettings, Live, Ready, Role};
use crate::config::{Flag, Loaded, Origin, Sources, is_reloadable};
use crate::{doctor, report, supervisor};

/// Run the backend and the shell
#[derive(Debug, Args)]
#[command(after_help = "Example: offer a folder of images to others\n  \
    pixelrts serve --role catalog --catalog ~/pixelrts/images --listen 0.0.0.0:8090")]
pub(super) struct Serve {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// A folder with images; may be given several times [default: ~/pixelrts/images]
    #[arg(long = "catalog", value_name = "DIR", value_hint = ValueHint::DirPath)]
    catalogs: Vec<String>,
    /// `shell`: everything, for you; `catalog`: images and their list, for anyone, reads only [default: shell]
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// The name of this catalog for people [default: the host's name]
    #[arg(long)]
    name: Option<String>,
    /// One more name under which the shell is reached, as behind a proxy; may be given several times
    #[arg(long = "allowed-host", value_name = "HOST")]
    allowed_hosts: Vec<String>,
    /// Offer the shell to a network you trust without encryption
    #[arg(long)]
    insecure_http: bool,
    /// Encrypt: a PEM file with the certificate and its chain; made, with its key, when neither is there
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<String>,
    /// The certificate's key, a PEM file that only you can read
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<String>,
    /// The file of the API's token; made when it is needed and not there [default: in the state directory]
    #[arg(long, value_name = "FILE")]
    token_file: Option<String>,
    /// Role `catalog`: answer only who sends the token
    #[arg(long)]
    private: bool,
    /// In a container that publishes its port here: listen on every address of it, and answer as if it were this one
    #[arg(long, value_name = "ADDRESS", hide = true, conflicts_with = "listen")]
    behind_publish: Option<SocketAddr>,
}

/// The line of `--json`, once it listens.
#[derive(Serialize)]
struct Listening<'a> {
    url: &'a str,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<&'a str>,
}

impl Serve {
    /// What the options say of settings: the topmost layer.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let role = self.role.map(|role| match role {
            Role::Shell => "shell",
            Role::Catalog => "catalog",
        });
        vec![
            Flag::new("listen", "--listen", self.listen),
            Flag::new("catalogs", "--catalog", &self.catalogs),
            Flag::new("role", "--role", role),
            Flag::new("name", "--name", &self.name),
            Flag::new("allowed_hosts", "--allowed-host", &self.allowed_hosts),
            Flag::new("insecure_http", "--insecure-http", self.insecure_http.then_some("true")),
            Flag::new("tls.cert", "--tls-cert", &self.tls_cert),
            Flag::new("tls.key", "--tls-key", &self.tls_key),
            Flag::new("token_file", "--token-file", &self.token_file),
            Flag::new("private", "--private", self.private.then_some("true")),
        ]
    }

    /// What a backend is told that somebody keeps up: nothing in it depends on the folder that we are in, or changes
    /// with a restart. The rest it reads from the same configuration.
    pub(super) fn told(&self, context: &Context) -> Result<supervisor::Serve, Problem> {
        let config = &context.config;
        let BackendSettings { role, name, catalogs, named, tls, token, paths, .. } =
            settings(context, watch::channel(Live::of(config)).1);
        if role != Role::Shell {
            let why = "Only a backend of the role shell has the socket that is asked whether it lives.";
            let fix = "Start it alone: pixelrts serve --role catalog";
            return Err(Problem::new(ProblemCode::Usage, "A catalog server cannot be kept up.", why, fix));
        }
        let mut listen = config.settings.listen;
        if listen.port() == 0 {
            let free = std::net::TcpListener::bind(listen).and_then(|listener| listener.local_addr());
            listen = free.map_err(|error| doctor::cannot_listen(listen, &error))?;
        }
        if !named {
            // A container can only be given what is there; where this fails there is nothing to read either.
            let _ = catalogs.iter().try_for_each(std::fs::create_dir_all);
        }
        let full = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        // A container has no name that says anything to people.
        let mut flags: Vec<OsString> = vec!["--role=shell".into(), format!("--name={name}").into()];
        flags.push(option("--token-file", full(&token)));
        flags.extend(config.file.iter().map(|file| option("--config", full(file))));
        flags.extend(catalogs.iter().map(|folder| option("--catalog", full(folder))));
        for (name, file) in tls.iter().flat_map(|(cert, key)| [("--tls-cert", cert), ("--tls-key", key)]) {
            flags.push(option(name, full(file)));
        }
        flags.extend(self.allowed_hosts.iter().map(|host| option("--allowed-host", host)));
        flags.extend(self.insecure_http.then(|| "--insecure-http".into()));
        flags.extend(
            match (config.origin("log.level"), &*config.settings.log.level) {
                (Origin::Flag { .. }, "error") => &["--quiet"][..],
                (Origin::Flag { .. }, "debug") => &["--verbose"],
                (Origin::Flag { .. }, _) => &["--verbose", "--verbose"],
                _ => &[],
            }
            .iter()
            .map(OsString::from),
        );
        // Of the usual configuration the folder: a file that an editor puts in its place is seen there, too.
        let files = [
            Some(paths.config.clone()),
            config.file.clone(),
            Some(token).filter(|token| !token.starts_with(&paths.state)),
        ];
        let files = files.into_iter().flatten().chain(tls.into_iter().flat_map(|(cert, key)| [cert, key]));
        let mut readable: Vec<_> = catalogs.into_iter().chain(files).map(|path| full(&path)).collect();
        readable.sort();
        readable.dedup_by(|path, above| path.starts_with(above));
        Ok(supervisor::Serve { paths, listen, readable, flags, variables: Sources::variables() })
    }

    pub(super) fn run(&self, context: &Context) -> Outcome {
        runtime()?.block_on(serve(context, self.behind_publish))
    }
}

async fn serve(context: &Context, published: Option<SocketAddr>) -> Outcome {
    // First of all: without a handler it ends the program.
    let mut hangup = signal(SignalKind::hangup()).expect("SIGHUP can be handled");
    let listen = match published {
        Some(published) => every_address(published)?,
        None => context.config.settings.listen,
    };
    let listener = TcpListener::bind(listen).await.map_err(|error| doctor::cannot_listen(listen, &error))?;
    let live = watch::Sender::new(Live::of(&context.config));
    let settings = BackendSettings { published, ..settings(context, live.subscribe()) };
    let ready = |ready: &Ready| {
        let Ready { url, fingerprint, login } = ready;
        let (fingerprint, login) = (fingerprint.as_deref(), login.as_deref());
        if context.output.is_json() {
            context.output.line(&Listening { url, pid: std::process::id(), fingerprint, login });
        }
        let everywhere = if published.is_none() && listen.ip().is_unspecified() {
            ", and every other address of this computer"
        } else {
            ""
        };
        context.output.say(&format!("listening on {url}{everywhere}"));
        if let Some(fingerprint) = fingerprint {
            context.output.say(&format!("its certificate has the SHA-256 {fingerprint}"));
        }
        if let Some(login) = login {
            context.output.say(&format!("open once to log in: {login}"));
        }
    };
    let shutdown = CancellationToken::new();
    let mut latest = context.config.clone();
    let serving = app::run(settings, listener, ready, shutdown.clone());
    tokio::pin!(serving);
    let stop = stop_signal();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            outcome = &mut serving => return outcome,
            () = &mut stop => break,
            _ = hangup.recv() => {
                // One that comes from a terminal's end ends this too.
                reload(context, &mut latest, &live);
            }
        }
    }
    shutdown.cancel();
    serving.await
}

/// As one word, so that a value may begin with anything.
fn option(name: &str, value: impl AsRef<std::ffi::OsStr>) -> OsString {
    let mut word = OsString::from(format!("{name}="));
    word.push(value);
    word
}

/// What a backend with this configuration is given.
pub(super) fn settings(context: &Context, live: watch::Receiver<Live>) -> BackendSettings {
    let config = &context.config.settings;
    BackendSettings {
        role: config.role,
        name: if config.name.is_empty() { host_name() } else { config.name.clone() },
        catalogs: config.catalogs.clone(),
        named: context.config.origin("catalogs") != Origin::Default,
        allowed_hosts: config.allowed_hosts.clone(),
        insecure_http: config.insecure_http,
        tls: config.tls.files(),
        token: context.token_file(),
        private: config.private,
        bootstrap: config.bootstrap.settings(),
        published: None,
        paths: context.paths.clone(),
        live,
    }
}

/// Reads the configuration again. One that cannot be used changes nothing.
fn reload(context: &Context, latest: &mut Loaded, live: &watch::Sender<Live>) {
    let new = match Loaded::load(&context.sources) {
        Ok(new) => new,
        Err(error) => {
            return report::problem(Level::Error, &error.into(), "the configuration stays as it was");
        }
    };
    new.warn();
    let changed: Vec<_> = latest.changes(&new).into_iter().filter(|key| is_reloadable(key)).collect();
    let later: Vec<_> = context.config.changes(&new).into_iter().filter(|key| !is_reloadable(key)).collect();
    tracing::info!(changed = changed.join(", "), "the configuration was read again");
    if !later.is_empty() {
        tracing::warn!(keys = later.join(", "), "some settings take effect only at the next start");
    }
    context.output.change_log(&new.settings.log);
    live.send_replace(Live::of(&new));
    *latest = new;
}

/// Ctrl-C or SIGTERM, or the end of the terminal.
pub(super) async fn stop_signal() {
    let on_terminal = std::io::stderr().is_terminal();
    let mut term = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be handled");
    let mut hangup = signal(SignalKind::hangup()).expect("SIGHUP can be handled");
    loop {
        tokio::select! {
            _ = term.recv() => return,
            _ = interrupt.recv() => return,
            // Nobody is there any more who could stop it.
            _ = hangup.recv() => if on_terminal && !std::io::stderr().is_terminal() {
                return;
            },
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    use crate::cli::{Cli, Command, Output};
    use crate::config::reference;
    use crate::paths::Paths;

    /// What the backend is told by `pixelrts up WORDS`.
    fn told(words: &[&str]) -> Result<supervisor::Serve, Problem> {
        let cli = Cli::parse_from([&["pixelrts", "up"], words].concat());
        let paths = Paths::from_environment(|_| Some("/proc/h".into()));
        let sources = Sources { flags: cli.flags(), home: "/proc/h".into(), ..Sources::default() };
        let config = Loaded::load(&sources).unwrap();
        let Command::Up(up) = &cli.command else { panic!("it is up") };
        up.serve.told(&Context { output: Output::new(false, true), paths, config, sources })
    }

    #[test]
    fn the_options_are_handed_on_once_and_depend_on_no_folder() {
        let words = ["-vv", "--json", "--listen", "127.0.0.1:99", "--catalog", "/a b", "--catalog=c", "--name", "x"];
        let serve = told(&[&words[..], &["--allowed-host", "a", "--insecure-http"]].concat()).unwrap();
        assert_eq!(serve.listen, "127.0.0.1:99".parse().unwrap());
        let here = std::env::current_dir().unwrap().join("c");
        assert!(serve.readable.contains(&"/a b".into()) && serve.readable.contains(&here));
        let here = format!("--catalog={}", here.display());
        let expected = [
            "--role=shell",
            "--name=x",
            "--token-file=/proc/h/pixelrts/token",
            "--catalog=/a b",
            &here,
            "--allowed-host=a",
            "--insecure-http",
        ];
        assert_eq!(serve.flags, [&expected[..], &["--verbose", "--verbose"]].concat());
        let port = told(&["--listen", "127.0.0.1:0"]).unwrap().listen.port();
        assert_ne!(port, 0, "a restart finds the same");
    }

    #[test]
    fn a_catalog_server_is_not_kept_up_and_a_shell_is_behind_a_port_only_in_a_container() {
        assert_eq!(told(&["--role", "catalog"]).unwrap_err().code, ProblemCode::Usage);
        assert_eq!(every_address("127.0.0.1:80".parse().unwrap()).unwrap_err().code, ProblemCode::ConfigExposed);
    }

    #[test]
    fn every_option_is_in_the_table_of_settings() {
        let cli = Cli::parse_from(["pixelrts", "serve"]);
        let table = reference();
        let said = table.lines().filter(|line| line.contains("| `--")).count();
        let flags = cli.flags();
        // How much is logged is said by two options of every command.
        let of_serve: Vec<_> = flags.iter().filter(|flag| flag.key != "log.level").collect();
        assert_eq!(said, of_serve.len());
        for flag in of_serve {
            let (key, name) = (format!("| `{}` |", flag.key), format!("| `{}` |", flag.name));
            assert!(table.lines().any(|line| line.starts_with(&key) && line.contains(&name)), "{flag:?}");
        }
    }
}
