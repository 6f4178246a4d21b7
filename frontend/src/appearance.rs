//! The theme of the page: dark, light, or as the system has it.

#[cfg(all(test, not(target_arch = "wasm32")))]
mod contrast;
#[cfg(target_arch = "wasm32")]
pub(crate) mod store;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "Auto",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }

    /// As the stylesheet and the browser's storage name it.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    #[must_use]
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.slug() == slug)
    }

    /// The button in the rail goes through all themes in turn.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Auto => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::Auto,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Theme;

    #[test]
    fn each_theme_is_read_back_from_its_slug() {
        for theme in Theme::ALL {
            assert_eq!(Theme::from_slug(theme.slug()), Some(theme));
        }
        assert_eq!(Theme::from_slug("sepia"), None);
    }

    #[test]
    fn the_button_reaches_every_theme() {
        let [first, second, third] = Theme::ALL;
        assert_eq!(Theme::ALL.map(Theme::next), [second, third, first]);
    }
}
