//! What is seen from outside: logs, metrics, health; from the tiers' own counters to series.

mod xray;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tailgate_common::config::{LogEncoding, LogLevel, MetricsLevel, Shared};
use tailgate_common::ledger::Ledger;
use tailgate_common::limit::ByteBudget;
use tailgate_common::net::tls::server_config;
use tailgate_common::receive::{ReceivedSpans, ServerStats, Transport};
use tailgate_common::telemetry::{
    Allocator, BackendSeries, ExporterSeries, Health, HealthServer, Identity, Latch, LedgerSeries,
    LoadBalancerSeries, LogSettings, MemoryLimiterSeries, Metrics, ProcessorSeries, ReceiverSeries,
    ServerSeries, TailSamplingSeries, init_logs, serve_health, serve_metrics, watch_files,
    watch_process,
};
use tailgate_loadbalancer::LoadBalancer;
use tailgate_loadbalancer::config::LoadBalancerConfig;
use tailgate_sampler::config::{Exporter, SamplerConfig};
use tailgate_sampler::core::counts::Early;
use tailgate_sampler::core::outbox::Reason;
use tailgate_sampler::export::xray::lost_reasons as xray_lost_reasons;
use tailgate_sampler::hold::Snapshot;
use tailgate_sampler::members::Node;
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;

use crate::receivers;

/// The running servers.
pub struct Observed {
    metrics: Metrics,
    health: Health,
    starting: Mutex<Option<Latch>>,
    stop: CancellationToken,
    servers: Vec<HealthServer>,
}

/// Sets up logs, and starts the servers that the configuration asks for.
pub async fn start(shared: &Shared, tier: &str) -> anyhow::Result<Observed> {
    let telemetry = &shared.telemetry;
    init_logs(&LogSettings {
        level: match telemetry.logs.level {
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Error => LevelFilter::ERROR,
        },
        json: telemetry.logs.encoding == LogEncoding::Json,
    })?;
    let metrics = Metrics::new(&identity(shared, tier));
    watch_process(&metrics, Allocator::Jemalloc, Instant::now());
    let (health, latch) = Health::new();
    let stop = CancellationToken::new();
    let mut servers = Vec::new();
    if telemetry.metrics.level != MetricsLevel::None {
        let address = &telemetry.metrics.address;
        servers.push(serve_metrics(metrics.clone(), address, stop.clone()).await?);
    }
    if let Some(check) = &shared.health_check {
        let (endpoint, path) = (&check.endpoint, &check.path);
        let tls = check.tls.as_ref().map(|tls| server_config(tls, &[b"http/1.1"])).transpose()?;
        servers.push(serve_health(health.clone(), endpoint, path, tls, stop.clone()).await?);
    }
    watch_files(&metrics, &health);
    Ok(Observed { metrics, health, starting: Mutex::new(Some(latch)), stop, servers })
}

/// As the collector: `service.telemetry.resource` may say otherwise.
fn identity(shared: &Shared, tier: &str) -> Identity {
    let given = |key: &str| {
        let found = shared.telemetry.resource.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.clone())
    };
    Identity {
        name: given("service.name").unwrap_or_else(|| format!("tailgate-{tier}")),
        instance_id: given("service.instance.id")
            .unwrap_or_else(|| shared.tailgate.instance.clone()),
        version: given("service.version").unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()),
    }
}

// === impl Observed ===

impl Observed {
    /// The start-up is over.
    pub fn ready(&self) {
        *self.starting.lock() = None;
        tracing::info!("ready");
    }

    /// The signal to stop has come.
    pub fn stopping(&self) {
        self.health.stopping();
    }

    /// Stops the servers.
    pub async fn end(self) {
        self.stop.cancel();
        for server in self.servers {
            server.stopped().await;
        }
    }

    /// Shows a sampler.
    pub fn watch_sampler(&self, config: &SamplerConfig, node: &Node) {
        let (metrics, node) = (&self.metrics, node.clone());
        let receivers = receiver_series(metrics, &config.shared);
        let processor = ProcessorSeries::new(metrics, "tail_sampling");
        let limiter = MemoryLimiterSeries::new(metrics, "memory_limiter");
        let policies: Vec<&str> = match &config.tail_sampling {
            Some(sampling) => sampling.config.policies.iter().map(|p| p.name.as_str()).collect(),
            None => Vec::new(),
        };
        let tail = TailSamplingSeries::new(metrics, policies);
        let exporters: Vec<ExporterSeries> =
            node.sampler.exports().names().map(|name| ExporterSeries::new(metrics, name)).collect();
        let aws = config.exporters.iter().any(|e| matches!(e.config, Exporter::AwsXray(_)));
        let ledger = ledger_series(metrics, &node.sampler.snapshot().ledger, &lost_reasons(aws));
        self.probe_sampler(&node);
        metrics.on_scrape(move || {
            let snapshot = node.sampler.snapshot();
            set_ledger(&ledger, &snapshot.ledger);
            set_receivers(&receivers, node.sampler.received());
            show_sampler(&snapshot, &processor, &tail);
            tail.timer_latency.set(node.sampler.tick_ms());
            show_exporters(&snapshot, &exporters);
            limiter.refused.absolute(snapshot.counts.rejected_memory);
            let accepted = snapshot.counts.incoming() - snapshot.counts.rejected_memory;
            limiter.accepted.absolute(accepted);
        });
    }

    fn probe_sampler(&self, node: &Node) {
        for (index, name) in node.sampler.exports().names().enumerate() {
            let sampler = node.sampler.clone();
            self.health.probe(format!("exporter {name}"), move || {
                sampler.exports().status().into_iter().nth(index)?.failure
            });
        }
        let members = node.members.clone();
        let others = members.clone();
        self.health.probe("members", move || listed("silent", others.ejected()));
        let differ = move || listed("were given other members", members.disagreeing());
        self.health.probe("member lists", differ);
    }

    /// Shows the servers of the receivers.
    pub fn watch_receivers(&self, receivers: &receivers::Receivers) {
        let servers = receivers.stats();
        let series = [(Transport::Grpc, 0), (Transport::Http, 200)].map(|(transport, success)| {
            (transport, ServerSeries::new(&self.metrics, transport.label(), success))
        });
        self.metrics.on_scrape(move || {
            for (transport, series) in &series {
                let mine = servers.iter().filter(|(by, _)| by == transport);
                show_servers(series, mine.map(|(_, stats)| &**stats));
            }
        });
    }

    /// Shows a load balancer.
    pub fn watch_load_balancer(
        &self,
        config: &LoadBalancerConfig,
        balancer: &Arc<LoadBalancer>,
        in_flight: &ByteBudget,
    ) {
        let in_flight = in_flight.clone();
        let (metrics, balancer) = (&self.metrics, balancer.clone());
        let receivers = receiver_series(metrics, &config.shared);
        let series = LoadBalancerSeries::new(metrics, balancer.resolver());
        let exporter = ExporterSeries::new(metrics, &config.exporter.id.to_string());
        let ledger = ledger_series(metrics, &balancer.stats().ledger(), &[]);
        let (all, peers) = (metrics.clone(), balancer.clone());
        self.health.probe("members", move || {
            let backends = peers.backends();
            let disagree = backends.iter().filter(|backend| backend.disagrees());
            let names = disagree.map(|backend| &*backend.member.name).collect();
            listed("were given other members", names)
        });
        metrics.on_scrape(move || {
            let stats = balancer.stats();
            let books = stats.ledger();
            set_ledger(&ledger, &books);
            set_receivers(&receivers, balancer.received());
            series.backends.set(stats.backends() as f64);
            series.backend_updates.absolute(stats.backend_updates());
            series.resolutions_ok.absolute(stats.resolutions());
            exporter.sent.absolute(books.forwarded);
            exporter.send_failed.absolute(stats.unknown_outcome_spans());
            exporter.enqueue_failed.absolute(stats.enqueue_failed_spans());
            // Not a queue behind the answer: the bytes of requests that wait for theirs.
            exporter.queue_size.set(in_flight.used() as f64);
            exporter.queue_capacity.set(in_flight.limit() as f64);
            for backend in balancer.backends() {
                let series = BackendSeries::new(&all, &backend.member.endpoint);
                series.latency.set(backend.stats.latency());
                let (ok, failed) = backend.stats.outcomes();
                series.ok.absolute(ok);
                series.failed.absolute(failed);
            }
        });
    }
}

/// What is wrong with these members, if there are any.
fn listed(what: &str, names: Vec<&str>) -> Option<String> {
    (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
}

fn show_servers<'a>(series: &ServerSeries, servers: impl Iterator<Item = &'a ServerStats> + Clone) {
    let sum = |count: fn(&ServerStats) -> u64| servers.clone().map(count).sum::<u64>();
    series.connections.set(sum(ServerStats::open_connections) as f64);
    series.in_flight.set(sum(ServerStats::in_flight) as f64);
    series.refused.absolute(sum(ServerStats::turned_away_connections));
    series.handshakes_failed.absolute(sum(ServerStats::failed_handshakes));
    let mut answered = BTreeMap::<u16, u64>::new();
    for request in servers.flat_map(ServerStats::requests) {
        *answered.entry(request.code).or_default() += request.count;
    }
    for (code, count) in answered {
        series.answered(code, count);
    }
}

type Receivers = Vec<(Transport, ReceiverSeries)>;

fn receiver_series(metrics: &Metrics, shared: &Shared) -> Receivers {
    let name = shared.receivers.first().map_or("otlp".to_owned(), |r| r.id.to_string());
    let series =
        |transport: Transport| (transport, ReceiverSeries::new(metrics, &name, transport.label()));
    [Transport::Grpc, Transport::Http].map(series).to_vec()
}

fn set_receivers(receivers: &Receivers, received: &ReceivedSpans) {
    for (transport, series) in receivers {
        let (accepted, refused) = received.of(*transport);
        series.accepted.absolute(accepted);
        series.refused.absolute(refused);
    }
}

/// All rows of this ledger, and one for each reason for which spans may yet be lost.
fn ledger_series(metrics: &Metrics, ledger: &Ledger, lost: &[Reason]) -> LedgerSeries {
    let rows = ledger.rows().into_iter().map(|(outcome, reason, _)| (outcome, reason));
    let lost = lost.iter().map(|reason| ("lost", reason.0));
    let mut pairs: Vec<_> = rows.chain(lost).collect();
    pairs.sort_unstable();
    pairs.dedup();
    LedgerSeries::new(metrics, pairs)
}

/// Why exporters lose spans.
fn lost_reasons(aws: bool) -> Vec<Reason> {
    let mut reasons = vec![
        Reason::SHUTDOWN,
        Reason::REJECTED_BY_BACKEND,
        Reason::RETRIES_EXHAUSTED,
        Reason::PERMANENT,
        Reason::TOO_LARGE,
        Reason::INTERNAL,
    ];
    if aws {
        reasons.extend(xray_lost_reasons());
    }
    reasons
}

fn set_ledger(series: &LedgerSeries, ledger: &Ledger) {
    for (outcome, reason, spans) in ledger.rows() {
        let known = series.set(outcome, reason, spans);
        debug_assert!(known, "no series for {outcome} {reason}");
    }
}

fn show_sampler(snapshot: &Snapshot, processor: &ProcessorSeries, tail: &TailSamplingSeries) {
    let counts = &snapshot.counts;
    processor.incoming.absolute(counts.incoming());
    processor.outgoing.absolute(counts.passed_on);
    tail.new_traces.absolute(counts.new_traces);
    tail.traces_sampled.absolute(counts.traces_sampled);
    tail.traces_not_sampled.absolute(counts.traces_not_sampled);
    tail.released_sampled.absolute(counts.followed_decision[0]);
    tail.released_not_sampled.absolute(counts.followed_decision[1]);
    tail.traces_on_memory.set((snapshot.traces + snapshot.waiting) as f64);
    // Ours are decided, not dropped; but before their time, which is what an alert on this asks.
    let early = |why: Early| counts.decided_early[why as usize];
    tail.dropped_too_early.absolute(early(Early::Memory) + early(Early::NumTraces));
    for (votes, series) in snapshot.votes.iter().zip(&tail.policies) {
        series.sampled.absolute(votes.sampled);
        series.not_sampled.absolute(votes.not_sampled);
        series.executions.absolute(votes.sampled + votes.not_sampled);
    }
}

fn show_exporters(snapshot: &Snapshot, exporters: &[ExporterSeries]) {
    let refused = snapshot.counts.rejected_export_queue;
    for (queue, series) in snapshot.outbox.queues.iter().zip(exporters) {
        series.sent.absolute(queue.sent);
        series.send_failed.absolute(queue.failed);
        series.enqueue_failed.absolute(refused);
        let (size, capacity) = queue.fill();
        series.queue_size.set(size as f64);
        series.queue_capacity.set(capacity as f64);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use bytes::Bytes;
    use tailgate_common::limit::ByteBudget;
    use tailgate_common::receive::{Ingest, Reply};
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
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = format!(
            "receivers: {{otlp: {{protocols: {{http: {{endpoint: '{port}'}}}}}}}}\n\
             exporters: {{load_balancing: {{resolver: {{static: {{hostnames: [a]}}}}}}}}\n\
             service: {{telemetry: {{metrics: {{level: none}}}}, pipelines: {{traces: \
             {{receivers: [otlp], exporters: [load_balancing]}}}}}}\n"
        );
        let input = tailgate_common::config::Input::parse("f.yaml", &text, &|_| None).unwrap();
        let (config, _) = LoadBalancerConfig::from_input(&input).unwrap();
        let budget = ByteBudget::new(1 << 20);
        let receivers = receivers::start(&config.shared, &Nobody, &budget, None);
        let receivers = receivers.await.unwrap();
        let metrics = Metrics::new(&identity(&config.shared, "loadbalancer"));
        let (health, _latch) = Health::new();
        let stop = CancellationToken::new();
        let servers = Vec::new();
        let observed = Observed { metrics, health, starting: Mutex::new(None), stop, servers };
        observed.watch_receivers(&receivers);
        let value = |name: &str, labels: &[&str]| {
            let text = observed.metrics.render();
            let wanted = |line: &&str| {
                line.starts_with(&format!("{name}{{")) && labels.iter().all(|l| line.contains(l))
            };
            text.lines().find(wanted).map(|line| line.rsplit(' ').next().unwrap().to_owned())
        };
        let requests = |code| value("tailgate_receiver_requests", &["\"http\"", code]);
        assert_eq!((requests("\"200\"").as_deref(), requests("\"404\"")), (Some("0"), None));
        let mut stream = TcpStream::connect(port).await.unwrap();
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
