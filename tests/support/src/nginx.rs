//! nginx with static files: the web server that people put catalogs on. `cargo xtask test` brings it.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

/// One nginx on a free port of loopback. It is killed when this is dropped.
#[derive(Debug)]
pub struct Nginx {
    port: u16,
    configuration: PathBuf,
    process: Option<Child>,
}

impl Nginx {
    /// Serves the files of `root` with one process, so that a SIGKILL ends it as a whole. Its own files are below
    /// `scratch`; `directives` belong into the `server` block, such as `limit_rate 1m;`.
    pub fn start(root: &Path, scratch: &Path, directives: &str) -> io::Result<Self> {
        Self::with_processes(root, scratch, directives, "master_process off;")
    }

    /// The same with several workers.
    pub fn with_workers(root: &Path, scratch: &Path, directives: &str, workers: usize) -> io::Result<Self> {
        Self::with_processes(root, scratch, directives, &format!("user root;\nworker_processes {workers};"))
    }

    fn with_processes(root: &Path, scratch: &Path, directives: &str, processes: &str) -> io::Result<Self> {
        // The port is free again for nginx, which cannot choose one by itself.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let (root, scratch) = (std::path::absolute(root)?, std::path::absolute(scratch)?);
        std::fs::create_dir_all(&scratch)?;
        let configuration = scratch.join("nginx.conf");
        std::fs::write(&configuration, text(&root, &scratch, port, &[processes, directives]))?;
        let mut this = Self { port, configuration, process: None };
        this.start_again()?;
        Ok(this)
    }

    /// Without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process that owns the others.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Starts it on the same port after it was stopped or killed.
    pub fn start_again(&mut self) -> io::Result<()> {
        let mut command = Command::new(program());
        command.arg("-c").arg(&self.configuration).stdin(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn()?);
        let since = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if since.elapsed() > DEADLINE {
                return Err(io::Error::other(format!("nginx does not answer; see {}", self.configuration.display())));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Ends it as a service manager does. Connections break.
    pub fn stop(&mut self) -> io::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        Command::new("kill").arg(process.id().to_string()).status()?;
        process.wait().map(drop)
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) -> io::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.kill()?;
        process.wait().map(drop)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.stop();
    }
}

/// Where nginx is: installed, or unpacked among the tools of the project.
#[must_use]
pub fn program() -> PathBuf {
    let installed = PathBuf::from("/usr/sbin/nginx");
    let unpacked = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/nginx/usr/sbin/nginx");
    if installed.is_file() { installed } else { PathBuf::from(unpacked) }
}

/// Nothing outside of `scratch` is written.
fn text(root: &Path, scratch: &Path, port: u16, [processes, directives]: &[&str; 2]) -> String {
    let (root, scratch) = (root.display(), scratch.display());
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|kind| format!("{kind}_temp_path {scratch}/{kind};\n")).concat();
    format!(
        "daemon off;\n{processes}\npid {scratch}/nginx.pid;\nerror_log {scratch}/error.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n{temporary}types {{ application/json json; image/png png; text/html html; }}\n\
         default_type application/octet-stream;\naccess_log off;\nsendfile on;\n\
         server {{ listen 127.0.0.1:{port}; root {root};\n{directives}\n}}\n}}\n"
    )
}
