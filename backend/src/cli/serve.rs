//! `pixelrts serve`: the backend and the shell, or a catalog server.

use std::io::IsTerminal;
use std::net::SocketAddr;

use clap::{Args, ValueHint};
use pixelrts_shared::{Problem, ProblemCode};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Context, Outcome, runtime};
use crate::app::{self, Live, Ready, Role, Settings};
use crate::config::{Flag, Loaded, is_reloadable};

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
        ]
    }

    pub(super) fn run(&self, context: &Context) -> Outcome {
        runtime()?.block_on(serve(context))
    }
}

async fn serve(context: &Context) -> Outcome {
    let config = &context.config.settings;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| cannot_listen(config.listen, &error))?;
    let live = watch::Sender::new(Live::of(&context.config));
    let settings = Settings {
        role: config.role,
        name: if config.name.is_empty() { host_name() } else { config.name.clone() },
        catalogs: config.catalogs.clone(),
        allowed_hosts: config.allowed_hosts.clone(),
        insecure_http: config.insecure_http,
        token_file: context.token_file(),
        paths: context.paths.clone(),
        live: live.subscribe(),
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
    let on_terminal = std::io::stderr().is_terminal();
    let mut hangup = signal(SignalKind::hangup()).expect("SIGHUP can be handled");
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
                // The terminal was closed: nobody is there any more who could stop it.
                if on_terminal && !std::io::stderr().is_terminal() {
                    break;
                }
                reload(context, &mut latest, &live);
            }
        }
    }
    shutdown.cancel();
    serving.await
}

/// Reads the configuration again. One that cannot be used changes nothing.
fn reload(context: &Context, latest: &mut Loaded, live: &watch::Sender<Live>) {
    let new = match Loaded::load(&context.sources) {
        Ok(new) => new,
        Err(error) => {
            let problem = Problem::from(error);
            return tracing::error!(
                code = problem.code.as_str(),
                why = problem.why,
                fix = problem.fix,
                "the configuration stays as it was"
            );
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

/// Ctrl-C or SIGTERM.
async fn stop_signal() {
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Cli;
    use crate::config::reference;

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
