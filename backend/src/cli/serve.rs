//! `pixelrts serve`: the backend and the shell, or a catalog server.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pixelrts_shared::{Problem, ProblemCode};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Context, Outcome, runtime};
use crate::app::{self, Ready, Settings};

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
    /// Encrypt: a PEM file with the certificate and its chain; made, with its key, when neither is there
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key, a PEM file that only you can read
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The file of the API's token; made when it is needed and not there [default: in the state directory]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Role `catalog`: answer only who sends the token
    #[arg(long)]
    private: bool,
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
    fingerprint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<&'a str>,
}

impl Serve {
    pub(super) fn run(self, context: &Context) -> Outcome {
        runtime()?.block_on(self.serve(context))
    }

    async fn serve(self, context: &Context) -> Outcome {
        let listener = TcpListener::bind(self.listen).await.map_err(|error| cannot_listen(self.listen, &error))?;
        let settings = Settings {
            role: match self.role {
                Role::Shell => app::Role::Shell,
                Role::Catalog => app::Role::Catalog,
            },
            name: self.name.unwrap_or_else(host_name),
            catalogs: if self.catalogs.is_empty() { vec![context.paths.catalog.clone()] } else { self.catalogs },
            allowed_hosts: self.allowed_hosts,
            insecure_http: self.insecure_http,
            tls: self.tls_cert.zip(self.tls_key),
            token: self.token_file.unwrap_or_else(|| context.paths.token()),
            private: self.private,
            paths: context.paths.clone(),
        };
        let ready = |ready: &Ready| {
            let Ready { url, fingerprint, login } = ready;
            let (fingerprint, login) = (fingerprint.as_deref(), login.as_deref());
            if context.output.is_json() {
                context.output.line(&Listening { url, pid: std::process::id(), fingerprint, login });
            }
            let everywhere =
                if self.listen.ip().is_unspecified() { ", and every other address of this computer" } else { "" };
            context.output.say(&format!("listening on {url}{everywhere}"));
            if let Some(fingerprint) = fingerprint {
                context.output.say(&format!("its certificate has the SHA-256 {fingerprint}"));
            }
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
