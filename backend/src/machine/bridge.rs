//! The bridge from an image to a running machine: one `boot()`, one `stop()`, and everything cleaned up between.
//!
//! One task drives it: it verifies what will be booted, mounts the image, starts QEMU, then waits for whatever comes
//! first: a word of QEMU, a sign on the console, the end of the process, somebody who wants it stopped. What all that
//! means is decided in [`Life`]; here only things happen. Stopping is a ladder, each rung with a deadline: the power
//! button, `quit`, SIGKILL.

use std::future::{Future, pending};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pixelrts_shared::catalog::Role;
use pixelrts_shared::machine::{BootStage, Machine, MachineState};
use pixelrts_shared::{Digest, MachineId};
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant as Clock, timeout};

use super::accel::HostFacts;
use super::console::{Console, Sign};
use super::life::{Event, Life};
use super::plan::{BootOptions, ImageFacts, plan};
use super::qemu::{Ends, Qemu};
use super::qmp::{self, Qmp, QmpError};
use super::run_dir::RunDir;
use super::{MachineError, life};
use crate::export::Mount;
use crate::image::{Image, Limits};
use crate::task::{Scope, blocking};

/// What to boot, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The image's SHA-256.
    pub key: Digest,
    pub name: String,
    /// A file on this computer.
    pub image: PathBuf,
    pub options: BootOptions,
}

/// A machine and all that belongs to it. Dropping it does not stop it: its scope does, or [`BootBridge::stop`].
#[derive(Debug)]
pub struct BootBridge {
    machine: watch::Receiver<Machine>,
    console: Console,
    stop: mpsc::Sender<()>,
    driver: JoinHandle<()>,
}

/// A mount answers in milliseconds.
const MOUNT: Duration = Duration::from_secs(10);
/// QEMU's control socket answers within 100 ms; a busy computer may take long.
const QMP: Duration = Duration::from_secs(10);
/// A guest that hears the power button shuts its services down.
const POWERDOWN: Duration = Duration::from_secs(5);
const QUIT: Duration = Duration::from_secs(2);
/// From a panic to the end: the trace is still being written, and `panic=` may reboot.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// For what is in the sockets when QEMU has gone.
const DRAIN: Duration = Duration::from_secs(1);

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
            Self::Powerdown => POWERDOWN,
            Self::Quit | Self::Kill => QUIT,
        }
    }

    /// `None` begins; a guest whose kernel does not run yet hears no power button.
    fn after(rung: Option<Self>, kernel_runs: bool) -> Self {
        match rung {
            None if kernel_runs => Self::Powerdown,
            None | Some(Self::Powerdown) => Self::Quit,
            Some(Self::Quit | Self::Kill) => Self::Kill,
        }
    }
}

impl Spec {
    /// The machine before anything has happened.
    #[must_use]
    pub fn machine(&self, id: MachineId) -> Machine {
        Machine {
            id,
            key: self.key,
            name: self.name.clone(),
            success: false,
            state: MachineState::Starting,
            stage: None,
            stages: Vec::new(),
            accel: None,
            memory: self.options.memory.clone(),
            cpus: self.options.cpus,
            pid: None,
            mountpoint: None,
            serial_socket: None,
            vnc_port: None,
            uptime_seconds: 0,
            restarts: 0,
            ended: None,
            problem: None,
        }
    }
}

impl BootBridge {
    /// Begins to boot, and returns at once; [`BootBridge::changes`] tells the rest.
    ///
    /// Call it on a current-thread runtime of the main thread: QEMU is bound to the thread that starts it.
    pub fn boot(spec: Spec, dir: &RunDir, scope: &Scope) -> Result<Self, MachineError> {
        let fail = |source| MachineError::RunDir { path: dir.path().to_owned(), source };
        let (serial, serial_end) = StdUnixStream::pair().map_err(fail)?;
        let (signs, seen) = mpsc::channel(4);
        let console = Console::start(serial, spec.options.ready_marker.clone(), signs, scope).map_err(fail)?;
        let listener = UnixListener::bind(dir.serial_socket()).map_err(fail)?;
        scope.spawn(console.clone().serve(listener, scope.clone()));

        let life = Life::new(spec.machine(dir.id().clone()), Instant::now());
        let (publish, machine) = watch::channel(life.machine(Instant::now()));
        let (stop, stops) = mpsc::channel(4);
        let driver = Driver {
            life,
            publish,
            stops,
            signs: seen,
            console: console.clone(),
            mountpoint: dir.mountpoint(),
            serial_socket: dir.serial_socket(),
            scope: scope.clone(),
        };
        let driver = scope.spawn_careful(driver.run(spec, serial_end.into()));
        Ok(Self { machine, console, stop, driver })
    }

    /// The machine, again after every change. The last one is over, and then nothing of it is left but the
    /// run directory.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Machine> {
        self.machine.clone()
    }

    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// A handle that asks the machine to stop; asked again, it does not wait for the guest any more.
    #[must_use]
    pub fn stop(&self) -> mpsc::Sender<()> {
        self.stop.clone()
    }

    /// Waits for the end.
    pub async fn ended(self) -> Machine {
        // The driver ends with its scope at the latest; a panic in it still leaves its last word.
        let _ = self.driver.await;
        self.machine.borrow().clone()
    }
}

/// The one task that makes things happen.
struct Driver {
    life: Life,
    publish: watch::Sender<Machine>,
    stops: mpsc::Receiver<()>,
    signs: mpsc::Receiver<Sign>,
    console: Console,
    mountpoint: PathBuf,
    serial_socket: PathBuf,
    scope: Scope,
}

/// Why a boot did not come to a running QEMU.
enum NotBooted {
    Stopped,
    Failed(MachineError),
}

impl<E: Into<MachineError>> From<E> for NotBooted {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Driver {
    async fn run(mut self, spec: Spec, serial: OwnedFd) {
        let mut mount = None;
        let ran = match self.start(&spec, serial, &mut mount).await {
            Ok((qemu, qmp)) => self.follow(qemu, qmp).await.map_err(NotBooted::Failed),
            Err(reason) => Err(reason),
        };
        let last = ran.unwrap_or_else(|reason| match reason {
            NotBooted::Stopped => {
                self.tell(Event::StopAsked);
                Event::Gone { how: String::new(), said: String::new() }
            }
            NotBooted::Failed(error) => Event::Failed(error.into()),
        });
        // Only now: whoever hears that the machine is over finds nothing of it.
        blocking(move || drop(mount)).await;
        self.tell(last);
    }

    /// Image to QEMU. Whatever was made is in `mount` or is dropped.
    async fn start(
        &mut self,
        spec: &Spec,
        serial: OwnedFd,
        mount: &mut Option<Mount>,
    ) -> Result<(Qemu, UnixStream), NotBooted> {
        let host = HostFacts::gather();
        spec.options.check(&host)?;

        self.tell(Event::Entered(BootStage::Verifying));
        let path = spec.image.clone();
        let image = self.unless_stopped(blocking(move || verified(&path))).await??;

        self.tell(Event::Entered(BootStage::Mounting));
        let facts = ImageFacts::of(&image, &self.mountpoint)?;
        let (mounted, mountpoint) = (Arc::clone(&image), self.mountpoint.clone());
        // Not to be interrupted: what is mounted half way could not be unmounted.
        let making = timeout(MOUNT, blocking(move || Mount::new(mounted, &mountpoint)));
        let slow = |_| MachineError::Slow { step: "mounting the image", seconds: MOUNT.as_secs() };
        *mount = Some(making.await.map_err(slow)??);
        self.tell(Event::Mounted(self.mountpoint.display().to_string()));

        self.tell(Event::Entered(BootStage::Starting));
        let (qmp, qmp_end) = socket_pair()?;
        let ends = Ends { serial, qmp: qmp_end };
        let machine = self.life.machine(Instant::now());
        let plan = plan(&spec.options, &facts, &host, ends.wires(), machine.id.as_str())?;
        tracing::debug!(qemu = plan.shell_line(), "starting");
        let qemu = Qemu::start(&plan, ends, &self.scope)?;
        let serial_socket = self.serial_socket.display().to_string();
        self.tell(Event::Started { pid: qemu.pid(), accel: plan.accel, serial_socket });
        Ok((qemu, qmp))
    }

    /// QEMU to its end; returns the last event, which is not told yet.
    async fn follow(&mut self, mut qemu: Qemu, socket: UnixStream) -> Result<Event, MachineError> {
        let mut qmp = None;
        let mut connecting = Box::pin(Qmp::connect(socket, QMP));
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
                    self.tell(Event::Answered);
                    self.tell(Event::Entered(BootStage::Loading));
                }
                event = next_event(&mut qmp) => match event {
                    Some(event) => self.hear(event),
                    None => qmp = None,
                },
                Some(sign) = self.signs.recv() => {
                    if matches!(sign, Sign::Panic(_)) {
                        deadline.get_or_insert(Clock::now() + LAST_WORDS);
                    }
                    self.see(sign);
                }
                Some(()) = self.stops.recv() => {
                    self.tell(Event::StopAsked);
                    descending = rung != Some(Rung::Kill);
                }
                // Only a process that hangs in the kernel survives this; unmounting by force sets it free.
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
        Ok(Event::Gone { how, said: qemu.last_words().await })
    }

    /// A QEMU that closes its control socket is most often about to end, and its end says more than the socket.
    async fn give_up(&self, qemu: &mut Qemu, error: QmpError) -> Result<io::Result<ExitStatus>, MachineError> {
        if let Ok(status) = timeout(QUIT, qemu.wait()).await {
            return Ok(status);
        }
        qemu.kill();
        Err(error.into())
    }

    /// Hears what was still under way when QEMU went.
    async fn drain(&mut self, mut qmp: Option<Qmp>) {
        let _ = timeout(DRAIN, async {
            while let Some(event) = next_event_or_end(&mut qmp).await {
                self.hear(event);
            }
            self.console.closed().await;
        })
        .await;
        while let Ok(sign) = self.signs.try_recv() {
            self.see(sign);
        }
    }

    fn hear(&mut self, event: qmp::Event) {
        self.tell(match event {
            qmp::Event::Shutdown(shutdown) => Event::Shutdown(shutdown),
            qmp::Event::GuestPanicked => Event::Panicked { line: "the guest told QEMU so".to_owned() },
            qmp::Event::Stop => Event::Paused,
            qmp::Event::Resume => Event::Resumed,
            qmp::Event::Other => return,
        });
    }

    fn see(&mut self, sign: Sign) {
        self.tell(match sign {
            Sign::FirstByte => Event::Entered(BootStage::Kernel),
            Sign::Marker => Event::Entered(BootStage::Ready),
            Sign::Panic(line) => Event::Panicked { line },
        });
    }

    fn tell(&mut self, event: life::Event) {
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

/// Opens the image and checks every byte that QEMU will read: it maps the initrd, and an error there would kill it.
fn verified(path: &Path) -> Result<Arc<Image>, MachineError> {
    let image = Image::open_file(path, &Limits::default())?;
    for role in [Role::Kernel, Role::Initrd] {
        if let Some(segment) = image.first(role) {
            image.verify_segment(segment)?;
        }
    }
    Ok(Arc::new(image))
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
        tracing::debug!(%error, "the next rung follows");
    }
}

/// Never ends without a client: then there is nothing to hear.
async fn next_event(qmp: &mut Option<Qmp>) -> Option<qmp::Event> {
    match qmp {
        Some(_) => next_event_or_end(qmp).await,
        None => pending().await,
    }
}

async fn next_event_or_end(qmp: &mut Option<Qmp>) -> Option<qmp::Event> {
    qmp.as_mut()?.event().await.unwrap_or_else(|error| {
        tracing::debug!(%error, "QEMU's control socket");
        None
    })
}

pub(super) async fn until(deadline: Option<Clock>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => pending().await,
    }
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
