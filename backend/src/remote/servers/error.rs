//! What can be wrong with a change of the list of servers, and how people read it.

use pixelrts_shared::address::ShownAddress;
use pixelrts_shared::{Problem, ProblemCode, ServerId};
use url::Url;

use super::MOST;
use super::access::BadAccess;
use crate::database::DatabaseError;

#[derive(Debug, thiserror::Error)]
pub enum ServersError {
    #[error("no server of the list has this id")]
    NotFound(ServerId),
    #[error("{url} is listed already, as {id}")]
    Duplicate { url: Url, id: ServerId },
    #[error("{text}: {why}")]
    /// `text` is cut, and holds no password.
    BadUrl { text: ShownAddress, why: String },
    #[error("{0:?}")]
    BadColor(String),
    #[error(transparent)]
    Access(#[from] BadAccess),
    #[error("{origin} sets it")]
    Configured { id: ServerId, origin: String },
    #[error("{MOST} servers are listed")]
    TooMany,
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<rusqlite::Error> for ServersError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<ServersError> for Problem {
    fn from(error: ServersError) -> Self {
        let why = error.to_string();
        match error {
            ServersError::NotFound(id) => Self::new(
                ProblemCode::ServerNotFound,
                format!("There is no server {id}."),
                why,
                "Choose one of the list (pixelrts servers ls), or add it: pixelrts servers add URL --name NAME",
            ),
            ServersError::Duplicate { url, id } => Self::new(
                ProblemCode::Busy,
                format!("{url} is listed already."),
                format!("The server {id} has this address."),
                format!("Change the server {id} instead."),
            ),
            ServersError::BadUrl { text, .. } => Self::new(
                ProblemCode::Usage,
                format!("{text} is not the address of a server."),
                why,
                "Enter an address like http://images.example.org:8080.",
            ),
            ServersError::BadColor(color) => Self::new(
                ProblemCode::Usage,
                format!("{color} is not a color."),
                "A color is written as # and six hex digits.",
                "Enter a color like #00aaff.",
            ),
            ServersError::Access(fault) => Self::new(
                ProblemCode::Usage,
                "The server cannot be spoken to in this way.",
                why,
                match fault {
                    BadAccess::TwoCredentials => "Give the one that the server asks for, and leave out the other.",
                    BadAccess::TwoProofs => {
                        "Give one of them: the pin is enough for a server with a certificate of its own."
                    }
                    BadAccess::Pin => {
                        "The server prints it when it starts. `pixelrts servers check ADDRESS` shows it, too."
                    }
                    BadAccess::Origin(_) => "Write only that: without a path, a user or a password.",
                },
            ),
            ServersError::Configured { id, origin } => Self::new(
                ProblemCode::Configured,
                format!("The configuration sets the server {id}."),
                why,
                format!("Change it there ({origin}); a running backend reads its file again on SIGHUP."),
            ),
            ServersError::TooMany => Self::new(
                ProblemCode::Usage,
                "No more servers can be added.",
                why,
                "Remove a server that is no longer needed.",
            ),
            ServersError::Database(error) => error.into(),
        }
    }
}
