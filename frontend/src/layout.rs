//! What of the page is open: which page, the details beside it, the downloads under it, a dialog over it.

#[cfg(target_arch = "wasm32")]
pub(crate) mod store;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Page {
    #[default]
    Wall,
    Machines,
    Storage,
    Servers,
    Settings,
}

impl Page {
    pub const ALL: [Self; 5] = [Self::Wall, Self::Machines, Self::Storage, Self::Servers, Self::Settings];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Wall => "Images",
            Self::Machines => "Machines",
            Self::Storage => "Storage",
            Self::Servers => "Servers",
            Self::Settings => "Settings",
        }
    }

    /// As addresses name it.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Wall => "images",
            Self::Machines => "machines",
            Self::Storage => "storage",
            Self::Servers => "servers",
            Self::Settings => "settings",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialog {
    AddServer,
    Keyboard,
}

/// What is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    pub page: Page,
    /// The panel beside the wall, about the selected image.
    pub details: bool,
    /// The list of downloads.
    pub tray: bool,
    pub dialog: Option<Dialog>,
}

impl Open {
    /// Nothing but the wall, as the navigation of a narrow page opens it.
    pub fn show_wall_alone(&mut self) {
        *self = Self { page: Page::Wall, details: false, tray: false, ..*self };
    }

    /// Escape leads from other pages to the wall; there it closes what is open beside it.
    pub fn leave(&mut self) {
        match self.page {
            Page::Machines | Page::Storage | Page::Servers | Page::Settings => self.page = Page::Wall,
            Page::Wall => (self.details, self.tray) = (false, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Open = Open { page: Page::Settings, details: true, tray: true, dialog: Some(Dialog::Keyboard) };

    #[test]
    fn leaving_the_settings_keeps_what_is_open_beside_the_wall() {
        let mut open = OPEN;
        open.leave();
        assert_eq!(open, Open { page: Page::Wall, ..OPEN });
        open.leave();
        assert_eq!(open, Open { page: Page::Wall, details: false, tray: false, ..OPEN });
    }

    #[test]
    fn the_wall_alone_has_nothing_beside_it() {
        let mut open = OPEN;
        open.show_wall_alone();
        assert_eq!(open, Open { page: Page::Wall, details: false, tray: false, ..OPEN });
    }
}
