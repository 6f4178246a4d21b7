//! The wall and the frame around it.

use leptos::html;
use leptos::prelude::*;

use super::filter::Tab;
use super::store::Place;
use crate::app::Shell;
use crate::catalog::details::Details;
use crate::catalog::object::Object;
use crate::console::view::Consoles;
use crate::downloads::view::Tray;
use crate::settings::view::Settings;
use crate::ui::{self, icons};
use crate::words;

/// Search, tabs, theme, settings.
#[component]
pub(crate) fn Top() -> impl IntoView {
    let shell = Shell::get();
    let desk = shell.desk;
    let field = NodeRef::<html::Input>::new();
    view! {
        <header class="top">
            <div class="brand">{ui::icon(icons::MARK)}<span>"PixelRTS"</span></div>
            <label class="find">
                {ui::icon(icons::SEARCH)}
                <span class="sr">"Search images"</span>
                <input id="search" type="search" autocomplete="off" spellcheck="false" node_ref=field
                    placeholder=move || match desk.counts()[0] {
                        0 => "Search images".to_owned(),
                        count => format!("Search {}", words::counted(count, "image", "images")),
                    }
                    prop:value=desk.search
                    on:input=move |event| { desk.search.set(event_target_value(&event)); desk.place.set(Place::Wall); }/>
                <kbd>"/"</kbd>
            </label>
            <div class="tabs" role="tablist" aria-label="Show">
                {Tab::ALL.into_iter().enumerate().map(|(place, tab)| view! {
                    <button class="tab" role="tab" aria-selected=move || (desk.tab.get() == tab && desk.place.get() == Place::Wall).to_string()
                        on:click=move |_| { desk.tab.set(tab); desk.place.set(Place::Wall); }>
                        {tab.word()} " " <span class="m">{move || words::grouped(desk.counts()[place])}</span>
                    </button>
                }).collect_view()}
            </div>
            <span class="grow"></span>
            <button class="btn wide" on:click=move |_| desk.adding.set(true)>{ui::icon(icons::PLUS)}"Add server"</button>
            <span class="pair wide">
                <button class="btn bare sq" aria-label=move || shell.look.label() title=move || shell.look.label() on:click=move |_| shell.look.turn()>{ui::icon(icons::THEME)}</button>
                <button class="btn bare sq" class:on=move || desk.place.get() == Place::Settings aria-label="Settings" title="Settings"
                    on:click=move |_| desk.place.update(|place| *place = if *place == Place::Settings { Place::Wall } else { Place::Settings })>
                    {ui::icon(icons::SETTINGS)}
                </button>
            </span>
        </header>
    }
}

/// What the middle of the page shows.
#[component]
pub(crate) fn Main() -> impl IntoView {
    let shell = Shell::get();
    let desk = shell.desk;
    let side = Memo::new(move |_| desk.selected().filter(|_| desk.details.get() && desk.place.get() == Place::Wall));
    view! {
        <Banner/>
        {move || match desk.place.get() {
            Place::Settings => view! { <Settings/> }.into_any(),
            Place::Wall => view! { <Wall/> }.into_any(),
        }}
        <Consoles/>
        {move || side.get().map(|key| view! { <Details key=key/> })}
        <Show when=move || shell.downloads.tray.get()><Tray/></Show>
    }
}

/// The backend is not there; what is shown was known at a certain time.
#[component]
fn Banner() -> impl IntoView {
    let shell = Shell::get();
    move || {
        shell.link.problem().map(|problem| {
            let seen = shell.catalog.merged.seen().map(ui::clock::time);
            let known = seen.map_or_else(String::new, |time| format!("You see what was known at {time}."));
            view! {
                <div class="banner" role="alert">
                    <span class="st" data-s="error">{ui::icon(icons::ERROR)}<span>{problem.what}</span></span>
                    <span>{known}</span>
                    <span class="q">{ui::told(&problem.fix)}</span>
                </div>
            }
        })
    }
}

#[component]
fn Wall() -> impl IntoView {
    let shell = Shell::get();
    let desk = shell.desk;
    let empty = Memo::new(move |_| desk.counts()[0] == 0);
    let known = Memo::new(move |_| shell.catalog.merged.value().is_some());
    let nothing = Memo::new(move |_| !empty.get() && desk.shown().is_empty());
    view! {
        <Show when=move || !empty.get() fallback=move || view! { <Show when=move || known.get() || !shell.link.is_up()><Empty/></Show> }>
            <main class="wall" aria-label="Images">
                <For each=move || desk.shown() key=|key| *key let:key><Object key=key/></For>
                {move || nothing.get().then(|| view! {
                    <p class="q none">{move || if desk.search.with(|text| text.trim().is_empty()) { "Nothing here." } else { "No image has these words." }}</p>
                })}
            </main>
        </Show>
    }
}

/// First start: two empty plates, each with what would fill it.
#[component]
fn Empty() -> impl IntoView {
    let shell = Shell::get();
    view! {
        <main class="empty">
            <h1>"No images yet."</h1>
            <p>"An image is a picture whose pixels are the bytes of an operating system. When one arrives, it fills in here and can be booted with one click."</p>
            <div class="three">
                <Plate ratio="0.62" name="Make the samples" text="Small systems that boot to a prompt, made on this computer from packages of its distribution.">
                    <ui::Command text="pixelrts samples"/>
                </Plate>
                <Plate ratio="0.73" name="Add a server" text="Any computer that runs pixelrts serve, or a web server with a catalog.json.">
                    <div class="end"><button class="btn pri big" on:click=move |_| shell.desk.adding.set(true)>"Add a server"</button></div>
                </Plate>
                <Plate ratio="0.67" name="Make your own" text="A kernel and an initrd are enough. The image appears here when it is in a catalog folder.">
                    <ui::Command text="pixelrts pack --help"/>
                </Plate>
            </div>
        </main>
    }
}

#[component]
fn Plate(ratio: &'static str, name: &'static str, text: &'static str, children: Children) -> impl IntoView {
    view! {
        <section class="plate">
            <figure class="pic" style=("--ratio", ratio)></figure>
            <div class="lab"><h3>{name}</h3><p>{text}</p>{children()}</div>
        </section>
    }
}

/// Servers, machines, downloads, and windows that are made small.
#[component]
pub(crate) fn Foot() -> impl IntoView {
    let shell = Shell::get();
    let machines = move || match shell.machines.count() {
        (0, 0) => "No machine runs".to_owned(),
        (up, 0) => format!("{up} running"),
        (0, booting) => format!("{booting} booting"),
        (up, booting) => format!("{up} running, {booting} booting"),
    };
    view! {
        <footer class="foot">
            <span class="wide">{shell.servers.mark(&pixelrts_shared::ServerId::local())}"This computer"</span>
            {move || shell.servers.health_line()}
            <span class="grow"></span>
            {move || shell.consoles.minimised().into_iter().map(|id| {
                let name = shell.machines.get(&id).map_or_else(|| "Console".to_owned(), |machine| machine.name);
                view! {
                    <button class="btn" aria-label=format!("Show the serial console of {name}") on:click=move |_| shell.consoles.open(id.clone())>
                        {ui::icon(icons::SCREEN)}<span class="cut">{name.clone()}</span>
                    </button>
                }
            }).collect_view()}
            <span class="wide">{ui::icon(icons::SCREEN)}{machines}</span>
            <span class="sep wide"></span>
            <DownloadsButton/>
        </footer>
    }
}

#[component]
fn DownloadsButton() -> impl IntoView {
    let downloads = Shell::get().downloads;
    view! {
        <button class="btn bare wide" class:on=downloads.tray aria-expanded=move || downloads.tray.get().to_string()
            on:click=move |_| downloads.tray.update(|tray| *tray = !*tray)>
            {ui::icon(icons::DOWNLOADING)}
            {move || match downloads.under_way() {
                (0, _) => view! { "No downloads" }.into_any(),
                (count, rate) => view! { {words::counted(count, "download", "downloads")} <span class="m">{words::rate(rate)}</span> }.into_any(),
            }}
        </button>
    }
}

/// The places of a narrow page.
#[component]
pub(crate) fn Places() -> impl IntoView {
    let shell = Shell::get();
    let (desk, tray) = (shell.desk, shell.downloads.tray);
    let wall = move |tab: Tab| {
        tray.set(false);
        desk.details.set(false);
        desk.tab.set(tab);
        desk.place.set(Place::Wall);
    };
    let at = move |place: Place, running: bool| {
        (desk.place.get() == place
            && !tray.get()
            && (place == Place::Settings || (desk.tab.get() == Tab::Running) == running))
            .then_some("page")
    };
    view! {
        <nav class="bb" aria-label="Main">
            <button aria-current=move || at(Place::Wall, false) on:click=move |_| wall(Tab::All)>{ui::icon(icons::WALL)}"Images"</button>
            <button aria-current=move || at(Place::Wall, true) on:click=move |_| wall(Tab::Running)>{ui::icon(icons::SCREEN)}"Machines"</button>
            <button aria-current=move || tray.get().then_some("page") on:click=move |_| tray.update(|tray| *tray = !*tray)>
                {ui::icon(icons::DOWNLOADING)}
                <span>"Downloads" {move || Some(shell.downloads.under_way().0).filter(|count| *count > 0).map(|count| format!(" {count}"))}</span>
            </button>
            <button aria-current=move || at(Place::Settings, false) on:click=move |_| { tray.set(false); desk.place.set(Place::Settings); }>{ui::icon(icons::SETTINGS)}"Settings"</button>
        </nav>
    }
}
