//! The sampler's clockwork: ticks while it runs, and the orderly end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tailgate_common::ledger::Ledger;
use tokio_util::sync::CancellationToken;
use tracing::info;

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

/// Decides what is due, until `stop`. After a standstill it does so only when the deputies have had time to give back
/// what they hold.
pub async fn tick(sampler: Arc<Sampler>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        while sampler.tick() {
            // Arrivals on this thread get their turn.
            tokio::task::yield_now().await;
        }
    }
}

/// Decides what is held and sends what is kept, within `timeout`. Nothing may come in any more. Gives the final
/// ledger and the spans lost since the call.
pub async fn drain(node: &Node, timeout: Duration) -> (Ledger, u64) {
    let sampler = &node.sampler;
    let deadline = Instant::now() + timeout;
    let lost_before = sampler.snapshot().ledger.lost_spans();
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
    let ledger = sampler.snapshot().ledger;
    let lost = ledger.lost_spans() - lost_before;
    (ledger, lost)
}
