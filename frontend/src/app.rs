//! The page: it is painted from what the browser remembers, then follows the backend.

use futures_util::future::{join3, select};
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::Digest;
use pixelrts_shared::health::BackendHealth;
use pixelrts_shared::machine::MachineState;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{Element, HtmlElement, HtmlInputElement, KeyboardEvent};

use crate::catalog::condition::{Act, Condition, Known};
use crate::catalog::details::announcement;
use crate::catalog::store::Catalog;
use crate::console::store::Consoles;
use crate::desktop::grid::Step;
use crate::desktop::store::{Desk, Place};
use crate::desktop::view::{Foot, Main, Places, Top};
use crate::downloads::store::Downloads;
use crate::downloads::stream;
use crate::link::store::Link;
use crate::machines::events;
use crate::machines::store::Machines;
use crate::settings::add::AddServer;
use crate::settings::store::Servers;
use crate::settings::view::Keys;
use crate::ui::clock;
use crate::ui::dialog::Dialog;
use crate::ui::look::Look;

/// The first paint waits this long for what the browser remembers.
const MEMORY_MS: u32 = 500;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn log(text: &str);
}

/// All state, made once, before anything is painted; it lives as long as the page.
#[derive(Clone, Copy)]
pub(crate) struct Shell {
    pub(crate) link: Link,
    pub(crate) catalog: Catalog,
    pub(crate) servers: Servers,
    pub(crate) downloads: Downloads,
    pub(crate) machines: Machines,
    pub(crate) consoles: Consoles,
    pub(crate) desk: Desk,
    pub(crate) look: Look,
    /// Of the backend.
    pub(crate) version: RwSignal<Option<String>>,
    pub(crate) clock: ReadSignal<u64>,
}

impl Shell {
    fn new() -> Self {
        let (catalog, consoles) = (Catalog::new(), Consoles::new());
        let machines = Machines::new(catalog, consoles);
        Self {
            link: Link::new(),
            catalog,
            servers: Servers::new(),
            downloads: Downloads::new(catalog),
            machines,
            consoles,
            desk: Desk::new(catalog, machines),
            look: Look::new(),
            version: RwSignal::new(None),
            clock: clock::tick(),
        }
    }

    pub(crate) fn get() -> Self {
        expect_context()
    }

    pub(crate) fn hears(self, health: BackendHealth) {
        self.link.heard();
        self.version.set(Some(health.version));
    }

    /// What an object shows.
    pub(crate) fn condition(self, key: Digest) -> Memo<Condition> {
        Memo::new(move |_| {
            let Some(entry) = self.catalog.entry(&key) else { return Condition::Idle };
            Condition::of(Known {
                entry: &entry,
                machine: self.machines.of(&key).as_ref(),
                download: self.downloads.of(&key).as_ref(),
                problem: self.catalog.problem(&key).as_ref(),
                asked: self.machines.is_asked(&key),
                reachable: self.link.is_up(),
            })
        })
    }

    pub(crate) fn act(self, key: Digest, act: Act) {
        match act {
            Act::Boot | Act::Retry => self.machines.boot(key, None),
            Act::BootFrom(server, _) => self.machines.boot(key, Some(server)),
            Act::Cancel => self.cancel(&key),
            Act::Stop => {
                untrack(|| self.machines.of(&key)).into_iter().for_each(|machine| self.machines.stop(machine.id))
            }
            Act::Open => {
                untrack(|| self.machines.of(&key)).into_iter().for_each(|machine| self.consoles.open(machine.id))
            }
        }
    }

    /// Cancels the download of an image, and the machine that waits for it.
    pub(crate) fn cancel(self, key: &Digest) {
        let waits = |machine: &pixelrts_shared::machine::Machine| machine.state == MachineState::Fetching;
        untrack(|| {
            self.machines.of(key).filter(waits).into_iter().for_each(|machine| self.machines.stop(machine.id));
            self.downloads.of(key).into_iter().for_each(|download| self.downloads.cancel(download.id));
        });
    }

    /// The first paint is what was known at the last visit.
    async fn recall(self) {
        let memory = join3(self.look.recall(), self.catalog.merged.recall(), self.servers.list.recall());
        select(Box::pin(memory), TimeoutFuture::new(MEMORY_MS)).await;
    }
}

/// Starts the page.
pub fn start() {
    std::panic::set_hook(Box::new(|fault| fall(&fault.to_string())));
    _ = any_spawner::Executor::init_wasm_bindgen();
    spawn_local(async {
        let owner = Owner::new();
        let shell = owner.with(Shell::new);
        shell.recall().await;
        owner.with(|| {
            spawn_local(events::follow(shell));
            spawn_local(stream::follow(shell.downloads));
        });
        std::mem::forget(owner);
        mount_to_body(move || view! { <App shell=shell/> });
    });
}

/// Instead of a page that is dead: what happened, and a way on. It uses nothing of the page that broke.
fn fall(why: &str) {
    log(why);
    let Some(document) = web_sys::window().and_then(|window| window.document()) else { return };
    if let Some(reason) = document.get_element_by_id("fallen-why") {
        reason.set_text_content(Some(why));
    }
    if let Some(panel) = document.get_element_by_id("fallen") {
        let _ = panel.remove_attribute("hidden");
    }
}

#[component]
fn App(shell: Shell) -> impl IntoView {
    provide_context(shell);
    let keys = window_event_listener(leptos::ev::keydown, move |event| key(shell, &event));
    on_cleanup(move || keys.remove());
    view! {
        <div class="app">
            <Top/>
            <Main/>
            <Foot/>
            <Places/>
        </div>
        <Dialog open=shell.desk.adding label="Add a server"><AddServer/></Dialog>
        <Dialog open=shell.desk.help label="Keyboard">
            <h2>"Keyboard"</h2>
            <Keys/>
            <div class="foot2"><button class="btn pri big" autofocus on:click=move |_| shell.desk.help.set(false)>"Close"</button></div>
        </Dialog>
        <Live shell=shell/>
    }
}

/// What assistive technology says of progress, at most every 5 s.
#[component]
fn Live(shell: Shell) -> impl IntoView {
    let said = RwSignal::new(String::new());
    let conditions = Memo::new(move |_| {
        let told = |key: Digest| {
            let condition = shell.condition(key).get();
            (condition != Condition::Idle).then(|| announcement(&shell.catalog.name(&key), &condition))
        };
        let busy = shell.downloads.active().into_iter().map(|download| download.key);
        busy.chain(shell.desk.selected()).filter_map(told).collect::<Vec<_>>().join(". ")
    });
    let ticks = StoredValue::new(0_u32);
    Effect::new(move |_| {
        shell.clock.get();
        ticks.update_value(|ticks| *ticks += 1);
        if ticks.get_value().is_multiple_of(5) {
            let now = conditions.get_untracked();
            if said.with_untracked(|said| *said != now) {
                said.set(now);
            }
        }
    });
    view! { <p class="sr" role="status" aria-live="polite">{said}</p> }
}

/// Keys of the page; a field, a dialog and a console keep theirs.
fn key(shell: Shell, event: &KeyboardEvent) {
    let desk = shell.desk;
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    let inside =
        |selector: &str| target.as_ref().is_some_and(|target| target.closest(selector).ok().flatten().is_some());
    if inside("dialog, .term") || event.ctrl_key() || event.alt_key() || event.meta_key() {
        return;
    }
    let key = event.key();
    if inside("input") {
        if key == "Escape" {
            desk.search.set(String::new());
            blur(target.as_ref());
        }
        return;
    }
    let on_wall = desk.place.get_untracked() == Place::Wall;
    let selected = untrack(|| desk.selected());
    let handled = match key.as_str() {
        "/" => focus_search(),
        "?" => {
            desk.help.set(true);
            true
        }
        "Escape" if !on_wall => {
            desk.place.set(Place::Wall);
            true
        }
        "Escape" => {
            desk.details.set(false);
            shell.downloads.tray.set(false);
            true
        }
        " " if on_wall && selected.is_some() && !inside("button") => {
            desk.details.update(|details| *details = !*details);
            true
        }
        "Enter" if inside(".obj") && !inside("button") => {
            if let Some(key) = selected {
                let act = untrack(|| shell.condition(key).get().act(shell.link.is_up()));
                act.filter(Act::begins).into_iter().for_each(|act| shell.act(key, act));
            }
            true
        }
        key if on_wall && (inside(".obj") || !inside("button, .window, .side, .tray")) => {
            Step::of_key(key).is_some_and(|step| walk(shell, step))
        }
        _ => false,
    };
    if handled {
        event.prevent_default();
    }
}

/// Moves selection and focus on the wall.
fn walk(shell: Shell, step: Step) -> bool {
    let shown = untrack(|| shell.desk.shown());
    let from = untrack(|| shell.desk.selected()).and_then(|key| shown.iter().position(|other| *other == key));
    let place = |key: &Digest| {
        document().get_element_by_id(&format!("o-{key}")).and_then(|object| object.dyn_into::<HtmlElement>().ok())
    };
    let top = |key: &Digest| place(key).map(|object| object.offset_top());
    let columns = shown.first().map_or(1, |first| {
        let row = top(first);
        shown.iter().take_while(|key| top(key) == row).count()
    });
    let Some(object) = step.target(from, shown.len(), columns).and_then(|at| place(&shown[at])) else { return false };
    object.focus().is_ok()
}

fn focus_search() -> bool {
    let field = document().get_element_by_id("search").and_then(|field| field.dyn_into::<HtmlInputElement>().ok());
    field.is_some_and(|field| field.focus().is_ok())
}

fn blur(target: Option<&Element>) {
    if let Some(field) = target.and_then(|target| target.dyn_ref::<HtmlElement>()) {
        let _ = field.blur();
    }
}
