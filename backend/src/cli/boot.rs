//! `pixelrts boot`: one machine in the foreground, with its console on this terminal.

mod stop_requests;
mod terminal;

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pixelrts_shared::machine::{AccelKind, BootRequest, BootStage, Machine, MachineState, Net};
use pixelrts_shared::{Level, Problem, ProblemCode, Size};
use tokio::sync::watch;
use tokio::time::timeout;

use super::output::Output;
use super::{Context, Outcome, locate, on_this_thread};
use crate::boot::{Ended, Supply, check_request, foreground};
use crate::bootstrap::Purpose;
use crate::cache::{self, Store};
use crate::catalog::ImageFile;
use crate::database::Database;
use crate::image::{Image, ImageError, Limits};
use crate::machine::{AccelChoice, BootBridge, BootOptions, HostFacts, preview};
use crate::process::enter_mount_namespace;
use crate::task::{Scope, blocking};
use stop_requests::StopRequests;
use terminal::Keyboard;

/// Boot an image in the foreground
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts boot alpine.rts.png --memory 512M --append quiet\n\n\
    On a terminal, Ctrl-] stops the machine. Every other key goes to the guest.")]
pub(super) struct Boot {
    /// A file, an http(s) URL, or an image of a catalog: its id (debian-12), its name,
    /// id@server, or its SHA-256
    source: String,
    #[command(flatten)]
    wait: locate::Wait,
    /// Memory of the machine, as in 512M or 2GiB [default: what the image asks for, else boot.memory, 2G]
    #[arg(long, value_name = "SIZE")]
    pub(super) memory: Option<Size>,
    /// Processors of the machine [default: what the image asks for, else boot.cpus, 2]
    #[arg(long, value_name = "N")]
    cpus: Option<u32>,
    /// Use this command line for the kernel instead of the image's own
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    cmdline: Option<String>,
    /// Add this to the kernel's command line
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    append: Option<String>,
    /// What runs the guest; `auto` uses KVM where it is faster than emulation [default: boot.accel, auto]
    #[arg(long, value_name = "KIND", value_parser = words::<AccelChoice>(&["auto", "kvm", "tcg"]))]
    accel: Option<AccelChoice>,
    /// What the guest can reach: with `none` and `restricted` nothing, but `restricted` gives it a network card;
    /// `internet` is not available yet [default: the setting boot.net, restricted;
    /// an image can ask for less]
    #[arg(long, value_name = "MODE", value_parser = words::<Net>(&["none", "restricted", "internet"]))]
    net: Option<Net>,
    /// Where the guest's console appears
    #[arg(long, value_name = "WHERE", default_value = "stdio", value_parser = PossibleValuesParser::new(["stdio", "none"]))]
    serial: String,
    /// One more argument for QEMU, passed on unchanged; may be given several times
    #[arg(long = "qemu-arg", value_name = "ARG", allow_hyphen_values = true)]
    qemu_args: Vec<String>,
    /// Print how QEMU would be called, without starting anything
    #[arg(long)]
    dry_run: bool,
}

/// Accepts the words of an enumeration, as they are on the wire.
fn words<T: serde::de::DeserializeOwned + Clone + Send + Sync + 'static>(
    words: &'static [&'static str],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words).try_map(|word| serde_json::from_value(word.into()))
}

/// How long output that nobody reads may delay the end.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

impl Boot {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let request = BootRequest {
            server: None,
            memory: self.memory,
            cpus: self.cpus,
            cmdline: self.cmdline.clone(),
            append: self.append.clone(),
            net: self.net,
        };
        check_request(&request)?;
        // This must happen before there is a second thread.
        enter_mount_namespace();
        let runtime = on_this_thread()?;
        let outcome = runtime.block_on(self.boot(request, context));
        // A read of standard input or the check of a large image may still be under way.
        runtime.shutdown_background();
        outcome
    }

    /// What the request leaves open, and what only a person at this computer may choose.
    fn defaults(&self, context: &Context) -> BootOptions {
        let defaults = context.config.settings.boot.options();
        let accel = self.accel.unwrap_or(defaults.accel);
        BootOptions { accel, qemu_args: self.qemu_args.clone(), ..defaults }
    }

    async fn boot(&self, request: BootRequest, context: &Context) -> Outcome {
        let scope = Scope::new();
        let stops = StopRequests::new();
        let mut requested = stops.subscribe();
        scope.spawn(stops.clone().forward_signals());
        let store = Store::new(&context.paths, Database::in_memory(&cache::SCHEMA)?);
        let obtain = || async {
            tokio::select! {
                found = locate::image(&self.source, context, self.wait) => found.map(ImageFile::absolute),
                () = stops.any() => Err(interrupted()),
            }
        };
        let supply = Supply::new(request, self.defaults(context), store, obtain);
        let (file, options) = supply.image(None).await?;
        let output = &context.output;
        if self.dry_run {
            return dry_run(file, options, output).await;
        }
        context.prepare(Purpose::Boot).await?;
        let mut keyboard = (self.serial == "stdio" && !output.is_json()).then(|| Keyboard::start(stops.clone()));
        let mut notes_shown = false;
        let follow = async |bridge: BootBridge| {
            if !std::mem::replace(&mut notes_shown, true) {
                show_notes(&bridge.changes().borrow().notes, output);
            }
            follow(bridge, keyboard.as_mut(), &stops, &mut requested, &scope, output).await
        };
        let ended = foreground(&supply, (file, options), context.paths.machines(), &scope, follow).await;
        let _ = scope.shutdown(LAST_OUTPUT).await;
        let Ended { mut machine, file, stop_requested } = ended?;
        if output.is_json() {
            machine.key = file.hash().await?;
            output.answer(&machine, String::new);
        }
        match machine {
            Machine { problem: Some(problem), .. } => Err(problem),
            Machine { state: MachineState::Stopped, .. } if stop_requested => Err(interrupted()),
            Machine { ended, .. } => {
                output.say(&format!("The guest {}.", ended.as_deref().unwrap_or("ended")));
                Ok(())
            }
        }
    }
}

async fn dry_run(file: ImageFile, options: BootOptions, output: &Output) -> Outcome {
    let notes = options.notes.clone();
    let plan = blocking(move || {
        let image = Image::open(Box::new(file.open().map_err(ImageError::from)?), &Limits::default())?;
        preview(&options, &image, &HostFacts::gather())
    })
    .await?;
    let words = std::iter::once(plan.program.clone())
        .chain(plan.arguments.iter().map(|word| word.to_string_lossy().into_owned()))
        .collect::<Vec<_>>();
    show_notes(&notes, output);
    output.say(&accelerator(plan.accel.used, &plan.accel.reason));
    let document = serde_json::json!({ "argv": words, "accel": plan.accel, "notes": notes });
    output.answer(&document, || plan.shell_line());
    Ok(())
}

/// With `--json` they are in the document.
fn show_notes(notes: &[String], output: &Output) {
    for note in notes.iter().filter(|_| !output.is_json()) {
        output.say(note);
    }
}

/// Follows a machine to its end. Returns it as it was then, and whether somebody here asked it to stop.
async fn follow(
    bridge: BootBridge,
    mut keyboard: Option<&mut Keyboard>,
    stops: &StopRequests,
    requested: &mut watch::Receiver<u32>,
    scope: &Scope,
    output: &Output,
) -> (Machine, bool) {
    let console = bridge.console().clone();
    let raw = keyboard.as_ref().and_then(|keyboard| keyboard.raw());
    if raw.is_some() {
        output.say("Ctrl-] stops the machine. Every other key goes to it.");
    }
    let shown = keyboard.as_ref().map(|_| scope.spawn(terminal::show(console.viewer(), stops.clone())));
    let typing = async {
        if let Some(keyboard) = &mut keyboard {
            keyboard.type_into(&console).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::pin!(typing);
    let (mut changes, stop) = (bridge.changes(), bridge.stop());
    let mut ended = Box::pin(bridge.ended());
    let (mut stage, mut stop_requested) = (None, false);
    let machine = loop {
        tokio::select! {
            machine = &mut ended => break machine,
            Ok(()) = changes.changed() => {
                let machine = changes.borrow_and_update().clone();
                if machine.stage != stage {
                    stage = machine.stage;
                    show_stage(&machine, output);
                }
            }
            Ok(()) = requested.changed() => {
                if !std::mem::replace(&mut stop_requested, true) && !output.is_json() {
                    let again = if raw.is_some() { "Ctrl-] again stops it at once" } else { "the same signal again stops it at once" };
                    output.say(&format!("\nStopping the machine; {again}."));
                }
                // When the channel is full, the machine has been asked several times already.
                let _ = stop.try_send(());
            }
            () = &mut typing => {}
        }
    };
    if let Some(shown) = shown {
        let _ = timeout(LAST_OUTPUT, shown).await;
    }
    (machine, stop_requested)
}

/// A line for people when a stage begins.
fn show_stage(machine: &Machine, output: &Output) {
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
        // From here on the console shows what happens.
        Some(BootStage::Fetching | BootStage::Kernel | BootStage::Ready) | None => {}
    }
}

fn accelerator(used: AccelKind, reason: &str) -> String {
    match used {
        AccelKind::Kvm => format!("Accelerator: KVM ({reason})"),
        AccelKind::Tcg => format!("Accelerator: emulation (TCG), slower than KVM ({reason})"),
    }
}

fn interrupted() -> Problem {
    let fix = "Start it again whenever you like.";
    let mut problem = Problem::new(ProblemCode::Interrupted, "The machine was stopped.", "You asked for it.", fix);
    problem.level = Level::Info;
    problem
}
