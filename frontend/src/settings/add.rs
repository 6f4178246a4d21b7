//! Adding a server: it is asked first, and what it said is shown before anything is kept.

use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::Problem;
use pixelrts_shared::server::{NewServer, ServerFound};

use crate::app::Shell;
use crate::ui::problem::ProblemView;
use crate::ui::{self, icons};
use crate::words;

#[derive(Clone, PartialEq)]
enum Step {
    Address,
    Asking,
    Found(ServerFound),
    Failed(Problem),
}

#[component]
pub(crate) fn AddServer() -> impl IntoView {
    let shell = Shell::get();
    let (url, name) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let step = RwSignal::new(Step::Address);
    let close = move || shell.desk.adding.set(false);
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        // A server that is not named here keeps the name it gives itself.
        let found = match step.get_untracked() {
            Step::Found(found) => Some(found.name),
            _ => None,
        };
        let server = NewServer {
            url: url.get_untracked().trim().to_owned(),
            name: Some(name.get_untracked().trim().to_owned()).filter(|name| !name.is_empty()).or(found.clone()),
            ..NewServer::default()
        };
        step.set(Step::Asking);
        spawn_local(async move {
            if found.is_some() {
                match shell.servers.add(server).await {
                    Ok(()) => {
                        close();
                        shell.catalog.revalidate().await;
                    }
                    Err(problem) => drop(step.try_set(Step::Failed(problem))),
                }
            } else {
                let asked = shell.servers.check(server.url).await;
                // The dialog may be closed by now.
                let _ = step.try_set(asked.map_or_else(Step::Failed, Step::Found));
            }
        });
    };
    let says = move || {
        match step.get() {
        Step::Address => view! { <p class="hint">"A computer that runs pixelrts serve, or a web server with a catalog.json."</p> }.into_any(),
        Step::Asking => view! { <p class="hint">"Asking the server"</p> }.into_any(),
        Step::Found(found) => view! {
            <p class="st" data-s="running">
                {ui::icon(icons::CHECK)}
                <span>{format!("{}: {}, answered in {}\u{a0}ms", found.name, words::counted(found.entries, "image", "images"), found.latency_ms)}</span>
            </p>
        }
        .into_any(),
        Step::Failed(problem) => view! { <ProblemView problem=problem/> }.into_any(),
    }
    };
    view! {
        <form on:submit=submit>
            <h2>"Add a server"</h2>
            <label>
                "Address"
                <input name="url" type="url" required autofocus placeholder="http://images.office.lan:8080" prop:value=url
                    on:input=move |event| { url.set(event_target_value(&event)); step.set(Step::Address); }/>
            </label>
            <label>
                "Name"
                <input name="name" autocomplete="off" prop:value=name on:input=move |event| name.set(event_target_value(&event))
                    placeholder=move || match step.get() { Step::Found(found) => found.name, _ => "As the server calls itself".to_owned() }/>
            </label>
            <div role="status">{says}</div>
            <div class="foot2">
                <button class="btn big bare" type="button" on:click=move |_| close()>"Cancel"</button>
                <button class="btn pri big" type="submit" disabled=move || step.get() == Step::Asking>
                    {move || match step.get() { Step::Found(_) => "Add server", Step::Failed(_) => "Check again", _ => "Check" }}
                </button>
            </div>
        </form>
    }
}
