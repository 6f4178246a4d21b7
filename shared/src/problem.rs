//! One shape for everything that goes wrong, in the API (RFC 9457), the CLI and the shell.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    #[default]
    Error,
    Warn,
    Info,
}

/// What happened, why, and what to do about it.
///
/// On the wire it is `application/problem+json` with `type`, `title` and `status` derived from the code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct Problem {
    pub level: Level,
    pub code: ProblemCode,
    /// One sentence, for a person, without a code in it.
    pub what: String,
    /// The cause, with the numbers.
    pub why: String,
    /// What to do, a command where there is one.
    pub fix: String,
    /// Technical detail: digests, addresses, what a program printed.
    pub context: Option<String>,
    /// Set by the API: the same id is in the backend's log.
    pub request_id: Option<String>,
}

impl Problem {
    /// `why` may be an error's own text: a fragment becomes a sentence. The other two are sentences already.
    #[must_use]
    pub fn new(code: ProblemCode, what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            code,
            what: what.into(),
            why: sentence(why.into()),
            fix: fix.into(),
            context: None,
            request_id: None,
        }
    }

    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self
    }
}

/// Capital letter first, full stop at the end. A first word that may be a name (`qemu-img`, `/dev/kvm`) stays.
fn sentence(mut text: String) -> String {
    text.truncate(text.trim_end().len());
    let word = text.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(text.len());
    if text[word..].starts_with([' ', ',', ':', ';', '\'']) {
        text[..word.min(1)].make_ascii_uppercase();
    }
    if text.ends_with(|last: char| !matches!(last, '.' | '!' | '?')) {
        text.push('.');
    }
    text
}

/// The terminal form: four lines that tell apart at a glance.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Error => "ERROR",
            Level::Warn => "WARNING",
            Level::Info => "INFO",
        };
        write!(f, "{level}: {}\nReason: {}\nFix: {}", self.what, self.why, self.fix)?;
        match &self.context {
            Some(context) => write!(f, "\nContext: {context}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    level: Level,
    code: ProblemCode,
    what: String,
    why: String,
    fix: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl From<Problem> for Wire {
    fn from(problem: Problem) -> Self {
        Self {
            kind: format!("urn:pixelrts:problem:{}", problem.code.as_str()),
            title: problem.code.title().to_owned(),
            status: problem.code.status(),
            level: problem.level,
            code: problem.code,
            what: problem.what,
            why: problem.why,
            fix: problem.fix,
            context: problem.context,
            request_id: problem.request_id,
        }
    }
}

impl From<Wire> for Problem {
    fn from(wire: Wire) -> Self {
        Self {
            level: wire.level,
            code: wire.code,
            what: wire.what,
            why: wire.why,
            fix: wire.fix,
            context: wire.context,
            request_id: wire.request_id,
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $text:literal $status:literal $exit:literal $title:literal;)*) => {
        /// Every kind of problem. Closed: the shell and scripts match on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ProblemCode {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }

        impl ProblemCode {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it is written: `area.reason`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The HTTP status of a reply that carries this problem.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The exit code of a command that ends with this problem.
            #[must_use]
            pub const fn exit_code(self) -> u8 {
                match self { $(Self::$variant => $exit,)* }
            }

            /// The same for every occurrence (RFC 9457).
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    Usage "usage.invalid" 400 2 "The request cannot be understood";
    EntryNotFound "not_found.entry" 404 3 "No such entry";
    ServerNotFound "not_found.server" 404 3 "No such server";
    MachineNotFound "not_found.machine" 404 3 "No such machine";
    DownloadNotFound "not_found.download" 404 3 "No such download";
    FileNotFound "not_found.file" 404 3 "No such file";
    RouteNotFound "not_found.route" 404 3 "No such path";
    MethodNotAllowed "usage.method" 405 2 "This path does not take this method";
    Ambiguous "conflict.ambiguous" 409 6 "More than one entry has this id";
    Busy "conflict.busy" 409 6 "It is in use";
    Configured "conflict.configured" 409 6 "It is set in the configuration";
    BackendRunning "conflict.backend_running" 409 6 "A backend is running already";
    TooManyMachines "conflict.too_many_machines" 409 6 "The limit of machines is reached";
    NetworkTimeout "network.timeout" 504 4 "A server did not answer in time";
    NetworkDns "network.dns" 502 4 "A server's name is unknown";
    NetworkRefused "network.refused" 502 4 "A server refused the connection";
    NetworkInterrupted "network.interrupted" 502 4 "A connection broke";
    NetworkTls "network.tls" 502 4 "A secure connection failed";
    RemoteNotFound "network.not_found" 502 4 "A server does not have it";
    RemoteDenied "network.denied" 502 4 "A server denied access";
    RemoteFailed "network.server_error" 502 4 "A server failed";
    BadCatalog "network.bad_catalog" 502 4 "A server's catalog cannot be used";
    HashMismatch "verify.hash_mismatch" 422 5 "The bytes are not what was promised";
    StripMismatch "verify.strip_mismatch" 422 5 "A strip is not what the index promises";
    IndexMismatch "verify.index_mismatch" 422 5 "The index is not what was promised";
    SegmentMismatch "verify.segment_mismatch" 422 5 "A segment is not what the metadata promises";
    NotAnImage "image.not_an_image" 422 1 "This is no image";
    ImageTruncated "image.truncated" 422 1 "The image is cut short";
    ImageMalformed "image.malformed" 422 1 "The image is damaged";
    ImageUnsupported "image.unsupported" 422 1 "The image is of a kind that cannot be read";
    ImageTooLarge "image.limit" 422 1 "The image is beyond a limit";
    NoKernel "image.no_kernel" 422 1 "The image has no kernel";
    StorageFull "storage.full" 507 1 "The disk is full";
    StorageFailed "storage.io" 500 1 "A file cannot be read or written";
    DependencyMissing "dependency.missing" 503 69 "A program or device is missing";
    PermissionDenied "permission.denied" 403 77 "The system does not permit it";
    GuardHost "guard.host" 421 1 "This host name is not served here";
    GuardCrossSite "guard.cross_site" 403 77 "Requests of other sites are refused";
    GuardOrigin "guard.origin" 403 77 "Requests of this origin are refused";
    GuardToken "guard.token" 401 77 "A token is needed";
    GuardContentType "guard.content_type" 415 2 "The body is not of the right type";
    GuardTooLarge "guard.too_large" 413 2 "The request is too large";
    RangeNotSatisfiable "usage.range" 416 2 "The range lies outside";
    PreconditionFailed "usage.precondition" 412 2 "It has changed meanwhile";
    Overloaded "service.overloaded" 503 6 "Too many requests at once";
    ModuleExcluded "service.module_excluded" 503 69 "A part of the backend is not there";
    NotReady "service.not_ready" 503 6 "It is not ready yet";
    BootstrapFailed "bootstrap.failed" 500 1 "What the backend needs cannot be made";
    BootstrapTimeout "bootstrap.timeout" 500 1 "Preparing took too long";
    RuntimeMissing "dependency.container_runtime" 503 69 "No container runtime answers";
    ContainerImageMissing "dependency.container_image" 503 69 "The container image is missing";
    BackendFailed "supervisor.start_failed" 500 1 "The backend did not start";
    BackendSilent "supervisor.silent" 503 1 "The backend does not answer";
    RestartLimit "supervisor.restart_limit" 500 1 "The backend ended too often";
    ConfigInvalid "config.invalid" 500 78 "The configuration cannot be used";
    ConfigExposed "config.exposed" 500 78 "The configuration would expose this machine";
    MachineFailed "machine.failed" 500 1 "The machine did not start";
    MachineCrashed "machine.crashed" 500 1 "The machine crashed";
    MachineSilent "machine.silent" 503 1 "The machine does not answer";
    MachinePanicked "machine.panicked" 500 1 "The guest's kernel panicked";
    Interrupted "interrupted" 499 130 "It was interrupted";
    Internal "internal" 500 1 "A fault of PixelRTS itself";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_problem_survives_the_wire() {
        let problem = Problem::new(ProblemCode::HashMismatch, "what", "why", "fix").context("expected a, got b");
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["type"], "urn:pixelrts:problem:verify.hash_mismatch");
        assert_eq!(json["status"], 422);
        assert_eq!(json["code"], "verify.hash_mismatch");
        assert_eq!(json["level"], "error");
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
    }

    #[test]
    fn codes_are_unique_and_exit_codes_are_those_of_the_contract() {
        let names: HashSet<_> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ProblemCode::ALL.len());
        for code in ProblemCode::ALL {
            assert!(matches!(code.exit_code(), 1..=6 | 69 | 77 | 78 | 130), "{code:?}");
            assert!((400..600).contains(&code.status()), "{code:?}");
        }
    }

    #[test]
    fn the_cause_is_a_sentence() {
        for (cause, said) in [
            ("no answer within 10 s", "No answer within 10 s."),
            ("It is text.", "It is text."),
            ("/dev/kvm: Permission denied (os error 13)\n", "/dev/kvm: Permission denied (os error 13)."),
            ("qemu-img is not installed", "qemu-img is not installed."),
            ("", ""),
        ] {
            assert_eq!(Problem::new(ProblemCode::Internal, "", cause, "").why, said);
        }
    }

    #[test]
    fn the_terminal_form_says_what_why_and_fix() {
        let problem = Problem::new(ProblemCode::NotAnImage, "a.txt is no image", "it is text", "choose a .rts.png");
        assert_eq!(problem.to_string(), "ERROR: a.txt is no image\nReason: It is text.\nFix: choose a .rts.png");
        assert!(problem.context("detail").to_string().ends_with("\nContext: detail"));
    }
}
