//! The sampler's clockwork: ticks while it runs, and the orderly end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tailgate_common::clock::Nanos;
use tailgate_common::ledger::Ledger;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::hold::Sampler;
use crate::members::Node;

/// How often due traces are looked for.
const TICK: Duration = Duration::from_millis(100);
/// So long between two ticks, and the process stood still: deputies may hold what came for it.
const STOOD_STILL: Duration = Duration::from_millis(1_500);
/// The time they get to give it back before overdue traces are decided without it: to connect, and to look.
const GIVE_BACK: Duration = Duration::from_secs(3);
/// How often kept traces that found no room are offered again at the end.
const RETRY: Duration = Duration::from_millis(20);

/// Whether this process stood still (it was stopped, or its machine) and for how long that matters.
#[derive(Debug)]
struct Standstill {
    last: Nanos,
    over: Nanos,
}

/// Decides what is due, until `stop`. After a standstill it does so only when the deputies have had time to give back
/// what they hold.
pub async fn tick(sampler: Arc<Sampler>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut standstill = Standstill::new(sampler.now());
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        while standstill.is_over(sampler.now()) && sampler.tick() {
            // Arrivals on this thread get their turn.
            tokio::task::yield_now().await;
        }
    }
}

// === impl Standstill ===

impl Standstill {
    fn new(now: Nanos) -> Self {
        Self { last: now, over: now }
    }

    /// Whether what is due can be decided now. To be asked all the time.
    fn is_over(&mut self, now: Nanos) -> bool {
        let still = now.since(self.last);
        if still >= STOOD_STILL {
            warn!(?still, "the process stood still; decisions wait for the deputies");
            self.over = now + GIVE_BACK;
        }
        self.last = now;
        now >= self.over
    }
}

/// Decides what is held and sends what is kept, within `timeout`. Nothing may come in any more. Gives the final
/// ledger.
pub async fn drain(node: &Node, timeout: Duration) -> Ledger {
    let sampler = &node.sampler;
    let deadline = Instant::now() + timeout;
    sampler.exports().hurry();
    node.leave(timeout / 5).await;
    loop {
        let waiting = sampler.decide_all();
        if waiting == 0 {
            break;
        }
        if Instant::now() >= deadline {
            info!(traces = waiting, "time is over: the exporters have no room for these");
            break;
        }
        tokio::time::sleep(RETRY).await;
    }
    sampler.exports().drain(deadline.saturating_duration_since(Instant::now())).await;
    sampler.abandon();
    sampler.snapshot().ledger
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_wait_for_deputies_after_a_standstill_only() {
        let at = |ms| Nanos(0) + Duration::from_millis(ms);
        let mut standstill = Standstill::new(at(0));
        let mut ask = |ms| standstill.is_over(at(ms));
        assert!(ask(0) && ask(100) && ask(1_500));
        // Until 3 s after it was noticed.
        assert!((30..60).all(|tick| !ask(tick * 100)));
        assert!(ask(6_000) && ask(7_400));
        assert!(!ask(8_900));
    }
}
