//! `pixelrts servers`: the list of catalog servers.
//!
//! A running backend is asked to change the list, so that it takes the change over at once. Without one, the database
//! is changed.

mod access;
mod spoken;

use std::time::Duration;

use clap::{Args, Subcommand};
use pixelrts_shared::server::{HealthState, NewServer, Server, ServerChange, ServerFound};
use pixelrts_shared::{Problem, ProblemCode, ServerId, text};
use serde::Serialize;
use tokio::time::timeout;

use super::output::{counted, table};
use super::{Context, Outcome, runtime};
use access::Access;
use spoken::{Reach, Secret, Told};

/// Whoever adds a server waits no longer for its first answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(6);

/// List and change the catalog servers that images come from
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  pixelrts servers add http://images.office.lan:8080 --name office
  pixelrts servers check
  pixelrts servers edit office --priority 1 --token-file ~/office.token")]
pub(super) enum Servers {
    Ls(List),
    Add(Add),
    Edit(Edit),
    Rm(Remove),
    Enable(Enable),
    Disable(Disable),
    Check(Check),
}

/// List the servers, with what is known of them
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts servers ls --json")]
pub(super) struct List {}

/// Add a server
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pixelrts servers add http://images.office.lan:8080 --name office --priority 1
  pixelrts servers add https://private.example.org --token-file ~/token
  pixelrts servers add https://private.example.org --user a --password-file -")]
pub(super) struct Add {
    /// The address of the server, as in http://images.example.org:8080
    url: String,
    /// The name that people see [default: the host]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    rest: Rest,
}

/// What can be said of a server besides its name and address.
#[derive(Debug, Args)]
struct Rest {
    /// Servers with a lower number are tried first [default: 10]
    #[arg(long, value_name = "NUMBER")]
    priority: Option<u32>,
    /// The color in the shell, as in "#00aaff"
    #[arg(long)]
    color: Option<String>,
    #[command(flatten)]
    secret: Secret,
    #[command(flatten)]
    reach: Reach,
}

impl Rest {
    fn change(self, Told { auth, user, password }: Told) -> ServerChange {
        let Self { priority, color, secret: _, reach } = self;
        let (allow, ca_file, pin) = (reach.allow(), reach.ca_file(), reach.pin());
        ServerChange { priority, color, auth, user, password, allow, ca_file, pin, ..ServerChange::default() }
    }
}

/// Change a server; what is not named stays. A new address drops the token or password
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pixelrts servers edit office --url http://images.office.lan:8081 --priority 1
  pixelrts servers edit office --token-file - < token")]
pub(super) struct Edit {
    /// The id of the server, as `pixelrts servers ls` lists it
    server: ServerId,
    /// A new address
    #[arg(long)]
    url: Option<String>,
    /// A new name; an empty one is the host
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    rest: Rest,
    /// Forget the token or password
    #[arg(long, conflicts_with_all = ["secret", "user"])]
    no_auth: bool,
}

/// Remove a server, with everything that is known of it. Images from it stay in the cache
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts servers rm office")]
pub(super) struct Remove {
    /// The id of the server, as `pixelrts servers ls` lists it
    server: ServerId,
}

/// Use a server again
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts servers enable office")]
pub(super) struct Enable {
    /// The id of the server, as `pixelrts servers ls` lists it
    server: ServerId,
}

/// Keep a server in the list without using it
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts servers disable office")]
pub(super) struct Disable {
    /// The id of the server, as `pixelrts servers ls` lists it
    server: ServerId,
}

/// Ask servers for their catalogs now, and say what is wrong with them
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pixelrts servers check
  pixelrts servers check office
  pixelrts servers check http://images.example.org     # also before it is added")]
pub(super) struct Check {
    /// The id or the address of a server [default: all that are enabled]
    server: Option<String>,
}

impl Servers {
    pub(super) fn run(self, context: &Context) -> Outcome {
        runtime()?.block_on(async {
            let access = Access::open(context).await?;
            let done = self.run_with(&access, context).await;
            access.close().await;
            done
        })
    }

    async fn run_with(self, access: &Access, context: &Context) -> Outcome {
        match self {
            Self::Ls(_) => list(access, context).await,
            Self::Add(add) => {
                let told = add.rest.secret.read()?;
                let ServerChange { color, priority, auth, user, password, allow, ca_file, pin, .. } =
                    add.rest.change(told);
                let (url, name) = (add.url, add.name.map(Into::into));
                let new = NewServer { url, name, color, priority, auth, user, password, allow, ca_file, pin };
                let server = access.add(new).await?;
                changed(&server, "is listed", context)?;
                say_whether_it_works(access, &server, context).await;
                Ok(())
            }
            Self::Edit(edit) => {
                let told = if edit.no_auth { Told::nothing() } else { edit.rest.secret.read()? };
                let (url, name) = (edit.url, edit.name.map(Into::into));
                let change = ServerChange { url, name, ..edit.rest.change(told) };
                if change == ServerChange::default() {
                    return Err(nothing_to_change(&edit.server));
                }
                changed(&access.change(&edit.server, change).await?, "is changed", context)
            }
            Self::Rm(Remove { server }) => {
                access.remove(&server).await?;
                context.output.answer(&Removed { removed: &server }, || format!("{server} is removed."));
                Ok(())
            }
            Self::Enable(Enable { server }) => enable(access, &server, true, context).await,
            Self::Disable(Disable { server }) => enable(access, &server, false, context).await,
            Self::Check(Check { server }) => check(access, server.as_deref(), context).await,
        }
    }
}

#[derive(Serialize)]
struct Removed<'a> {
    removed: &'a ServerId,
}

async fn list(access: &Access, context: &Context) -> Outcome {
    let servers = access.list().await?;
    context.output.answer(&servers, || {
        if servers.is_empty() {
            return "No catalog server is listed. Add one: pixelrts servers add http://images.example.org".to_owned();
        }
        let head = ["ID", "PRIORITY", "STATE", "ADDRESS", "NAME"].map(str::to_owned).to_vec();
        let row = |server: &Server| {
            let id = server.id.to_string();
            let state = state(server, access.is_backend());
            vec![id, server.priority.to_string(), state, server.url.clone(), server.name.to_string()]
        };
        let notes = servers.iter().flat_map(notes);
        let rows: Vec<_> = std::iter::once(head).chain(servers.iter().map(row)).collect();
        std::iter::once(table(&rows)).chain(notes).collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

/// `is_now`: a backend asks it all the time. Otherwise the state may be old.
fn state(server: &Server, is_now: bool) -> String {
    let health = &server.health;
    let state = match (server.enabled, health.state) {
        (false, _) => return "disabled".to_owned(),
        (true, HealthState::Unknown) => return "not asked yet".to_owned(),
        (true, HealthState::Down) => "does not work".to_owned(),
        (true, HealthState::Up) => format!("works, {} ms", health.latency_ms.unwrap_or_default()),
    };
    match health.checked_at.as_deref().and_then(|at| at.get(..16)).filter(|_| !is_now) {
        Some(at) => format!("{state} (asked {})", at.replace('T', " ")),
        None => state,
    }
}

/// What a person should know of a server, in sentences.
fn notes(server: &Server) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(problem) = server.health.last_error.as_ref().filter(|_| server.enabled) {
        notes.push(format!("{}: {} {} {}", server.id, problem.what, problem.why, problem.fix));
    }
    let left_out = &server.health.left_out;
    if let Some(first) = left_out.first.first() {
        let id = if first.id.is_empty() { "one without an id" } else { first.id.as_str() };
        let count = text::counted(left_out.count, "entry is", "entries are");
        notes.push(format!("{}: {count} left out of its catalog; the first is {id}: {}.", server.id, first.reason));
    }
    if server.configured {
        notes.push(format!("{}: the configuration sets it.", server.id));
    }
    notes
}

fn changed(server: &Server, how: &str, context: &Context) -> Outcome {
    context.output.answer(server, || format!("{} {how}: {}", server.id, server.url));
    Ok(())
}

/// A server that does not answer is listed all the same: it may answer later.
async fn say_whether_it_works(access: &Access, server: &Server, context: &Context) {
    let said = match timeout(ANSWERS_WITHIN, access.check_listed(&server.id)).await {
        Ok(Ok(found)) => format!("It answers and offers {}.", counted(found.entries, "image")),
        Ok(Err(problem)) => format!("It cannot be used now. {} {} {}", problem.what, problem.why, problem.fix),
        Err(_) => format!("It has not answered yet. Ask it again: pixelrts servers check {}", server.id),
    };
    context.output.say(&said);
}

async fn enable(access: &Access, id: &ServerId, enabled: bool, context: &Context) -> Outcome {
    let change = ServerChange { enabled: Some(enabled), ..ServerChange::default() };
    changed(&access.change(id, change).await?, if enabled { "is used" } else { "is not used" }, context)
}

/// What a check found.
#[derive(Serialize)]
struct Checked {
    /// The id of a server of the list, or the address that was asked.
    server: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    found: Option<ServerFound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

async fn check(access: &Access, server: Option<&str>, context: &Context) -> Outcome {
    let listed = access.list().await?;
    let named: Vec<_> = match server {
        Some(server) => vec![server.to_owned()],
        None => listed.iter().filter(|server| server.enabled).map(|server| server.id.to_string()).collect(),
    };
    let asked = named.into_iter().map(|server| async {
        // What is in the list is known by its id, and is asked with its token.
        let result = match listed.iter().find(|known| known.id.as_str() == server) {
            Some(known) => access.check_listed(&known.id).await,
            None if looks_like_an_id(&server) => Err(unknown(&server)),
            None => access.check(&server).await,
        };
        let (found, problem) = result.map_or_else(|problem| (None, Some(problem)), |found| (Some(found), None));
        Checked { server, found, problem }
    });
    let checked = futures_util::future::join_all(asked).await;
    if let ([Checked { problem: Some(problem), .. }], false) = (checked.as_slice(), context.output.is_json()) {
        // Nothing else is to be said.
        return Err(problem.clone());
    }
    context.output.answer(&checked, || {
        let line = |checked: &Checked| match (&checked.found, &checked.problem) {
            (Some(found), _) => {
                let count = counted(found.entries, "image");
                let left_out = match found.left_out.count {
                    0 => String::new(),
                    count => format!(", and {} that cannot be used", text::grouped(count)),
                };
                format!("{}: offers {count}{left_out}; it answered within {} ms.", checked.server, found.latency_ms)
            }
            (None, Some(problem)) => format!("{}: {} {} {}", checked.server, problem.what, problem.why, problem.fix),
            (None, None) => String::new(),
        };
        match checked.is_empty() {
            true => "No server is listed and enabled.".to_owned(),
            false => checked.iter().map(line).collect::<Vec<_>>().join("\n"),
        }
    });
    match checked.into_iter().find_map(|checked| checked.problem) {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

fn looks_like_an_id(text: &str) -> bool {
    text.parse::<ServerId>().is_ok() && !text.contains('.') && text != "localhost"
}

fn unknown(server: &str) -> Problem {
    Problem::new(
        ProblemCode::ServerNotFound,
        format!("There is no server {server}."),
        "No server of the list has this id.",
        "Choose one of the list (pixelrts servers ls), or add it: pixelrts servers add URL --name NAME",
    )
}

fn nothing_to_change(server: &ServerId) -> Problem {
    Problem::new(
        ProblemCode::Usage,
        "Nothing is named that is to be changed.",
        format!("The command names the server {server} and nothing else."),
        "Name what is to be changed, as in --priority 1. All options: pixelrts servers edit --help",
    )
}
