//! The time from a crash of the backend to its next answer, under `pixelrts up`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::paired::round_count;
use super::super::report::Row;
use super::super::{BINARY, Bench};
use crate::command::{finish, output};
use crate::container_image::Containers;

/// How long the supervisor waits after the first crash. This time is intended, so it does not count.
const BACKOFF: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(60);

pub(super) fn measure(bench: &Bench, containers: &Containers) -> Result<Vec<Row>> {
    let process = after_a_crash(bench, None, "process", "crash to answering again, process", "<= backoff + 300 ms")?;
    let (what, goal) = ("crash to answering again, podman", "<= backoff + 1.5 s");
    let podman = match containers {
        Containers::Run(settings) => after_a_crash(bench, settings.as_deref(), "podman", what, goal)?,
        Containers::CannotRun(why) => Row {
            id: "F2",
            what,
            goal,
            measured: "not measured".into(),
            note: format!("podman can start no container here: {}", why.lines().next().unwrap_or_default()),
        },
    };
    Ok(vec![process, podman])
}

fn after_a_crash(
    bench: &Bench,
    containers: Option<&Path>,
    runtime: &'static str,
    what: &'static str,
    goal: &'static str,
) -> Result<Row> {
    let home = bench.scratch("up");
    let mut times = (0..round_count())
        .map(|_| {
            let up = Up::start(&home, containers, runtime)?;
            let since = Instant::now();
            finish(Command::new("kill").arg("-KILL").arg(up.backend()?))?;
            up.until_it_answers()?;
            let away = since.elapsed().checked_sub(BACKOFF);
            away.context("it was back before the backoff was over")
        })
        .collect::<Result<Vec<_>>>()?;
    times.sort();
    let ms = |time: Duration| time.as_millis();
    Ok(Row {
        id: "F2",
        what,
        goal,
        measured: format!(
            "backoff + {} ms ({} to {})",
            ms(times[times.len() / 2]),
            ms(times[0]),
            ms(times[times.len() - 1])
        ),
        note: format!("backoff {BACKOFF:?}, until /api/v1/health answers"),
    })
}

/// A `pixelrts up` whose backend answers. It is stopped when this is dropped.
struct Up {
    process: Child,
    runtime: &'static str,
    /// `127.0.0.1:PORT`
    address: String,
}

impl Up {
    fn start(home: &Path, containers: Option<&Path>, runtime: &'static str) -> Result<Self> {
        let mut command = Command::new(BINARY);
        command.args(["up", "--json", "--quiet", "--listen", "127.0.0.1:0", "--runtime", runtime]).env("HOME", home);
        let folders =
            [("RUNTIME_DIR", "run"), ("CACHE_HOME", "cache"), ("STATE_HOME", "state"), ("CONFIG_HOME", "config")];
        for (name, folder) in folders {
            command.env(format!("XDG_{name}"), home.join(folder));
        }
        command.envs(containers.map(|path| ("CONTAINERS_CONF", path)));
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context(BINARY)?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("standard output is piped")?).read_line(&mut line)?;
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
        Ok(Self { process, runtime, address: address.with_context(|| format!("it said {line:?}"))? })
    }

    /// The process id of the backend, as this computer sees it.
    fn backend(&self) -> Result<String> {
        let id = self.process.id();
        if self.runtime != "process" {
            return output(self.runtime, &["inspect", "--format", "{{.State.Pid}}", "pixelrts-backend"])
                .context("there is no container");
        }
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        Ok(children.split_whitespace().next().context("it has no child")?.to_owned())
    }

    fn until_it_answers(&self) -> Result<()> {
        let since = Instant::now();
        while self.ask().is_err() {
            ensure!(since.elapsed() < DEADLINE, "no answer within {DEADLINE:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn ask(&self) -> Result<()> {
        // A packet that reaches no container is sent again only after a second. A new connection is faster.
        let patience = Duration::from_millis(100);
        let mut stream = TcpStream::connect_timeout(&self.address.parse()?, patience)?;
        stream.set_read_timeout(Some(patience))?;
        write!(stream, "GET /api/v1/health HTTP/1.1\r\nHost: {}\r\n\r\n", self.address)?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        ensure!(answer.ends_with(b"200"), "{}", String::from_utf8_lossy(&answer));
        Ok(())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // `pixelrts up` stops its backend before it ends.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}
