//! A sampler, from its counters to series and to health.

use tailgate_common::config::Named;
use tailgate_common::telemetry::{
    BatchSeries, BufferSeries, ClientSeries, ExporterSeries, Health, MemberSeries,
    MemoryLimiterSeries, Metrics, ProcessorSeries, Protocol, QueueReadings, Reading,
    TailSamplingSeries, defs,
};
use tailgate_sampler::config::{Exporter, SamplerConfig};
use tailgate_sampler::core::counts::Early;
use tailgate_sampler::hold::{Sampler, Snapshot};
use tailgate_sampler::members::{Node, STATES};

use super::{ledger, listed, receive};

/// Where the figures of the exporters go.
struct Exporters {
    each: Vec<ExporterSeries>,
    batch: BatchSeries,
    /// How each exporter speaks.
    protocols: Vec<Option<Protocol>>,
    clients: [(Protocol, ClientSeries); 2],
}

/// Shows a sampler.
pub fn watch(metrics: &Metrics, config: &SamplerConfig, node: &Node) {
    let node = node.clone();
    let receivers = receive::series(metrics, &config.shared);
    let processor = ProcessorSeries::new(metrics, "tail_sampling");
    let limiter = MemoryLimiterSeries::new(metrics, "memory_limiter");
    let limiter_items = ProcessorSeries::new(metrics, "memory_limiter");
    let policies: Vec<&str> = match &config.tail_sampling {
        Some(sampling) => sampling.config.policies.iter().map(|p| p.name.as_str()).collect(),
        None => Vec::new(),
    };
    let tail = TailSamplingSeries::new(metrics, policies);
    let buffer = BufferSeries::new(metrics);
    let members = MemberSeries::new(metrics, &STATES);
    let exporters = Exporters::new(metrics, &config.exporters, node.sampler.exports().names());
    let aws = config.exporters.iter().any(|e| matches!(e.config, Exporter::AwsXray(_)));
    let reasons = ledger::lost_reasons(aws);
    let books = ledger::series(metrics, &node.sampler.snapshot().ledger, &reasons);
    metrics.on_scrape(move || {
        let sampler = &node.sampler;
        let snapshot = sampler.snapshot();
        ledger::set(&books, &snapshot.ledger);
        receive::set(&receivers, sampler.received());
        show_processor(&snapshot, &processor);
        show_tail(sampler, &snapshot, &tail);
        show_buffer(sampler, &snapshot, &buffer);
        exporters.show(sampler, &snapshot);
        let incoming = snapshot.counts.incoming();
        let accepted = incoming - snapshot.counts.rejected_memory;
        limiter.accepted.absolute(accepted);
        limiter.refused.absolute(snapshot.counts.rejected_memory);
        limiter_items.incoming.absolute(incoming);
        limiter_items.outgoing.absolute(accepted);
        limiter_items.accepted.absolute(accepted);
        limiter_items.refused.absolute(snapshot.counts.rejected_memory);
        let seen = node.members.seen(sampler.now());
        members.set(seen.iter().map(|member| member.state));
        members.disagreeing.set(seen.iter().filter(|member| member.disagrees).count() as f64);
    });
}

/// What makes a sampler degraded.
pub fn probe(health: &Health, node: &Node) {
    for (index, name) in node.sampler.exports().names().enumerate() {
        let sampler = node.sampler.clone();
        health.probe(format!("exporter {name}"), move || {
            sampler.exports().status().into_iter().nth(index)?.failure
        });
    }
    let members = node.members.clone();
    let others = members.clone();
    health.probe("members", move || listed("silent", others.ejected()));
    let differ = move || listed("were given other members", members.disagreeing());
    health.probe("member lists", differ);
}

fn show_processor(snapshot: &Snapshot, processor: &ProcessorSeries) {
    let counts = &snapshot.counts;
    let refused = counts.rejected_memory
        + counts.rejected_export_queue
        + counts.rejected_offered
        + counts.rejected_stopped;
    processor.incoming.absolute(counts.incoming());
    processor.outgoing.absolute(counts.passed_on);
    processor.accepted.absolute(counts.incoming() - refused);
    processor.refused.absolute(refused);
    processor.dropped.absolute(counts.lost_shutdown);
}

fn show_tail(sampler: &Sampler, snapshot: &Snapshot, tail: &TailSamplingSeries) {
    let counts = &snapshot.counts;
    tail.new_traces.absolute(counts.new_traces);
    tail.traces_sampled.absolute(counts.traces_sampled);
    tail.traces_not_sampled.absolute(counts.traces_not_sampled);
    tail.released_sampled.absolute(counts.followed_decision[0]);
    tail.released_not_sampled.absolute(counts.followed_decision[1]);
    tail.traces_on_memory.set((snapshot.traces + snapshot.waiting) as f64);
    // Ours are decided, not dropped; but before their time, which is what an alert on this asks.
    let early = |why: Early| counts.decided_early[why as usize];
    tail.dropped_too_early.absolute(early(Early::Memory) + early(Early::NumTraces));
    tail.dropped_too_large.absolute(early(Early::TraceSize));
    tail.timer_latency.set(sampler.tick_ms());
    let (late, removal) = sampler.ages();
    tail.late_span_age.set(late);
    tail.removal_age.set(removal);
    let executions: u64 = snapshot.votes.iter().map(|votes| votes.executions()).sum();
    for (votes, series) in snapshot.votes.iter().zip(&tail.policies) {
        series.sampled.absolute(votes.sampled);
        series.not_sampled.absolute(votes.not_sampled);
        series.spans_sampled.absolute(votes.spans_sampled);
        series.spans_not_sampled.absolute(votes.spans_not_sampled);
        series.executions.absolute(votes.executions());
        // Policies are decided together; each has the part of the time that it has of the votes.
        let part = votes.executions() as f64 / executions.max(1) as f64;
        series.execution_time.absolute((sampler.deciding_us() as f64 * part) as u64);
    }
}

fn show_buffer(sampler: &Sampler, snapshot: &Snapshot, buffer: &BufferSeries) {
    let (used, limit) = sampler.budget();
    let (live, _) = snapshot.bytes;
    buffer.bytes.set(used as f64);
    buffer.limit.set(limit as f64);
    buffer.live.set(live as f64);
    buffer.spans.set(snapshot.spans as f64);
    buffer.undecided.set(snapshot.traces as f64);
    buffer.waiting.set(snapshot.waiting as f64);
    buffer.late.absolute(snapshot.counts.late);
    let early = snapshot.counts.decided_early;
    buffer.early.iter().zip(early).for_each(|(series, traces)| series.absolute(traces));
    let remembered = snapshot.remembered;
    buffer.remembered.iter().zip(remembered).for_each(|(series, n)| series.set(n as f64));
}

// === impl Exporters ===

impl Exporters {
    fn new<'n>(
        metrics: &Metrics,
        configs: &[Named<Exporter>],
        names: impl Iterator<Item = &'n str>,
    ) -> Self {
        let speaks = |name: &str| {
            let found = configs.iter().find(|config| config.id.to_string() == name);
            found.and_then(|config| protocol(&config.config))
        };
        let names: Vec<&str> = names.collect();
        let client = |protocol| (protocol, ClientSeries::new(metrics, protocol));
        Self {
            each: names.iter().map(|name| ExporterSeries::new(metrics, name)).collect(),
            batch: BatchSeries::new(metrics, "batch"),
            protocols: names.iter().map(|name| speaks(name)).collect(),
            clients: [Protocol::Grpc, Protocol::Http].map(client),
        }
    }

    fn show(&self, sampler: &Sampler, snapshot: &Snapshot) {
        let counts = &snapshot.counts;
        let refused = counts.rejected_export_queue + counts.lost_queue_full;
        for (queue, series) in snapshot.outbox.queues.iter().zip(&self.each) {
            series.sent.absolute(queue.sent);
            series.send_failed.absolute(queue.failed - queue.shed);
            series.enqueue_failed.absolute(refused + queue.shed);
            let (size, capacity) = queue.fill();
            series.queue_size.set(size as f64);
            series.queue_capacity.set(capacity as f64);
        }
        let flows = sampler.exports().flows();
        let mut all = QueueReadings::default();
        for ((flow, _), series) in flows.iter().zip(&self.each) {
            series.flow(flow);
            all += flow;
        }
        self.batch.set(&all);
        for (protocol, series) in &self.clients {
            let mut time = Reading::empty(&defs::RPC_CLIENT_DURATION);
            let mut bytes = Reading::empty(&defs::RPC_CLIENT_REQUEST_SIZE);
            let mine = flows.iter().zip(&self.protocols).filter(|(_, by)| **by == Some(*protocol));
            for ((flow, attempts), _) in mine {
                time += attempts;
                bytes += &flow.sent_bytes;
            }
            series.set(&time, &bytes);
        }
    }
}

fn protocol(exporter: &Exporter) -> Option<Protocol> {
    match exporter {
        Exporter::Otlp(_) => Some(Protocol::Grpc),
        Exporter::AwsXray(_) | Exporter::OtlpHttp(_) => Some(Protocol::Http),
        Exporter::File(_) | Exporter::Debug(_) | Exporter::Nop => None,
    }
}
