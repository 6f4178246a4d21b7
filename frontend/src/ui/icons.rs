//! Icons as SVG, drawn on 16 by 16.

pub(crate) const MARK: &str = r#"<path d="M2 14V9.6h4.2V14H14M2 6.4V2h4.2v4.4H14V2h-4.2M14 9.6H9.8"/>"#;
pub(crate) const SEARCH: &str = r#"<circle cx="7" cy="7" r="4.5"/><path d="m10.5 10.5 3 3"/>"#;
pub(crate) const PLUS: &str = r#"<path d="M8 3v10M3 8h10"/>"#;
pub(crate) const CLOSE: &str = r#"<path d="m4 4 8 8M12 4l-8 8"/>"#;
pub(crate) const CHECK: &str = r#"<path d="m3 8.5 3.5 3.5L13 4.5"/>"#;
pub(crate) const COPY: &str = r#"<path d="M5.5 5.5h8v8h-8zM10.5 5V2.5h-8v8H5"/>"#;
pub(crate) const PASTE: &str = r#"<path d="M5 3.5H3v10h10v-10h-2M5.5 2h5v3h-5z"/>"#;
pub(crate) const POWER: &str = r#"<path d="M8 2v5.5M5 4.2a5 5 0 1 0 6 0"/>"#;
pub(crate) const MINIMISE: &str = r#"<path d="M3.5 11.5h9"/>"#;
pub(crate) const FULL: &str = r#"<path d="M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10"/>"#;
pub(crate) const THEME: &str = r#"<circle cx="8" cy="8" r="5.25"/><path d="M8 2.75v10.5a5.25 5.25 0 0 0 0-10.5z" fill="currentColor" stroke="none"/>"#;
pub(crate) const SETTINGS: &str = r#"<path d="M2.5 5h6M12.5 5h1M2.5 11h1M7.5 11h6"/><circle cx="10.5" cy="5" r="1.75"/><circle cx="5.5" cy="11" r="1.75"/>"#;
pub(crate) const HELP: &str =
    r#"<circle cx="8" cy="8" r="6"/><path d="M6.3 6.5a1.8 1.8 0 1 1 2.5 1.7c-.6.3-.8.6-.8 1.2M8 11.4v.1"/>"#;
pub(crate) const WALL: &str = r#"<path d="M2.5 2.5h4v4h-4zM9.5 2.5h4v4h-4zM2.5 9.5h4v4h-4zM9.5 9.5h4v4h-4z"/>"#;
pub(crate) const SERVERS: &str = r#"<path d="M5.5 1.5h5v4h-5zM8 5.5v3M3 8.5h10M3 8.5v2M8 8.5v2M13 8.5v2M1.5 10.5h3v3h-3zM6.5 10.5h3v3h-3zM11.5 10.5h3v3h-3z"/>"#;
pub(crate) const SCREEN: &str = r#"<path d="M1.5 3h13v8.5h-13zM5.5 14h5"/>"#;
pub(crate) const STORAGE: &str = r#"<path d="M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01"/>"#;
pub(crate) const DOT: &str = r#"<circle cx="8" cy="8" r="1.2" fill="currentColor"/>"#;
pub(crate) const DOWNLOADING: &str = r#"<path d="M8 2.5v7.5M4.5 7 8 10.5 11.5 7M3 13.5h10"/>"#;
pub(crate) const HALF: &str =
    r#"<circle cx="8" cy="8" r="5.25"/><path d="M8 2.75a5.25 5.25 0 0 1 0 10.5z" fill="currentColor" stroke="none"/>"#;
pub(crate) const ERROR: &str = r#"<path d="M8 1 15 8 8 15 1 8z" fill="currentColor" stroke="none"/><path class="exclamation" d="M8 4.8v3.6M8 10.6v.4"/>"#;
pub(crate) const STAR: &str = r#"<path d="m8 2 1.8 3.9 4.2.5-3.1 2.9.8 4.2L8 11.4l-3.7 2.1.8-4.2L2 6.4l4.2-.5z"/>"#;
pub(crate) const STAR_FULL: &str =
    r#"<path class="solid" d="m8 1.5 2 4.2 4.6.6-3.4 3.1.9 4.6L8 11.8 3.9 14l.9-4.6L1.4 6.3 6 5.7z"/>"#;
pub(crate) const LIST: &str = r#"<path d="M2.5 4h11M2.5 8h11M2.5 12h11"/>"#;
pub(crate) const FILTER: &str = r#"<path d="M2.5 4h11M4.5 8h7M6.5 12h3"/>"#;
