//! The newest event of each kind, and what of it a client has got. All but [`Events`] is pure.

use std::sync::Arc;

use tokio::sync::watch;

use crate::random;

/// The events of this backend. Clones share them.
#[derive(Clone, Debug)]
pub struct Events(watch::Sender<Log>);

impl Default for Events {
    fn default() -> Self {
        // Without randomness, which never happens on a computer that works, a page that was open before may miss an
        // event until the next one.
        Self(watch::Sender::new(Log::new(random::hex::<4>().unwrap_or_default())))
    }
}

impl Events {
    pub(super) fn subscribe(&self) -> watch::Receiver<Log> {
        self.0.subscribe()
    }

    /// Without data, an event says only that something has changed.
    pub(super) fn add(&self, kind: Kind, data: Option<String>) {
        self.0.send_modify(|log| log.add(kind, data));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Servers,
    Entries,
    Machines,
    Settings,
}

/// Begins with the start of the backend.
#[derive(Debug)]
pub(super) struct Log {
    /// Tells its events from those of another start.
    epoch: String,
    /// Of the newest event.
    number: u64,
    newest: [Option<(u64, Arc<str>)>; 4],
}

/// What one client has got.
#[derive(Debug)]
pub(super) struct Reader {
    last: u64,
    /// What the client has missed cannot be told.
    lost: bool,
}

/// The id, the kind, and the data.
pub(super) type Told = (String, &'static str, Arc<str>);

impl Kind {
    const ALL: [Self; 4] = [Self::Servers, Self::Entries, Self::Machines, Self::Settings];

    fn name(self) -> &'static str {
        match self {
            Self::Servers => "servers",
            Self::Entries => "entries",
            Self::Machines => "machines",
            Self::Settings => "settings",
        }
    }
}

impl Log {
    fn new(epoch: String) -> Self {
        Self { epoch, number: 0, newest: [const { None }; 4] }
    }

    fn add(&mut self, kind: Kind, data: Option<String>) {
        self.number += 1;
        let data = data.unwrap_or_else(|| self.number.to_string());
        self.newest[kind as usize] = Some((self.number, data.into()));
    }

    fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.epoch)
    }

    /// The number of an event of this log.
    fn number_of(&self, id: &str) -> Option<u64> {
        let number = id.strip_prefix(self.epoch.as_str())?.strip_prefix('-')?.parse().ok()?;
        (number <= self.number).then_some(number)
    }
}

impl Reader {
    /// `last` is the id of the last event that the client has got.
    pub(super) fn after(log: &Log, last: Option<&str>) -> Self {
        match last.map(|id| log.number_of(id)) {
            Some(Some(last)) => Self { last, lost: false },
            Some(None) => Self { last: 0, lost: true },
            None => Self { last: 0, lost: false },
        }
    }

    /// What the client gets next, if there is anything new.
    pub(super) fn next(&mut self, log: &Log) -> Option<Told> {
        if std::mem::take(&mut self.lost) {
            return Some((log.id(0), "reset", "0".into()));
        }
        let newer = Kind::ALL.into_iter().filter_map(|kind| Some((log.newest[kind as usize].as_ref()?, kind)));
        let ((number, data), kind) =
            newer.filter(|((number, _), _)| *number > self.last).min_by_key(|((number, _), _)| *number)?;
        self.last = *number;
        Some((log.id(*number), kind.name(), data.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rest(log: &Log, last: Option<&str>) -> Vec<Told> {
        let mut reader = Reader::after(log, last);
        std::iter::from_fn(|| reader.next(log)).collect()
    }

    proptest! {
        /// Wherever a connection breaks, the client ends with the newest of every kind, and gets none twice.
        #[test]
        fn a_gap_loses_nothing(kinds in prop::collection::vec(0_usize..4, 1..40), gap in prop::collection::vec(0_usize..5, 0..40)) {
            let mut log = Log::new("e".to_owned());
            let (mut got, mut last): (Vec<Told>, Option<String>) = (Vec::new(), None);
            for (n, kind) in kinds.iter().enumerate() {
                log.add(Kind::ALL[*kind], Some(format!("{n}")));
                // The client is connected for so many events.
                let told = rest(&log, last.as_deref());
                let most = gap.get(n).copied().unwrap_or(9);
                got.extend(told.into_iter().take(most));
                last = got.last().map(|(id, ..)| id.clone());
            }
            got.extend(rest(&log, last.as_deref()));
            for kind in 0..4 {
                let newest = kinds.iter().rposition(|other| *other == kind).map(|n| n.to_string());
                let told = got.iter().rev().find(|(_, name, _)| *name == Kind::ALL[kind].name());
                prop_assert_eq!(told.map(|(.., data)| data.to_string()), newest);
            }
            let mut ids: Vec<_> = got.iter().map(|(id, ..)| id).collect();
            ids.sort();
            ids.dedup();
            prop_assert_eq!(ids.len(), got.len());
        }
    }

    #[test]
    fn a_client_of_another_start_is_told_so() {
        let mut log = Log::new("now".to_owned());
        log.add(Kind::Entries, None);
        for id in ["before-1", "now-2", "now-", "now", "", "7", "now-99999999999999999999999", "now--1"] {
            let told = rest(&log, Some(id));
            let kinds: Vec<_> = told.iter().map(|(_, kind, _)| *kind).collect();
            assert_eq!(kinds, ["reset", "entries"], "{id:?}");
        }
        assert_eq!(rest(&log, Some("now-1")), []);
        assert_eq!(rest(&log, Some("now-0")).len(), 1, "the id of a reset");
    }
}
