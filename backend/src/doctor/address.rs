//! The address of the backend: whether it is free, and which program uses it when it is not.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};

use pixelrts_shared::doctor::{Finding, FindingState};
use pixelrts_shared::{Problem, ProblemCode};

const CHECK: &str = "address";

/// `safe` means that nobody can read along there, or that the user accepts it. `backend` is the process id and the
/// address of the running backend.
pub(super) fn look(listen: SocketAddr, safe: bool, backend: Option<&(u32, String)>) -> Finding {
    if let Some((pid, url)) = backend
        && url.ends_with(&format!(":{}", listen.port()))
    {
        return Finding::ok(CHECK, format!("The backend runs at {url} (process {pid})."));
    }
    if !safe {
        let what =
            format!("The backend refuses to start at {listen}: everyone on the network could read what is sent.");
        let why = "To be reached from other computers, the shell needs TLS, or the setting insecure_http if you trust \
            the network.";
        let fix = "Set tls.cert and tls.key, or insecure_http: true, or listen on 127.0.0.1.";
        return Finding::of(CHECK, FindingState::Error, Problem::new(ProblemCode::ConfigExposed, what, why, fix));
    }
    // The address is held for a moment only, so nobody connects to it.
    let Err(error) = TcpListener::bind(listen) else {
        return Finding::ok(CHECK, format!("{listen} is free for the backend."));
    };
    Finding::of(CHECK, FindingState::Warning, cannot_listen(listen, &error))
}

/// Why the backend cannot listen there, with the program that already does.
pub fn cannot_listen(listen: SocketAddr, error: &io::Error) -> Problem {
    let what = format!("The backend cannot listen on {listen}.");
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let who = holder(listen.port()).unwrap_or_else(|| "A program of another user".to_owned());
            let fix = "Stop it, or choose another port: pixelrts serve --listen 127.0.0.1:0";
            Problem::new(ProblemCode::Busy, what, format!("{who} listens there."), fix)
        }
        io::ErrorKind::PermissionDenied => {
            let fix = "Choose a port above 1023: pixelrts serve --listen 127.0.0.1:8080";
            Problem::new(ProblemCode::PermissionDenied, what, error.to_string(), fix)
        }
        _ => {
            let fix = "Choose an address of this computer: pixelrts serve --listen 127.0.0.1:8080";
            Problem::new(ProblemCode::ConfigInvalid, what, error.to_string(), fix)
        }
    }
}

/// The program that listens on a port, as far as this user may see: its socket's number is in the kernel's tables,
/// and among the descriptors of its process.
fn holder(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let sockets: Vec<_> =
        tables.iter().flat_map(|table| table.lines()).filter_map(|line| listening(line, port)).collect();
    let processes = fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    for process in processes {
        let descriptors = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        for link in descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok()) {
            if sockets.iter().any(|socket| link.as_os_str() == format!("socket:[{socket}]").as_str()) {
                let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(format!("Process {} ({})", process.file_name().to_string_lossy(), name.trim()));
            }
        }
    }
    None
}

/// The number of a listening socket with this port, from a line as in `0: 0100007F:1F90 00000000:0000 0A ...`.
fn listening(line: &str, port: u16) -> Option<&str> {
    const LISTEN: &str = "0A";
    let mut words = line.split_whitespace();
    let (_, local_port) = words.nth(1)?.rsplit_once(':')?;
    let state = words.nth(1)?;
    let socket = words.nth(5)?;
    (state == LISTEN && u16::from_str_radix(local_port, 16).ok()? == port).then_some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_that_listens_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let found = look(address, true, None);
        let why = found.problem.unwrap().why;
        assert!(found.state == FindingState::Warning && why.contains(&std::process::id().to_string()), "{why}");
        let ours = look(address, true, Some(&(7, format!("http://{address}"))));
        assert!(ours.state == FindingState::Ok && ours.says.contains("process 7"), "{ours:?}");
        // A program that another test starts may hold the socket for a moment, and another test may get its port.
        let is_free = || {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            look(address, true, None).state == FindingState::Ok
        };
        assert!((0..20).any(|_| is_free()));
        assert_eq!(look("0.0.0.0:0".parse().unwrap(), false, None).problem.unwrap().code, ProblemCode::ConfigExposed);
        let elsewhere = look("192.0.2.1:8080".parse().unwrap(), true, None);
        assert_eq!(elsewhere.problem.unwrap().code, ProblemCode::ConfigInvalid);
    }

    #[test]
    fn only_listening_sockets_count() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 31337 1 x 100";
        assert_eq!(listening(line, 8080), Some("31337"));
        assert_eq!(listening(line, 8081), None);
        assert_eq!(listening(&line.replace(" 0A ", " 01 "), 8080), None);
        assert_eq!(listening("  sl  local_address rem_address   st tx_queue", 8080), None);
    }
}
