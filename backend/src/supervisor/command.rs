//! The command that is started: the same `serve` in both cases, directly or in a container with fixed flags.
//!
//! Every directory has the same path on both sides, so that each path in a message or a response is right for whoever
//! reads it. The container does not get the engine's own socket, because the backend never talks to the engine.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::engine::{DOCKER, Engine};
use super::{Profile, SupervisorSettings};
use crate::paths::Paths;

const FIXED: &str = "run --rm --pull never --network bridge --name pixelrts-backend";
/// A limit that is given again wins.
const STANDARD: &str = "--privileged --security-opt apparmor=unconfined --security-opt seccomp=unconfined \
    --cap-add SYS_ADMIN --memory 2g --cpus 2";
/// `SYS_ADMIN` without AppArmor: to mount. Without SELinux labels: they would change the user's own directories.
const LEAST: &str = "--cap-drop ALL --cap-add SYS_ADMIN --device /dev/fuse --read-only --tmpfs /tmp \
    --security-opt no-new-privileges --security-opt apparmor=unconfined --security-opt label=disable";

/// How the backend is to serve.
#[derive(Clone, Debug)]
pub struct Serve {
    pub paths: Paths,
    /// Where it is reached; the port is not 0.
    pub listen: SocketAddr,
    /// Absolute: what it reads and never writes, catalogs and configuration.
    pub readable: Vec<PathBuf>,
    /// Its flags but for the address.
    pub flags: Vec<OsString>,
    /// The names of the environment variables that it reads; a container gets no others.
    pub variables: Vec<String>,
}

/// What a supervisor starts.
#[derive(Clone, Debug)]
pub struct Launch {
    /// None: the program is the backend itself.
    pub(super) engine: Option<Engine>,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) settings: SupervisorSettings,
    pub(super) paths: Paths,
}

/// What the flags depend on besides the settings.
#[derive(Clone, Debug, Default)]
struct Facts {
    user: (u32, u32),
    /// The group of `/dev/kvm`, where it is there.
    kvm: Option<u32>,
}

impl Launch {
    /// The directories of `paths` are there.
    #[must_use]
    pub fn new(engine: Option<Engine>, settings: SupervisorSettings, serve: &Serve) -> Self {
        let (program, arguments) = match engine {
            Some(engine) => (engine.0.into(), arguments(engine, &settings, serve, &Facts::here())),
            None => (std::env::current_exe().unwrap_or_else(|_| "pixelrts".into()), backend("--listen", serve)),
        };
        Self { engine, program, arguments, settings, paths: serve.paths.clone() }
    }
}

impl Facts {
    fn here() -> Self {
        Self {
            user: (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw()),
            kvm: std::fs::metadata("/dev/kvm").ok().map(|device| device.gid()),
        }
    }
}

fn backend(listen: &str, serve: &Serve) -> Vec<OsString> {
    let words = ["serve".into(), listen.into(), serve.listen.to_string().into()];
    words.into_iter().chain(serve.flags.iter().cloned()).collect()
}

/// What follows the engine's name: it runs the backend, and stays until that has ended.
fn arguments(engine: Engine, settings: &SupervisorSettings, serve: &Serve, facts: &Facts) -> Vec<OsString> {
    let Serve { paths, listen, .. } = serve;
    let profile = if settings.profile == Profile::Least { LEAST } else { STANDARD };
    let mut words: Vec<OsString> =
        [FIXED, profile].iter().flat_map(|flags| flags.split(' ')).map(OsString::from).collect();
    let mut add = |flag: &str, value: String| words.extend([flag.into(), value.into()]);
    add("--label", label(paths));
    add("--publish", format!("{listen}:{}", listen.port()));
    // Engines count in bytes when the unit is b.
    settings.memory.iter().for_each(|limit| add("--memory", format!("{}b", limit.bytes())));
    Some(&settings.cpus).filter(|limit| !limit.is_empty()).into_iter().for_each(|limit| add("--cpus", limit.clone()));
    facts.kvm.iter().for_each(|_| add("--device", "/dev/kvm".to_owned()));
    // An engine that runs as root would make what the user cannot read or remove.
    if engine == DOCKER && facts.user.0 != 0 {
        add("--user", format!("{}:{}", facts.user.0, facts.user.1));
        facts.kvm.iter().for_each(|group| add("--group-add", group.to_string()));
    }
    serve.variables.iter().for_each(|name| add("--env", name.clone()));
    // Wherever the configuration has it.
    add("--env", format!("PIXELRTS_CACHE_DIR={}", paths.cache.display()));
    add("--mount", mount(&paths.cache, &paths.cache, ""));
    for (name, path) in [("STATE_HOME", &paths.state), ("RUNTIME_DIR", &paths.runtime)] {
        // Without its variable the runtime directory is named after the user, who may be another one inside.
        let inside = if path.ends_with("pixelrts") { path.clone() } else { path.join("pixelrts") };
        add("--env", format!("XDG_{name}={}", inside.parent().unwrap_or(path).display()));
        add("--mount", mount(path, &inside, ""));
    }
    for path in serve.readable.iter().filter(|path| path.exists()) {
        add("--mount", mount(path, path, ",readonly"));
    }
    words.push(OsString::from(&settings.image));
    words.extend(backend("--behind-publish", serve));
    words
}

/// The label that distinguishes our container from that of another supervisor, which has other directories.
pub(super) fn label(paths: &Paths) -> String {
    format!("pixelrts.runtime={}", paths.runtime.display())
}

/// As text: engines take no other paths.
fn mount(outside: &Path, inside: &Path, how: &str) -> String {
    format!("type=bind,source={},destination={}{how}", outside.display(), inside.display())
}

#[cfg(test)]
mod tests;
