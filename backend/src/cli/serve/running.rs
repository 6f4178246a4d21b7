//! A backend in this process, from its listener to its end.

use std::fmt;
use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};

use pixelrts_shared::{Level, Problem, ProblemCode};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::{self, BackendSettings, Live, Ready, Role};
use crate::cli::{Context, Outcome};
use crate::config::{Loaded, Origin, is_reloadable};
use crate::{doctor, report};

/// The line that `--json` prints once the backend listens.
#[derive(Serialize)]
struct Listening<'a> {
    url: &'a str,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<&'a str>,
}

/// What a person reads first.
struct Opened<'a> {
    url: &'a str,
    login: Option<&'a str>,
    fingerprint: Option<&'a str>,
    role: Role,
    /// It listens on all addresses of this computer.
    everywhere: bool,
    port: &'a str,
}

impl fmt::Display for Opened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, login, fingerprint, role, everywhere, port } = self;
        match (login, role) {
            (Some(login), _) => write!(f, "Open {login} in a browser, once: it logs that browser in.")?,
            (None, Role::Shell) => write!(f, "Open {url} in a browser. Ctrl-C stops the backend.")?,
            (None, Role::Catalog) => {
                write!(f, "Open {url} in a browser to see the images. Ctrl-C stops the server.")?;
            }
        }
        if *everywhere {
            let scheme = url.split("://").next().unwrap_or_default();
            write!(f, "\nOthers use the name or an address of this computer: {scheme}://ADDRESS:{port}")?;
        }
        match fingerprint {
            Some(fingerprint) => write!(f, "\nIts certificate has the SHA-256 {fingerprint}"),
            None => Ok(()),
        }
    }
}

/// `missing`: what to say of folders that are not there.
pub(super) async fn serve(context: &Context, published: Option<SocketAddr>, missing: Vec<String>) -> Outcome {
    // This comes first, because without a handler SIGHUP ends the program.
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
        let said = Opened {
            url,
            login,
            fingerprint,
            role: context.config.settings.role,
            everywhere: published.is_none() && listen.ip().is_unspecified(),
            port: url.rsplit(':').next().unwrap_or_default(),
        };
        context.output.say(&said.to_string());
        missing.iter().for_each(|said| context.output.say(said));
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
                // When the signal means that the terminal has closed, `stop` sees it, too.
                reload(context, &mut latest, &live);
            }
        }
    }
    shutdown.cancel();
    serving.await
}

/// The settings of a backend with this configuration.
pub(in crate::cli) fn settings(context: &Context, live: watch::Receiver<Live>) -> BackendSettings {
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
        bootstrap: config.bootstrap.clone(),
        published: None,
        proxies: context.proxies.clone(),
        paths: context.paths.clone(),
        live,
    }
}

/// Reads the configuration again. A configuration that cannot be used changes nothing.
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

/// Returns at Ctrl-C, at SIGTERM, or when the terminal is closed.
pub(in crate::cli) async fn stop_signal() {
    let on_terminal = std::io::stderr().is_terminal();
    let mut term = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be handled");
    let mut hangup = signal(SignalKind::hangup()).expect("SIGHUP can be handled");
    loop {
        tokio::select! {
            _ = term.recv() => return,
            _ = interrupt.recv() => return,
            // Without its terminal nobody could stop the program any more.
            _ = hangup.recv() => if on_terminal && !std::io::stderr().is_terminal() {
                return;
            },
        }
    }
}

fn host_name() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "pixelrts".to_owned())
}

/// All addresses of a container, whose network nobody else can reach. On a computer they would offer the shell to
/// everybody.
fn every_address(published: SocketAddr) -> Result<SocketAddr, Problem> {
    // In a container its program is the first process. On a computer that is never this program.
    if std::process::id() == 1 {
        return Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, published.port())));
    }
    Err(Problem::new(
        ProblemCode::ConfigExposed,
        "The shell would be offered to the network without a token.",
        "The option --behind-publish is for containers, and this is not a container.",
        "Let pixelrts up start the container, or use --listen.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_what_to_do() {
        let plain = Opened {
            url: "http://127.0.0.1:80",
            login: None,
            fingerprint: None,
            role: Role::Shell,
            everywhere: false,
            port: "80",
        };
        assert_eq!(plain.to_string(), "Open http://127.0.0.1:80 in a browser. Ctrl-C stops the backend.");
        let public = Opened { everywhere: true, fingerprint: Some("ab"), role: Role::Catalog, ..plain };
        let lines = public.to_string();
        assert!(lines.starts_with("Open http://127.0.0.1:80 in a browser to see the images."), "{lines}");
        assert!(lines.contains("http://ADDRESS:80") && lines.ends_with("SHA-256 ab"), "{lines}");
        let login = Opened { login: Some("https://h:80/?login=x"), role: Role::Shell, ..public };
        assert!(login.to_string().starts_with("Open https://h:80/?login=x in a browser, once"), "{login}");
    }

    #[test]
    fn a_shell_is_behind_a_published_port_only_in_a_container() {
        assert_eq!(every_address("127.0.0.1:80".parse().unwrap()).unwrap_err().code, ProblemCode::ConfigExposed);
    }
}
