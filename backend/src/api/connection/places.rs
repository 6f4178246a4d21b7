//! How many connections may be open at once, and how many of them one client may have.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most connections. One that is idle costs about 20 KiB, and one whose client does not read 64 KiB more.
const MOST: usize = 4096;
/// Files that the rest of the process may need: images that are sent, downloads, databases, folders, machines.
const OTHERS: u64 = 512;
/// Enough for all connections and the rest.
pub(super) const FILES: u64 = MOST as u64 + OTHERS;

/// Clones share the places.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    free: Arc<Semaphore>,
    /// What one client may have.
    most_of_one: usize,
    /// Connections of each client that has any.
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A place that nobody has yet.
#[derive(Debug)]
pub(super) struct Free {
    permit: OwnedSemaphorePermit,
    places: Places,
}

/// The place of a connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    client: Option<IpAddr>,
    places: Places,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// As many as a process has that may have so many files open.
    pub(super) fn of(files: u64) -> Self {
        Self::new(most(files))
    }

    fn new(most: usize) -> Self {
        let free = Arc::new(Semaphore::new(most));
        Self(Arc::new(Shared { free, most_of_one: most.div_ceil(2), taken: Mutex::default() }))
    }

    /// Waits until there is one.
    pub(super) async fn free(&self) -> Free {
        let permit = self.0.free.clone().acquire_owned().await.expect("the semaphore is never closed");
        Free { permit, places: self.clone() }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Free {
    /// Gives it to a connection from this address, unless that client has too many.
    pub(super) fn of(self, address: IpAddr) -> Option<Place> {
        let Self { permit, places } = self;
        let client = client(address);
        if let Some(client) = client {
            let mut taken = places.taken();
            let count = taken.entry(client).or_default();
            if *count >= places.0.most_of_one {
                return None;
            }
            *count += 1;
        }
        Some(Place { client, places, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut taken = self.places.taken();
        if let Some(count) = taken.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&client);
            }
        }
    }
}

/// How many connections there may be beside everything else that needs files.
fn most(files: u64) -> usize {
    let rest = files.saturating_sub(OTHERS).max(files / 2);
    usize::try_from(rest).unwrap_or(usize::MAX).clamp(1, MOST)
}

/// Who is counted as one client. `None`: this computer itself, as a proxy on it stands for many clients. Whoever has an
/// IPv6 address has all addresses of its network of 64 bits.
fn client(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        here if here.is_loopback() => None,
        IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
        IpAddr::V4(address) => Some(address.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn the_number_of_connections_follows_from_the_number_of_files() {
        for (files, connections) in [(0, 1), (256, 128), (1024, 512), (2048, 1536), (FILES, MOST), (u64::MAX, MOST)] {
            assert_eq!(most(files), connections, "{files} files");
        }
    }

    #[test]
    fn one_client_cannot_take_all_places() {
        let place = |places: &Places, address: &str| {
            let free = places.free().now_or_never().expect("there is a free place");
            free.of(address.parse().unwrap())
        };
        let places = Places::new(8);
        let mut kept: Vec<_> = (0..4).map(|_| place(&places, "192.0.2.1").unwrap()).collect();
        assert!(place(&places, "192.0.2.1").is_none());
        assert!(place(&places, "::ffff:192.0.2.1").is_none(), "it is the same address");
        kept.extend(place(&places, "192.0.2.2"));
        kept.extend(place(&places, "2001:db8::1"));
        kept.remove(0);
        kept.extend(place(&places, "192.0.2.1"));
        assert_eq!(kept.len(), 6);
        kept.clear();
        assert!(places.taken().is_empty());

        let mut kept: Vec<_> = (0..4).map(|n| place(&places, &format!("2001:db8::{n}")).unwrap()).collect();
        assert!(place(&places, "2001:db8::ffff:1").is_none(), "a network of 64 bits is one client");
        kept.extend(place(&places, "2001:db8:0:1::1"));
        assert_eq!(kept.len(), 5);
    }

    #[test]
    fn a_proxy_on_this_computer_may_have_all_places() {
        let places = Places::new(2);
        let mut kept = Vec::new();
        for address in ["127.0.0.1", "::1"] {
            kept.extend(places.free().now_or_never().unwrap().of(address.parse().unwrap()));
        }
        assert_eq!(kept.len(), 2);
        assert!(places.free().now_or_never().is_none(), "all places are taken");
        kept.clear();
        assert!(places.free().now_or_never().is_some());
    }
}
