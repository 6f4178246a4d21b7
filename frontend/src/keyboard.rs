//! The keys of the page: a pure function from a key and the focus to a command.
//!
//! Fields, dialogs and consoles keep their keys, and combinations belong to the browser.

use crate::layout::Page;
use crate::wall::grid::Move;

#[cfg(target_arch = "wasm32")]
pub(crate) mod listener;
#[cfg(target_arch = "wasm32")]
pub(crate) mod view;

/// The keys and what they do, as the page lists them.
pub const KEYS: [(&str, &str); 11] = [
    ("/", "Search"),
    ("Enter", "In the search: go to the first image that was found"),
    ("← ↑ → ↓", "Move on the wall"),
    ("Page ↑ ↓", "Move by a page"),
    ("Home, End", "Go to the first and to the last image"),
    ("Enter", "Boot, or open the console"),
    ("Space", "Show or hide the details, like a click on the name"),
    ("V", "Show the images as cards or as a list"),
    ("Esc", "Close what is open"),
    ("Ctrl+Alt", "Press and release both to leave a console"),
    ("?", "Show these keys"),
];

/// Where the keyboard focus is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// On nothing in particular.
    Page,
    /// The card of an image.
    Card,
    /// A button on the card of an image.
    CardButton,
    Button,
    /// In a window, the details or the tray.
    Panel,
    /// The search field.
    Search,
    Field,
    /// A dialog or a console, which keep all keys.
    Captured,
}

/// A key that is pressed, with all that its command depends on.
#[derive(Clone, Copy, Debug)]
pub struct KeyPress<'a> {
    /// As the browser names it.
    pub key: &'a str,
    /// Ctrl, Alt or Meta is held down.
    pub modified: bool,
    pub focus: Focus,
    pub page: Page,
    /// An image is selected.
    pub selected: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Search,
    /// Empties the search and leaves its field.
    EndSearch,
    /// Goes from the search to the first image that it found.
    GoToFirst,
    ShowKeys,
    /// Closes what is open, or leaves the settings.
    Leave,
    ToggleDetails,
    /// Cards become a list, and a list cards.
    SwitchLook,
    /// Boots the selected image, or opens its console.
    Begin,
    Move(Move),
}

/// The command of a key; `None` leaves the key to the browser.
#[must_use]
pub fn command(press: KeyPress<'_>) -> Option<Command> {
    let KeyPress { key, modified, focus, page, selected } = press;
    let on_wall = page == Page::Wall;
    if modified {
        return None;
    }
    match (focus, key) {
        (Focus::Captured, _) => None,
        (Focus::Search | Focus::Field, "Escape") => Some(Command::EndSearch),
        (Focus::Search, "Enter" | "ArrowDown") => Some(Command::GoToFirst),
        (Focus::Search | Focus::Field, _) => None,
        (_, "/") => Some(Command::Search),
        (_, "?") => Some(Command::ShowKeys),
        (_, "Escape") => Some(Command::Leave),
        // On a button, these two keys press the button.
        (Focus::Button | Focus::CardButton, " " | "Enter") => None,
        (_, "v" | "V") => on_wall.then_some(Command::SwitchLook),
        (_, " ") => (on_wall && selected).then_some(Command::ToggleDetails),
        (Focus::Card, "Enter") => Some(Command::Begin),
        (Focus::Page | Focus::Card | Focus::CardButton, key) if on_wall => movement(key).map(Command::Move),
        _ => None,
    }
}

fn movement(key: &str) -> Option<Move> {
    Some(match key {
        "ArrowLeft" => Move::Left,
        "ArrowRight" => Move::Right,
        "ArrowUp" => Move::Up,
        "ArrowDown" => Move::Down,
        "PageUp" => Move::PageUp,
        "PageDown" => Move::PageDown,
        "Home" => Move::First,
        "End" => Move::Last,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Focus; 8] = [
        Focus::Page,
        Focus::Card,
        Focus::CardButton,
        Focus::Button,
        Focus::Panel,
        Focus::Search,
        Focus::Field,
        Focus::Captured,
    ];
    const NAMES: [&str; 13] = [
        "/",
        "?",
        "Escape",
        " ",
        "Enter",
        "ArrowLeft",
        "ArrowRight",
        "ArrowUp",
        "ArrowDown",
        "Home",
        "End",
        "PageUp",
        "PageDown",
    ];

    fn press(key: &str, focus: Focus) -> KeyPress<'_> {
        KeyPress { key, modified: false, focus, page: Page::Wall, selected: true }
    }

    fn on_wall(key: &str, focus: Focus) -> Option<Command> {
        command(press(key, focus))
    }

    #[test]
    fn dialogs_and_consoles_keep_all_keys_and_combinations_belong_to_the_browser() {
        for key in NAMES {
            assert_eq!(on_wall(key, Focus::Captured), None, "{key}");
            for focus in ALL {
                assert_eq!(command(KeyPress { modified: true, ..press(key, focus) }), None, "{key} {focus:?}");
            }
        }
    }

    #[test]
    fn a_field_keeps_all_keys_but_escape() {
        for key in NAMES {
            assert_eq!(on_wall(key, Focus::Field), (key == "Escape").then_some(Command::EndSearch), "{key}");
        }
    }

    #[test]
    fn enter_and_down_go_from_the_search_to_the_first_image_and_all_other_keys_are_typed() {
        for key in NAMES {
            let expected = match key {
                "Escape" => Some(Command::EndSearch),
                "Enter" | "ArrowDown" => Some(Command::GoToFirst),
                _ => None,
            };
            for page in [Page::Wall, Page::Settings] {
                assert_eq!(command(KeyPress { page, ..press(key, Focus::Search) }), expected, "{key} {page:?}");
            }
        }
    }

    #[test]
    fn enter_begins_on_a_card_only_and_a_button_keeps_it() {
        for focus in ALL.into_iter().filter(|focus| *focus != Focus::Search) {
            assert_eq!(on_wall("Enter", focus), (focus == Focus::Card).then_some(Command::Begin), "{focus:?}");
        }
    }

    #[test]
    fn space_needs_the_wall_and_a_selected_image() {
        let space = press(" ", Focus::Page);
        assert_eq!(command(space), Some(Command::ToggleDetails));
        assert_eq!(on_wall(" ", Focus::Panel), Some(Command::ToggleDetails));
        assert_eq!(command(KeyPress { selected: false, ..space }), None);
        assert_eq!(command(KeyPress { page: Page::Settings, ..space }), None);
        assert_eq!((on_wall(" ", Focus::Button), on_wall(" ", Focus::CardButton)), (None, None));
    }

    #[test]
    fn arrows_move_on_the_wall_and_scroll_everywhere_else() {
        let right = Some(Command::Move(Move::Right));
        for focus in ALL {
            let moves = matches!(focus, Focus::Page | Focus::Card | Focus::CardButton);
            assert_eq!(on_wall("ArrowRight", focus), right.filter(|_| moves), "{focus:?}");
            let press = KeyPress { page: Page::Settings, ..press("ArrowRight", focus) };
            assert_eq!(command(press), None, "{focus:?}");
        }
        assert_eq!(on_wall("End", Focus::Page), Some(Command::Move(Move::Last)));
        assert_eq!(on_wall("PageDown", Focus::Card), Some(Command::Move(Move::PageDown)));
        assert_eq!(on_wall("a", Focus::Page), None);
    }

    #[test]
    fn escape_search_and_help_work_from_everywhere_else() {
        for focus in [Focus::Page, Focus::Card, Focus::CardButton, Focus::Button, Focus::Panel] {
            for page in [Page::Wall, Page::Settings] {
                let of = |key| command(KeyPress { page, ..press(key, focus) });
                let commands = [Command::Leave, Command::Search, Command::ShowKeys];
                assert_eq!(["Escape", "/", "?"].map(of), commands.map(Some), "{focus:?} {page:?}");
            }
        }
    }
}
