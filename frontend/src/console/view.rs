//! A serial console in a window: it can be moved, made small and large, and closed while the machine runs on.

use std::rc::Rc;

use futures_util::future::{AbortHandle, abortable};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::MachineId;
use pixelrts_shared::catalog::Status;
use pixelrts_shared::machine::MachineState;
use web_sys::PointerEvent;

use super::terminal::{Terminal, Wire};
use crate::app::Shell;
use crate::catalog::picture::Stamp;
use crate::machines::view::running;
use crate::ui::{self, Glyph, icons};

/// Of a window with the frame of the page and a margin, in pixels, as in the stylesheet.
const WINDOW: (i32, i32) = (720 + 24, 500 + 52 + 36 + 24);

/// All open consoles, over the wall.
#[component]
pub(crate) fn Consoles() -> impl IntoView {
    let consoles = Shell::get().consoles;
    view! {
        <div class="desk">
            <For each=move || consoles.windows() key=Clone::clone let:id>
                <Console id=id/>
            </For>
        </div>
    }
}

#[component]
fn Console(id: MachineId) -> impl IntoView {
    let shell = Shell::get();
    let (consoles, id) = (shell.consoles, StoredValue::new(id));
    let machine = Memo::new(move |_| shell.machines.get(&id.get_value()));
    let name = Memo::new(move |_| machine.get().map_or_else(|| "Machine".to_owned(), |machine| machine.name));
    let over =
        Memo::new(move |_| machine.with(|machine| machine.as_ref().is_none_or(|machine| machine.state.is_over())));
    let cascade = untrack(|| consoles.windows()).iter().position(|other| *other == id.get_value()).unwrap_or(0);
    let offset = i32::try_from(cascade % 8).unwrap_or(0) * 28;
    // At the bottom right: pictures begin at the top left.
    let (width, height) = ui::page_size();
    let place = RwSignal::new(((width - WINDOW.0 - offset).max(12), (height - WINDOW.1 - offset).max(12)));
    let full = RwSignal::new(false);
    let wire = RwSignal::new(Wire::Connecting);
    let failure = RwSignal::new(None::<String>);
    let size = RwSignal::new((0, 0));
    let terminal = StoredValue::new_local(None::<Rc<Terminal>>);
    let host = NodeRef::<html::Div>::new();

    let follow = move || {
        let (task, abort) = abortable(async move {
            let Some(host) = host.get_untracked() else { return };
            let (opened, typed) = match Terminal::open(&host).await {
                Ok((opened, typed)) => (Rc::new(opened), typed),
                Err(error) => return failure.set(Some(format!("{error:?}"))),
            };
            opened.focus();
            size.set(opened.size());
            terminal.set_value(Some(Rc::clone(&opened)));
            let is_over = move || shell.machines.is_over(&id.get_value());
            opened.follow(typed, &id.get_value(), is_over, move |now| wire.set(now)).await;
        });
        spawn_local(async move {
            let _ = task.await;
        });
        abort
    };
    let abort = StoredValue::new(None::<AbortHandle>);
    Effect::new(move |_| {
        if host.get().is_some() && abort.with_value(Option::is_none) {
            abort.set_value(Some(follow()));
        }
    });
    on_cleanup(move || {
        if let Some(abort) = abort.try_get_value().flatten() {
            abort.abort();
        }
    });
    // The size follows the window; it is read when the clock ticks, which is soon enough for a line of text.
    Effect::new(move |_| {
        shell.clock.get();
        if let Some(now) = terminal.with_value(|terminal| terminal.as_ref().map(|terminal| terminal.size())) {
            size.set(now);
        }
    });

    let says = move || match (machine.get(), wire.get()) {
        (Some(machine), _) if machine.state.is_over() => {
            format!("{} This is the last it said.", running(shell, &machine))
        }
        (None, _) | (_, Wire::Ended) => "The machine has ended. This is the last it said.".to_owned(),
        (Some(machine), _) if machine.state == MachineState::Stopping => "The machine is stopping.".to_owned(),
        (_, Wire::Connecting) => "Connecting".to_owned(),
        (_, Wire::Connected) => "Keyboard goes to the machine. Ctrl Alt gives it back.".to_owned(),
        (_, Wire::Lost) => "The connection is lost. It comes back by itself.".to_owned(),
    };
    view! {
        <section
            class="window"
            class:front=move || consoles.is_front(&id.get_value())
            class:full=move || full.get()
            class:lost=move || wire.get() == Wire::Lost && !over.get()
            class:gone=move || consoles.is_minimised(&id.get_value())
            aria-label=move || format!("Serial console, {}", name.get())
            style:left=move || format!("{}px", place.get().0)
            style:top=move || format!("{}px", place.get().1)
            style:z-index=move || (1 + consoles.level(&id.get_value())).to_string()
            on:pointerdown=move |_| consoles.raise(id.get_value())
        >
            <Title id=id name=name full=full place=place/>
            <Tools id=id terminal=terminal/>
            <div class="term" node_ref=host></div>
            {move || failure.get().map(|why| view! {
                <p class="tech" role="alert">"The terminal did not load. Reload the page. " {why}</p>
            })}
            <footer class="wf">
                <span class="m">"ttyS0"</span>
                <span class="m wide">{move || { let (columns, rows) = size.get(); format!("{columns} × {rows}") }}</span>
                <span class="cut" role="status">{says}</span>
                <span class="grow"></span>
                <span class="t wide">{move || (!over.get()).then(|| machine.get().map(|machine| running(shell, &machine)))}</span>
            </footer>
        </section>
    }
}

#[component]
fn Title(
    id: StoredValue<MachineId>,
    name: Memo<String>,
    full: RwSignal<bool>,
    place: RwSignal<(i32, i32)>,
) -> impl IntoView {
    let shell = Shell::get();
    let machine = Memo::new(move |_| shell.machines.get(&id.get_value()));
    let grip = StoredValue::new(None::<(i32, i32)>);
    let grab = move |event: PointerEvent| {
        if full.get_untracked() || ui::is_on_button(&event) {
            return;
        }
        let (x, y) = place.get_untracked();
        grip.set_value(Some((event.client_x() - x, event.client_y() - y)));
        ui::capture(&event);
    };
    let drag = move |event: PointerEvent| {
        if let Some((x, y)) = grip.get_value() {
            place.set(((event.client_x() - x).max(-200), (event.client_y() - y).max(0)));
        }
    };
    let status = move || match machine.get() {
        Some(machine) if machine.problem.is_some() => Status::Error,
        Some(machine) if machine.state.is_over() => Status::Stopped,
        Some(_) => Status::Running,
        None => Status::Stopped,
    };
    view! {
        <header
            class="wt"
            on:pointerdown=grab
            on:pointermove=drag
            on:pointerup=move |_| grip.set_value(None)
            on:dblclick=move |_| full.update(|full| *full = !*full)
        >
            {move || machine.get().map(|machine| view! { <Stamp key=machine.key/> })}
            <b class="cut">{name}</b>
            <span class="q cut wide">"Serial console"</span>
            <span class="grow"></span>
            {move || view! { <Glyph status=status()/> }}
            <button class="btn bare sq" aria-label="Minimise" on:click=move |_| shell.consoles.minimise(id.get_value())>
                {ui::icon(icons::MINIMISE)}
            </button>
            <button class="btn bare sq wide" aria-label="Full screen" aria-pressed=move || full.get().to_string()
                on:click=move |_| full.update(|full| *full = !*full)>
                {ui::icon(icons::FULL)}
            </button>
            <button class="btn bare sq" aria-label="Close window, machine keeps running" title="Close; the machine keeps running"
                on:click=move |_| shell.consoles.close(&id.get_value())>
                {ui::icon(icons::CLOSE)}
            </button>
        </header>
    }
}

type Held = StoredValue<Option<Rc<Terminal>>, LocalStorage>;

#[component]
fn Tools(id: StoredValue<MachineId>, terminal: Held) -> impl IntoView {
    let shell = Shell::get();
    let aloud = RwSignal::new(true);
    let note = RwSignal::new(None::<&'static str>);
    let asks = RwSignal::new(false);
    let is_over = Memo::new(move |_| shell.machines.get(&id.get_value()).is_none_or(|machine| machine.state.is_over()));
    let copy = move |_| {
        let Some(text) = terminal.with_value(|terminal| terminal.as_ref().map(|terminal| terminal.text())) else {
            return;
        };
        spawn_local(async move {
            note.set(Some(if ui::clipboard::copy(&text).await { "Copied." } else { "The browser did not take it." }));
        });
    };
    let paste = move |_| {
        spawn_local(async move {
            let Some(text) = ui::clipboard::read().await else {
                return note.set(Some("The browser keeps the clipboard. Ctrl Shift V pastes too."));
            };
            note.set(None);
            terminal.with_value(|terminal| terminal.as_ref().inspect(|terminal| terminal.paste(&text)).is_some());
        });
    };
    let read_aloud = move |_| {
        aloud.update(|on| *on = !*on);
        let on = aloud.get_untracked();
        terminal.with_value(|terminal| terminal.as_ref().inspect(|terminal| terminal.read_aloud(on)).is_some());
    };
    let stop = move |_| {
        if asks.get_untracked() {
            shell.machines.stop(id.get_value());
        }
        asks.update(|asks| *asks = !*asks);
    };
    view! {
        <div class="wb" role="toolbar" aria-label="Console">
            <button class="btn" title="The selection, or everything" on:click=copy>{ui::icon(icons::COPY)}"Copy"</button>
            <button class="btn" on:click=paste>{ui::icon(icons::PASTE)}"Paste"</button>
            <span class="q cut" role="status">{move || note.get()}</span>
            <span class="grow"></span>
            <button class="btn wide" class:on=aloud aria-pressed=move || aloud.get().to_string() on:click=read_aloud>"Screen reader"</button>
            <Show when=move || !is_over.get()>
                <button class="btn" class:pri=asks on:click=stop on:blur=move |_| asks.set(false)>
                    {ui::icon(icons::POWER)}
                    {move || if asks.get() { "Stop now" } else { "Stop" }}
                </button>
            </Show>
        </div>
    }
}
