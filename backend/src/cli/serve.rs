//! `pixelrts serve`: the backend and the shell, or a catalog server.

mod running;
mod supervised;

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::{Context, Outcome, runtime};
use crate::app::Role;
use crate::config::Flag;
use crate::task::abandonable;
pub(super) use running::{settings, stop_signal};

/// A folder that does not answer by then is said to hang where the others are scanned.
const LOOK_WITHIN: Duration = Duration::from_millis(500);

/// Run the backend and the shell
#[derive(Debug, Args)]
#[command(after_help = "Example: offer a folder of images to others\n  \
    pixelrts serve --role catalog --catalog ~/pixelrts/images --listen 0.0.0.0:8090")]
pub(super) struct Serve {
    /// The address to listen on; port 0 means any free port [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", value_parser = listening_address)]
    listen: Option<SocketAddr>,
    /// A folder with images; may be given several times [default: ~/pixelrts/images]
    #[arg(long = "catalog", value_name = "DIR", value_hint = ValueHint::DirPath)]
    catalogs: Vec<String>,
    /// `shell` offers everything to you; `catalog` offers only images and their list to anyone [default: shell]
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// The catalog's name for people [default: the host's name]
    #[arg(long)]
    name: Option<String>,
    /// Another host name of the shell, for example behind a proxy; may be given several times
    #[arg(long = "allowed-host", value_name = "HOST")]
    allowed_hosts: Vec<String>,
    /// Offer the shell without encryption, in a network that you trust
    #[arg(long)]
    insecure_http: bool,
    /// Encrypt with this certificate, a PEM file with its chain; created with its key if neither exists
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<String>,
    /// The certificate's key, a PEM file that only you can read
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<String>,
    /// The file with the API's token; created when it is needed [default: in the state directory]
    #[arg(long, value_name = "FILE")]
    token_file: Option<String>,
    /// Role `catalog`: answer only requests that have the token
    #[arg(long)]
    private: bool,
    /// For a container that publishes its port at this address: listen on all addresses of the container, and answer
    /// as if this were the listener's own
    #[arg(long, value_name = "ADDRESS", hide = true, conflicts_with = "listen")]
    behind_publish: Option<SocketAddr>,
}

/// An address with a port, as it is typed.
pub(super) fn listening_address(text: &str) -> Result<SocketAddr, String> {
    let why =
        "it is an IP address with a port, as in 127.0.0.1:8080, or 0.0.0.0:8090 for all addresses of this computer";
    text.parse().map_err(|_| why.to_owned())
}

impl Serve {
    /// The settings that options set: the topmost layer of the configuration.
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

    pub(super) fn run(&self, context: &Context) -> Outcome {
        let runtime = runtime()?;
        let outcome = runtime.block_on(async {
            self.say_missing(context).await;
            running::serve(context, self.behind_publish).await
        });
        // Everything that must end in order has ended. A thread that reads from a disk or a share that hangs never does.
        runtime.shutdown_background();
        outcome
    }

    /// Tells which folders that were named are missing. One that is there only later is no mistake, so this is no error,
    /// and a share that hangs is not waited for.
    async fn say_missing(&self, context: &Context) {
        let named = if self.catalogs.is_empty() { Vec::new() } else { context.config.settings.catalogs.clone() };
        let look = move || named.into_iter().filter(|folder| !folder.exists()).collect::<Vec<_>>();
        for folder in abandonable(LOOK_WITHIN, look).await.unwrap_or_default() {
            let folder = folder.display();
            context.output.say(&format!("There is no folder {folder}. Its images are listed once it is there."));
        }
    }
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
        // The level of the log is set by two options of every command.
        let of_serve: Vec<_> = flags.iter().filter(|flag| flag.key != "log.level").collect();
        assert_eq!(said, of_serve.len());
        for flag in of_serve {
            let (key, name) = (format!("| `{}` |", flag.key), format!("| `{}` |", flag.name));
            assert!(table.lines().any(|line| line.starts_with(&key) && line.contains(&name)), "{flag:?}");
        }
    }
}
