//! The page of settings.

use leptos::prelude::*;
use pixelrts_shared::server::{HealthState, Server};

use super::store::health;
use crate::app::Shell;
use crate::ui::look::Theme;
use crate::ui::problem::ProblemView;
use crate::ui::{self, icons};

#[component]
pub(crate) fn Settings() -> impl IntoView {
    let shell = Shell::get();
    view! {
        <main class="set">
            <div class="col">
                <Servers/>
                <section>
                    <h2>"Appearance"</h2>
                    <div class="choice" role="radiogroup" aria-label="Theme">
                        {Theme::ALL.into_iter().map(|theme| view! {
                            <label>
                                <input type="radio" name="theme" prop:checked=move || shell.look.theme() == theme on:change=move |_| shell.look.choose(theme)/>
                                {theme.word()}
                            </label>
                        }).collect_view()}
                    </div>
                </section>
                <section>
                    <h2>"Keyboard"</h2>
                    <Keys/>
                </section>
                <section>
                    <h2>"About"</h2>
                    <p class="q">{move || shell.version.get().map_or_else(|| "PixelRTS".to_owned(), |version| format!("PixelRTS {version}"))}</p>
                </section>
            </div>
        </main>
    }
}

#[component]
fn Servers() -> impl IntoView {
    let shell = Shell::get();
    let servers = shell.servers;
    view! {
        <section>
            <h2>"Servers" <span class="grow"></span>
                <button class="btn" on:click=move |_| shell.desk.adding.set(true)>{ui::icon(icons::PLUS)}"Add server"</button>
            </h2>
            <p>"Asked in the order of their priority, the lowest first. One that fails never hides the others."</p>
            {move || servers.problem.get().map(|problem| view! { <ProblemView problem=problem/> })}
            {move || {
                let all = servers.all();
                if all.is_empty() {
                    return view! { <p class="q3">"No servers. Images of this computer are shown without one."</p> }.into_any();
                }
                view! {
                    <table class="grid-t">
                        <thead><tr><th>"Name"</th><th>"Address"</th><th class="wide">"Priority"</th><th>"Health"</th><th>"In use"</th><th><span class="sr">"Remove"</span></th></tr></thead>
                        <tbody>{all.into_iter().map(|server| view! { <Row server=server/> }).collect_view()}</tbody>
                    </table>
                }.into_any()
            }}
        </section>
    }
}

#[component]
fn Row(server: Server) -> impl IntoView {
    let servers = Shell::get().servers;
    let asks = RwSignal::new(false);
    let (id, enabled) = (server.id.clone(), server.enabled);
    let remove = {
        let id = id.clone();
        move |_| if asks.get_untracked() { servers.remove(id.clone()) } else { asks.set(true) }
    };
    let answers = (server.enabled && server.health.state == HealthState::Up)
        .then(|| view! { <span class="st" data-s="running">{ui::icon(icons::CHECK)}<span>"Answers"</span></span> });
    view! {
        <tr>
            <td><div class="src">{servers.mark(&server.id)}<b class="cut">{server.name.clone()}</b></div></td>
            <td class="m q cut" title=server.url.clone()>{server.url.clone()}</td>
            <td class="m wide">{server.priority}</td>
            <td><div class="src">{answers}{health(&server)}</div></td>
            <td><button class="sw" role="switch" aria-checked=enabled.to_string() aria-label=format!("Use {}", server.name) disabled=server.configured
                on:click=move |_| servers.enable(id.clone(), !enabled)></button></td>
            <td>{if server.configured {
                view! { <span class="q3" title="It is changed in the configuration of the backend.">"configured"</span> }.into_any()
            } else {
                view! {
                    <button class="btn bare" class:pri=asks aria-label=format!("Remove {}", server.name) on:click=remove on:blur=move |_| asks.set(false)>
                        {move || if asks.get() { "Remove now" } else { "Remove" }}
                    </button>
                }.into_any()
            }}</td>
        </tr>
    }
}

/// All keys.
#[component]
pub(crate) fn Keys() -> impl IntoView {
    let keys = [
        ("/", "Search"),
        ("← ↑ → ↓", "Move on the wall"),
        ("Enter", "Boot, or open the console"),
        ("Space", "Details, as a click on the name"),
        ("Esc", "Close what is open"),
        ("Ctrl Alt", "Take the keyboard back from a console"),
        ("?", "These keys"),
    ];
    view! { <dl class="keys">{keys.map(|(key, does)| view! { <div><dt><kbd>{key}</kbd></dt><dd>{does}</dd></div> }).collect_view()}</dl> }
}
