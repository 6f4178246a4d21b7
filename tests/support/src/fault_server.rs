//! A web server on loopback that misbehaves as it is asked to: the first part of a path names the fault.
//!
//! Add `server.base("short206")` as a catalog server, or fetch `server.image("short206")`. Under every name stand a
//! catalog (`/NAME/catalog.json` and `/NAME/api/v1/catalog`) with one entry `five`, and its image (`/NAME/x.rts.png`).
//! Names that begin with `cat` spoil the catalog and serve an honest image; the other names spoil the image and serve
//! an honest catalog; a name that nobody knows spoils nothing.
//!
//! | names | where they are explained |
//! | --- | --- |
//! | `cathtml`, `catgz`, `cats3`, `entries/COUNT`, ... | `catalog.rs` |
//! | `hangmid`, `short206`, `mirrors`, `e404`, `rate/BYTES_PER_SECOND`, ... | `image.rs` |
//! | `mix/SEED/FAULTS`, `mix-quick/...`, `mix-sound/...` | `mix.rs`: a seeded random fault in each of the first FAULTS answers |
//!
//! The server keeps a log of all requests, with the bytes of the image that each of them was sent. A test that needs an
//! answer of its own decides it with [`FaultServer::deciding`]. There is a second port, another origin, to which some
//! faults redirect: requests there are marked in the log.

mod catalog;
mod image;
mod mix;
mod reply;
mod request;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

pub use mix::{Fault, Kinds};
pub use reply::{After, Reply};
pub use request::Request;

/// The longest time that a thread does not look whether it should end.
const PATIENCE: Duration = Duration::from_millis(50);

/// Stops when it is dropped, whatever its connections are doing.
#[derive(Debug)]
pub struct FaultServer {
    address: SocketAddr,
    state: Arc<State>,
    listeners: Vec<JoinHandle<()>>,
}

/// What the server offers: an image, and facts about it.
#[derive(Debug)]
pub struct Offer {
    bytes: Arc<[u8]>,
    sha256: String,
    /// The same with one wrong byte, made when it is needed.
    wrong: OnceLock<Arc<[u8]>>,
    /// The address of the second port, without a slash at the end.
    elsewhere: String,
    /// Instead of the catalog with one entry.
    catalog: Mutex<Option<Vec<u8>>>,
}

/// A request, and what became of it.
#[derive(Clone, Debug)]
pub struct Logged {
    pub request: Request,
    /// What the answer was, in a few words.
    pub did: String,
    /// How many bytes of the body were sent until now.
    pub sent: u64,
}

type Decide = dyn Fn(&Request) -> Option<Reply> + Send + Sync;

struct State {
    offer: Offer,
    decide: Box<Decide>,
    /// How many requests there were of each fault.
    counts: Mutex<HashMap<String, usize>>,
    log: Mutex<Vec<(Logged, Arc<AtomicU64>)>>,
    stopped: AtomicBool,
    connections: Mutex<Vec<JoinHandle<()>>>,
}

impl FaultServer {
    /// Offers these bytes as the image.
    ///
    /// # Panics
    /// When loopback has no free port.
    #[must_use]
    pub fn start(image: impl Into<Vec<u8>>) -> Self {
        Self::deciding(image, |_| None)
    }

    /// The same, with answers that the test decides: `None` leaves a request to the name in its path.
    ///
    /// # Panics
    /// When loopback has no free port.
    #[must_use]
    pub fn deciding(
        image: impl Into<Vec<u8>>,
        decide: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let (home, elsewhere) = (bind(), bind());
        let address = |listener: &TcpListener| listener.local_addr().expect("a listener has an address");
        let bytes: Arc<[u8]> = image.into().into();
        let offer = Offer {
            sha256: Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes,
            wrong: OnceLock::new(),
            elsewhere: format!("http://{}", address(&elsewhere)),
            catalog: Mutex::default(),
        };
        let state = Arc::new(State {
            offer,
            decide: Box::new(decide),
            counts: Mutex::default(),
            log: Mutex::default(),
            stopped: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let address = address(&home);
        let listen = |listener: TcpListener, is_elsewhere| {
            let state = Arc::clone(&state);
            thread::spawn(move || state.accept(&listener, is_elsewhere))
        };
        let listeners = vec![listen(home, false), listen(elsewhere, true)];
        Self { address, state, listeners }
    }

    /// The address of the server with a fault, as of a catalog server; without a slash at the end.
    #[must_use]
    pub fn base(&self, fault: &str) -> String {
        format!("http://{}/{fault}", self.address)
    }

    /// The address of the image with a fault.
    #[must_use]
    pub fn image(&self, fault: &str) -> String {
        format!("{}/x.rts.png", self.base(fault))
    }

    /// The address of the second port, another origin; without a slash at the end.
    #[must_use]
    pub fn elsewhere(&self) -> &str {
        &self.state.offer.elsewhere
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The digest of the image, in hex.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.state.offer.sha256
    }

    /// The size of the image.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.state.offer.bytes.len() as u64
    }

    /// Offers this document wherever the catalog is not spoiled.
    pub fn offer_catalog(&self, document: impl Into<Vec<u8>>) {
        *lock(&self.state.offer.catalog) = Some(document.into());
    }

    /// All requests until now, in their order.
    #[must_use]
    pub fn requests(&self) -> Vec<Logged> {
        let log = lock(&self.state.log);
        log.iter().map(|(logged, sent)| Logged { sent: sent.load(Ordering::Relaxed), ..logged.clone() }).collect()
    }

    /// The requests for the image with this fault.
    #[must_use]
    pub fn image_requests(&self, fault: &str) -> Vec<Logged> {
        let mut all = self.requests();
        all.retain(|logged| logged.request.fault() == fault && !logged.request.is_for_catalog());
        all
    }

    /// How many bytes were sent to those requests. Bytes that were still on the way when a connection was reset count
    /// too.
    #[must_use]
    pub fn image_bytes(&self, fault: &str) -> u64 {
        self.image_requests(fault).iter().map(|logged| logged.sent).sum()
    }

    /// Empties the log. Counts go on, so that a fault of the first requests does not come back.
    pub fn forget(&self) {
        lock(&self.state.log).clear();
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Relaxed);
        let elsewhere = self.state.offer.elsewhere.trim_start_matches("http://");
        for address in [self.address.to_string(), elsewhere.to_owned()] {
            // Wakes the thread that accepts connections, which then sees that it must end.
            let _ = TcpStream::connect(address);
        }
        for listener in self.listeners.drain(..) {
            let _ = listener.join();
        }
        let connections = std::mem::take(&mut *lock(&self.state.connections));
        for connection in connections {
            let _ = connection.join();
        }
    }
}

impl State {
    fn accept(self: &Arc<Self>, listener: &TcpListener, is_elsewhere: bool) {
        for stream in listener.incoming().flatten() {
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
            let state = Arc::clone(self);
            // A client may go away at any time, so errors mean nothing here.
            let connection = thread::spawn(move || drop(state.serve(&stream, is_elsewhere)));
            let mut connections = lock(&self.connections);
            connections.retain(|connection| !connection.is_finished());
            connections.push(connection);
        }
    }

    /// Answers the requests of one connection.
    fn serve(&self, stream: &TcpStream, is_elsewhere: bool) -> io::Result<()> {
        stream.set_nodelay(true)?;
        // Whoever waits looks from time to time whether the server was stopped.
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        while let Some((mut request, length)) = request::peek(stream, &self.stopped)? {
            request.elsewhere = is_elsewhere;
            request.number = {
                let mut counts = lock(&self.counts);
                let key = format!("{} {}", request.fault(), request.is_for_catalog());
                let count = counts.entry(key).or_default();
                *count += 1;
                *count
            };
            let reply = (self.decide)(&request).unwrap_or_else(|| self.offer.reply(&request));
            let sent = Arc::new(AtomicU64::new(0));
            let logged = Logged { did: reply.describe(), request: request.clone(), sent: 0 };
            lock(&self.log).push((logged, Arc::clone(&sent)));
            if !reply.resets() {
                request::consume(stream, length)?;
            }
            let after = reply.send(stream, &request, &sent, &self.stopped)?;
            if after != After::Keep || request.header("connection") == Some("close") {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Offer {
    fn reply(&self, request: &Request) -> Reply {
        if request.is_for_catalog() { catalog::reply(self, request) } else { image::reply(self, request) }
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The image with one bit flipped at a quarter of it.
    fn wrong(&self) -> &Arc<[u8]> {
        self.wrong.get_or_init(|| {
            let mut bytes = self.bytes.to_vec();
            if let Some(byte) = bytes.get_mut(self.bytes.len() / 4) {
                *byte ^= 1;
            }
            bytes.into()
        })
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("size", &self.offer.len()).finish_non_exhaustive()
    }
}

/// A test that failed while it held the lock must not hide its own failure behind this one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
