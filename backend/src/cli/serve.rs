//! `pixelrts serve`: the backend and the shell, or a catalog server.

mod running;
mod supervised;

use std::net::SocketAddr;

use clap::{Args, ValueHint};

use super::{Context, Outcome, runtime};
use crate::app::Role;
use crate::config::Flag;
pub(super) use running::{settings, stop_signal};

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

    pub(super) fn run(&self, context: &Context) -> Outcome {
        runtime()?.block_on(running::serve(context, self.behind_publish))
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
        // How much is logged is said by two options of every command.
        let of_serve: Vec<_> = flags.iter().filter(|flag| flag.key != "log.level").collect();
        assert_eq!(said, of_serve.len());
        for flag in of_serve {
            let (key, name) = (format!("| `{}` |", flag.key), format!("| `{}` |", flag.name));
            assert!(table.lines().any(|line| line.starts_with(&key) && line.contains(&name)), "{flag:?}");
        }
    }
}
