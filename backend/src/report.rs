//! Problems in the log, in the same shape as everywhere else, and commands that a person can copy.

use std::ffi::OsStr;

use pixelrts_shared::text::printable;
use pixelrts_shared::{Level, Problem};

/// Logs a problem once, where it is handled. `occasion` says what was going on, in words that stand alone. `level` is
/// how bad the problem is for the backend, which may be less than for the person who made the request.
pub fn problem(level: Level, problem: &Problem, occasion: &str) {
    let Problem { code, what, why, fix, .. } = problem;
    let code = code.as_str();
    // A problem may quote what a server said.
    let (what, why, fix) = (&*printable(what), &*printable(why), &*printable(fix));
    let (context, request_id) = (problem.context.as_deref().map(printable), problem.request_id.as_deref());
    let context = context.as_deref();
    match level {
        Level::Error => tracing::error!(code, what, why, fix, context, request_id, "{occasion}"),
        Level::Warn => tracing::warn!(code, what, why, fix, context, request_id, "{occasion}"),
        Level::Info => tracing::info!(code, what, why, fix, context, request_id, "{occasion}"),
    }
}

/// Quotes a word for a POSIX shell, for commands that a person copies.
pub fn shell_word(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref().to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=,.:/+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixelrts_shared::ProblemCode;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_part_of_a_problem_is_a_field() {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(log, || {
            let mut full = Problem::new(ProblemCode::Busy, "what", "Why.", "fix").context("context");
            full.request_id = Some("id".to_owned());
            problem(Level::Warn, &full, "a request failed");
            full.context = None;
            problem(Level::Error, &full, "again");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let fields = &lines[0]["fields"];
        assert_eq!(
            *fields,
            serde_json::json!({"message": "a request failed", "code": "conflict.busy", "what": "what", "why": "Why.",
                "fix": "fix", "context": "context", "request_id": "id"})
        );
        assert_eq!((&lines[0]["level"], &lines[1]["level"]), (&"WARN".into(), &"ERROR".into()));
        assert!(lines[1]["fields"].get("context").is_none());
    }
}
