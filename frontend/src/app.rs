//! Starts the page: it is painted from what the browser remembers, then follows the backend.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;

use crate::frame::Frame;
use crate::keyboard::listener;
use crate::shell::Shell;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn log(text: &str);
}

pub fn start() {
    std::panic::set_hook(Box::new(|fault| show_fault(&fault.to_string())));
    _ = any_spawner::Executor::init_wasm_bindgen();
    spawn_local(async {
        let owner = Owner::new();
        let shell = owner.with(Shell::new);
        shell.recall().await;
        owner.with(|| shell.follow());
        // The stores live as long as the page.
        std::mem::forget(owner);
        mount_to_body(move || view! { <App shell=shell/> });
    });
}

#[component]
fn App(shell: Shell) -> impl IntoView {
    shell.provide();
    listener::listen();
    view! { <Frame/> }
}

/// Covers a page that does not react any more with what happened and a way to reload. It uses nothing of the page that
/// failed.
fn show_fault(why: &str) {
    log(why);
    let Some(document) = web_sys::window().and_then(|window| window.document()) else { return };
    if let Some(reason) = document.get_element_by_id("fault-reason") {
        reason.set_text_content(Some(why));
    }
    if let Some(panel) = document.get_element_by_id("fault") {
        let _ = panel.remove_attribute("hidden");
    }
}
