//! `pixelrts config`: what is set, where it was set, and what is wrong with it.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use pixelrts_shared::{Problem, ProblemCode};
use serde::Serialize;
use serde_json::Value;

use super::{Context, Outcome};
use crate::config::{ConfigError, Finding, Inputs, Loaded, Origin, template};
use crate::files::{Existing, storage_problem, write_atomically};

/// Make, show or check the configuration
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    Init(Init),
    Show(Show),
    Check(Check),
}

/// Write a configuration file to begin with: all settings, explained and commented out
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts config init && editor ~/.config/pixelrts/config.yaml\n\n\
    Nothing needs it: all settings have defaults. A file that exists is never replaced.")]
pub(super) struct Init {
    /// The file to write [default: ~/.config/pixelrts/config.yaml, or the one of --config]
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
}

/// Show the settings in force, as YAML
#[derive(Debug, Args)]
#[command(
    after_help = "Example: show only what differs from the defaults\n  pixelrts config show --origin | grep -v default\n\n\
    Secrets are shown as (set)."
)]
pub(super) struct Show {
    /// Show where each value comes from
    #[arg(long)]
    origin: bool,
}

/// Report everything that is wrong with the configuration
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  pixelrts config check pixelrts.yaml\n\nThe exit code is 78 when something is wrong."
)]
pub(super) struct Check {
    /// Check this file instead of the one that would be read
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Shown<'a> {
    file: &'a Option<PathBuf>,
    keys: BTreeMap<&'static str, Setting>,
}

#[derive(Serialize)]
struct Setting {
    value: Value,
    origin: Origin,
}

#[derive(Serialize)]
struct Checked {
    ok: bool,
    file: Option<PathBuf>,
    /// Faults that belong to a key.
    faults: Vec<Finding>,
    warnings: Vec<Finding>,
    /// The faults in one text for people, or what is wrong with the file as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

impl Config {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Init(init) => init.run(context),
            Self::Show(show) => show.run(context),
            Self::Check(check) => check.run(context),
        }
    }
}

impl Init {
    fn run(self, context: &Context) -> Outcome {
        let named = self.file.or_else(|| context.sources.named.clone());
        let path = named.unwrap_or_else(|| context.paths.config());
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| {
            write_atomically(&path, Existing::Keep, |file| {
                // Secrets may be written into it.
                file.set_permissions(Permissions::from_mode(0o600))?;
                file.write_all(template().as_bytes())
            })
        });
        written.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                let fix = "Edit it. What can be set is shown by: pixelrts config show";
                let why = format!("{} is there, and it is never replaced.", path.display());
                Problem::new(ProblemCode::Busy, "There is a configuration file already.", why, fix)
            }
            _ => {
                storage_problem(&error, "The configuration file cannot be written.").context(path.display().to_string())
            }
        })?;
        context.output.answer(&serde_json::json!({ "file": path }), || {
            format!(
                "{} was written. Every line is commented out: remove the # of what you want to set.\n\
                 Then: pixelrts config check",
                path.display()
            )
        });
        Ok(())
    }
}

impl Show {
    fn run(&self, context: &Context) -> Outcome {
        let loaded = Loaded::load(&context.sources)?;
        loaded.warn();
        let setting = |(key, value)| (key, Setting { value, origin: loaded.origin(key) });
        let shown = Shown { file: &loaded.file, keys: loaded.values().into_iter().map(setting).collect() };
        context.output.answer(&shown, || loaded.document(self.origin).trim_end().to_owned());
        Ok(())
    }
}

impl Check {
    fn run(self, context: &Context) -> Outcome {
        let named = self.file.or_else(|| context.sources.named.clone());
        let sources = Inputs { named, ..context.sources.clone() };
        let (checked, problem) = match Loaded::load(&sources) {
            Ok(Loaded { file, warnings, .. }) => {
                (Checked { ok: true, file, faults: Vec::new(), warnings, problem: None }, None)
            }
            Err(error) => {
                let (file, faults, warnings) = match &error {
                    ConfigError::Invalid { file, faults, warnings } => (file.clone(), faults.clone(), warnings.clone()),
                    ConfigError::Unreadable { path, .. }
                    | ConfigError::Foreign { path, .. }
                    | ConfigError::TooLarge { path, .. }
                    | ConfigError::Syntax { path, .. } => (Some(path.clone()), Vec::new(), Vec::new()),
                };
                let problem = Problem::from(error);
                (Checked { ok: false, file, faults, warnings, problem: Some(problem.clone()) }, Some(problem))
            }
        };
        context.output.answer(&checked, || checked.lines());
        match problem {
            None => Ok(()),
            // People have read all of them line by line.
            Some(problem) if !checked.faults.is_empty() && !context.output.is_json() => {
                Err(Problem { why: "Every fault is listed above with its place.".to_owned(), ..problem })
            }
            Some(problem) => Err(problem),
        }
    }
}

impl Checked {
    fn lines(&self) -> String {
        let file = match &self.file {
            Some(path) => format!("file: {}", path.display()),
            None => "file: none was found".to_owned(),
        };
        let said =
            |kind: &str, findings: &[Finding]| findings.iter().map(|one| format!("{kind}: {one}")).collect::<Vec<_>>();
        let mut lines = vec![file];
        lines.extend(said("error", &self.faults));
        lines.extend(said("warning", &self.warnings));
        if self.ok {
            lines.push("nothing is wrong".to_owned());
        }
        lines.join("\n")
    }
}
