//! The windows over the wall, and their title bars.

use leptos::prelude::*;
use pixelrts_shared::MachineId;
use pixelrts_shared::image_status::{Status, of_machine};
use web_sys::PointerEvent;

use super::position::Position;
use super::store;
use crate::console::view::Console;
use crate::image::picture::Stamp;
use crate::image::state::State;
use crate::image::state_line::StateLine;
use crate::machines::store::Machines;
use crate::ui::list::list;
use crate::ui::{self, icons};

/// All windows. Minimised ones stay in the page, because their terminals keep reading.
#[component]
pub(crate) fn Windows() -> impl IntoView {
    let windows = store::Windows::expect();
    view! {
        <div class="window-area">
            {list(move || windows.all(), |id| view! { <Window id=id/> }.into_any())}
        </div>
    }
}

#[component]
fn Window(id: MachineId) -> impl IntoView {
    let (windows, machines) = (store::Windows::expect(), Machines::expect());
    let place = untrack(|| windows.all()).iter().position(|other| *other == id).unwrap_or(0);
    let position = RwSignal::new(Position::initial(ui::page_size(), place));
    let full = RwSignal::new(false);
    let id = StoredValue::new(id);
    let name =
        Memo::new(move |_| machines.get(&id.get_value()).map_or_else(|| "Machine".to_owned(), |machine| machine.name));
    view! {
        <section
            class="window"
            class:front=move || windows.is_front(&id.get_value())
            class:full=full
            class:minimised=move || windows.is_minimised(&id.get_value())
            aria-label=move || format!("Serial console, {}", name.get())
            style:left=move || format!("{}px", position.get().x)
            style:top=move || format!("{}px", position.get().y)
            style:z-index=move || (1 + windows.level(&id.get_value())).to_string()
            on:pointerdown=move |_| windows.bring_to_front(id.get_value())
        >
            <Title id=id name=name full=full position=position/>
            <Console id=id.get_value()/>
        </section>
    }
}

/// A window is dragged by its title, and a double click fills the page with it.
#[component]
fn Title(
    id: StoredValue<MachineId>,
    name: Memo<String>,
    full: RwSignal<bool>,
    position: RwSignal<Position>,
) -> impl IntoView {
    let (windows, machines) = (store::Windows::expect(), Machines::expect());
    let machine = Memo::new(move |_| machines.get(&id.get_value()));
    let grip = StoredValue::new(None::<(i32, i32)>);
    let grab = move |event: PointerEvent| {
        if full.get_untracked() || ui::is_on_button(&event) {
            return;
        }
        let Position { x, y } = position.get_untracked();
        grip.set_value(Some((event.client_x() - x, event.client_y() - y)));
        ui::capture(&event);
    };
    let drag = move |event: PointerEvent| {
        if let Some((x, y)) = grip.get_value() {
            position.set(Position::dragged(event.client_x() - x, event.client_y() - y));
        }
    };
    let status = Memo::new(move |_| machine.with(|machine| machine.as_ref().map_or(Status::Stopped, of_machine)));
    let image = Memo::new(move |_| machine.with(|machine| machine.as_ref().map(|machine| machine.key)));
    view! {
        <header
            class="window-title"
            on:pointerdown=grab
            on:pointermove=drag
            on:pointerup=move |_| grip.set_value(None)
            on:dblclick=move |_| full.update(|full| *full = !*full)
        >
            {move || image.get().map(|key| view! { <Stamp key=key/> })}
            <b class="ellipsis">{name}</b>
            <span class="quiet ellipsis wide-only">"Serial console"</span>
            <span class="spacer"></span>
            {move || view! { <StateLine state=State::of(status.get(), true)/> }}
            <button class="button borderless square" aria-label="Minimise" on:click=move |_| windows.minimise(&id.get_value())>
                {ui::icon(icons::MINIMISE)}
            </button>
            <button class="button borderless square wide-only" aria-label="Full screen" aria-pressed=move || full.get().to_string()
                on:click=move |_| full.update(|full| *full = !*full)>
                {ui::icon(icons::FULL)}
            </button>
            <button class="button borderless square" aria-label="Close the window; the machine keeps running" title="Close the window; the machine keeps running"
                on:click=move |_| windows.close(&id.get_value())>
                {ui::icon(icons::CLOSE)}
            </button>
        </header>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::list::tests::machine;
    use crate::testing::{Backend, Page};
    use pixelrts_shared::paths;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn window() -> (Page, MachineId) {
        let machine = machine("1", "00", "running", Some("kernel"));
        let id = machine.id.clone();
        let prepare = move |shell: crate::shell::Shell| {
            shell.windows.open(machine.id.clone());
            shell.machines.accept(vec![machine]);
        };
        (Page::mount(prepare, || view! { <Windows/> }), id)
    }

    #[wasm_bindgen_test]
    async fn a_minimised_window_stays_in_the_page_and_a_closed_one_does_not() {
        let (page, id) = window();
        assert_eq!(page.attribute("section", "aria-label").as_deref(), Some("Serial console, Entry"));
        page.press("Minimise");
        page.until("it is minimised", |page| untrack(|| page.shell.windows.is_minimised(&id))).await;
        assert!(page.find("section").is_some());
        page.shell.windows.open(id.clone());
        page.press("Close the window; the machine keeps running");
        page.until("it is closed", |page| page.find("section").is_none()).await;
    }

    #[wasm_bindgen_test]
    async fn a_machine_is_stopped_only_by_a_second_press() {
        let (page, id) = window();
        let backend = Backend::start();
        let stop = format!("POST {}", paths::machine_stop(&id));
        backend.reply_text(&stop, 202, "", None);
        page.press("Stop");
        page.until("it asks", |page| page.buttons().contains(&"Stop now".to_owned())).await;
        assert!(!backend.calls().contains(&stop));
        page.press("Stop now");
        page.until("the request", |_| backend.calls().contains(&stop)).await;
    }

    #[wasm_bindgen_test]
    async fn a_terminal_that_does_not_load_says_so() {
        // xterm.js is not served here.
        let (page, _) = window();
        page.until("the alert", |page| page.text().contains("The terminal did not load. Reload the page.")).await;
    }
}
