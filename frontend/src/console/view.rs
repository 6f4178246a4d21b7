//! A terminal on the serial port of a machine, with a toolbar above and a line of text below.

use std::rc::Rc;

use futures_util::future::{AbortHandle, abortable};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::MachineId;

use super::line::{SerialPort, line};
use super::terminal::{Held, Terminal};
use super::toolbar::Toolbar;
use crate::boot::store::Boot;
use crate::catalog::store::Catalog;
use crate::clock::Clock;
use crate::machines::store::Machines;
use crate::machines::summary::summary;

#[component]
pub(crate) fn Console(id: MachineId) -> impl IntoView {
    let (machines, catalog, boot, clock) = (Machines::expect(), Catalog::expect(), Boot::expect(), Clock::expect());
    let id = StoredValue::new(id);
    let machine = Memo::new(move |_| machines.get(&id.get_value()));
    let is_over =
        Memo::new(move |_| machine.with(|machine| machine.as_ref().is_none_or(|machine| machine.state.is_over())));
    let port = RwSignal::new(SerialPort::Connecting);
    let failure = RwSignal::new(None::<String>);
    let size = RwSignal::new((0, 0));
    let terminal: Held = StoredValue::new_local(None);
    let host = NodeRef::<html::Div>::new();

    let start = move || {
        let (task, abort) = abortable(async move {
            let Some(host) = host.get_untracked() else { return };
            let (opened, typed) = match Terminal::open(&host).await {
                Ok((opened, typed)) => (Rc::new(opened), typed),
                Err(error) => return failure.set(Some(format!("{error:?}"))),
            };
            opened.focus();
            size.set(opened.size());
            terminal.set_value(Some(Rc::clone(&opened)));
            let is_over = move || machines.is_over(&id.get_value());
            opened.follow(typed, &id.get_value(), is_over, move |now| port.set(now)).await;
        });
        spawn_local(async move {
            let _ = task.await;
        });
        abort
    };
    let abort = StoredValue::new(None::<AbortHandle>);
    Effect::new(move |_| {
        if host.get().is_some() && abort.with_value(Option::is_none) {
            abort.set_value(Some(start()));
        }
    });
    on_cleanup(move || {
        if let Some(abort) = abort.try_get_value().flatten() {
            abort.abort();
        }
    });
    // The size follows the window; it is read when the clock ticks, which is soon enough for a line of text.
    Effect::new(move |_| {
        clock.now();
        if let Some(now) = terminal.with_value(|terminal| terminal.as_ref().map(|terminal| terminal.size())) {
            size.set(now);
        }
    });

    let uptime = move || {
        machine
            .get()
            .filter(|_| !is_over.get())
            .map(|machine| summary(&machine, machines.uptime(&machine, clock.now())))
    };
    let text = move || {
        machine.with(|machine| {
            let ended = machine.as_ref().map(|machine| summary(machine, 0)).unwrap_or_default();
            line(machine.as_ref(), &ended, port.get())
        })
    };
    let device = move || {
        let image = machine.with(|machine| machine.as_ref().map(|machine| machine.key));
        image.and_then(|key| catalog.entry(&key)).and_then(|entry| boot.console_device(&entry.entry))
    };
    let dimensions = move || {
        let (columns, rows) = size.get();
        format!("{columns} × {rows}")
    };
    view! {
        <Toolbar id=id terminal=terminal/>
        <div class="console-terminal" class:lost=move || port.get() == SerialPort::Lost && !is_over.get() node_ref=host></div>
        {move || failure.get().map(|why| view! {
            <p class="technical" role="alert">"The terminal did not load. Reload the page. " {why}</p>
        })}
        <footer class="window-foot">
            <span class="mono">{device}</span>
            <span class="mono wide-only">{dimensions}</span>
            <span class="ellipsis" role="status">{text}</span>
            <span class="spacer"></span>
            <span class="tabular wide-only">{uptime}</span>
        </footer>
    }
}
