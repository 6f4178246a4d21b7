//! What the page says while the backend does not answer.

use leptos::prelude::*;

use crate::catalog::store::Catalog;
use crate::clock;
use crate::link::store::Link;
use crate::ui::{self, icons};

#[component]
pub(crate) fn Banner() -> impl IntoView {
    let (link, catalog) = (Link::expect(), Catalog::expect());
    move || {
        link.problem().map(|problem| {
            let time = catalog.confirmed_at().map(clock::time_of_day);
            let known = time.map_or_else(String::new, |time| format!("What you see was last confirmed at {time}."));
            view! {
                <div class="banner" role="alert">
                    <span class="status" data-status="error">{ui::icon(icons::ERROR)}<span>{problem.what}</span></span>
                    <span>{known}</span>
                    <span class="quiet">{ui::with_commands(&problem.fix)}</span>
                </div>
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Page, catalog};
    use pixelrts_shared::health::{BackendHealth, HealthStatus};
    use pixelrts_shared::{Problem, ProblemCode};
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    async fn it_is_there_as_long_as_the_backend_does_not_answer() {
        let page = Page::mount(|shell| shell.catalog.set(catalog([])), || view! { <Banner/> });
        assert_eq!(page.text(), "");
        page.shell.link.lost(Problem::new(ProblemCode::NetworkRefused, "It is gone.", "why", "run `pixelrts serve`"));
        page.until("the banner", |page| page.text().starts_with("It is gone.")).await;
        assert!(page.find("code").is_some(), "the command can be told from the text");
        let version = "1".to_owned();
        let health = BackendHealth { status: HealthStatus::Ok, version, uptime_seconds: 1, modules: Vec::new() };
        page.shell.link.answered(health);
        page.until("no banner", |page| page.text().is_empty()).await;
    }
}
