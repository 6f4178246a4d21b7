//! The health of a server in a few words.

use pixelrts_shared::catalog::Source;
use pixelrts_shared::server::{HealthState, Server};

use crate::words;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Nothing is wrong: `12 ms`, `not in use`.
    Quiet(String),
    /// It does not answer.
    Down { text: String, why: Option<String> },
}

/// `seconds_ago`: how long ago the server was last asked.
#[must_use]
pub fn of_server(server: &Server, seconds_ago: Option<u64>) -> Reading {
    let health = &server.health;
    match health.state {
        _ if !server.enabled => Reading::Quiet("not in use".to_owned()),
        HealthState::Unknown => Reading::Quiet("not asked yet".to_owned()),
        HealthState::Up => Reading::Quiet(health.latency_ms.map(milliseconds).unwrap_or_default()),
        HealthState::Down => Reading::Down {
            text: seconds_ago
                .map_or_else(|| "no answer".to_owned(), |ago| format!("no answer, asked {} ago", words::span(ago))),
            why: health.last_error.as_ref().map(|problem| format!("{} {}", problem.what, problem.why)),
        },
    }
}

/// The health of a server that has an image.
#[must_use]
pub fn of_source(source: &Source) -> String {
    match source.health.state {
        _ if source.server.is_local() => "on disk".to_owned(),
        HealthState::Up => source.health.latency_ms.map_or_else(|| "answers".to_owned(), milliseconds),
        HealthState::Down => "no answer".to_owned(),
        HealthState::Unknown => "not asked yet".to_owned(),
    }
}

/// The name of a server that has an image.
#[must_use]
pub fn name(source: &Source) -> String {
    if source.server.is_local() { "This computer".to_owned() } else { source.name.to_string() }
}

fn milliseconds(ms: u64) -> String {
    format!("{ms}\u{a0}ms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixelrts_shared::server::Health;
    use pixelrts_shared::{Problem, ProblemCode};
    use serde_json::json;

    fn server(enabled: bool, health: &serde_json::Value) -> Server {
        serde_json::from_value(json!({
            "id": "office", "name": "Office", "url": "http://office:8080", "priority": 1, "enabled": enabled,
            "auth": false, "health": health
        }))
        .unwrap()
    }

    #[test]
    fn a_server_says_how_it_is() {
        let quiet = |enabled, health| match of_server(&server(enabled, &health), None) {
            Reading::Quiet(text) => text,
            Reading::Down { text, .. } => panic!("{text}"),
        };
        assert_eq!(quiet(true, json!({"state": "up", "latency_ms": 12})), "12\u{a0}ms");
        assert_eq!(quiet(true, json!({"state": "unknown"})), "not asked yet");
        assert_eq!(quiet(false, json!({"state": "down"})), "not in use");
    }

    #[test]
    fn a_server_that_does_not_answer_says_since_when_and_why() {
        let mut server = server(true, &json!({"state": "down"}));
        server.health.last_error = Some(Problem::new(ProblemCode::NetworkRefused, "It refused.", "Why.", "fix"));
        let down = Reading::Down {
            text: "no answer, asked 12\u{a0}min ago".to_owned(),
            why: Some("It refused. Why.".to_owned()),
        };
        assert_eq!(of_server(&server, Some(725)), down);
        server.health.last_error = None;
        assert_eq!(of_server(&server, None), Reading::Down { text: "no answer".to_owned(), why: None });
    }

    #[test]
    fn this_computer_is_a_source_without_a_server() {
        let source = |server: &str| -> Source {
            serde_json::from_value(json!({"server": server, "name": "here", "id": "e", "health": Health::default()}))
                .unwrap()
        };
        assert_eq!((name(&source("local")), of_source(&source("local"))), ("This computer".into(), "on disk".into()));
        assert_eq!((name(&source("office")), of_source(&source("office"))), ("here".into(), "not asked yet".into()));
    }
}
