//! The button of an image.

use leptos::prelude::*;
use pixelrts_shared::Digest;

use super::action::Action;
use super::condition::Condition;
use super::store::Images;
use crate::ui::{self, icons};

/// It is large in the details and small on a card.
#[component]
pub(crate) fn Button(
    key: Digest,
    condition: Memo<Condition>,
    #[prop(optional)] large: bool,
    /// A wall of cards is one stop of the Tab key, so most of its buttons are none.
    #[prop(optional)]
    tabindex: Option<Signal<&'static str>>,
) -> impl IntoView {
    let images = Images::expect();
    let action = Memo::new(move |_| condition.with(|condition| images.action(condition)));
    move || {
        action.get().map(|action| {
            let (label, as_icon) = (action.label(), action == Action::Cancel && !large);
            // The accent is for the next action, and never for what ends something.
            let class = match (as_icon, action.begins(), large) {
                (true, ..) => "button borderless square",
                (false, true, true) => "button primary large",
                (false, true, false) => "button ready",
                (false, false, true) => "button large",
                (false, false, false) => "button",
            };
            let hint = as_icon.then(|| label.clone());
            view! {
                <button class=class tabindex=move || tabindex.map(|tabindex| tabindex.get()) aria-label=hint.clone() title=hint
                    on:click=move |_| images.perform(key, action.clone())
                    // Two quick clicks on the button are not a double click on the card.
                    on:dblclick=move |event| event.stop_propagation()>
                    {if as_icon { ui::icon(icons::CLOSE).into_any() } else { view! { <span class="ellipsis">{label}</span> }.into_any() }}
                </button>
            }
        })
    }
}
