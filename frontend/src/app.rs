//! Starts the page: it is painted from what the browser remembers, then the rest of its code is loaded, then it follows
//! the backend.

pub(crate) mod parts;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;

use crate::address;
use crate::frame::Frame;
use crate::keyboard::listener;
use crate::rest::{Missing, Parts};
use crate::shell::Shell;
use parts::Follow;

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
        mount_to_body(move || view! { <App shell=shell/> });
        let follow = shell.rest.load(load_rest).await;
        owner.with(|| follow(shell));
        owner.with(|| shell.offline.follow());
        // The stores live as long as the page.
        std::mem::forget(owner);
    });
}

/// Loads the chunk, which `cargo xtask build` makes of this function and of all that nothing else uses.
#[cfg(feature = "split")]
#[allow(unsafe_code, reason = "what the macro writes calls into the chunk")]
#[leptos::wasm_split::wasm_split(rest, wasm_split_path = ::leptos::wasm_split, fallible)]
fn load_rest() -> Result<(Parts, Follow), Missing> {
    Ok(parts::parts())
}

/// Everything is in one piece.
#[cfg(not(feature = "split"))]
async fn load_rest() -> Result<(Parts, Follow), Missing> {
    Ok(parts::parts())
}

#[component]
fn App(shell: Shell) -> impl IntoView {
    shell.provide();
    address::store::follow();
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
