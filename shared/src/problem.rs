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

/// Capital letter first, full stop at the end. A first word that may be a name (`qemu-img`, `/dev/kvm`, `x (y)`,
/// `file: text`) stays: only one before another word is taken for the beginning of a sentence.
fn sentence(mut text: String) -> String {
    text.truncate(text.trim_end().len());
    let word = text.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(text.len());
    let next = text[word..].trim_start_matches([',', '\'']).strip_prefix(' ');
    if next.is_some_and(|next| next.starts_with(|letter: char| letter.is_ascii_alphanumeric())) {
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
    ($($variant:ident $text:literal $status:literal $exit:literal $title:literal $why:literal $fix:literal;)*) => {
        /// Every kind of problem. Closed: the shell and scripts match on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ProblemCode {
            $(#[serde(rename = $text)] $variant,)*
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

            /// When it happens, whatever the occasion. For docs/ERRORS.md only: a problem says its own cause.
            #[must_use]
            pub const fn why(self) -> &'static str {
                match self { $(Self::$variant => $why,)* }
            }

            /// What helps, whatever the occasion. For docs/ERRORS.md only: a problem says its own fix.
            #[must_use]
            pub const fn fix(self) -> &'static str {
                match self { $(Self::$variant => $fix,)* }
            }
        }
    };
}

// Code, HTTP status, exit code, title; when it happens; what helps.
codes! {
    Usage "usage.invalid" 400 2 "The request cannot be understood"
        "A command, a query or a body has a value that is not taken: a word that is unknown, a number outside its \
         range, a field that does not exist."
        "Look at the help of the command (`pixelrts COMMAND --help`) or at docs/API.md, and correct the value \
         that the problem names.";
    EntryNotFound "not_found.entry" 404 3 "No such entry"
        "No enabled server and no folder of this computer offers an entry of this id or digest."
        "List what there is in the shell, or refresh the catalogs; a server that does not answer shows its last \
         known entries only.";
    ServerNotFound "not_found.server" 404 3 "No such server"
        "No catalog server of this id is listed."
        "Choose one that the settings of the shell list; it may have been removed.";
    MachineNotFound "not_found.machine" 404 3 "No such machine"
        "No machine of this id is known: it was dropped from the list, or the backend was started on another \
         runtime directory."
        "List the machines: `GET /api/v1/machines`.";
    DownloadNotFound "not_found.download" 404 3 "No such download"
        "No download of this id is known; those that are over are dropped from the list by whoever asks for it."
        "List the downloads: `GET /api/v1/downloads`.";
    FileNotFound "not_found.file" 404 3 "No such file"
        "There is no file at the path that was given."
        "Check the path; relative ones begin at the current directory.";
    RouteNotFound "not_found.route" 404 3 "No such path"
        "No part of the API has this path, or this role of the backend does not offer it."
        "Compare the path with docs/API.md.";
    MethodNotAllowed "usage.method" 405 2 "This path does not take this method"
        "The path exists, but not with this method; a server of role catalog is only read."
        "Compare the method with docs/API.md.";
    Ambiguous "conflict.ambiguous" 409 6 "More than one entry has this id"
        "Several entries with different digests have this id."
        "Say which: `ID@SERVER`, or the entry's SHA-256.";
    Busy "conflict.busy" 409 6 "It is in use"
        "What is to be changed is in use, or is there already."
        "Wait until the other use has ended, or change what is there.";
    Configured "conflict.configured" 409 6 "It is set in the configuration"
        "A server that the configuration lists cannot be changed or removed by a call."
        "Change it where it is set, then start the backend again or send it SIGHUP.";
    BackendRunning "conflict.backend_running" 409 6 "A backend is running already"
        "Another backend holds the lock of the runtime directory; two would write one database."
        "Use the one that runs, stop it, or give this one directories of its own (`XDG_STATE_HOME`, \
         `XDG_RUNTIME_DIR`).";
    TooManyMachines "conflict.too_many_machines" 409 6 "The limit of machines is reached"
        "As many machines run as the settings allow; each takes memory and processors."
        "Stop one, or allow more.";
    NetworkTimeout "network.timeout" 504 4 "A server did not answer in time"
        "A server was reached but did not answer within the deadline, or a firewall drops the packets."
        "Check that it runs and is reachable from here, then try again.";
    NetworkDns "network.dns" 502 4 "A server's name is unknown"
        "No name server knows the name in the address."
        "Check the spelling, and that this computer has a network.";
    NetworkRefused "network.refused" 502 4 "A server refused the connection"
        "The computer is there, but nothing listens on that port."
        "Start the server there, or correct the port.";
    NetworkInterrupted "network.interrupted" 502 4 "A connection broke"
        "The connection ended before the answer was complete."
        "Try again: what has been downloaded is kept and continued.";
    NetworkTls "network.tls" 502 4 "A secure connection failed"
        "The certificate is not trusted, not for this name, or not valid now; or the other side does not speak TLS."
        "Check the server's certificate and this computer's clock; a certificate of one's own is trusted through \
         `SSL_CERT_FILE`.";
    RemoteNotFound "network.not_found" 502 4 "A server does not have it"
        "The server answered that it does not have it."
        "Refresh the catalog; if it is gone, use another server.";
    RemoteDenied "network.denied" 502 4 "A server denied access"
        "The server wants a token, or does not take the one it was sent."
        "Give the server's token in its settings (`auth`).";
    RemoteFailed "network.server_error" 502 4 "A server failed"
        "The server answered with a failure of its own, or with something that is no answer."
        "Try again later, or ask who runs that server.";
    BadCatalog "network.bad_catalog" 502 4 "A server's catalog cannot be used"
        "What the server sent is no catalog, of another format, or larger than 8 MiB."
        "Check that the address is a catalog server's; ask who runs it to build the catalog again.";
    HashMismatch "verify.hash_mismatch" 422 5 "The bytes are not what was promised"
        "The bytes that came have another length or SHA-256 than the catalog promises. Nothing of them is kept."
        "Do not use this image; refresh the catalog, and fetch from another server.";
    StripMismatch "verify.strip_mismatch" 422 5 "A strip is not what the index promises"
        "A strip of the image does not have the SHA-256 that the index promises: the file was damaged or changed."
        "Fetch the image again; `pixelrts verify FILE` shows the first bad place.";
    IndexMismatch "verify.index_mismatch" 422 5 "The index is not what was promised"
        "The index of the image does not have the SHA-256 that the metadata or the catalog promises."
        "Fetch the image again, from another server if it stays.";
    SegmentMismatch "verify.segment_mismatch" 422 5 "A segment is not what the metadata promises"
        "A segment does not have the SHA-256 that the metadata promises."
        "Fetch the image again, or pack it again from its parts.";
    Unproven "verify.unproven" 422 5 "No hash proves these bytes"
        "A classic image of older tools has neither `data_hash` nor a SHA-256 for each segment: nothing in it tells whether its bytes are right. `verify` and `pack --from` warn of it, and end with 0."
        "Compare the SHA-256 of the file with that of a source you trust.";
    NotAnImage "image.not_an_image" 422 1 "This is no image"
        "The file is no PNG, or a PNG without the metadata of an image."
        "Choose an `.rts.png`; a screenshot or a picture edited elsewhere is none any more.";
    ImageTruncated "image.truncated" 422 1 "The image is cut short"
        "The file ends before the image does: a copy or a download broke off."
        "Copy or fetch it again.";
    ImageMalformed "image.malformed" 422 1 "The image is damaged"
        "A size, an offset or a structure in the file contradicts another."
        "Fetch it again, or pack it again with `pixelrts pack`.";
    ImageUnsupported "image.unsupported" 422 1 "The image is of a kind that cannot be read"
        "The image is made in a way that this version does not read."
        "Use a newer version, or pack the image again.";
    ImageTooLarge "image.limit" 422 1 "The image is beyond a limit"
        "A size in the file is beyond what is read, so that no file can exhaust the memory."
        "Pack it smaller, or in the streamable profile.";
    NoKernel "image.no_kernel" 422 1 "The image has no kernel"
        "The image holds no segment of the role kernel, so nothing can be booted from it."
        "Pack one into it: `pixelrts pack --kernel FILE ...`.";
    StorageFull "storage.full" 507 1 "The disk is full"
        "No space is left on the disk that was written to. What was half written is gone."
        "Free some space there; the problem says how much is needed where that is known.";
    StorageFailed "storage.io" 500 1 "A file cannot be read or written"
        "The operating system refused to read or write a file, for the reason given."
        "Check the file, its permissions and its disk; `pixelrts doctor` looks at the directories.";
    DependencyMissing "dependency.missing" 503 69 "A program or device is missing"
        "A program is not installed, too old, or a device of the kernel is not there."
        "Install what the problem names; `pixelrts doctor` lists everything that is missing.";
    PermissionDenied "permission.denied" 403 77 "The system does not permit it"
        "The user who runs PixelRTS may not do this."
        "Follow the command in the problem's fix; `pixelrts doctor` shows what this user may do.";
    GuardHost "guard.host" 421 1 "This host name is not served here"
        "The request is for a host name that is not this backend's, as after DNS rebinding."
        "Open the address that the backend printed, or start it with `--allowed-host NAME`.";
    GuardCrossSite "guard.cross_site" 403 77 "Requests of other sites are refused"
        "A page of another site caused the request."
        "Open the shell itself.";
    GuardOrigin "guard.origin" 403 77 "Requests of this origin are refused"
        "A request that changes something came from a page of another origin, or from a browser that does not say \
         from where."
        "Open the shell at one address and stay there; behind a proxy, pass `Host` and `Origin` on.";
    GuardToken "guard.token" 401 77 "A token is needed"
        "The backend is offered beyond this computer or is private, and the request has no valid token or session."
        "Send `Authorization: Bearer TOKEN`; a browser opens the login address that is printed at the start, once.";
    GuardContentType "guard.content_type" 415 2 "The body is not of the right type"
        "The body of the request is not `application/json`."
        "Send `Content-Type: application/json`.";
    GuardTooLarge "guard.too_large" 413 2 "The request is too large"
        "The body of the request is larger than 256 KiB."
        "Send less; images are not sent in bodies of requests.";
    RangeNotSatisfiable "usage.range" 416 2 "The range lies outside"
        "The range of bytes begins after the end of the file."
        "Ask for the size first (`HEAD`).";
    PreconditionFailed "usage.precondition" 412 2 "It has changed meanwhile"
        "What was asked for under a condition (`If-Match`) has changed meanwhile."
        "Read it again.";
    Overloaded "service.overloaded" 503 6 "Too many requests at once"
        "As many requests are being answered as may be at once."
        "Wait a moment, then try again.";
    ModuleExcluded "service.module_excluded" 503 69 "A part of the backend is not there"
        "A module of the backend could not be made at the start, so its calls are refused."
        "See its problem in `GET /api/v1/health`, mend the cause, then start the backend again.";
    NotReady "service.not_ready" 503 6 "It is not ready yet"
        "The answer needs something that is still being prepared, or took longer than 60 s."
        "Try again; `GET /api/v1/health` says what is being waited for.";
    BootstrapTimeout "bootstrap.timeout" 500 1 "Preparing took too long"
        "The phase before the start did not end within its time, 30 s unless set otherwise."
        "Look for a slow or dead disk or network; `bootstrap.timeout` allows more.";
    RuntimeMissing "dependency.container_runtime" 503 69 "No container runtime answers"
        "Neither docker nor podman is installed with an engine that answers."
        "Install podman, or run without containers: `pixelrts up --runtime process`.";
    ContainerImageMissing "dependency.container_image" 503 69 "The container image is missing"
        "The container runtime does not have the image of the backend."
        "Build it, or run without containers: `pixelrts up --runtime process`.";
    RestartLimit "supervisor.restart_limit" 500 1 "The backend ended too often"
        "The backend ended too often within the window, so that another restart would not help."
        "Read why it ended the last time, mend that, then start it again.";
    ConfigInvalid "config.invalid" 500 78 "The configuration cannot be used"
        "A setting, a file that a setting names, or a combination of settings cannot be used."
        "Correct the setting that the problem names.";
    ConfigExposed "config.exposed" 500 78 "The configuration would expose this machine"
        "The settings would let others on the network read a secret or start machines here."
        "Use TLS (`--tls-cert`, `--tls-key`), listen on 127.0.0.1, or make the secret private again.";
    MachineFailed "machine.failed" 500 1 "The machine did not start"
        "The machine ended before its guest ran: QEMU refused, the image could not be mounted, or a resource is \
         missing."
        "Follow the problem's fix; its context has the last words of QEMU.";
    MachineCrashed "machine.crashed" 500 1 "The machine crashed"
        "QEMU or the process that owns the machine ended by itself."
        "Start it again; if it happens again, report it with the context.";
    MachineSilent "machine.silent" 503 1 "The machine does not answer"
        "The machine's process gives no sign of life. It may recover; the level is then `warn`."
        "Wait, or stop the machine.";
    MachinePanicked "machine.panicked" 500 1 "The guest's kernel panicked"
        "The kernel of the guest stopped with a panic."
        "Read the console: a missing disk or too little memory are the usual causes.";
    Interrupted "interrupted" 499 130 "It was interrupted"
        "Someone ended it: Ctrl-C, a signal, or a cancelled download."
        "Start it again; downloads continue where they ended.";
    Internal "internal" 500 1 "A fault of PixelRTS itself"
        "Something that cannot happen has happened."
        "Report it with the backend's log and the id of the request.";
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
    fn every_code_says_why_and_what_helps() {
        for code in ProblemCode::ALL {
            for said in [code.why(), code.fix()] {
                assert!(said.len() > 12 && said.ends_with('.') && !said.contains("  "), "{code:?}: {said}");
            }
        }
    }

    #[test]
    fn the_cause_is_a_sentence() {
        for (cause, said) in [
            ("no answer within 10 s", "No answer within 10 s."),
            ("It is text.", "It is text."),
            ("/dev/kvm: Permission denied (os error 13)\n", "/dev/kvm: Permission denied (os error 13)."),
            ("qemu-img is not installed", "qemu-img is not installed."),
            ("x (a.yaml, line 1) is no setting", "x (a.yaml, line 1) is no setting."),
            ("ff: it is no file", "ff: it is no file."),
            ("http://a/ is not there", "http://a/ is not there."),
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
