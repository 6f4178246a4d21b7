//! Work that is done by one at a time.

use leptos::prelude::*;

#[derive(Clone, Copy, PartialEq)]
enum Turn {
    Free,
    Taken,
    /// Somebody else came meanwhile: what is under way may be older than the reason for coming.
    Repeat,
}

#[derive(Clone, Copy)]
pub(crate) struct Turns(StoredValue<Turn>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self(StoredValue::new(Turn::Free))
    }

    /// Does the work. Calls that come while it is under way lead to one more time, not to many, and do not wait for it.
    pub(crate) async fn run(self, work: impl AsyncFn()) {
        if self.0.get_value() != Turn::Free {
            self.0.set_value(Turn::Repeat);
            return;
        }
        loop {
            self.0.set_value(Turn::Taken);
            work().await;
            if self.0.get_value() == Turn::Taken {
                break;
            }
        }
        self.0.set_value(Turn::Free);
    }
}
