//! The settings: servers, theme, keys, version.

use leptos::prelude::*;

use crate::appearance::Theme;
use crate::appearance::store::Appearance;
use crate::keyboard::view::Keys;
use crate::link::store::Link;
use crate::servers::table::ServerSection;

#[component]
pub(crate) fn SettingsPage() -> impl IntoView {
    let (appearance, link) = (Appearance::expect(), Link::expect());
    view! {
        <main class="settings">
            <div class="settings-column">
                <ServerSection/>
                <section>
                    <h2>"Appearance"</h2>
                    <div class="choices" role="radiogroup" aria-label="Theme">
                        {Theme::ALL.into_iter().map(|theme| view! {
                            <label>
                                <input type="radio" name="theme" prop:checked=move || appearance.theme() == theme on:change=move |_| appearance.choose(theme)/>
                                {theme.word()}
                            </label>
                        }).collect_view()}
                    </div>
                </section>
                <section>
                    <h2>"Keyboard"</h2>
                    <Keys/>
                </section>
                <section>
                    <h2>"About"</h2>
                    <p class="quiet">{move || link.version().map_or_else(|| "PixelRTS".to_owned(), |version| format!("PixelRTS {version}"))}</p>
                </section>
            </div>
        </main>
    }
}
