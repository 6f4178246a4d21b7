//! What a supervised backend is started with, from the options that `pixelrts up` was given.

use std::ffi::OsString;
use std::path::PathBuf;

use pixelrts_shared::{Problem, ProblemCode};
use tokio::sync::watch;

use super::{Serve, settings};
use crate::app::{BackendSettings, Live, Role};
use crate::cli::Context;
use crate::config::{Inputs, Origin};
use crate::{doctor, supervisor};

impl Serve {
    /// What a supervised backend is started with. Nothing in it depends on the current folder, or changes with a
    /// restart. The backend reads everything else from the same configuration.
    pub(in crate::cli) fn for_supervisor(&self, context: &Context) -> Result<supervisor::Serve, Problem> {
        let config = &context.config;
        let BackendSettings { role, name, catalogs, named, tls, token, paths, .. } =
            settings(context, watch::channel(Live::of(config)).1);
        if role != Role::Shell {
            let why = "Health checks need a socket that only a backend of the role shell has.";
            let fix = "Start it by itself: pixelrts serve --role catalog";
            return Err(Problem::new(ProblemCode::Usage, "A catalog server cannot be supervised.", why, fix));
        }
        let mut listen = config.settings.listen;
        if listen.port() == 0 {
            let free = std::net::TcpListener::bind(listen).and_then(|listener| listener.local_addr());
            listen = free.map_err(|error| doctor::cannot_listen(listen, &error))?;
        }
        if !named {
            // A container can only be given what exists. Where this fails there is nothing to read either.
            let _ = catalogs.iter().try_for_each(std::fs::create_dir_all);
        }
        let full = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        // The host name of a container means nothing to people, so the name is handed on.
        let mut flags: Vec<OsString> = vec!["--role=shell".into(), format!("--name={name}").into()];
        flags.push(option("--token-file", full(&token)));
        flags.extend(config.file.iter().map(|file| option("--config", full(file))));
        flags.extend(catalogs.iter().map(|folder| option("--catalog", full(folder))));
        for (name, file) in tls.iter().flat_map(|(cert, key)| [("--tls-cert", cert), ("--tls-key", key)]) {
            flags.push(option(name, full(file)));
        }
        flags.extend(self.allowed_hosts.iter().map(|host| option("--allowed-host", host)));
        flags.extend(self.insecure_http.then(|| "--insecure-http".into()));
        flags.extend(
            match (config.origin("log.level"), &*config.settings.log.level) {
                (Origin::Flag { .. }, "error") => &["--quiet"][..],
                (Origin::Flag { .. }, "debug") => &["--verbose"],
                (Origin::Flag { .. }, _) => &["--verbose", "--verbose"],
                _ => &[],
            }
            .iter()
            .map(OsString::from),
        );
        // For the usual configuration this is its folder, so that a file that an editor puts in its place is seen, too.
        let files = [
            Some(paths.config.clone()),
            config.file.clone(),
            Some(token).filter(|token| !token.starts_with(&paths.state)),
        ];
        let files = files.into_iter().flatten().chain(tls.into_iter().flat_map(|(cert, key)| [cert, key]));
        let mut readable: Vec<_> = catalogs.into_iter().chain(files).map(|path| full(&path)).collect();
        readable.sort();
        readable.dedup_by(|path, above| path.starts_with(above));
        Ok(supervisor::Serve { paths, listen, readable, flags, variables: Inputs::variables() })
    }
}

/// One word for option and value, so that the value may begin with anything.
fn option(name: &str, value: impl AsRef<std::ffi::OsStr>) -> OsString {
    let mut word = OsString::from(format!("{name}="));
    word.push(value);
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    use crate::cli::{Cli, Command, Output};
    use crate::config::{Inputs, Loaded};
    use crate::paths::Paths;
    use crate::remote::Proxies;

    /// What `pixelrts up WORDS` starts the backend with.
    fn for_supervisor(words: &[&str]) -> Result<supervisor::Serve, Problem> {
        let cli = Cli::parse_from([&["pixelrts", "up"], words].concat());
        let paths = Paths::from_environment(|_| Some("/proc/h".into()));
        let sources = Inputs { flags: cli.flags(), home: "/proc/h".into(), ..Inputs::default() };
        let config = Loaded::load(&sources).unwrap();
        let Command::Up(up) = &cli.command else { panic!("it is up") };
        up.serve.for_supervisor(&Context {
            output: Output::new(false, true),
            paths,
            config,
            sources,
            proxies: Proxies::default(),
        })
    }

    #[test]
    fn the_options_are_handed_on_once_and_depend_on_no_folder() {
        let words = ["-vv", "--json", "--listen", "127.0.0.1:99", "--catalog", "/a b", "--catalog=c", "--name", "x"];
        let serve = for_supervisor(&[&words[..], &["--allowed-host", "a", "--insecure-http"]].concat()).unwrap();
        assert_eq!(serve.listen, "127.0.0.1:99".parse().unwrap());
        let here = std::env::current_dir().unwrap().join("c");
        assert!(serve.readable.contains(&"/a b".into()) && serve.readable.contains(&here));
        let here = format!("--catalog={}", here.display());
        let expected = [
            "--role=shell",
            "--name=x",
            "--token-file=/proc/h/pixelrts/token",
            "--catalog=/a b",
            &here,
            "--allowed-host=a",
            "--insecure-http",
        ];
        assert_eq!(serve.flags, [&expected[..], &["--verbose", "--verbose"]].concat());
        let port = for_supervisor(&["--listen", "127.0.0.1:0"]).unwrap().listen.port();
        assert_ne!(port, 0, "a restart uses the same port");
    }

    #[test]
    fn a_catalog_server_is_not_supervised() {
        assert_eq!(for_supervisor(&["--role", "catalog"]).unwrap_err().code, ProblemCode::Usage);
    }
}
