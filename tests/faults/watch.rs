//! Scrapes every node while the test runs: whenever a node can be asked, its ledger balances.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tailgate_testkit::balance::NodeLedger;
use tailgate_testkit::prom::Metrics;
use tokio::task::JoinHandle;

const PAUSE: Duration = Duration::from_millis(100);

/// The watch over a fleet; ends when dropped.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    scrapes: u64,
    /// Scrapes with spans in flight: others would balance too easily.
    busy: u64,
    faults: Vec<String>,
}

// === impl Watch ===

impl Watch {
    /// `nodes`: names and URLs of metrics.
    pub fn start(nodes: Vec<(String, String)>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(watch(nodes, seen.clone()));
        Watch { seen, task }
    }

    /// Panics when a scrape did not balance, or none was of a busy node.
    pub fn end(self) {
        self.task.abort();
        let seen = self.seen.lock();
        println!("{} scrapes balanced, {} of them with spans in flight", seen.scrapes, seen.busy);
        assert!(seen.faults.is_empty(), "{}", seen.faults.join("\n"));
        assert!(seen.busy > 0, "no scrape of a busy node");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(nodes: Vec<(String, String)>, seen: Arc<Mutex<Seen>>) {
    loop {
        for (name, url) in &nodes {
            // A node may be dead or stopped; then there is nothing to see.
            let scrape = tokio::time::timeout(Duration::from_millis(500), Metrics::scrape(url));
            let Ok(Ok(metrics)) = scrape.await else { continue };
            let ledger = NodeLedger::from_metrics(&metrics);
            let mut seen = seen.lock();
            seen.scrapes += 1;
            match ledger.and_then(|ledger| ledger.balance().map(|()| ledger)) {
                Ok(ledger) => seen.busy += u64::from(ledger.total("in_flight") > 0),
                Err(fault) => seen.faults.push(format!("{name}: {fault}")),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
