//! The dialogs over the page.

use leptos::prelude::*;

use crate::keyboard::view::Keys;
use crate::layout::Dialog;
use crate::layout::store::Layout;
use crate::servers::add::AddServer;
use crate::ui::modal::Modal;

#[component]
pub(crate) fn Dialogs() -> impl IntoView {
    let layout = Layout::expect();
    let is_open = move |dialog| Signal::derive(move || layout.dialog() == Some(dialog));
    let close = Callback::new(move |()| layout.close_dialog());
    view! {
        <Modal open=is_open(Dialog::AddServer) close=close label="Add a server"><AddServer/></Modal>
        <Modal open=is_open(Dialog::Keyboard) close=close label="Keyboard">
            <h2>"Keyboard"</h2>
            <Keys/>
            <div class="dialog-buttons"><button class="button primary large" autofocus on:click=move |_| close.run(())>"Close"</button></div>
        </Modal>
    }
}
