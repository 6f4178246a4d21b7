//! `pixelrts serve`: the backend and the shell, or a catalog server.

mod running;
mod supervised;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use clap::{Args, ValueHint};
use pixelrts_shared::{Problem, ProblemCode};

use super::{Context, Outcome, runtime};
use crate::app::Role;
use crate::config::{Flag, Origin, listening_address};
use crate::report::shell_word;
use crate::task::abandonable;
pub(super) use running::{settings, stop_signal};

/// A folder that does not answer by then is said to hang where the others are scanned.
const LOOK_WITHIN: Duration = Duration::from_millis(500);
/// So long a backend that ends waits for threads that are still at work.
const LAST_WORK: Duration = Duration::from_millis(500);

/// Run the backend and the shell
#[derive(Debug, Args)]
#[command(after_help = "Example: offer a folder of images to others\n  \
    pixelrts serve --role catalog --catalog ~/images --listen 0.0.0.0:8090")]
pub(super) struct Serve {
    /// The address to listen on, or a port, which means this computer only; 0 is any free port
    /// [default: 127.0.0.1:8080]
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
            let missing = missing(context).await?;
            running::serve(context, self.behind_publish, missing).await
        });
        // Everything that must end in order has ended. A thread that still looks at the catalog closes databases when it
        // is done; one that reads from a disk or a share that hangs never is.
        runtime.shutdown_timeout(LAST_WORK);
        outcome
    }
}

/// What to say of folders that were named and are missing. One that is there only later is no mistake, so this is no
/// error, and a share that hangs is not waited for. A file is never a folder later.
async fn missing(context: &Context) -> Result<Vec<String>, Problem> {
    let is_named = context.config.origin("catalogs") != Origin::Default;
    let named = if is_named { context.config.settings.catalogs.clone() } else { Vec::new() };
    let look = move || named.into_iter().map(|folder| said_of(&folder)).collect::<Result<Vec<_>, _>>();
    let said = abandonable(LOOK_WITHIN, look).await.unwrap_or_else(|| Ok(Vec::new()))?;
    Ok(said.into_iter().flatten().collect())
}

fn said_of(folder: &Path) -> Result<Option<String>, Problem> {
    let shown = folder.display();
    match folder.metadata() {
        Ok(found) if !found.is_dir() => {
            let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let why = "A catalog is a folder, and all images in it are offered.";
            let fix = format!("Name the folder: --catalog {}", shell_word(parent));
            Err(Problem::new(ProblemCode::ConfigInvalid, format!("{shown} is a file, and no folder."), why, fix))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Some(format!("There is no folder {shown}. Its images are listed once it is there.")))
        }
        Ok(_) | Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;
    use crate::config::reference;

    #[test]
    fn a_folder_may_come_later_and_a_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (file, later) = (folder.path().join("a.rts.png"), folder.path().join("later"));
        std::fs::write(&file, "").unwrap();
        assert_eq!(said_of(folder.path()).unwrap(), None);
        assert!(said_of(&later).unwrap().unwrap().contains("later. Its images are listed once it is there"));
        let problem = said_of(&file).unwrap_err();
        assert!(problem.fix.ends_with(&format!("--catalog {}", folder.path().display())), "{problem}");
    }

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
