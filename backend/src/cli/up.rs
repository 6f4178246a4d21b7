//! `pixelrts up`: the trust anchor. It keeps `pixelrts serve` up, in a container or as a process.

use clap::Args;
use serde_json::json;
use tokio::runtime::Builder;
use tokio::signal::ctrl_c;
use tokio_util::sync::CancellationToken;

use super::serve::{Forwarded, stop_signal};
use super::{Context, Outcome};
use crate::app::{Backend, BackendLock};
use crate::bootstrap;
use crate::supervisor::{self, Launch, Profile, RuntimeChoice, Settings};

/// Start the backend, ask whether it lives, and start it again when it does not
#[derive(Debug, Args)]
#[command(after_help = "Example: keep the backend up without a container\n  pixelrts up --runtime process")]
pub(super) struct Up {
    /// Where the backend runs [default: auto]
    #[arg(short, long, value_enum)]
    runtime: Option<RuntimeChoice>,
    /// What its container may do [default: least]
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// The container image of the backend [default: localhost/pixelrts:latest]
    #[arg(long)]
    image: Option<String>,
    #[command(flatten)]
    serve: Forwarded,
}

impl Up {
    pub(super) fn run(self, context: &Context) -> Outcome {
        // One thread, which lives as long as the program: the child dies with the thread that started it.
        super::built(&mut Builder::new_current_thread())?.block_on(self.supervise(context))
    }

    async fn supervise(self, Context { output, paths }: &Context) -> Outcome {
        let settings = self.settings();
        let serve = self.serve.told(paths)?;
        // A container is given directories; and what is wrong with them is told now, not after three restarts.
        drop(bootstrap::shell(paths)?);
        let url = format!("http://{}", serve.listen);
        let _lock = BackendLock::supervise(paths, &url)?;
        let (engine, why) = supervisor::choose(&settings).await?;
        let runtime = engine.map_or("process", |engine| engine.0);
        tracing::info!("the runtime is {runtime}: {why}");
        let launch = Launch::new(engine, settings, &serve);
        supervisor::clear(&launch).await;
        Backend::none_running(paths).await?;
        let ready = || {
            // The backend knows best how it is reached.
            let url = Backend::running(paths).map_or_else(|| url.clone(), |backend| backend.url);
            tracing::info!("ready at {url}");
            // A line each time: for whoever reads them, the first says where it is, the next that it is back.
            if output.is_json() {
                output.line(&json!({"url": url, "pid": std::process::id(), "runtime": runtime}));
            }
        };
        let stop = CancellationToken::new();
        tokio::select! {
            outcome = supervisor::run(&launch, &stop, ready) => outcome?,
            () = obey(&stop) => supervisor::clear(&launch).await,
        }
        Ok(())
    }

    /// The place where other sources of settings join the command line.
    fn settings(&self) -> Settings {
        let base = Settings::default();
        Settings {
            runtime: self.runtime.unwrap_or(base.runtime),
            profile: self.profile.unwrap_or(base.profile),
            image: self.image.clone().unwrap_or(base.image),
            ..base
        }
    }
}

/// The first signal stops the backend in order. It returns with a Ctrl-C after it, which ends everything at once; not
/// with a second SIGTERM: `timeout` sends two.
async fn obey(stop: &CancellationToken) {
    stop_signal().await;
    stop.cancel();
    ctrl_c().await.expect("Ctrl-C can be handled");
}
