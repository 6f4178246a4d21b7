//! The form that adds a server.

use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::server::ServerFound;

use super::draft::{Draft, Step, Submission};
use super::store::Servers;
use crate::catalog::store::Catalog;
use crate::layout::Dialog;
use crate::layout::store::Layout;
use crate::ui::problem::ProblemView;
use crate::ui::{self, icons};
use crate::words;

#[component]
pub(crate) fn AddServer() -> impl IntoView {
    let (servers, catalog, layout) = (Servers::expect(), Catalog::expect(), Layout::expect());
    let draft = RwSignal::new(Draft::default());
    let step = Memo::new(move |_| draft.with(|draft| draft.step.clone()));
    // The dialog may be closed by the time a reply comes.
    let settle = move |step| {
        let _ = draft.try_update(|draft| draft.settle(step));
    };
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let Some(submission) = draft.try_update(Draft::submit) else { return };
        spawn_local(async move {
            match submission {
                Submission::Check(url) => settle(servers.check(url).await.map_or_else(Step::Failed, Step::Found)),
                Submission::Add(server) => match servers.add(server).await {
                    Ok(()) => {
                        // Another dialog may be open by now.
                        layout.update(|open| open.dialog = open.dialog.filter(|dialog| *dialog != Dialog::AddServer));
                        catalog.revalidate().await;
                    }
                    Err(problem) => settle(Step::Failed(problem)),
                },
            }
        });
    };
    let placeholder = move || match step.get() {
        Step::Found(found) => found.name.into(),
        Step::Address | Step::Waiting | Step::Failed(_) => "The name that the server gives itself".to_owned(),
    };
    view! {
        <form on:submit=submit>
            <h2>"Add a server"</h2>
            <label>
                "Address"
                <input name="url" type="url" required autofocus placeholder="http://images.office.lan:8080"
                    prop:value=move || draft.with(|draft| draft.url.clone())
                    on:input=move |event| draft.update(|draft| draft.set_url(event_target_value(&event)))/>
            </label>
            <label>
                "Name"
                <input name="name" autocomplete="off" placeholder=placeholder
                    prop:value=move || draft.with(|draft| draft.name.clone())
                    on:input=move |event| draft.update(|draft| draft.name = event_target_value(&event))/>
            </label>
            <div role="status">{move || outcome(step.get())}</div>
            <div class="dialog-buttons">
                <button class="button large borderless" type="button" on:click=move |_| layout.close_dialog()>"Cancel"</button>
                <button class="button primary large" type="submit" disabled=move || step.get() == Step::Waiting>
                    {move || draft.with(Draft::button)}
                </button>
            </div>
        </form>
    }
}

fn outcome(step: Step) -> AnyView {
    match step {
        Step::Address => {
            view! { <p class="hint">"A computer that runs pixelrts serve --role catalog, or a web server with a catalog.json."</p> }
                .into_any()
        }
        Step::Waiting => view! { <p class="hint">"Asking the server"</p> }.into_any(),
        Step::Found(found) => view! {
            <p class="status" data-status="running">{ui::icon(icons::CHECK)}<span>{answer(&found)}</span></p>
        }
        .into_any(),
        Step::Failed(problem) => view! { <ProblemView problem=problem/> }.into_any(),
    }
}

fn answer(found: &ServerFound) -> String {
    let images = words::counted(found.entries, "image", "images");
    format!("{}: {images}, answered in {}\u{a0}ms", found.name, found.latency_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Dialog;
    use crate::testing::{Backend, Page, bubbling};
    use pixelrts_shared::{Problem, ProblemCode, paths};
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn form() -> Page {
        let page = Page::mount(|shell| shell.layout.open_dialog(Dialog::AddServer), || view! { <AddServer/> });
        page.fill("input[name='url']", "http://office:8080");
        page
    }

    /// As pressing the button does, without the browser's own check of the address.
    fn submit(page: &Page) {
        page.find("form").unwrap().dispatch_event(&bubbling("submit")).unwrap();
    }

    #[wasm_bindgen_test]
    async fn a_server_is_asked_then_added_under_the_name_it_gives_itself() {
        let check = format!("POST {}", paths::SERVERS_CHECK);
        let add = format!("POST {}", paths::SERVERS);
        let backend = Backend::start();
        backend.reply(&check, 200, &json!({"name": "Office", "entries": 2, "latency_ms": 3}));
        backend.reply(&add, 201, &json!({
            "id": "office", "name": "Office", "url": "http://office:8080", "priority": 1, "enabled": true, "auth": false,
            "health": {"state": "up"}
        }));
        let page = form();
        submit(&page);
        page.until("it was found", |page| page.text().contains("Office: 2 images, answered in 3 ms")).await;
        assert_eq!(page.buttons(), ["Cancel", "Add server"]);
        assert_eq!(page.attribute("input[name='name']", "placeholder").as_deref(), Some("Office"));
        submit(&page);
        page.until("the dialog is closed", |page| untrack(|| page.shell.layout.dialog()).is_none()).await;
        let body = r#"{"url":"http://office:8080","name":"Office"}"#;
        assert!(backend.calls().contains(&format!("{add} {body}")), "{:?}", backend.calls());
    }

    #[wasm_bindgen_test]
    async fn what_is_not_a_server_says_why_and_can_be_checked_again() {
        let backend = Backend::start();
        let problem = Problem::new(ProblemCode::NetworkRefused, "It is not a server", "why", "run `pixelrts serve`");
        backend.reply(&format!("POST {}", paths::SERVERS_CHECK), 502, &serde_json::to_value(problem).unwrap());
        let page = form();
        submit(&page);
        page.until("the problem", |page| page.text().contains("It is not a server.")).await;
        assert_eq!(page.buttons(), ["Copy all of it", "Cancel", "Check again"]);
        page.fill("input[name='url']", "http://lab:8080");
        page.until("another address", |page| page.buttons() == ["Cancel", "Check"]).await;
        assert!(!page.text().contains("It is not a server."), "{}", page.text());
    }

    #[wasm_bindgen_test]
    async fn cancel_closes_the_dialog() {
        let page = form();
        page.press("Cancel");
        assert_eq!(untrack(|| page.shell.layout.dialog()), None);
    }
}
