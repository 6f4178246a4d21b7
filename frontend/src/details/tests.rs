use super::*;
use crate::image::condition::tests::{entry, machine, refusal};
use crate::shell::Shell;
use crate::testing::{Backend, Page, catalog};
use pixelrts_shared::catalog::MergedEntry;
use pixelrts_shared::machine::Machine;
use pixelrts_shared::paths;
use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

fn details(entry: MergedEntry, prepare: impl FnOnce(Shell)) -> Page {
    let key = entry.entry.sha256;
    let prepare = |shell: Shell| {
        shell.catalog.set(catalog([entry]));
        prepare(shell);
    };
    Page::mount(prepare, move || view! { <Details key=key/> })
}

fn with_settings(shell: Shell) {
    shell.boot.set(serde_json::from_value(crate::boot::tests::settings()).unwrap());
}

/// The labels of the buttons in the foot.
fn foot(page: &Page) -> String {
    page.find(".sheet-actions").unwrap().text_content().unwrap()
}

#[wasm_bindgen_test]
async fn the_foot_has_what_is_wanted_most_and_stop_for_what_is_on() {
    details(entry(true, &[]), |_| {}).until("Boot", |page| foot(page) == "Boot").await;
    let on = details(entry(true, &[]), |shell| shell.machines.accept(vec![machine("running", Some("kernel"))]));
    on.until("Open and Stop", |page| foot(page) == "OpenStop").await;
    let stopping = details(entry(true, &[]), |shell| shell.machines.accept(vec![machine("stopping", Some("kernel"))]));
    stopping.until("Stopping", |page| foot(page) == "OpenStopping").await;
}

#[wasm_bindgen_test]
async fn a_machine_that_panicked_says_what_and_what_next() {
    let failed = details(entry(true, &[]), |shell| {
        shell.machines.accept(vec![Machine { problem: Some(refusal()), ..machine("panicked", None) }]);
    });
    failed
        .until("the problem", |page| {
            page.find(".problem-sentence").is_some_and(|what| what.text_content().as_deref() == Some("what."))
                && page
                    .find(".problem-actions")
                    .is_some_and(|actions| actions.text_content().as_deref() == Some("Retry"))
        })
        .await;
    assert_eq!(failed.attribute(".details", "data-state").as_deref(), Some("failed"));
}

#[wasm_bindgen_test]
async fn all_servers_that_have_the_image_are_listed_with_their_health() {
    let page = details(entry(false, &[("office", "up"), ("lab", "down")]), |_| {});
    page.until("both servers", |page| {
        let text = page.text();
        text.contains("officeanswers") && text.contains("labno answer") && text.contains("same SHA-256")
    })
    .await;
}

#[wasm_bindgen_test]
async fn what_a_machine_gets_is_shown_and_what_is_chosen_is_sent() {
    let backend = Backend::start();
    let image = entry(true, &[]);
    let call = format!("POST {}", paths::entry_boot(&image.entry.sha256));
    let page = details(image, |_| {});
    assert!(!page.text().contains("Boots with"), "the defaults are not known yet");
    with_settings(page.shell);
    let checked = |page: &Page, name: &str| {
        page.find(&format!("input[name={name}]:checked + span"))
            .and_then(|chosen| chosen.text_content())
            .unwrap_or_default()
    };
    page.until("the defaults", |page| checked(page, "memory") == "1\u{a0}GiB" && checked(page, "cpus") == "1").await;
    page.find("input[name=cpus]:not(:checked)").unwrap().click();
    page.until("2 CPUs", |page| checked(page, "cpus") == "2" && page.text().contains("Put all back")).await;
    backend.reply(&call, 202, &json!({"machine_id": "m0000001"}));
    page.press("Boot");
    page.until("the request", |_| backend.calls().contains(&format!("{call} {}", json!({"cpus": 2})))).await;
}

#[wasm_bindgen_test]
async fn what_cannot_be_used_is_told_at_its_field_before_boot() {
    let page = details(entry(true, &[]), with_settings);
    page.until("the options", |page| page.find("input[name=memory]").is_some()).await;
    let all = page.host().query_selector_all("input[name=memory]").unwrap();
    let other: HtmlElement = all.item(all.length() - 1).unwrap().unchecked_into();
    other.click();
    page.until("the field", |page| page.find("#memory-field").is_some()).await;
    page.fill("#memory-field", "64G");
    page.until("the refusal", |page| {
        page.text().contains("This computer has 4 GiB.")
            && page.attribute("#memory-field", "aria-invalid").as_deref() == Some("true")
    })
    .await;
    assert!(!page.buttons().contains(&"Boot".to_owned()));
    page.press("Put all back");
    page.until("Boot", |page| page.buttons().contains(&"Boot".to_owned()) && page.find("#memory-field").is_none())
        .await;
}

#[wasm_bindgen_test]
async fn closing_closes_and_gives_the_focus_back() {
    let page = details(entry(true, &[]), |shell| shell.layout.update(|open| open.details = true));
    page.press("Close details");
    assert!(!untrack(|| page.shell.layout.shows_details()));
}

#[wasm_bindgen_test]
async fn what_is_kept_is_read_again_when_the_image_has_arrived_and_can_be_removed() {
    let backend = Backend::start();
    let image = entry(false, &[("office", "up")]);
    let key = image.entry.sha256;
    let held = json!([{
        "sha256": key, "size": 100, "name": "Entry", "idle_seconds": 60, "pinned": false, "in_use": false,
        "last_booted": false, "available": true
    }]);
    let kept =
        |items: &serde_json::Value| serde_json::to_value(crate::cache::tests::contents(items, &json!([]))).unwrap();
    let call = format!("GET {}", paths::CACHE);
    backend.reply(&call, 200, &kept(&json!([]))).reply(&call, 200, &kept(&held));
    let page = details(image, |_| {});
    page.until("nothing", |page| page.text().contains("Nothing of it is here.")).await;
    page.shell.catalog.set(catalog([entry(true, &[("office", "up")])]));
    page.until("all of it", |page| page.buttons().contains(&"Remove from this computer".to_owned())).await;
    page.press("Remove from this computer");
    page.until("the question", |page| page.text().contains("can be fetched again")).await;
    backend.reply(&format!("DELETE {}", paths::cached(&key)), 200, &json!({"freed": 100, "removed": []}));
    page.press("Remove");
    page.until("the request", |_| backend.calls().iter().any(|call| call.starts_with("DELETE "))).await;
}
