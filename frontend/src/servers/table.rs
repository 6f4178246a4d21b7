//! The table of servers in the settings.

use leptos::prelude::*;
use pixelrts_shared::server::{HealthState, Server};

use super::mark::Mark;
use super::store::Servers;
use super::view::health;
use crate::layout::Dialog;
use crate::layout::store::Layout;
use crate::ui::problem::ProblemView;
use crate::ui::{self, icons};

#[component]
pub(crate) fn ServersPage() -> impl IntoView {
    view! { <main class="settings"><div class="settings-column"><ServerSection/></div></main> }
}

#[component]
pub(crate) fn ServerSection() -> impl IntoView {
    let (servers, layout) = (Servers::expect(), Layout::expect());
    view! {
        <section>
            <h2>"Servers" <span class="spacer"></span>
                <button class="button" on:click=move |_| layout.open_dialog(Dialog::AddServer)>{ui::icon(icons::PLUS)}"Add server"</button>
            </h2>
            <p>"An image that several servers offer is fetched from the one with the lowest priority number first. A server that fails never hides the others."</p>
            {move || servers.problem().map(|problem| view! { <ProblemView problem=problem/> })}
            {move || {
                let all = servers.all();
                if all.is_empty() {
                    return view! { <p class="faint">"No servers. The images on this computer are shown without one."</p> }.into_any();
                }
                view! {
                    <table class="server-table">
                        <thead><tr><th>"Name"</th><th>"Address"</th><th class="wide-only">"Priority"</th><th>"Health"</th><th>"In use"</th><th><span class="screen-reader-only">"Remove"</span></th></tr></thead>
                        <tbody>{all.into_iter().map(|server| view! { <Row server=server/> }).collect_view()}</tbody>
                    </table>
                }.into_any()
            }}
        </section>
    }
}

#[component]
fn Row(server: Server) -> impl IntoView {
    let servers = Servers::expect();
    let confirms = RwSignal::new(false);
    let (id, enabled) = (server.id.clone(), server.enabled);
    let remove = {
        let id = id.clone();
        move |_| if confirms.get_untracked() { servers.remove(id.clone()) } else { confirms.set(true) }
    };
    let answers = (server.enabled && server.health.state == HealthState::Up).then(
        || view! { <span class="status" data-status="running">{ui::icon(icons::CHECK)}<span>"Answers"</span></span> },
    );
    view! {
        <tr>
            <td><div class="server-line"><Mark server=server.id.clone()/><b class="ellipsis">{server.name.to_string()}</b></div></td>
            <td class="mono quiet ellipsis" title=server.url.clone()>{server.url.clone()}</td>
            <td class="mono wide-only">{server.priority}</td>
            <td><div class="server-line">{answers}{health(&server)}</div></td>
            <td><button class="switch" role="switch" aria-checked=enabled.to_string() aria-label=format!("Use {}", server.name) disabled=server.configured
                on:click=move |_| servers.enable(id.clone(), !enabled)></button></td>
            <td>{if server.configured {
                view! { <span class="faint" title="Change it in the configuration of the backend.">"configured"</span> }.into_any()
            } else {
                view! {
                    <button class="button borderless" class:primary=confirms aria-label=format!("Remove {}", server.name) on:click=remove on:blur=move |_| confirms.set(false)>
                        {move || if confirms.get() { "Remove now" } else { "Remove" }}
                    </button>
                }.into_any()
            }}</td>
        </tr>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Backend, Page};
    use pixelrts_shared::paths;
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn server(id: &str, configured: bool) -> Server {
        serde_json::from_value(json!({
            "id": id, "name": id, "url": "http://a:1", "priority": 1, "enabled": true, "auth": false,
            "configured": configured, "health": {"state": "up", "latency_ms": 3}
        }))
        .unwrap()
    }

    #[wasm_bindgen_test]
    async fn a_server_is_removed_only_by_a_second_press_and_a_configured_one_not_at_all() {
        let prepare =
            |shell: crate::shell::Shell| shell.servers.set(vec![server("office", false), server("lab", true)]);
        let page = Page::mount(prepare, || view! { <ServerSection/> });
        let backend = Backend::start();
        page.until("both servers", |page| page.buttons() == ["Add server", "Use office", "Remove office", "Use lab"])
            .await;
        page.press("Remove office");
        page.until("it asks", |page| page.text().contains("Remove now")).await;
        assert!(backend.calls().is_empty());
        page.press("Remove office");
        let call = format!("DELETE {}", paths::server(&server("office", false).id));
        page.until("the request", |_| backend.calls().contains(&call)).await;
        page.until("why it failed", |page| page.text().contains("The backend does not answer.")).await;
    }
}
