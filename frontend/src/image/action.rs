//! What the button of an image does.

use super::condition::{Condition, OtherServer};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Boot,
    BootFrom(OtherServer),
    Retry,
    Cancel,
    Stop,
    /// Opens the console.
    Open,
}

impl Action {
    /// `None` where nothing can be done.
    #[must_use]
    pub fn of(condition: &Condition, reachable: bool) -> Option<Self> {
        if !reachable {
            return None;
        }
        match condition {
            Condition::Idle | Condition::Stopped(_) => Some(Self::Boot),
            Condition::Downloading(_) | Condition::Retrying(_) => Some(Self::Cancel),
            Condition::Booting(machine) => machine.as_ref().map(|_| Self::Stop),
            Condition::Running(_) => Some(Self::Open),
            Condition::Error(_, Some(other)) => Some(Self::BootFrom(other.clone())),
            Condition::Error(_, None) => Some(Self::Retry),
            Condition::Unavailable(_) => None,
        }
    }

    /// Enter and a double click only do what begins something; they never end it.
    #[must_use]
    pub fn begins(&self) -> bool {
        match self {
            Self::Boot | Self::BootFrom(_) | Self::Retry | Self::Open => true,
            Self::Cancel | Self::Stop => false,
        }
    }

    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Boot => "Boot".to_owned(),
            Self::BootFrom(other) => format!("Boot from {}", other.name),
            Self::Retry => "Retry".to_owned(),
            Self::Cancel => "Cancel and keep what is here".to_owned(),
            Self::Stop => "Stop".to_owned(),
            Self::Open => "Open".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Action;

    #[test]
    fn enter_never_ends_anything() {
        assert!([Action::Boot, Action::Retry, Action::Open].iter().all(Action::begins));
        assert!(![Action::Cancel, Action::Stop].iter().any(Action::begins));
    }
}
