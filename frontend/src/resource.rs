//! Stale-while-revalidate: what is known is shown at once, then the backend is asked, and its reply only ever improves
//! what is shown.
//!
//! The decision is a pure function of what is held and of the reply. It says whether anything changed, so that a reply
//! that changes nothing repaints nothing and writes nothing.

use pixelrts_shared::Problem;

#[cfg(target_arch = "wasm32")]
pub(crate) mod store;
#[cfg(target_arch = "wasm32")]
pub(crate) mod turns;

/// What this page knows of something on the backend.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cached<T> {
    #[default]
    Empty,
    /// Confirmed by the backend.
    Fresh(T),
    /// From an earlier visit, not confirmed yet.
    Stale(T),
    /// The last request failed; with what was known before, if anything.
    Failed(Option<T>, Problem),
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<T> {
    Unchanged,
    New(T),
    Failed(Problem),
}

impl<T> Cached<T> {
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Empty => None,
            Self::Fresh(value) | Self::Stale(value) => Some(value),
            Self::Failed(value, _) => value.as_ref(),
        }
    }

    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Failed(_, problem) => Some(problem),
            Self::Empty | Self::Fresh(_) | Self::Stale(_) => None,
        }
    }
}

impl<T: Clone + PartialEq> Cached<T> {
    /// What is held after this reply; `None` when nothing changed.
    ///
    /// A new value that equals the one held does not replace it, so that views that compare by pointer see no change.
    #[must_use]
    pub fn after(&self, reply: Reply<T>) -> Option<Self> {
        let next = match (reply, self.value()) {
            (Reply::Unchanged, None) => return None,
            (Reply::Unchanged, Some(held)) => Self::Fresh(held.clone()),
            (Reply::New(new), Some(held)) if new == *held => Self::Fresh(held.clone()),
            (Reply::New(new), _) => Self::Fresh(new),
            (Reply::Failed(problem), held) => Self::Failed(held.cloned(), problem),
        };
        (next != *self).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixelrts_shared::ProblemCode;
    use std::sync::Arc;

    fn refused() -> Problem {
        Problem::new(ProblemCode::NetworkRefused, "what", "why", "fix")
    }

    #[test]
    fn a_reply_that_changes_nothing_repaints_nothing() {
        let held = Cached::Fresh(1);
        assert_eq!(held.after(Reply::Unchanged), None);
        assert_eq!(held.after(Reply::New(1)), None);
        assert_eq!(Cached::<i32>::Empty.after(Reply::Unchanged), None);
        let failed = Cached::Failed(Some(1), refused());
        assert_eq!(failed.after(Reply::Failed(refused())), None);
    }

    #[test]
    fn what_was_known_survives_a_failure_and_comes_back_fresh() {
        let failed = Cached::Stale(1).after(Reply::Failed(refused())).expect("a failure is a change");
        assert_eq!((failed.value(), failed.problem()), (Some(&1), Some(&refused())));
        assert_eq!(failed.after(Reply::Unchanged), Some(Cached::Fresh(1)));
        assert_eq!(failed.after(Reply::New(2)), Some(Cached::Fresh(2)));
        assert_eq!(Cached::<i32>::Empty.after(Reply::Failed(refused())), Some(Cached::Failed(None, refused())));
    }

    #[test]
    fn an_equal_reply_keeps_the_very_value_that_is_painted() {
        let painted = Arc::new(String::from("same"));
        let next = Cached::Stale(Arc::clone(&painted)).after(Reply::New(Arc::new(String::from("same"))));
        assert!(next.is_some_and(|next| next.value().is_some_and(|value| Arc::ptr_eq(value, &painted))));
    }
}
