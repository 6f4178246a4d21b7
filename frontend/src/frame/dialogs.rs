//! The dialogs over the page.

use leptos::prelude::*;

use crate::layout::Dialog;
use crate::layout::store::Layout;
use crate::rest::Rest;
use crate::ui::modal::Modal;

#[component]
pub(crate) fn Dialogs() -> impl IntoView {
    let (layout, rest) = (Layout::expect(), Rest::expect());
    let is_open = move |dialog| Signal::derive(move || layout.dialog() == Some(dialog));
    let close = Callback::new(move |()| layout.close_dialog());
    view! {
        <Modal open=is_open(Dialog::AddServer) close=close label="Add a server">{rest.show(|parts| (parts.add_server)())}</Modal>
        <Modal open=is_open(Dialog::Keyboard) close=close label="Keyboard">
            <h2>"Keyboard"</h2>
            {rest.show(|parts| (parts.keys)())}
            <div class="dialog-buttons"><button class="button primary large" autofocus on:click=move |_| close.run(())>"Close"</button></div>
        </Modal>
    }
}
