//! A problem in full: what, why, fix, and below them the technical part.

use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::Problem;

use super::{clipboard, with_commands};
use crate::words::{closed, sentence};

#[component]
pub(crate) fn ProblemView(problem: Problem) -> impl IntoView {
    let technical = technical(&problem);
    let Problem { what, why, fix, .. } = problem;
    view! {
        <dl class="problem">
            <div><dt>"What"</dt><dd class="problem-what">{closed(&what)}</dd></div>
            <div><dt>"Why"</dt><dd class="tabular">{with_commands(&sentence(&why))}</dd></div>
            <div><dt>"Fix"</dt><dd>{with_commands(&sentence(&fix))}</dd></div>
        </dl>
        <p class="mono technical">{technical}</p>
    }
}

/// Copies all of it, as text for a report.
pub(crate) fn copy_details(problem: &Problem) {
    let text = format!("{problem}\nCode: {}", code(problem));
    spawn_local(async move {
        clipboard::copy(&text).await;
    });
}

fn technical(problem: &Problem) -> String {
    problem.context.iter().cloned().chain([code(problem)]).collect::<Vec<_>>().join("\n")
}

fn code(problem: &Problem) -> String {
    match &problem.request_id {
        Some(id) => format!("{}, request {id}", problem.code.as_str()),
        None => problem.code.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Page;
    use pixelrts_shared::ProblemCode;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    fn a_problem_says_what_why_and_how_to_fix_it() {
        let problem =
            Problem::new(ProblemCode::HashMismatch, "It is damaged", "one byte differs", "run `pixelrts verify`")
                .context("strip 7");
        let page = Page::mount(|_| {}, move || view! { <ProblemView problem=problem/> });
        let text = page.text();
        for part in ["WhatIt is damaged.", "WhyOne byte differs.", "FixRun pixelrts verify", "strip 7", "mismatch"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(page.find("code").and_then(|code| code.text_content()).as_deref(), Some("pixelrts verify"));
    }
}
