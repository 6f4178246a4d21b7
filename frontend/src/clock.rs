//! Time, as the browser knows it.

use gloo_timers::future::TimeoutFuture;
use js_sys::Date;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsValue;

/// The present, in milliseconds since 1970, read by what shows running times. It ticks once a second.
#[derive(Clone, Copy)]
pub(crate) struct Clock(RwSignal<u64>);

impl Clock {
    pub(crate) fn start() -> Self {
        let time = RwSignal::new(now());
        spawn_local(async move {
            loop {
                TimeoutFuture::new(1000).await;
                time.set(now());
            }
        });
        Self(time)
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    pub(crate) fn now(self) -> u64 {
        self.0.get()
    }
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    whole(Date::now())
}

/// The whole part of a number that is never negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, which is what is wanted")]
pub(crate) fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

/// The time of day of a moment: `14:02`, with its date when it was more than 12 hours ago.
pub(crate) fn time_of_day(ms: u64) -> String {
    let date = Date::new(&JsValue::from_f64(ms as f64));
    let time = format!("{:02}:{:02}", date.get_hours(), date.get_minutes());
    if now().saturating_sub(ms) < 43_200_000 {
        time
    } else {
        format!("{time} on {}-{:02}-{:02}", date.get_full_year(), date.get_month() + 1, date.get_date())
    }
}

/// How long ago a moment (RFC 3339) was, in seconds.
pub(crate) fn seconds_since(moment: &str) -> Option<u64> {
    let then = Date::parse(moment);
    then.is_finite().then(|| now().saturating_sub(whole(then)) / 1000)
}
