//! Gives up on bodies that come too slowly. A body that is there already costs no timer.

use super::reply::{Code, Refusal};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// How a body comes in, against what is asked of it.
pub(super) struct Pace {
    /// Bytes so far.
    pub received: u64,
    terms: Terms,
    /// When it was first waited for, and the next look at it.
    waits: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// What is asked of a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Time for the whole.
    pub limit: Duration,
    /// Bytes a second on the whole, once the grace is over.
    pub rate: u64,
    /// Before this, it may come as it likes.
    pub grace: Duration,
}

/// Between two looks at the rate.
const STEP: Duration = Duration::from_secs(1);

// === impl Pace ===

impl Pace {
    pub fn new(terms: Terms) -> Self {
        Self { received: 0, terms, waits: None }
    }

    /// Called while there is nothing to read; ready when that has to end.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        let Terms { limit, rate, grace } = self.terms;
        let first = || (Instant::now(), Box::pin(sleep(grace.min(limit))));
        let (since, look) = self.waits.get_or_insert_with(first);
        loop {
            ready!(look.as_mut().poll(cx));
            let waited = since.elapsed();
            if waited >= limit {
                let message =
                    format!("the request's body did not arrive within {} s", limit.as_secs_f32());
                return Poll::Ready(Refusal::new(Code::RequestTimeout, message));
            }
            if (self.received as f64) < waited.as_secs_f64() * rate as f64 {
                let message = format!(
                    "the request's body came with less than {rate} bytes/s: {} bytes in {:.1} s",
                    self.received,
                    waited.as_secs_f32()
                );
                return Poll::Ready(Refusal::new(Code::RequestTimeout, message));
            }
            look.as_mut().reset(*since + (waited + STEP).min(limit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    /// What a body gets that comes with this many bytes every 50 ms.
    async fn verdict(bytes: u64) -> (Duration, Refusal) {
        let ms = Duration::from_millis;
        let mut pace = Pace::new(Terms { limit: ms(1_500), rate: 1024, grace: ms(200) });
        let begun = Instant::now();
        loop {
            let step = tokio::time::timeout(ms(50), poll_fn(|cx| pace.poll(cx))).await;
            if let Ok(refusal) = step {
                return (begun.elapsed(), refusal);
            }
            pace.received += bytes;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slow_bodies_end_after_the_grace_and_all_at_the_limit() {
        for (bytes, at_least, text) in
            [(0, 200, "less than"), (10, 200, "less"), (900, 1_500, "within")]
        {
            let (waited, refusal) = verdict(bytes).await;
            assert_eq!(refusal.code, Code::RequestTimeout);
            assert!(refusal.message.contains(text), "{}", refusal.message);
            assert!(waited >= Duration::from_millis(at_least), "{waited:?}");
        }
    }
}
