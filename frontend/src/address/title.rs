//! What the browser's tab says: where the page is, and what goes on.

/// The most important thing that goes on, as the icon of the tab shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Rest,
    Running,
    Arriving,
    Problem,
}

/// What goes on, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GoingOn {
    pub is_backend_gone: bool,
    pub failed: usize,
    pub arriving: usize,
    pub on: usize,
}

impl GoingOn {
    #[must_use]
    pub fn sign(self) -> Sign {
        match self {
            Self { is_backend_gone: true, .. } => Sign::Problem,
            Self { failed, .. } if failed > 0 => Sign::Problem,
            Self { arriving, .. } if arriving > 0 => Sign::Arriving,
            Self { on, .. } if on > 0 => Sign::Running,
            _ => Sign::Rest,
        }
    }

    /// `place`: the view, or the image whose details are open.
    #[must_use]
    pub fn title(self, place: &str) -> String {
        let news = match self.sign() {
            // What was counted before may not be so any more.
            Sign::Problem if self.is_backend_gone => "No answer: ".to_owned(),
            Sign::Problem => format!("{} failed: ", self.failed),
            Sign::Arriving => format!("{} arriving: ", self.arriving),
            Sign::Running => format!("{} on: ", self.on),
            Sign::Rest => String::new(),
        };
        format!("{news}{place}, PixelRTS")
    }
}

/// The icon of the tab, as the address of a picture. `None`: the plain mark.
#[must_use]
pub fn icon(sign: Sign) -> Option<String> {
    // Each sign has a shape of its own, too.
    let shape = match sign {
        Sign::Rest => return None,
        Sign::Running => "<path fill='%2300a35c' d='M8 6l8 5-8 5z'/>",
        Sign::Arriving => "<path fill='%232f7fe0' d='M7 7h9l-4.5 9z'/>",
        Sign::Problem => "<path fill='%23d4342b' d='M11 5l5.5 5.5-5.5 5.5L5.5 10.5z'/>",
    };
    Some(format!(
        "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>\
         <rect width='16' height='16' rx='3' fill='%23e8ebea'/>\
         <path fill='none' stroke='%23121617' stroke-width='1.5' d='M2 14V9.6h4.2V14H14M2 6.4V2h4.2v4.4H14V2h-4.2'/>{shape}</svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_says_the_worst_first_and_nothing_that_may_be_old() {
        let all = GoingOn { is_backend_gone: true, failed: 1, arriving: 2, on: 3 };
        assert_eq!(all.title("Images"), "No answer: Images, PixelRTS");
        let answers = GoingOn { is_backend_gone: false, ..all };
        assert_eq!(answers.title("Images"), "1 failed: Images, PixelRTS");
        let arriving = GoingOn { failed: 0, ..answers };
        assert_eq!(
            (arriving.title("Images"), arriving.sign()),
            ("2 arriving: Images, PixelRTS".to_owned(), Sign::Arriving)
        );
        assert_eq!(GoingOn { on: 3, ..GoingOn::default() }.title("Alpine"), "3 on: Alpine, PixelRTS");
        assert_eq!(GoingOn::default().title("Servers"), "Servers, PixelRTS");
    }

    #[test]
    fn each_sign_has_an_icon_of_its_own() {
        let icons = [Sign::Rest, Sign::Running, Sign::Arriving, Sign::Problem].map(icon);
        assert_eq!(icons[0], None);
        assert!(icons.iter().enumerate().all(|(at, icon)| !icons[..at].contains(icon)));
        assert!(icons.iter().flatten().all(|icon| !icon.contains('#') && !icon.contains('"')), "an address");
    }
}
