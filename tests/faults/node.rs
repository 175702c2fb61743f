//! One process of a fleet.

use std::time::Duration;

use tailgate_testkit::balance::NodeLedger;
use tailgate_testkit::ports::Port;
use tailgate_testkit::process::{Process, Spec};
use tailgate_testkit::prom::Metrics;

/// For what has to happen, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a process listens on.
#[derive(Debug)]
pub struct Ports {
    pub otlp: Port,
    pub internal: Port,
    pub metrics: Port,
    pub health: Port,
    pub admin: Port,
}

/// A process, and how to start it again.
#[derive(Debug)]
pub struct Node {
    pub name: String,
    pub ports: Ports,
    pub process: Process,
    tier: &'static str,
    config: String,
}

// === impl Ports ===

impl Ports {
    pub fn reserve() -> anyhow::Result<Self> {
        Ok(Ports {
            otlp: Port::reserve()?,
            internal: Port::reserve()?,
            metrics: Port::reserve()?,
            health: Port::reserve()?,
            admin: Port::reserve()?,
        })
    }
}

// === impl Node ===

impl Node {
    /// `tier`: `loadbalancer` or `sampler`.
    pub fn start(
        tier: &'static str,
        name: &str,
        ports: Ports,
        config: String,
    ) -> anyhow::Result<Self> {
        let process = run(tier, &config)?;
        Ok(Node { name: name.to_owned(), ports, process, tier, config })
    }

    /// Once more, with the same name, ports and configuration.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.process = run(self.tier, &self.config)?;
        Ok(())
    }

    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let url = format!("http://{}/", self.ports.health.addr());
        self.process.wait_http(&url, 200, PATIENCE).await
    }

    pub fn is_sampler(&self) -> bool {
        self.tier == "sampler"
    }

    /// `http://host:port` of its OTLP receiver.
    pub fn target(&self) -> String {
        format!("http://{}", self.ports.otlp.addr())
    }

    pub fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.ports.metrics.addr())
    }

    pub async fn scrape(&self) -> anyhow::Result<Metrics> {
        Metrics::scrape(&self.metrics_url()).await
    }

    /// Its ledger now, which balances.
    pub async fn ledger(&self) -> anyhow::Result<NodeLedger> {
        let ledger = NodeLedger::from_metrics(&self.scrape().await?)?;
        ledger.balance()?;
        Ok(ledger)
    }

    /// SIGTERM; its exit code and the ledger that it printed, which balances and has nothing in flight.
    pub async fn stop(&mut self) -> anyhow::Result<(i32, NodeLedger)> {
        self.process.term()?;
        let status = self.process.wait_exit(PATIENCE).await?;
        let code = status.code().ok_or_else(|| anyhow::anyhow!("{}: {status}", self.name))?;
        let ledger = NodeLedger::from_text(&self.process.stdout())?;
        println!("{}: exit {code},{ledger}", self.name);
        ledger.balance()?;
        let in_flight = ledger.total("in_flight");
        anyhow::ensure!(in_flight == 0, "{}: {in_flight} in flight at the end", self.name);
        Ok((code, ledger))
    }
}

fn run(tier: &str, config: &str) -> anyhow::Result<Process> {
    Spec::new(env!("CARGO_BIN_EXE_tailgate")).arg(tier).config(config).start()
}
