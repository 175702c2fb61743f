//! Notices that an HTTP/2 connection has had no request for a time. A tick every quarter of it
//! looks whether there was one, so that requests cost no clock.

use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// A connection's idle time.
pub(super) struct Idle {
    tick: Interval,
    quiet: u32,
    served: u64,
}

/// Ticks without a request until the time is over, and the shortest time between two.
const TICKS: u32 = 4;
const SHORTEST: Duration = Duration::from_millis(10);

// === impl Idle ===

impl Idle {
    pub fn new(limit: Duration) -> Self {
        let period = (limit / TICKS).max(SHORTEST);
        let mut tick = interval_at(Instant::now() + period, period);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { tick, quiet: 0, served: 0 }
    }

    /// Ready when there was no request for the whole time, given how many there were so far and
    /// whether there is one now.
    pub fn poll(&mut self, cx: &mut Context<'_>, served: u64, busy: bool) -> Poll<()> {
        while self.tick.poll_tick(cx).is_ready() {
            let quiet = !busy && served == self.served;
            self.quiet = if quiet { self.quiet + 1 } else { 0 };
            self.served = served;
            if self.quiet >= TICKS {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const LIMIT: Duration = Duration::from_millis(80);

    #[tokio::test]
    async fn idle_after_the_last_request_and_never_in_one() {
        let begun = Instant::now();
        let mut idle = Idle::new(LIMIT);
        let long = tokio::time::timeout(LIMIT * 3, poll_fn(|cx| idle.poll(cx, 1, true))).await;
        assert!(long.is_err());
        poll_fn(|cx| idle.poll(cx, 1, false)).await;
        let after = begun.elapsed().saturating_sub(LIMIT * 3);
        assert!(after >= LIMIT * 3 / 4, "{after:?}");
    }
}
