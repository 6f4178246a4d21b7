//! The first start: while there is no image, the wall shows three ways to get one.

use leptos::prelude::*;

use crate::layout::Dialog;
use crate::layout::store::Layout;
use crate::ui;

#[component]
pub(crate) fn FirstStart() -> impl IntoView {
    let layout = Layout::expect();
    view! {
        <main class="first-start">
            <h2 class="first-title">"No images yet."</h2>
            <p>"An image is a picture whose pixels are the bytes of an operating system. When one arrives, it fills in here and can be booted with one click."</p>
            <div class="first-ways">
                <Way name="Make the samples" text="Small systems that boot to a prompt, made on this computer from packages of its distribution.">
                    <ui::Command text="pixelrts samples"/>
                </Way>
                <Way name="Add a server" text="A computer that runs pixelrts serve --role catalog, or a web server with a catalog.json.">
                    <button class="button primary" on:click=move |_| layout.open_dialog(Dialog::AddServer)>"Add a server"</button>
                </Way>
                <Way name="Make your own" text="A kernel and an initrd are enough. The image appears here when it is in a catalog folder.">
                    <ui::Command text="pixelrts pack --help"/>
                </Way>
            </div>
        </main>
    }
}

#[component]
fn Way(name: &'static str, text: &'static str, children: Children) -> impl IntoView {
    view! {
        <section class="first-way">
            <h3>{name}</h3>
            <p>{text}</p>
            {children()}
        </section>
    }
}
