//! What an image is doing: shape, word, and one figure.

use leptos::prelude::*;

use super::state::State;
use crate::ui::{self, icons};

/// The parts of the line, without the line: the figure follows them.
pub(crate) fn state(state: State) -> impl IntoView {
    view! { {ui::icon(shape(state))}<b>{state.word()}</b> }
}

/// The line where there is no figure.
#[component]
pub(crate) fn StateLine(state: State) -> impl IntoView {
    let parts = self::state(state);
    view! { <span class="state" data-state=state.name()>{parts}</span> }
}

/// Every state differs by its shape too.
fn shape(state: State) -> &'static str {
    match state {
        State::Here => r#"<path class="solid" d="M5.5 2.5h5v11h-5z"/>"#,
        State::Elsewhere => r#"<path d="M6.3 3.3h3.4v9.4H6.3z"/>"#,
        State::Arriving => icons::DOWNLOADING,
        State::Booting => icons::HALF,
        State::Running => r#"<path class="solid" d="M4 2.5 13.5 8 4 13.5z"/>"#,
        State::Stopped => r#"<path class="solid" d="M3.5 3.5h9v9h-9z"/>"#,
        State::Retrying => r#"<path d="M13 8a5 5 0 1 1-1.6-3.7M13 2v3.5H9.5"/>"#,
        State::Failed => icons::ERROR,
        State::Away => r#"<circle cx="8" cy="8" r="5.25" stroke-dasharray="2.4 1.72" stroke-linecap="butt"/>"#,
    }
}
