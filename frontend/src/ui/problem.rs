//! A problem: one sentence and one action; why, what helps and the technical part are folded below them.

use leptos::prelude::*;
use pixelrts_shared::Problem;
use pixelrts_shared::problem::Level;

use super::{CopyButton, icon, icons, with_commands};
use crate::words::{closed, sentence};

/// The buttons that mend it are the children. Without one, what to do is said in words that are not folded.
#[component]
pub(crate) fn ProblemView(
    problem: Problem,
    /// A strip, as for a server that does not answer.
    #[prop(optional)]
    slim: bool,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    let report = report(&problem);
    let (context, code) = (problem.context.clone(), code(&problem));
    let Problem { what, why, fix, level, .. } = problem;
    let fix = with_commands(&sentence(&fix));
    let (said, folded, summary) = match (&children, slim) {
        (None, false) => (Some(fix), None, "Why, and the details"),
        _ => (None, Some(fix), "Why, and what helps"),
    };
    view! {
        <section class="problem" class:slim=slim data-state=if level == Level::Error { "failed" } else { "retrying" }>
            {icon(icons::ERROR)}
            <p class="problem-sentence">{closed(&what)}</p>
            {said.map(|fix| view! { <p class="problem-fix">{fix}</p> })}
            {children.map(|actions| view! { <div class="problem-actions">{actions()}</div> })}
            <details class="fold">
                <summary>{summary}</summary>
                <p class="quiet tabular">{with_commands(&sentence(&why))}</p>
                {folded.map(|fix| view! { <p>{fix}</p> })}
                {context.map(|context| view! { <pre class="code-block">{context}</pre> })}
                <p class="problem-code"><span class="mono">{code}</span><CopyButton text=report label="Copy all of it"/></p>
            </details>
        </section>
    }
}

/// All of it, as text for a report.
fn report(problem: &Problem) -> String {
    format!("{problem}\nCode: {}", code(problem))
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

    fn page(action: bool) -> Page {
        let problem =
            Problem::new(ProblemCode::HashMismatch, "It is damaged", "one byte differs", "run `pixelrts verify`")
                .context("strip 7");
        Page::mount(
            |_| {},
            move || {
                if action {
                    view! { <ProblemView problem=problem><button>"Fetch it again"</button></ProblemView> }.into_any()
                } else {
                    view! { <ProblemView problem=problem/> }.into_any()
                }
            },
        )
    }

    #[wasm_bindgen_test]
    fn a_problem_is_one_sentence_and_what_to_do() {
        let page = page(false);
        assert_eq!(page.find(".problem-sentence").unwrap().inner_text(), "It is damaged.");
        assert_eq!(page.find(".problem-fix").unwrap().inner_text(), "Run pixelrts verify");
        assert!(page.find("code").is_some(), "the command can be told from the text");
        let folded = page.find("details").unwrap();
        assert!(!folded.has_attribute("open"));
        let text = folded.text_content().unwrap();
        for part in ["One byte differs.", "strip 7", "mismatch"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[wasm_bindgen_test]
    fn where_a_button_mends_it_the_words_are_folded() {
        let page = page(true);
        assert_eq!(page.buttons(), ["Fetch it again", "Copy all of it"]);
        assert!(page.find(".problem-fix").is_none());
        assert!(page.find("details").unwrap().text_content().unwrap().contains("Run pixelrts verify"));
    }
}
