//! Waits before the next try, in the browser.

use gloo_timers::future::TimeoutFuture;
use js_sys::Math;
use pixelrts_shared::backoff::Backoff;

/// Waits as long as the policy says. Returns false when there is to be no further try.
pub(crate) async fn pause(waits: &mut Backoff) -> bool {
    let Some(wait) = waits.failed(random()) else { return false };
    TimeoutFuture::new(u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)).await;
    true
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number from 0 to below 2^32")]
fn random() -> u32 {
    (Math::random() * f64::from(u32::MAX)) as u32
}
