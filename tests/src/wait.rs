//! Waiting for conditions.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The longest wait for something that takes some seconds at most, on a computer that may be busy with other work.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Asks again and again until there is a value. After [`DEADLINE`] it fails and says what it waited for.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let since = Instant::now();
    loop {
        let failure = match ask().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => String::new(),
            Err(error) => format!("; the last error: {error:#}"),
        };
        if since.elapsed() > DEADLINE {
            bail!("waited {} s in vain: {what}{failure}", DEADLINE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
