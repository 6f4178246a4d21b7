//! `pixelrts boot`: one machine in the foreground, its console on this terminal.

mod terminal;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pixelrts_shared::machine::{AccelKind, BootStage, Machine, MachineState, Net};
use pixelrts_shared::{Digest, Level, Problem, ProblemCode};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::output::Output;
use super::{Context, Outcome, on_this_thread, source};
use crate::bootstrap::Purpose;
use crate::cache::{self, Store};
use crate::config;
use crate::database::Database;
use crate::image::{Image, Limits};
use crate::machine::{AccelChoice, BootBridge, BootOptions, HostFacts, RunDir, Spec, preview};
use crate::process::enter_mount_namespace;
use crate::task::{Scope, blocking};

/// Boot an image in the foreground
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts boot alpine.rts.png --memory 512M --append quiet\n\n\
    On a terminal, Ctrl-] ends the machine; every other key is the guest's.")]
pub(super) struct Boot {
    /// A file, an http(s) URL, an entry's SHA-256, an id, or id@server
    source: String,
    /// Memory of the guest [default: boot.memory, 2G]
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// Processors of the guest [default: boot.cpus, 2]
    #[arg(long, value_name = "N")]
    cpus: Option<u32>,
    /// The kernel's command line, instead of the image's own
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    cmdline: Option<String>,
    /// Added to the kernel's command line
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    append: Option<String>,
    /// What runs the guest: `auto` takes KVM where it is faster [default: boot.accel, auto]
    #[arg(long, value_name = "KIND", value_parser = words::<AccelChoice>(&["auto", "kvm", "tcg"]))]
    accel: Option<AccelChoice>,
    /// What the guest reaches; `restricted`: a network card, but no network [default: boot.net, restricted]
    #[arg(long, value_name = "MODE", value_parser = words::<Net>(&["none", "restricted", "internet"]))]
    net: Option<Net>,
    /// Where the guest's console is
    #[arg(long, value_name = "WHERE", default_value = "stdio", value_parser = PossibleValuesParser::new(["stdio", "none"]))]
    serial: String,
    /// One more argument for QEMU, as it is; may be given several times
    #[arg(long = "qemu-arg", value_name = "ARG", allow_hyphen_values = true)]
    qemu_args: Vec<String>,
    /// Print how QEMU would be called, and start nothing
    #[arg(long)]
    dry_run: bool,
}

/// The words of an enumeration, as they are on the wire.
fn words<T: serde::de::DeserializeOwned + Clone + Send + Sync + 'static>(
    words: &'static [&'static str],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words).try_map(|word| serde_json::from_value(word.into()))
}

/// How long output that nobody reads may hold up the end.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

impl Boot {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let options = self.options(&context.config.settings.boot);
        options.check(&HostFacts::gather())?;
        // Before any thread is there.
        enter_mount_namespace();
        let runtime = on_this_thread()?;
        let outcome = runtime.block_on(self.boot(options, context));
        // A read of standard input or the check of a large image may still be under way.
        runtime.shutdown_background();
        outcome
    }

    fn options(&self, defaults: &config::Boot) -> BootOptions {
        BootOptions {
            memory: self.memory.as_ref().unwrap_or(&defaults.memory).clone(),
            cpus: self.cpus.unwrap_or(defaults.cpus),
            cmdline: self.cmdline.clone(),
            append: self.append.clone(),
            net: self.net.unwrap_or(defaults.net),
            accel: self.accel.unwrap_or(defaults.accel),
            ready_marker: None,
            qemu_args: self.qemu_args.clone(),
        }
    }

    async fn boot(self, options: BootOptions, context: &Context) -> Outcome {
        let (ask, mut asked) = mpsc::channel(4);
        let scope = Scope::new();
        scope.spawn(forward_signals(ask.clone()));
        let found = tokio::select! {
            found = self.find(context) => found?,
            _ = asked.recv() => return Err(interrupted()),
        };
        if self.dry_run {
            return dry_run(options, found.path, &context.output).await;
        }

        let machines = context.paths.machines();
        context.prepare(Purpose::Boot).await?;
        let dir = blocking(move || RunDir::create(&machines)).await?;
        let known = found.digest();
        let hash = context.output.is_json().then(|| found.hash());
        let spec = Spec { key: Digest::new([0; 32]), name: found.name, image: found.path, options };
        let serial = self.serial == "stdio" && !context.output.is_json();
        let ran = match BootBridge::boot(spec, &dir, &scope) {
            Ok(bridge) => Ok(attend(bridge, serial, ask, asked, &scope, &context.output).await),
            Err(error) => Err(error),
        };
        let removed = dir.remove();
        let _ = scope.shutdown(LAST_OUTPUT).await;
        let (mut machine, told_to) = ran?;
        if let Err(error) = removed {
            tracing::warn!(%error, "the run directory stays behind");
        }
        if let (Some(problem), Some(digest)) = (&mut machine.problem, known) {
            self.heal(problem, digest, context).await?;
        }
        if let Some(hash) = hash {
            machine.key = hash.await?;
            context.output.answer(&machine, String::new);
        }
        match machine {
            Machine { problem: Some(problem), .. } => Err(problem),
            Machine { state: MachineState::Stopped, .. } if told_to => Err(interrupted()),
            Machine { ended, .. } => {
                context.output.say(&format!("The guest {}.", ended.as_deref().unwrap_or("ended")));
                Ok(())
            }
        }
    }

    /// A cached image with wrong bytes is removed, so that the next start fetches it anew.
    async fn heal(&self, problem: &mut Problem, digest: Digest, context: &Context) -> Outcome {
        if problem.code.as_str().starts_with("verify.") {
            let store = Store::new(&context.paths, Database::in_memory(&cache::SCHEMA)?);
            if blocking(move || store.heal(&digest)).await? {
                problem.fix = format!(
                    "The damaged file was removed from the cache. Fetch the image again: pixelrts boot {}",
                    self.source
                );
            }
        }
        Ok(())
    }

    async fn find(&self, context: &Context) -> Result<source::Resolved, Problem> {
        let mut found = source::resolve(&self.source, context).await?;
        found.path = std::path::absolute(&found.path).unwrap_or(found.path);
        Ok(found)
    }
}

async fn dry_run(options: BootOptions, path: PathBuf, output: &Output) -> Outcome {
    let plan = blocking(move || {
        let image = Image::open_file(&path, &Limits::default())?;
        preview(&options, &image, &HostFacts::gather())
    })
    .await?;
    let words = std::iter::once(plan.program.clone())
        .chain(plan.arguments.iter().map(|word| word.to_string_lossy().into_owned()))
        .collect::<Vec<_>>();
    output.say(&accelerator(plan.accel.used, &plan.accel.reason));
    output.answer(&serde_json::json!({ "argv": words, "accel": plan.accel }), || plan.shell_line());
    Ok(())
}

/// Follows a machine to its end. Returns it as it was then, and whether somebody here told it to stop.
async fn attend(
    bridge: BootBridge,
    serial: bool,
    ask: mpsc::Sender<()>,
    mut asked: mpsc::Receiver<()>,
    scope: &Scope,
    output: &Output,
) -> (Machine, bool) {
    let raw = serial.then(terminal::Raw::enter).flatten();
    let shown = serial.then(|| {
        terminal::type_into(bridge.console().clone(), raw.is_some(), ask.clone(), scope);
        scope.spawn(terminal::show(bridge.console().viewer(), ask))
    });
    let (mut changes, stop) = (bridge.changes(), bridge.stop());
    let mut ended = Box::pin(bridge.ended());
    let (mut stage, mut told_to) = (None, false);
    let machine = loop {
        tokio::select! {
            machine = &mut ended => break machine,
            Ok(()) = changes.changed() => {
                let machine = changes.borrow_and_update().clone();
                if machine.stage != stage {
                    stage = machine.stage;
                    tell(&machine, output);
                }
            }
            Some(()) = asked.recv() => {
                if !std::mem::replace(&mut told_to, true) && !output.is_json() {
                    output.say("Stopping the machine; once more stops it at once");
                }
                // Full: it has been told several times already.
                let _ = stop.try_send(());
            }
        }
    };
    if let Some(shown) = shown {
        let _ = timeout(LAST_OUTPUT, shown).await;
    }
    (machine, told_to)
}

/// A line for people when a stage begins.
fn tell(machine: &Machine, output: &Output) {
    if output.is_json() {
        return;
    }
    match machine.stage {
        Some(BootStage::Verifying) => output.say("Verifying kernel and initrd"),
        Some(BootStage::Mounting) => output.say("Mounting the image"),
        Some(BootStage::Starting) => output.say("Starting QEMU"),
        Some(BootStage::Loading) => {
            if let Some(accel) = &machine.accel {
                output.say(&accelerator(accel.used, &accel.reason));
            }
            output.say("Loading the kernel");
        }
        // From here on the console speaks for itself.
        Some(BootStage::Fetching | BootStage::Kernel | BootStage::Ready) | None => {}
    }
}

fn accelerator(used: AccelKind, reason: &str) -> String {
    match used {
        AccelKind::Kvm => format!("Accelerator: KVM ({reason})"),
        AccelKind::Tcg => format!("Accelerator: TCG, emulation ({reason})"),
    }
}

async fn forward_signals(ask: mpsc::Sender<()>) {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
        return tracing::warn!("signals cannot be caught; end the machine with Ctrl-]");
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        // Full: it has been asked several times already.
        let _ = ask.try_send(());
    }
}

fn interrupted() -> Problem {
    let fix = "Start it again when you like.";
    let mut problem = Problem::new(ProblemCode::Interrupted, "The machine was stopped.", "You asked for it.", fix);
    problem.level = Level::Info;
    problem
}
