//! A list whose parts stay in the page for as long as their keys stay in the list.

use std::fmt::Display;

use leptos::prelude::*;

/// A part that is made only when its key is new.
struct Part {
    key: String,
    view: Box<dyn FnOnce() -> AnyView + Send>,
}

/// Shows a view for each key. Keys of all types are compared as text: the code that compares two lists is long, and
/// every type of key would add it to the page once more.
pub(crate) fn list<K: Display + Send + 'static>(
    keys: impl Fn() -> Vec<K> + Send + Sync + 'static,
    view: fn(K) -> AnyView,
) -> AnyView {
    let part = move |key: K| Part { key: key.to_string(), view: Box::new(move || view(key)) };
    show(Box::new(move || keys().into_iter().map(part).collect()))
}

fn show(parts: Box<dyn Fn() -> Vec<Part> + Send + Sync>) -> AnyView {
    view! { <For each=parts key=|part| part.key.clone() children=|part| (part.view)()/> }.into_any()
}
