//! Waiting for a condition instead of for a time.

use std::time::{Duration, Instant};

/// The condition did not come true in time.
#[derive(Debug, thiserror::Error)]
#[error("still waiting for {what} after {after:?}")]
pub struct TimedOut {
    what: String,
    after: Duration,
}

/// Asks `condition` every 10 ms until it is true.
///
/// # Errors
/// [`TimedOut`], naming `what`, when it is not true within `deadline`; one asking always happens.
pub async fn eventually(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) -> Result<(), TimedOut> {
    let start = Instant::now();
    let asking = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    match tokio::time::timeout(deadline, asking).await {
        Ok(()) => Ok(()),
        Err(_) => Err(TimedOut { what: what.to_owned(), after: start.elapsed() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ends_when_true_and_fails_when_never() {
        let mut asked = 0;
        let done = eventually("three", Duration::from_secs(5), async || {
            asked += 1;
            asked == 3
        });
        assert!(done.await.is_ok());
        assert_eq!(asked, 3);
        let never = eventually("the moon", Duration::from_millis(30), async || false).await;
        assert!(never.is_err_and(|e| e.to_string().contains("the moon")));
    }
}
