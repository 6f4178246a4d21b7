//! `pixelrts doctor`: check what is right and wrong with this computer.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use pixelrts_shared::Problem;
use pixelrts_shared::doctor::{Diagnosis, Finding, FindingState};
use url::Url;

use super::{Context, Outcome, runtime};
use crate::app::{Backend, Live, own_program};
use crate::config::{Loaded, listening_address};
use crate::database::Database;
use crate::doctor::{Subject, examine, try_mount};
use crate::remote::Servers;
use crate::remote::servers::{self, Record};

/// Check what booting needs: accelerators, FUSE, QEMU, disks, servers, secrets; nothing is changed
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 when images can be booted (there may be warnings), otherwise that \
    of the most serious error: 69 missing dependency, 77 missing permission, 78 wrong configuration, else 1 to 6.\n\n\
    Examples: print only what is wrong; the same for a program\n  pixelrts doctor -q\n  \
    pixelrts doctor --json | jq '.findings[] | select(.state != \"ok\")'")]
pub(super) struct Doctor {
    /// The address that the backend would listen on [default: where it runs, else as configured]
    #[arg(long, value_name = "ADDRESS", value_parser = listening_address)]
    listen: Option<SocketAddr>,
}

/// Try a mount in a directory (the doctor starts this)
#[derive(Debug, Args)]
pub(super) struct TryMount {
    directory: PathBuf,
}

impl Doctor {
    /// The diagnosis decides the exit code, and is printed in any case.
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Problem> {
        let runtime = runtime()?;
        let diagnosis = runtime.block_on(self.examine(context));
        // A check that hangs must not delay the answer.
        runtime.shutdown_background();
        let diagnosis = diagnosis?;
        match context.output.is_quiet() {
            // Nobody needs to read that nothing is wrong.
            true if diagnosis.faults().is_empty() && !context.output.is_json() => {}
            quiet => context.output.answer(&diagnosis, || page(&diagnosis, quiet, colours())),
        }
        Ok(ExitCode::from(diagnosis.exit_code()))
    }

    async fn examine(self, context: &Context) -> Result<Diagnosis, Problem> {
        let (paths, config) = (&context.paths, &context.config.settings);
        let backend = Backend::running(paths)?;
        let address =
            backend.as_ref().and_then(|backend| Url::parse(&backend.url).ok()?.socket_addrs(|| None).ok()?.pop());
        let subject = Subject {
            listen: self.listen.or(address).unwrap_or(config.listen),
            token: context.token_file(),
            tls: config.tls.files(),
            insecure_http: config.insecure_http,
            program: own_program()?,
            backend: backend.map(|backend| (backend.pid, backend.url)),
            paths: paths.clone(),
        };
        let servers = known_servers(context).map(|servers| (context.client(), servers));
        let mut findings = vec![configuration(context)];
        findings.extend(examine(&subject, servers).await.findings);
        Ok(Diagnosis::new(findings))
    }
}

fn configuration(context: &Context) -> Finding {
    const CHECK: &str = "config";
    match Loaded::load(&context.sources) {
        Err(error) => Finding::of(CHECK, FindingState::Error, error),
        Ok(loaded) => Finding::ok(
            CHECK,
            match loaded.file {
                Some(path) => format!("{} can be used.", path.display()),
                None => "There is no configuration file, so all settings have their defaults.".to_owned(),
            },
        ),
    }
}

/// The servers that the backend would ask. They are read from a copy, because a backend may be running.
fn known_servers(context: &Context) -> Result<Vec<Record>, Problem> {
    let servers = Servers::new(Database::copy(&servers::SCHEMA, &context.paths.database(servers::SCHEMA.name))?);
    servers.configure(&Live::of(&context.config).servers)?;
    Ok(servers.list()?)
}

impl TryMount {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let trial = try_mount(&self.directory)?;
        context.output.answer(&trial, || format!("{trial:?}"));
        Ok(())
    }
}

fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// One line per finding, with cause and fix below those that report a problem. `quiet`: only faults.
fn page(diagnosis: &Diagnosis, quiet: bool, colours: bool) -> String {
    let shown = if quiet { diagnosis.faults() } else { diagnosis.findings.iter().collect() };
    let widest = shown.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut page = String::new();
    for Finding { check, state, says, problem } in shown {
        let (sign, colour) = match state {
            FindingState::Ok => ("ok     ", 32),
            FindingState::Note => ("note   ", 36),
            FindingState::Warning => ("warning", 33),
            FindingState::Error => ("ERROR  ", 31),
        };
        let sign = if colours { format!("\x1b[{colour}m{sign}\x1b[0m") } else { sign.to_owned() };
        let _ = writeln!(page, "{sign}  {check:widest$}  {says}");
        if let Some(problem) = problem {
            let _ =
                writeln!(page, "{:9}{:widest$}  {}\n{:9}{:widest$}  Fix: {}", "", "", problem.why, "", "", problem.fix);
        }
    }
    if quiet {
        page.truncate(page.trim_end().len());
        return page;
    }
    let number = |state, one: &str| match diagnosis.count(state) {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    let ready = if diagnosis.ok { "ready to boot" } else { "not ready to boot" };
    let _ = write!(
        page,
        "\n{}, {}: {ready}",
        number(FindingState::Error, "error"),
        number(FindingState::Warning, "warning")
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixelrts_shared::ProblemCode;

    #[test]
    fn what_is_wrong_has_its_cause_and_fix_below() {
        let problem = Problem::new(ProblemCode::Busy, "It is taken.", "Why.", "Do this.");
        let findings = vec![Finding::ok("a.longer", "Fine."), Finding::of("b", FindingState::Warning, problem)];
        let text = page(&Diagnosis::new(findings.clone()), false, false);
        assert_eq!(
            text,
            "ok       a.longer  Fine.\nwarning  b         It is taken.\n                   Why.\n                   \
             Fix: Do this.\n\n0 errors, 1 warning: ready to boot"
        );
        let quiet = page(&Diagnosis::new(findings), true, false);
        assert_eq!(quiet, "warning  b  It is taken.\n            Why.\n            Fix: Do this.");
        assert!(page(&Diagnosis::new(vec![Finding::ok("a", "Fine.")]), false, true).starts_with("\x1b[32mok"));
    }
}
