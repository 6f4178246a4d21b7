//! Time, as the browser knows it.

use gloo_timers::future::TimeoutFuture;
use js_sys::Date;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsValue;

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    whole(Date::now())
}

/// The whole part of a number that is never negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, which is what is wanted")]
pub(crate) fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

/// The time of day of a moment: `14:02`.
pub(crate) fn time(ms: u64) -> String {
    let date = Date::new(&JsValue::from_f64(ms as f64));
    let time = format!("{:02}:{:02}", date.get_hours(), date.get_minutes());
    if now().saturating_sub(ms) < 43_200_000 {
        time
    } else {
        format!("{time} on {}-{:02}-{:02}", date.get_full_year(), date.get_month() + 1, date.get_date())
    }
}

/// How long ago a moment (RFC 3339) was, in seconds.
pub(crate) fn ago(moment: &str) -> Option<u64> {
    let then = Date::parse(moment);
    then.is_finite().then(|| now().saturating_sub(whole(then)) / 1000)
}

/// The present, read by what shows running times. It ticks once a second.
pub(crate) fn tick() -> ReadSignal<u64> {
    let (clock, set) = signal(now());
    spawn_local(async move {
        loop {
            TimeoutFuture::new(1000).await;
            set.set(now());
        }
    });
    clock
}
