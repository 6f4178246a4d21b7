//! One shape for everything that goes wrong, in the API (RFC 9457), the CLI and the shell.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::printable;

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
    /// The API sets it. The same id is in the backend's log.
    pub request_id: Option<String>,
}

impl Problem {
    /// `why` may be the text of an error: a fragment becomes a sentence. The other two are sentences already.
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

/// As it is printed in a terminal: one line for each part.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Error => "ERROR",
            Level::Warn => "WARNING",
            Level::Info => "INFO",
        };
        let (what, why, fix) = (printable(&self.what), printable(&self.why), printable(&self.fix));
        write!(f, "{level}: {what}\nReason: {why}\nFix: {fix}")?;
        match &self.context {
            Some(context) => write!(f, "\nContext: {}", printable(context)),
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
            what: harmless(problem.what),
            why: harmless(problem.why),
            fix: harmless(problem.fix),
            context: problem.context.map(harmless),
            request_id: problem.request_id,
        }
    }
}

impl From<Wire> for Problem {
    fn from(wire: Wire) -> Self {
        Self {
            level: wire.level,
            code: wire.code,
            what: harmless(wire.what),
            why: harmless(wire.why),
            fix: harmless(wire.fix),
            context: wire.context.map(harmless),
            request_id: wire.request_id,
        }
    }
}

/// A problem may quote what a server said.
fn harmless(text: String) -> String {
    match printable(&text) {
        Cow::Owned(clean) => clean,
        Cow::Borrowed(_) => text,
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

            /// A title that is the same for every occurrence (RFC 9457).
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// When this kind of problem happens. It is for docs/ERRORS.md: each problem says its own cause.
            #[must_use]
            pub const fn why(self) -> &'static str {
                match self { $(Self::$variant => $why,)* }
            }

            /// What helps against this kind of problem. It is for docs/ERRORS.md: each problem says its own fix.
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
        "A command, a query or a body has a value that cannot be used: an unknown word, a number outside its range, or \
         a field that does not exist."
        "Correct the value that the problem names. The help of the command (`pixelrts COMMAND --help`) and docs/API.md \
         list what is possible.";
    EntryNotFound "not_found.entry" 404 3 "No such entry"
        "No enabled server and no folder of this computer offers an entry with this id or digest."
        "Look at the list of images in the shell; folders and servers are read again every minute. Of a server that \
         does not answer, only the \
         entries of its last catalog are known.";
    ServerNotFound "not_found.server" 404 3 "No such server"
        "No catalog server with this id is listed. It may have been removed."
        "Choose a server from the settings of the shell.";
    MachineNotFound "not_found.machine" 404 3 "No such machine"
        "No machine with this id is known: it was removed from the list, or the backend was started with another \
         runtime directory."
        "List the machines: `GET /api/v1/machines`.";
    DownloadNotFound "not_found.download" 404 3 "No such download"
        "No download with this id is known. One that is over leaves the list when somebody removes it."
        "List the downloads: `GET /api/v1/downloads`.";
    FileNotFound "not_found.file" 404 3 "No such file"
        "There is no file at the path that was given."
        "Check the path. A relative path begins at the current directory.";
    RouteNotFound "not_found.route" 404 3 "No such path"
        "The API does not have this path, or this role of the backend does not offer it."
        "Compare the path with docs/API.md.";
    MethodNotAllowed "usage.method" 405 2 "This path does not take this method"
        "The path exists, but not with this method. A server of role `catalog` can only be read."
        "Compare the method with docs/API.md.";
    Ambiguous "conflict.ambiguous" 409 6 "More than one entry has this id"
        "Several entries with different digests have this id."
        "Say which: `ID@SERVER`, or the entry's SHA-256.";
    Busy "conflict.busy" 409 6 "Something is in use or exists already"
        "What should be changed is in use, or what should be added exists already."
        "Wait until it is no longer in use, or change what exists.";
    Configured "conflict.configured" 409 6 "The server is set in the configuration"
        "A server that the configuration lists cannot be changed or removed through the API."
        "Change it in the configuration, then start the backend again or send it SIGHUP.";
    BackendRunning "conflict.backend_running" 409 6 "A backend is running already"
        "Another backend holds the lock of the runtime directory. Two backends would write to the same database."
        "Use the running backend, stop it, or give this one directories of its own (`XDG_STATE_HOME`, \
         `XDG_RUNTIME_DIR`).";
    TooManyMachines "conflict.too_many_machines" 409 6 "The limit of machines is reached"
        "As many machines are running as `boot.max_machines` allows. Each of them takes memory and processors."
        "Stop a machine, or set `boot.max_machines` higher.";
    NetworkTimeout "network.timeout" 504 4 "A server did not answer in time"
        "A server was reached but did not answer within the deadline, or a firewall drops the packets."
        "Check that the server is running and can be reached from here, then try again.";
    NetworkStalled "network.stalled" 504 4 "A server stopped sending"
        "The server had begun to answer, and then sent nothing more for 15 s."
        "Check the connection to the server. What has been downloaded is kept, and the download continues from there.";
    NetworkTooSlow "network.too_slow" 504 4 "A server is too slow"
        "The server sent less than 10 kB/s over 30 s, and another server has the image too."
        "Nothing has to be done: the other server is used. Give a faster server a lower priority number, so that it is \
         tried first.";
    NetworkDns "network.dns" 502 4 "A server's name is unknown"
        "No name server knows the name in the address."
        "Check the spelling of the address, and whether this computer has a network connection.";
    NetworkRefused "network.refused" 502 4 "A server refused the connection"
        "The computer can be reached, but no program listens on that port."
        "Start the server there, or correct the port.";
    NetworkUnreachable "network.unreachable" 502 4 "A server cannot be reached"
        "No way leads to the address: this computer has no network connection, the server is in another network, or a \
         firewall refuses the packets."
        "Check the network connection and the firewall of this computer.";
    NetworkInterrupted "network.interrupted" 502 4 "A connection broke"
        "The connection ended before the answer was complete."
        "Try again. What has been downloaded is kept, and the download continues from there.";
    NetworkTls "network.tls" 502 4 "A secure connection failed"
        "The server and this computer found no version of TLS that both speak, or the handshake broke."
        "Check the server's certificate and the versions of TLS that it offers: 1.2 and 1.3 are possible here.";
    TlsExpired "network.tls_expired" 502 4 "A server's certificate has expired"
        "The time until which the certificate is valid has passed, by the clock of this computer."
        "If the clock is right, ask the person who runs the server to renew the certificate. Otherwise set the clock.";
    TlsNotYetValid "network.tls_not_yet_valid" 502 4 "A server's certificate is not valid yet"
        "The time from which the certificate is valid is in the future, by the clock of this computer."
        "Check the clock of this computer, which is probably wrong: `timedatectl` shows it.";
    TlsUnknownAuthority "network.tls_unknown_authority" 502 4 "A server's certificate is not trusted"
        "The certificate is signed by itself, or by an authority that this computer does not know."
        "If you know that the server is the right one, set the SHA-256 of its certificate as `pin`, or the file of its \
         authority as `ca_file`, under `servers` in the configuration. `SSL_CERT_FILE` names a file of authorities for \
         all servers.";
    TlsWrongName "network.tls_wrong_name" 502 4 "A server's certificate is for another name"
        "The name in the address is none of the names in the certificate."
        "Use a name of the certificate in the address, or set the SHA-256 of the certificate as `pin`.";
    TlsOtherCertificate "network.tls_other_certificate" 502 4 "A server has another certificate than the one that is set"
        "The SHA-256 of the certificate is not the one that `pin` of this server says."
        "Ask the person who runs the server whether it has a new certificate, and set its SHA-256. Otherwise somebody \
         is between you and the server.";
    TlsNoAuthorities "network.tls_no_authorities" 502 69 "This computer cannot check certificates"
        "No certificates of authorities are installed, so no server with https can prove who it is."
        "Install them: `apt-get install ca-certificates`. Addresses with http:// work without them.";
    TlsNotOffered "network.tls_not_offered" 502 4 "A server does not speak TLS"
        "The address begins with https://, and what answers there is not TLS. Often it is plain HTTP."
        "If the server has no TLS, write http:// in its address. Otherwise correct the port.";
    NetworkNotHttp "network.not_http" 502 4 "A server does not speak HTTP"
        "The address begins with http://, and what answers there is not HTTP. Often the server expects TLS."
        "If the server uses TLS, write https:// in its address. Otherwise correct the port.";
    NetworkProxy "network.proxy" 502 4 "A proxy failed"
        "The proxy of `http_proxy`, `https_proxy` or `all_proxy` does not answer, asks for a password, refuses the \
         server, or its variable is no address."
        "Correct the variable, or name the servers that need no proxy in `no_proxy`.";
    EgressRefused "network.egress_refused" 502 4 "A server leads to an address that it may not lead to"
        "The catalog or a redirect of a server names an address of this computer, of a private network or of this \
         link. Only a server that is there itself may lead there: otherwise it could make this computer send requests \
         to what only this computer reaches."
        "If you trust the server, allow the scheme, host and port for it: `allow` under `servers` in the configuration.";
    BadRedirect "network.redirect" 502 4 "A redirect is not followed"
        "The server redirects in a circle, too often, from https to http, or to what is no http address."
        "Enter the final address of the server, or ask the person who runs it to correct the redirect.";
    RemoteNotFound "network.not_found" 502 4 "A server does not have what was requested"
        "The server answered that it does not have what was requested."
        "Reload the page, which asks the servers again. If the image is no longer listed, use another server.";
    RemoteGone "network.gone" 502 4 "A server no longer has what was requested"
        "The server answered that it has removed what was requested for good."
        "Use another server.";
    RemoteBusy "network.busy" 503 4 "A server is busy"
        "The server gets more requests than it answers, and asks to come back later."
        "Try again later. A download waits as long as the server asks, 5 minutes at most, and tries again by itself.";
    RemoteUnexpected "network.unexpected_status" 502 4 "A server refused the request"
        "The server answered with a status that PixelRTS does not expect."
        "Check that the address is that of a catalog server or of an image, and whether a proxy is on the way.";
    RemoteWebPage "network.web_page" 502 4 "A server sent a web page"
        "A web page came where a catalog or an image was requested: a network asks to log in, or the address is that \
         of a web site. The problem names the page's title."
        "Open the address in a browser. Then log in, or correct the address.";
    BadReply "network.bad_reply" 502 4 "A server's answer cannot be understood"
        "The answer has an encoding, a length or a form that was not asked for."
        "Ask the person who runs that server, or fetch from another server.";
    CatalogVersion "network.catalog_version" 502 4 "A server's catalog is for another version"
        "The catalog has a format that this version of PixelRTS does not know."
        "Install a newer version of PixelRTS.";
    RemoteDenied "network.denied" 502 4 "A server denied access"
        "The server requires a token or a password, or refused what was sent."
        "Set what the server asks for under `servers` in the configuration: its token as `auth`, or `user` and \
         `password`. For a single address, write `http://USER:PASSWORD@HOST/...`.";
    RemoteFailed "network.server_error" 502 4 "A server failed"
        "The server reported an error of its own."
        "Try again later, or ask the person who runs that server.";
    BadCatalog "network.bad_catalog" 502 4 "A server's catalog cannot be used"
        "What the server sent is not a catalog, has another format, or is larger than 8 MiB."
        "Check that the address is that of a catalog server, or ask the person who runs it to build the catalog again.";
    HashMismatch "verify.hash_mismatch" 422 5 "The bytes are not what was promised"
        "The received bytes do not have the SHA-256 that the catalog promises. None of them are kept."
        "Do not use this image. Fetch it from another server, and tell the person who runs this one.";
    WrongLength "verify.length" 422 5 "There are more or fewer bytes than promised"
        "The image that the server sends does not have the size that its catalog promises."
        "Wait a minute, until the catalog has been read again, then try again; or fetch from another server.";
    StripMismatch "verify.strip_mismatch" 422 5 "A strip is not what the index promises"
        "A strip of the image does not have the SHA-256 that the index promises: the file was damaged or changed."
        "Remove the file, then fetch the image again. `pixelrts verify FILE` shows the first place that is wrong.";
    IndexMismatch "verify.index_mismatch" 422 5 "The index is not what was promised"
        "The index of the image does not have the SHA-256 that the metadata or the catalog promises."
        "Remove the file, then fetch the image again. If the problem stays, use another server.";
    SegmentMismatch "verify.segment_mismatch" 422 5 "A segment is not what the metadata promises"
        "A segment does not have the SHA-256 that the metadata promises."
        "Remove the file, then fetch the image again; or pack it again from its parts.";
    Unproven "verify.unproven" 422 5 "No hash proves these bytes"
        "A classic image of older tools has neither `data_hash` nor a SHA-256 for each segment: nothing in it shows whether its bytes are right. `verify` and `pack --from` print this as a warning and exit with 0."
        "Compare the SHA-256 of the file with one that you trust.";
    ImageReplaced "verify.replaced" 409 5 "The file was replaced"
        "The path leads to another image than the one that was verified: the file was replaced in the meantime."
        "Try again. The folder is read again, and its new images are listed within a minute.";
    NotAnImage "image.not_an_image" 422 1 "This is not an image"
        "The file is not a PNG, or it is a PNG without the metadata of an image."
        "Choose an `.rts.png` file. A screenshot of an image, or one that was edited in another program, no longer \
         holds the data.";
    AnotherPicture "image.another_picture" 422 1 "The picture was remade"
        "A program on the way has changed the picture or its format, for example to make it smaller, and its data is \
         lost."
        "Fetch it from another server, or ask the person who runs this one to send the files as they are.";
    ImageTruncated "image.truncated" 422 1 "The image is cut short"
        "The file ends before the image does: a copy or a download was interrupted."
        "Copy or fetch the file again.";
    ImageMalformed "image.malformed" 422 1 "The image is damaged"
        "A size, an offset or a structure in the file contradicts another."
        "Fetch it again, or pack it again with `pixelrts pack`.";
    ImageUnsupported "image.unsupported" 422 1 "This kind of image cannot be read"
        "The image uses a part of the format that this version does not support."
        "Use a newer version of PixelRTS, or pack the image again.";
    ImageTooLarge "image.limit" 422 1 "The image is too large"
        "A size in the file is above a limit. The limits keep a file from using up the memory."
        "Pack a smaller image, or use the streamable profile.";
    NoKernel "image.no_kernel" 422 1 "The image has no kernel"
        "The image has no segment with the role `kernel`, so it cannot be booted."
        "Pack the image with a kernel: `pixelrts pack --kernel FILE ...`.";
    StorageFull "storage.full" 507 1 "The disk is full"
        "There is no space left on the disk. An incomplete file is removed, an incomplete download is kept."
        "Free some space. The problem says how much is needed, where that is known.";
    CacheFull "storage.cache_full" 507 1 "There is no room in the cache"
        "The image does not fit into the limit of the cache (`cache.max_size`), and what is in the cache must stay: it is \
         pinned, in use, was booted last, or no server that answers can give it again."
        "Remove images that you do not need (`pixelrts cache ls`, then `pixelrts cache rm KEY`), or set \
         `cache.max_size` higher.";
    StorageFailed "storage.io" 500 1 "A file cannot be read or written"
        "The operating system refused to read or write a file, for the reason given."
        "Check the file, its permissions and its disk. `pixelrts doctor` checks the directories.";
    DependencyMissing "dependency.missing" 503 69 "A program or device is missing"
        "A program is not installed or is too old, or a device of the kernel does not exist."
        "Install what the problem names. `pixelrts doctor` lists everything that is missing.";
    PermissionDenied "permission.denied" 403 77 "The system denied permission"
        "The user who runs PixelRTS does not have the permission for this."
        "Give this user the permission, or run PixelRTS as a user who has it. `pixelrts doctor` shows what is missing.";
    GuardHost "guard.host" 421 1 "This host name is not served here"
        "The request is for a host name that does not belong to this backend, as in an attack by DNS rebinding."
        "Open the address that the backend printed, or start the backend with `--allowed-host NAME`.";
    GuardCrossSite "guard.cross_site" 403 77 "Requests from other sites are refused"
        "A page of another site sent the request."
        "Open the shell directly.";
    GuardOrigin "guard.origin" 403 77 "Requests from this origin are refused"
        "A request that changes something came from a page of another origin, or from a browser that does not send the \
         origin."
        "Always open the shell at the same address. A proxy must pass `Host` and `Origin` on.";
    GuardToken "guard.token" 401 77 "A token is needed"
        "The backend can be reached from other computers or is private, and the request has no valid token or session."
        "Send `Authorization: Bearer TOKEN`. In a browser, open the login address that the backend prints when it \
         starts; it works once.";
    GuardContentType "guard.content_type" 415 2 "The body is not of the right type"
        "The body of the request is not `application/json`."
        "Send `Content-Type: application/json`.";
    GuardTooLarge "guard.too_large" 413 2 "The request is too large"
        "The body of the request is larger than 256 KiB."
        "Send less. Images are never sent in the body of a request.";
    RangeNotSatisfiable "usage.range" 416 2 "The range lies outside the file"
        "The range of bytes begins after the end of the file."
        "Request the size of the file first (`HEAD`).";
    PreconditionFailed "usage.precondition" 412 2 "The resource has changed"
        "The request has a condition (`If-Match`), and what it names has changed since."
        "Read the resource again, then repeat the request.";
    Overloaded "service.overloaded" 503 6 "Too many requests at once"
        "The backend is already answering as many requests as it does at the same time."
        "Wait a moment, then try again.";
    ModuleExcluded "service.module_excluded" 503 69 "A part of the backend is not available"
        "A module of the backend could not be loaded at the start, so requests that need it are refused."
        "Read the module's problem in `GET /api/v1/health`, remove the cause, then start the backend again.";
    NotReady "service.not_ready" 503 6 "Something is not ready yet"
        "The answer depends on something that is still being prepared, or it took longer than 60 s."
        "Try again. `GET /api/v1/health` shows what is not ready.";
    BootstrapTimeout "bootstrap.timeout" 500 1 "Preparing took too long"
        "The preparation before the start did not end in time. It has 30 s unless `bootstrap.timeout` says otherwise."
        "Look for a disk or a network that is slow or does not respond, or set `bootstrap.timeout` higher.";
    RuntimeMissing "dependency.container_runtime" 503 69 "No container runtime answers"
        "No engine of docker or podman is installed and responds."
        "Install podman, or run the backend without a container: `pixelrts up --runtime process`.";
    ContainerImageMissing "dependency.container_image" 503 69 "The container image is missing"
        "The container runtime does not have the image of the backend."
        "Build the image (`cargo xtask image`), or run the backend without a container: `pixelrts up --runtime process`.";
    RestartLimit "supervisor.restart_limit" 500 1 "The backend ended too often"
        "The backend ended too often within `supervise.window`, so another restart would not help."
        "Read in the log why it ended, remove the cause, then start it again.";
    ConfigInvalid "config.invalid" 500 78 "The configuration cannot be used"
        "A setting, a file that a setting names, or a combination of settings cannot be used."
        "Correct the setting that the problem names.";
    ConfigExposed "config.exposed" 500 78 "The configuration would expose this computer"
        "The settings would let other people on the network read a secret or start machines here."
        "Use TLS (`--tls-cert`, `--tls-key`), listen on 127.0.0.1, or make the secret private again.";
    MachineFailed "machine.failed" 500 1 "The machine did not start"
        "The machine ended before its guest ran: QEMU refused to start, the image could not be mounted, or a resource \
         is missing."
        "Read the last output of QEMU, which the problem's context shows. `pixelrts doctor` checks QEMU and FUSE.";
    MachineCrashed "machine.crashed" 500 1 "The machine crashed"
        "QEMU or the process that owns the machine ended unexpectedly."
        "Start the machine again. If it crashes again, report it with the context.";
    MachineSilent "machine.silent" 503 1 "The machine does not answer"
        "The process of the machine has stopped responding. It may recover, so the level is `warn`."
        "Wait, or stop the machine.";
    MachinePanicked "machine.panicked" 500 1 "The guest's kernel panicked"
        "The kernel of the guest stopped with a panic."
        "Read the console. Usual causes are a missing disk and too little memory.";
    Interrupted "interrupted" 499 130 "The work was interrupted"
        "Somebody ended it: with Ctrl-C, with a signal, or by cancelling a download."
        "Start it again. A download continues where it ended.";
    Internal "internal" 500 1 "An error in PixelRTS itself"
        "Something has happened that the program does not expect."
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
