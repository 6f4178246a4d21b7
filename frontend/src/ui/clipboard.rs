//! The clipboard, where the browser allows it.

use leptos::prelude::window;
use wasm_bindgen_futures::JsFuture;

/// False when the browser refuses.
pub(crate) async fn copy(text: &str) -> bool {
    JsFuture::from(window().navigator().clipboard().write_text(text)).await.is_ok()
}

pub(crate) async fn read() -> Option<String> {
    JsFuture::from(window().navigator().clipboard().read_text()).await.ok()?.as_string()
}
