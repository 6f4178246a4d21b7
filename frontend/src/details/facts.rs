//! Facts about the image.

use leptos::prelude::*;
use pixelrts_shared::catalog::MergedEntry;

use crate::clock;
use crate::image::text;
use crate::ui::CopyButton;
use crate::words;

pub(super) fn facts(entry: &MergedEntry) -> impl IntoView + use<> {
    let about = &entry.entry;
    let digest = about.sha256.to_string();
    let short = words::shortened(&digest);
    let fact = |name: &'static str, value: Option<String>, class: &'static str| {
        value
            .filter(|value| !value.is_empty())
            .map(|value| view! { <dt>{name}</dt><dd class=class><span>{value}</span></dd> })
    };
    let ago = |moment: &Option<String>| {
        moment.as_deref().and_then(clock::seconds_since).map(|seconds| format!("{} ago", words::span(seconds)))
    };
    let tags = about.tags.iter().map(|tag| tag.to_string()).collect::<Vec<_>>().join(", ");
    let address = entry.sources.iter().find_map(|source| source.url.clone());
    view! {
        <section class="sheet-section">
            <h3 class="section-title">"Facts"</h3>
            <dl class="facts">
                {fact("System", Some(text::system(about)), "")}
                {fact("Version", about.version.as_deref().map(str::to_owned), "")}
                {fact("Kernel", about.kernel_version.as_deref().map(str::to_owned), "mono")}
                {fact("Size", Some(words::bytes(about.size)), "")}
                {fact("Tags", Some(tags), "")}
                {fact("Added", ago(&entry.added), "")}
                {fact("Last used", ago(&entry.last_used), "")}
                {fact("Id", Some(about.id.to_string()), "mono")}
                <dt>"SHA-256"</dt>
                <dd><span class="mono" title=digest.clone()>{short}</span><CopyButton text=digest label="Copy digest"/></dd>
                {address.map(|address| view! {
                    <dt>"Address"</dt>
                    <dd><span class="mono ellipsis" title=address.clone()>{address.clone()}</span><CopyButton text=address label="Copy address"/></dd>
                })}
            </dl>
        </section>
    }
}
