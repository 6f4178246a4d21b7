//! `pixelrts up`: the trust anchor. It keeps `pixelrts serve` running, in a container or as a process.

use clap::Args;
use serde_json::json;
use tokio::signal::ctrl_c;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::serve::{self, Serve, stop_signal};
use super::{Context, Outcome};
use crate::app::{self, Backend, BackendLock, Live};
use crate::bootstrap::Purpose;
use crate::config::Flag;
use crate::supervisor::{self, Launch};

/// Start the backend, check its health, and start it again when it ends or hangs
#[derive(Debug, Args)]
#[command(after_help = "Example: keep the backend running without a container\n  pixelrts up --runtime process")]
pub(super) struct Up {
    /// Where the backend runs; `auto` uses docker, else podman, else a process without a container [default: auto]
    #[arg(short, long, value_name = "RUNTIME", value_parser = ["auto", "docker", "podman", "process"])]
    runtime: Option<String>,
    #[command(flatten)]
    pub(super) serve: Serve,
}

impl Up {
    pub(super) fn run(self, context: &Context) -> Outcome {
        // A single thread that lives as long as the program, because the child ends with the thread that started it.
        super::on_this_thread()?.block_on(self.supervise(context))
    }

    async fn supervise(self, context: &Context) -> Outcome {
        let (Context { output, paths, config, .. }, serve) = (context, self.serve.for_supervisor(context)?);
        let settings = config.settings.supervisor();
        let url = format!("http://{}", serve.listen);
        context.prepare(Purpose::Boot).await?;
        let me = Backend { pid: std::process::id(), url: url.clone(), certificate: None, token: None };
        let _lock = BackendLock::supervise(paths, &me)?;
        let (engine, why) = supervisor::choose(&settings).await?;
        let runtime = engine.map_or("process", |engine| engine.0);
        tracing::info!("the runtime is {runtime}: {why}");
        supervisor::clear(engine, paths).await;
        Backend::none_running(paths).await?;
        // A container can only be given directories that exist. And whatever is wrong with them is reported now, not
        // after three restarts.
        let nothing_changes = watch::channel(Live::of(config)).1;
        app::prepare(&serve::settings(context, nothing_changes), serve.listen).await?.log_made();
        let launch = Launch::new(engine, settings, &serve);
        let ready = || {
            // The backend itself knows best under which address it is reached.
            let url = Backend::running(paths).ok().flatten().map_or_else(|| url.clone(), |backend| backend.url);
            tracing::info!("ready at {url}");
            // One line per start: the first says where the backend is, each later one that it is back.
            if output.is_json() {
                output.line(&json!({"url": url, "pid": std::process::id(), "runtime": runtime}));
            }
        };
        let stop = CancellationToken::new();
        tokio::select! {
            outcome = supervisor::run(&launch, &stop, ready) => outcome?,
            () = stop_on_signal(&stop) => supervisor::clear(engine, paths).await,
        }
        Ok(())
    }

    /// The settings that options set: the topmost layer of the configuration.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let mut flags = self.serve.flags();
        flags.push(Flag::new("supervise.runtime", "--runtime", &self.runtime));
        flags
    }
}

/// The first signal stops the backend in order. A Ctrl-C after it ends everything at once, and then this returns. A
/// second SIGTERM does not count, because `timeout` sends two.
async fn stop_on_signal(stop: &CancellationToken) {
    stop_signal().await;
    stop.cancel();
    ctrl_c().await.expect("Ctrl-C can be handled");
}
