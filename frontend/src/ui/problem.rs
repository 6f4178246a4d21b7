//! A problem, told in full: what, why, fix, and below the technical part.

use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::Problem;

use super::{clipboard, told};
use crate::words::{closed, sentence};

#[component]
pub(crate) fn ProblemView(problem: Problem) -> impl IntoView {
    let technical = technical(&problem);
    let Problem { what, why, fix, .. } = problem;
    view! {
        <dl class="err">
            <div><dt>"What"</dt><dd class="w">{closed(&what)}</dd></div>
            <div><dt>"Why"</dt><dd class="t">{told(&sentence(&why))}</dd></div>
            <div><dt>"Fix"</dt><dd>{told(&sentence(&fix))}</dd></div>
        </dl>
        <p class="m tech">{technical}</p>
    }
}

/// All of it, as text for a report.
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
