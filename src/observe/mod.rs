//! What is seen from outside: logs, metrics, health, debug pages; from the tiers' own counters to series.

mod debug;
mod ledger;
mod loadbalancer;
mod receive;
mod sampler;
mod xray;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tailgate_common::config::{MetricsLevel, MetricsNaming, PullReader, Shared, Shown};
use tailgate_common::limit::ByteBudget;
use tailgate_common::net::tls::server_config;
use tailgate_common::peer::RefusedPeers;
use tailgate_common::telemetry::{
    Allocator, COLLECTOR, DebugPages, Form, Health, Latch, Level, Logged, Metrics, Naming,
    PROMETHEUS, Server, init_logs, label_name, serve_debug, serve_health, serve_metrics,
    watch_files, watch_logs, watch_process, watch_refused,
};
use tailgate_loadbalancer::LoadBalancer;
use tailgate_loadbalancer::config::LoadBalancerConfig;
use tailgate_sampler::config::SamplerConfig;
use tailgate_sampler::members::Node;
use tokio_util::sync::CancellationToken;

use crate::receivers;

/// The running servers.
pub struct Observed {
    metrics: Metrics,
    health: Health,
    logged: Logged,
    starting: Mutex<Option<Latch>>,
    stop: CancellationToken,
    servers: Mutex<Vec<Server>>,
}

/// Attributes of the resource that all series have unless a reader says otherwise: dashboards ask for them there.
const ON_EVERY_SERIES: [&str; 3] = ["service.name", "service.instance.id", "service.version"];

/// Sets up logs, and starts the servers that the configuration asks for.
pub async fn start(shared: &Shared, tier: &str) -> anyhow::Result<Observed> {
    let telemetry = &shared.telemetry;
    let logged = init_logs(&telemetry.logs)?;
    let resource = resource(shared, tier);
    let level = match telemetry.metrics.level {
        MetricsLevel::None | MetricsLevel::Basic => Level::Basic,
        MetricsLevel::Normal => Level::Normal,
        MetricsLevel::Detailed => Level::Detailed,
    };
    let metrics = Metrics::new(&resource, level);
    watch_process(&metrics, Allocator::Jemalloc, Instant::now());
    watch_logs(&metrics, logged.clone());
    let (health, latch) = Health::new();
    let stop = CancellationToken::new();
    let mut servers = Vec::new();
    for reader in &telemetry.metrics.readers {
        if telemetry.metrics.level != MetricsLevel::None {
            let form = form(reader, shared.tailgate.naming, &resource);
            let (metrics, stop) = (metrics.clone(), stop.clone());
            servers.push(serve_metrics(metrics, form, &reader.address, stop).await?);
        }
    }
    if let Some(check) = &shared.health_check {
        let (endpoint, path) = (&check.endpoint, &check.path);
        let tls = check.tls.as_ref().map(|tls| server_config(tls, &[b"http/1.1"])).transpose()?;
        servers.push(serve_health(health.clone(), endpoint, path, tls, stop.clone()).await?);
    }
    watch_files(&metrics, &health);
    let (starting, servers) = (Mutex::new(Some(latch)), Mutex::new(servers));
    Ok(Observed { metrics, health, logged, starting, stop, servers })
}

/// The attributes of this process. As in the collector, `service.telemetry.resource` may say otherwise, and nothing as
/// a value takes one away.
fn resource(shared: &Shared, tier: &str) -> Vec<(String, String)> {
    let given = &shared.telemetry.resource;
    let own = [
        ("service.name", format!("tailgate-{tier}")),
        ("service.instance.id", shared.tailgate.instance.clone()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let own = own.into_iter().filter(|(key, _)| !given.iter().any(|(name, _)| name == key));
    let own = own.map(|(key, value)| (key.to_owned(), value));
    own.chain(given.iter().filter(|(_, value)| !value.is_empty()).cloned()).collect()
}

/// What a reader gets.
fn form(reader: &PullReader, naming: MetricsNaming, resource: &[(String, String)]) -> Form {
    let naming = match (reader.naming, naming) {
        (Some((unit, total)), _) => Naming::One { unit, total },
        (None, MetricsNaming::Collector) => COLLECTOR,
        (None, MetricsNaming::Prometheus) => PROMETHEUS,
        (None, MetricsNaming::Both) => Naming::Both,
    };
    let shown = |name: &str| match &reader.constants {
        Some(select) => select.takes(name),
        None => ON_EVERY_SERIES.contains(&name),
    };
    let mut constants: Vec<(String, String)> = Vec::new();
    for (name, value) in resource.iter().filter(|(name, _)| shown(name)) {
        let label = label_name(name);
        if !constants.iter().any(|(known, _)| *known == label) {
            constants.push((label, value.clone()));
        }
    }
    Form { naming, constants, scope: reader.scope }
}

// === impl Observed ===

impl Observed {
    /// The start-up is over.
    pub fn ready(&self) {
        *self.starting.lock() = None;
        self.metrics.complete();
        tracing::info!("ready");
    }

    /// Shows who was turned away from the internal port.
    pub fn watch_refused(&self, refused: Arc<RefusedPeers>) {
        watch_refused(&self.metrics, refused);
    }

    /// The signal to stop has come.
    pub fn stopping(&self) {
        self.health.stopping();
    }

    /// Stops the servers.
    pub async fn end(self) {
        self.stop.cancel();
        for server in self.servers.into_inner() {
            server.stopped().await;
        }
    }

    /// Shows a sampler.
    pub fn watch_sampler(&self, config: &SamplerConfig, node: &Node) {
        sampler::watch(&self.metrics, config, node);
        sampler::probe(&self.health, node);
    }

    /// Shows a load balancer.
    pub fn watch_load_balancer(
        &self,
        config: &LoadBalancerConfig,
        balancer: &Arc<LoadBalancer>,
        in_flight: &ByteBudget,
    ) {
        loadbalancer::watch(&self.metrics, config, balancer, in_flight);
        loadbalancer::probe(&self.health, balancer);
    }

    /// Shows the servers of the receivers.
    pub fn watch_receivers(&self, shared: &Shared, receivers: &receivers::Receivers) {
        receive::watch(&self.metrics, shared, receivers);
    }
}

impl Observed {
    /// Serves the debug pages of a sampler.
    pub async fn debug_sampler(
        &self,
        config: &SamplerConfig,
        shown: &Shown,
        node: &Node,
    ) -> anyhow::Result<()> {
        let pages = debug::sampler_pages(&config.shared, node);
        self.debug(&config.shared, config, shown, pages).await
    }

    /// Serves the debug pages of a load balancer.
    pub async fn debug_load_balancer(
        &self,
        config: &LoadBalancerConfig,
        shown: &Shown,
        balancer: &Arc<LoadBalancer>,
    ) -> anyhow::Result<()> {
        let pages = debug::load_balancer_pages(balancer);
        self.debug(&config.shared, config, shown, pages).await
    }

    async fn debug(
        &self,
        shared: &Shared,
        config: &impl Debug,
        shown: &Shown,
        mut pages: DebugPages,
    ) -> anyhow::Result<()> {
        let Some(admin) = &shared.tailgate.admin else { return Ok(()) };
        debug::add_common(&mut pages, config, shown, self.logged.clone());
        match serve_debug(pages, &admin.endpoint, self.stop.clone()).await {
            Ok(server) => self.servers.lock().push(server),
            Err(error) if admin.required => return Err(error.into()),
            // Several instances on one machine have the same default.
            Err(error) => tracing::warn!(%error, "no debug pages; set tailgate.admin.endpoint"),
        }
        Ok(())
    }
}

/// What is wrong with these members, if there are any.
fn listed(what: &str, names: Vec<&str>) -> Option<String> {
    (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use bytes::Bytes;
    use tailgate_common::limit::ByteBudget;
    use tailgate_common::receive::{Ingest, Reply, Transport};
    use tailgate_loadbalancer::config::LoadBalancerConfig;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    #[derive(Clone)]
    struct Nobody;

    impl Ingest for Nobody {
        async fn ingest(&self, _: Bytes, _: Transport) -> Reply {
            Reply::Held
        }
    }

    #[tokio::test]
    async fn connections_and_answers_are_shown() {
        let port = tailgate_testkit::ports::Port::reserve().unwrap();
        let address = port.addr();
        let text = format!(
            "receivers: {{otlp: {{protocols: {{http: {{endpoint: '{address}'}}}}}}}}\n\
             exporters: {{load_balancing: {{resolver: {{static: {{hostnames: [a]}}}}}}}}\n\
             service: {{telemetry: {{metrics: {{level: none}}}}, pipelines: {{traces: \
             {{receivers: [otlp], exporters: [load_balancing]}}}}}}\n"
        );
        let input = tailgate_common::config::Input::parse("f.yaml", &text, &|_| None).unwrap();
        let (config, _) = LoadBalancerConfig::from_input(&input).unwrap();
        let budget = ByteBudget::new(1 << 20);
        let receivers = receivers::start(&config.shared, &Nobody, &budget, None);
        let receivers = receivers.await.unwrap();
        let metrics = Metrics::new(&resource(&config.shared, "loadbalancer"), Level::Normal);
        let (health, _latch) = Health::new();
        let stop = CancellationToken::new();
        let (starting, servers, logged) = (Mutex::new(None), Mutex::default(), Logged::default());
        let observed = Observed { metrics, health, logged, starting, stop, servers };
        observed.watch_receivers(&config.shared, &receivers);
        let value = |name: &str, labels: &[&str]| {
            let text = observed.metrics.render(&Form::default());
            let wanted = |line: &&str| {
                line.starts_with(&format!("{name}{{")) && labels.iter().all(|l| line.contains(l))
            };
            text.lines().find(wanted).map(|line| line.rsplit(' ').next().unwrap().to_owned())
        };
        let requests = |code| value("tailgate_receiver_requests", &["\"http\"", code]);
        assert_eq!((requests("\"200\"").as_deref(), requests("\"404\"")), (Some("0"), None));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut [0; 512]).await.unwrap() > 0);
        assert_eq!(requests("\"404\"").as_deref(), Some("1"));
        let open = |by| value("tailgate_receiver_connections", &[by]);
        assert_eq!(
            (open("\"http\"").as_deref(), open("\"grpc\"").as_deref()),
            (Some("1"), Some("0"))
        );
        receivers.shutdown(Duration::from_secs(5)).await;
        assert_eq!(open("\"http\"").as_deref(), Some("0"));
    }
}
