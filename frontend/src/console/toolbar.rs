//! The buttons of a console.

use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::MachineId;

use super::terminal::Held;
use crate::machines::store::Machines;
use crate::ui::{self, icons};

#[component]
pub(super) fn Toolbar(id: StoredValue<MachineId>, terminal: Held) -> impl IntoView {
    let machines = Machines::expect();
    let reads_aloud = RwSignal::new(true);
    let note = RwSignal::new(None::<&'static str>);
    let confirms = RwSignal::new(false);
    let is_over = Memo::new(move |_| machines.get(&id.get_value()).is_none_or(|machine| machine.state.is_over()));
    let copy = move |_| {
        let Some(text) = terminal.with_value(|terminal| terminal.as_ref().map(|terminal| terminal.text())) else {
            return;
        };
        spawn_local(async move {
            let copied = ui::clipboard::copy(&text).await;
            note.set(Some(if copied { "Copied." } else { "The browser refused to copy it." }));
        });
    };
    let paste = move |_| {
        spawn_local(async move {
            let Some(text) = ui::clipboard::read().await else {
                return note.set(Some("The browser refused to read the clipboard. Press Ctrl+Shift+V to paste."));
            };
            note.set(None);
            terminal.with_value(|terminal| terminal.as_ref().inspect(|terminal| terminal.paste(&text)).is_some());
        });
    };
    let read_aloud = move |_| {
        reads_aloud.update(|on| *on = !*on);
        let on = reads_aloud.get_untracked();
        terminal.with_value(|terminal| terminal.as_ref().inspect(|terminal| terminal.read_aloud(on)).is_some());
    };
    let stop = move |_| {
        if confirms.get_untracked() {
            machines.stop(id.get_value());
        }
        confirms.update(|confirms| *confirms = !*confirms);
    };
    view! {
        <div class="window-toolbar" role="toolbar" aria-label="Console">
            <button class="button" title="Copies the selection, or everything" on:click=copy>{ui::icon(icons::COPY)}"Copy"</button>
            <button class="button" on:click=paste>{ui::icon(icons::PASTE)}"Paste"</button>
            <span class="quiet ellipsis" role="status">{move || note.get()}</span>
            <span class="spacer"></span>
            <button class="button wide-only" class:pressed=reads_aloud aria-pressed=move || reads_aloud.get().to_string() on:click=read_aloud>"Screen reader"</button>
            <Show when=move || !is_over.get()>
                <button class="button" class:primary=confirms on:click=stop on:blur=move |_| confirms.set(false)>
                    {ui::icon(icons::POWER)}
                    {move || if confirms.get() { "Stop now" } else { "Stop" }}
                </button>
            </Show>
        </div>
    }
}
