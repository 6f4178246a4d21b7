//! From the image to the end of QEMU, step by step.
//!
//! It verifies what will be booted, mounts the image and starts QEMU. Then it waits for whatever comes first: an event of
//! QEMU, a sign on the console, the end of the process, a request to stop. Stopping is a ladder, and each rung has a
//! deadline: the power button, `quit`, SIGKILL.

use std::future::{Future, pending};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pixelrts_shared::machine::{BootStage, Machine};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant as Clock, timeout};

use super::super::MachineError;
use super::super::accel::HostFacts;
use super::super::console::{Console, Sign};
use super::super::life::{Event, Life};
use super::super::opened_image;
use super::super::plan::{ImageFacts, plan};
use super::super::qemu::{Ends, Qemu};
use super::super::qmp::{self, Qmp, QmpError};
use super::{Spec, until};
use crate::cache::hold;
use crate::export::{Mount, disks::Disks};
use crate::task::{Scope, blocking};

/// A mount answers in milliseconds.
const MOUNT_WITHIN: Duration = Duration::from_secs(10);
/// QEMU's control socket answers within 100 ms; on a busy computer it may take longer.
const QMP_WITHIN: Duration = Duration::from_secs(10);
/// A guest shuts down its services after the power button.
const POWERDOWN_WITHIN: Duration = Duration::from_secs(5);
const QUIT_WITHIN: Duration = Duration::from_secs(2);
/// From a panic to the end of the machine: the trace is still being written, and `panic=` may reboot the guest.
const PANIC_GRACE: Duration = Duration::from_secs(2);
/// For reading what is left in the sockets when QEMU has ended.
const DRAIN_WITHIN: Duration = Duration::from_secs(1);

/// A step down the ladder, and how long it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rung {
    Powerdown,
    Quit,
    Kill,
}

impl Rung {
    fn patience(self) -> Duration {
        match self {
            Self::Powerdown => POWERDOWN_WITHIN,
            Self::Quit | Self::Kill => QUIT_WITHIN,
        }
    }

    /// `None` begins the ladder. Without a running kernel nothing reacts to the power button.
    fn after(rung: Option<Self>, kernel_runs: bool) -> Self {
        match rung {
            None if kernel_runs => Self::Powerdown,
            None | Some(Self::Powerdown) => Self::Quit,
            Some(Self::Quit | Self::Kill) => Self::Kill,
        }
    }
}

/// The task that acts.
pub(super) struct Steps {
    pub(super) life: Life,
    pub(super) publish: watch::Sender<Machine>,
    pub(super) stops: mpsc::Receiver<()>,
    pub(super) signs: mpsc::Receiver<Sign>,
    pub(super) console: Console,
    pub(super) mountpoint: PathBuf,
    pub(super) serial_socket: PathBuf,
    pub(super) disk_socket: PathBuf,
    pub(super) scope: Scope,
}

/// Why a boot ended before QEMU ran.
enum NotBooted {
    Stopped,
    Failed(MachineError),
}

impl<E: Into<MachineError>> From<E> for NotBooted {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Steps {
    pub(super) async fn run(mut self, spec: Spec, serial: OwnedFd) {
        let mut mount = None;
        // The cache keeps what a machine uses, to the end of this process at the latest.
        let path = spec.image.clone();
        let _held = blocking(move || hold(&path)).await;
        let ran = match self.start(&spec, serial, &mut mount).await {
            Ok((qemu, qmp)) => self.follow(qemu, qmp).await.map_err(NotBooted::Failed),
            Err(reason) => Err(reason),
        };
        let last = ran.unwrap_or_else(|reason| match reason {
            NotBooted::Stopped => {
                self.apply(Event::StopRequested);
                Event::QemuEnded { how: String::new(), output: String::new() }
            }
            NotBooted::Failed(error) => Event::Failed(error.into()),
        });
        // Only now: whoever sees that the machine is over should find nothing of it.
        blocking(move || drop(mount)).await;
        self.apply(last);
    }

    /// From the image to a running QEMU. The mount is in `mount` also when this fails.
    async fn start(
        &mut self,
        spec: &Spec,
        serial: OwnedFd,
        mount: &mut Option<Mount>,
    ) -> Result<(Qemu, UnixStream), NotBooted> {
        let host = HostFacts::gather();
        spec.options.check(&host)?;

        self.apply(Event::Entered(BootStage::Verifying));
        let (path, expected) = (spec.image.clone(), spec.expected);
        let opening = blocking(move || opened_image::open(&path, expected));
        let image = Arc::new(self.unless_stopped(opening).await??);

        self.apply(Event::Entered(BootStage::Mounting));
        let facts = ImageFacts::of(&image, &self.mountpoint, &self.disk_socket)?;
        let (mounted, mountpoint) = (Arc::clone(&image), self.mountpoint.clone());
        // A stop does not interrupt this: an image that is half mounted could not be unmounted.
        let making = timeout(MOUNT_WITHIN, blocking(move || Mount::new(mounted, &mountpoint)));
        let slow = |_| MachineError::Slow { step: "Mounting the image", seconds: MOUNT_WITHIN.as_secs() };
        *mount = Some(making.await.map_err(slow)??);
        self.apply(Event::Mounted(self.mountpoint.display().to_string()));
        if facts.disks.is_some() {
            let fail = |source| MachineError::RunDir { path: self.disk_socket.clone(), source };
            let listener = UnixListener::bind(&self.disk_socket).map_err(fail)?;
            self.scope.spawn(Disks::new(image)?.serve(listener, self.scope.clone()));
        }

        self.apply(Event::Entered(BootStage::Starting));
        let (qmp, qmp_end) = socket_pair()?;
        let ends = Ends { serial, qmp: qmp_end };
        let machine = self.life.machine(Instant::now());
        let plan = plan(&spec.options, &facts, &host, ends.wires(), machine.id.as_str())?;
        tracing::debug!(qemu = plan.shell_line(), "starting");
        let qemu = Qemu::start(&plan, ends, &self.scope)?;
        let serial_socket = self.serial_socket.display().to_string();
        self.apply(Event::Started { pid: qemu.pid(), accel: plan.accel, serial_socket });
        Ok((qemu, qmp))
    }

    /// Follows QEMU to its end. Returns the last event, which is not applied yet.
    async fn follow(&mut self, mut qemu: Qemu, socket: UnixStream) -> Result<Event, MachineError> {
        let mut qmp = None;
        let mut connecting = Box::pin(Qmp::connect(socket, QMP_WITHIN));
        let mut connected = false;
        let mut rung: Option<Rung> = None;
        let mut deadline: Option<Clock> = None;
        let status = loop {
            let mut descending = false;
            tokio::select! {
                status = qemu.wait() => break status,
                answer = &mut connecting, if !connected => {
                    connected = true;
                    match answer {
                        Ok(client) => qmp = Some(client),
                        Err(error) => break self.give_up(&mut qemu, error).await?,
                    }
                    self.apply(Event::Answered);
                    self.apply(Event::Entered(BootStage::Loading));
                }
                event = next_event(&mut qmp) => match event {
                    Some(event) => self.on_event(event),
                    None => qmp = None,
                },
                Some(sign) = self.signs.recv() => {
                    if matches!(sign, Sign::Panic(_)) {
                        deadline.get_or_insert(Clock::now() + PANIC_GRACE);
                    }
                    self.on_sign(sign);
                }
                Some(()) = self.stops.recv() => {
                    self.apply(Event::StopRequested);
                    descending = rung != Some(Rung::Kill);
                }
                // Only a process that hangs in the kernel survives SIGKILL; unmounting by force releases it.
                () = until(deadline), if rung == Some(Rung::Kill) => {
                    break Err(io::Error::other("it did not end when it was killed"));
                }
                () = until(deadline) => descending = true,
            }
            if descending {
                let next = Rung::after(rung, self.life.kernel_runs());
                rung = Some(next);
                deadline = Some(Clock::now() + next.patience());
                descend(next, &mut qmp, &mut qemu).await;
            }
        };
        self.drain(qmp).await;
        let how = match status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        Ok(Event::QemuEnded { how, output: qemu.last_output().await })
    }

    /// A QEMU that closes its control socket is usually about to end, and how it ends explains more than the socket.
    async fn give_up(&self, qemu: &mut Qemu, error: QmpError) -> Result<io::Result<ExitStatus>, MachineError> {
        if let Ok(status) = timeout(QUIT_WITHIN, qemu.wait()).await {
            return Ok(status);
        }
        qemu.kill();
        Err(error.into())
    }

    /// Reads what was still under way when QEMU ended.
    async fn drain(&mut self, mut qmp: Option<Qmp>) {
        let _ = timeout(DRAIN_WITHIN, async {
            while let Some(event) = next_event_or_end(&mut qmp).await {
                self.on_event(event);
            }
            self.console.closed().await;
        })
        .await;
        while let Ok(sign) = self.signs.try_recv() {
            self.on_sign(sign);
        }
    }

    fn on_event(&mut self, event: qmp::Event) {
        self.apply(match event {
            qmp::Event::Shutdown(shutdown) => Event::Shutdown(shutdown),
            qmp::Event::GuestPanicked => Event::Panicked { line: "The guest reported the panic to QEMU.".to_owned() },
            qmp::Event::Stop => Event::Paused,
            qmp::Event::Resume => Event::Resumed,
            qmp::Event::Other => return,
        });
    }

    fn on_sign(&mut self, sign: Sign) {
        self.apply(match sign {
            Sign::FirstByte => Event::Entered(BootStage::Kernel),
            Sign::Marker => Event::Entered(BootStage::Ready),
            Sign::Panic(line) => Event::Panicked { line },
        });
    }

    fn apply(&mut self, event: Event) {
        let now = Instant::now();
        self.life.apply(event, now);
        self.publish.send_replace(self.life.machine(now));
    }

    async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Result<T, NotBooted> {
        tokio::select! {
            done = work => Ok(done),
            Some(()) = self.stops.recv() => Err(NotBooted::Stopped),
        }
    }
}

fn socket_pair() -> Result<(UnixStream, OwnedFd), MachineError> {
    let pair = || -> io::Result<_> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok((UnixStream::from_std(ours)?, theirs.into()))
    };
    pair().map_err(|source| MachineError::Spawn { program: "QEMU".to_owned(), source })
}

async fn descend(rung: Rung, qmp: &mut Option<Qmp>, qemu: &mut Qemu) {
    let command = match rung {
        Rung::Powerdown => qmp::Command::Powerdown,
        Rung::Quit => qmp::Command::Quit,
        Rung::Kill => return qemu.kill(),
    };
    if let Some(client) = qmp
        && let Err(error) = client.execute(command).await
    {
        tracing::debug!(%error, "QEMU did not take a command to stop; the next rung of the ladder follows");
    }
}

/// Without a client there are no events, and this never ends.
async fn next_event(qmp: &mut Option<Qmp>) -> Option<qmp::Event> {
    match qmp {
        Some(_) => next_event_or_end(qmp).await,
        None => pending().await,
    }
}

async fn next_event_or_end(qmp: &mut Option<Qmp>) -> Option<qmp::Event> {
    qmp.as_mut()?.event().await.unwrap_or_else(|error| {
        tracing::debug!(%error, "QEMU's control socket failed");
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_ends_in_a_kill_and_stays_there() {
        let ladder = |kernel_runs| {
            let mut rung = None;
            std::array::from_fn::<_, 4, _>(|_| *rung.insert(Rung::after(rung, kernel_runs)))
        };
        assert_eq!(ladder(true), [Rung::Powerdown, Rung::Quit, Rung::Kill, Rung::Kill]);
        assert_eq!(ladder(false), [Rung::Quit, Rung::Kill, Rung::Kill, Rung::Kill]);
    }
}
