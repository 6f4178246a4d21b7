//! Waiting for conditions.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// For what takes seconds at most, on a machine that is busy with other things too.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Asks until it gets a value; after [`DEADLINE`] an error that says what was waited for.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let since = Instant::now();
    loop {
        let failure = match ask().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => String::new(),
            Err(error) => format!("; lastly: {error:#}"),
        };
        if since.elapsed() > DEADLINE {
            bail!("waited {} s in vain: {what}{failure}", DEADLINE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
