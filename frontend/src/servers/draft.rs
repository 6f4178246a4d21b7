//! A server that is about to be added. It is asked first, and its reply is shown before anything is stored.

use pixelrts_shared::Problem;
use pixelrts_shared::server::{NewServer, ServerFound};
use pixelrts_shared::text::Text;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    pub url: String,
    /// Empty: the server keeps the name that it gives itself.
    pub name: String,
    pub step: Step,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Step {
    /// The person types an address.
    #[default]
    Address,
    /// The server, or the backend, is asked.
    Waiting,
    /// It answered, and can be added.
    Found(ServerFound),
    Failed(Problem),
}

/// What a press on the form's button asks the backend for.
#[derive(Clone, Debug, PartialEq)]
pub enum Submission {
    /// Whether this address is a server.
    Check(String),
    Add(NewServer),
}

impl Draft {
    /// What was found at the old address is dropped.
    pub fn set_url(&mut self, url: String) {
        self.url = url;
        self.step = Step::Address;
    }

    pub fn submit(&mut self) -> Submission {
        let url = self.url.trim().to_owned();
        match std::mem::replace(&mut self.step, Step::Waiting) {
            Step::Found(found) => {
                let name = Some(self.name.trim()).filter(|name| !name.is_empty()).map_or(found.name, Text::from);
                Submission::Add(NewServer { url, name: Some(name), ..NewServer::default() })
            }
            Step::Address | Step::Waiting | Step::Failed(_) => Submission::Check(url),
        }
    }

    /// The outcome of a submission; it is dropped when the person has gone on to another address meanwhile.
    pub fn settle(&mut self, outcome: Step) {
        if self.step == Step::Waiting {
            self.step = outcome;
        }
    }

    #[must_use]
    pub fn button(&self) -> &'static str {
        match self.step {
            Step::Found(_) => "Add server",
            Step::Failed(_) => "Check again",
            Step::Address | Step::Waiting => "Check",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixelrts_shared::ProblemCode;
    use pixelrts_shared::left_out::LeftOut;

    fn found() -> Draft {
        let step =
            Step::Found(ServerFound { name: "Office".into(), entries: 2, latency_ms: 3, left_out: LeftOut::default() });
        Draft { url: " http://office ".to_owned(), step, ..Draft::default() }
    }

    #[test]
    fn an_address_is_checked_before_it_is_added() {
        let mut draft = Draft { step: Step::Address, ..found() };
        assert_eq!(draft.button(), "Check");
        assert_eq!(draft.submit(), Submission::Check("http://office".to_owned()));
        assert_eq!(draft.step, Step::Waiting);
        draft.step = Step::Failed(Problem::new(ProblemCode::NetworkRefused, "what", "why", "fix"));
        assert_eq!(draft.button(), "Check again");
        assert_eq!(draft.submit(), Submission::Check("http://office".to_owned()));
    }

    #[test]
    fn a_server_keeps_the_name_it_gives_itself_unless_it_is_given_one() {
        let added = |name: &str| match (Draft { name: name.to_owned(), ..found() }).submit() {
            Submission::Add(server) => (server.url, server.name),
            Submission::Check(url) => panic!("{url} is known to be a server"),
        };
        assert_eq!(added("  "), ("http://office".to_owned(), Some("Office".into())));
        assert_eq!(added(" Ours "), ("http://office".to_owned(), Some("Ours".into())));
    }

    #[test]
    fn another_address_has_to_be_checked_again() {
        let mut draft = found();
        draft.set_url("http://other".to_owned());
        assert_eq!(draft.submit(), Submission::Check("http://other".to_owned()));
    }

    #[test]
    fn a_late_reply_about_another_address_is_dropped() {
        let mut draft = Draft { step: Step::Address, ..found() };
        draft.submit();
        draft.set_url("http://other".to_owned());
        draft.settle(found().step);
        assert_eq!(draft.step, Step::Address);
        draft.submit();
        draft.settle(found().step);
        assert_eq!(draft.step, found().step);
    }
}
