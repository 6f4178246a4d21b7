//! A button for what cannot be undone: it asks once, in its place.

use leptos::html;
use leptos::prelude::*;

#[component]
pub(crate) fn Question(
    /// The label of the button that asks.
    ask: &'static str,
    #[prop(into)] question: String,
    /// The label of the button that does it.
    yes: &'static str,
    confirm: Callback<()>,
    #[prop(optional)] label: Option<String>,
) -> impl IntoView {
    let asks = RwSignal::new(false);
    let (asked, keep) = (NodeRef::<html::Button>::new(), NodeRef::<html::Button>::new());
    // The focus goes to the answer that changes nothing, and back.
    Effect::new(move |before: Option<bool>| {
        let now = asks.get();
        let button = if now { keep.get() } else { asked.get() };
        if before.is_some_and(|before| before != now)
            && let Some(button) = button
        {
            let _ = button.focus();
        }
        now
    });
    move || {
        if asks.get() {
            view! {
                <span class="question" role="group" aria-label=question.clone()>
                    <span class="question-text">{question.clone()}</span>
                    <button class="button small danger" on:click=move |_| { asks.set(false); confirm.run(()); }>{yes}</button>
                    <button class="button small" node_ref=keep on:click=move |_| asks.set(false)>"Keep"</button>
                </span>
            }
            .into_any()
        } else {
            view! { <button class="button small" node_ref=asked aria-label=label.clone() on:click=move |_| asks.set(true)>{ask}</button> }.into_any()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Page;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    async fn nothing_is_done_before_the_second_press() {
        let done = ArcRwSignal::new(0);
        let confirm = done.clone();
        let page = Page::mount(
            |_| {},
            move || {
                let confirm = Callback::new(move |()| confirm.update(|done| *done += 1));
                view! { <Question ask="Remove" question="Remove 7 MB?" yes="Yes, remove" confirm=confirm/> }
            },
        );
        page.press("Remove");
        page.until("the question", |page| page.text().contains("Remove 7 MB?")).await;
        page.press("Keep");
        page.until("no question", |page| page.buttons() == ["Remove"]).await;
        assert_eq!(done.get_untracked(), 0);
        page.press("Remove");
        page.until("the question", |page| page.buttons().len() == 2).await;
        page.press("Yes, remove");
        assert_eq!(done.get_untracked(), 1);
    }
}
