//! `pixelrts up`: the trust anchor. It keeps `pixelrts serve` up, in a container or as a process.

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

/// Start the backend, ask whether it lives, and start it again when it does not
#[derive(Debug, Args)]
#[command(after_help = "Example: keep the backend up without a container\n  pixelrts up --runtime process")]
pub(super) struct Up {
    /// Where the backend runs; auto: docker, else podman, else without a container, as a process [default: auto]
    #[arg(short, long, value_name = "RUNTIME", value_parser = ["auto", "docker", "podman", "process"])]
    runtime: Option<String>,
    #[command(flatten)]
    pub(super) serve: Serve,
}

impl Up {
    pub(super) fn run(self, context: &Context) -> Outcome {
        // One thread, which lives as long as the program: the child dies with the thread that started it.
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
        // A container is given directories; and what is wrong with them is told now, not after three restarts.
        let nothing_changes = watch::channel(Live::of(config)).1;
        drop(app::prepare(&serve::settings(context, nothing_changes), serve.listen).await?);
        let launch = Launch::new(engine, settings, &serve);
        let ready = || {
            // The backend knows best how it is reached.
            let url = Backend::running(paths).ok().flatten().map_or_else(|| url.clone(), |backend| backend.url);
            tracing::info!("ready at {url}");
            // A line each time: for whoever reads them, the first says where it is, the next that it is back.
            if output.is_json() {
                output.line(&json!({"url": url, "pid": std::process::id(), "runtime": runtime}));
            }
        };
        let stop = CancellationToken::new();
        tokio::select! {
            outcome = supervisor::run(&launch, &stop, ready) => outcome?,
            () = obey(&stop) => supervisor::clear(engine, paths).await,
        }
        Ok(())
    }

    /// What the options say of settings: the topmost layer.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let mut flags = self.serve.flags();
        flags.push(Flag::new("supervise.runtime", "--runtime", &self.runtime));
        flags
    }
}

/// The first signal stops the backend in order. It returns with a Ctrl-C after it, which ends everything at once; not
/// with a second SIGTERM: `timeout` sends two.
async fn obey(stop: &CancellationToken) {
    stop_signal().await;
    stop.cancel();
    ctrl_c().await.expect("Ctrl-C can be handled");
}
