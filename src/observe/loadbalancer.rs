//! A load balancer, from its counters to series and to health.

use std::sync::Arc;

use tailgate_common::limit::ByteBudget;
use tailgate_common::telemetry::{
    BackendSeries, ClientSeries, ExporterSeries, Health, LoadBalancerSeries, MemberSeries, Metrics,
    Protocol, QueueReadings,
};
use tailgate_loadbalancer::LoadBalancer;
use tailgate_loadbalancer::config::LoadBalancerConfig;
use tailgate_loadbalancer::core::MembershipState;

use super::{ledger, listed, receive};

/// Shows a load balancer.
pub fn watch(
    metrics: &Metrics,
    config: &LoadBalancerConfig,
    balancer: &Arc<LoadBalancer>,
    in_flight: &ByteBudget,
) {
    let (all, balancer, in_flight) = (metrics.clone(), balancer.clone(), in_flight.clone());
    let receivers = receive::series(metrics, &config.shared);
    let series = LoadBalancerSeries::new(metrics, balancer.resolver());
    let members = MemberSeries::new(metrics, &MembershipState::LABELS);
    let exporter = ExporterSeries::new(metrics, &config.exporter.id.to_string());
    let client = ClientSeries::new(metrics, Protocol::Grpc);
    let books = ledger::series(metrics, &balancer.stats().ledger(), &[]);
    metrics.on_scrape(move || {
        let stats = balancer.stats();
        let read = stats.ledger();
        ledger::set(&books, &read);
        receive::set(&receivers, balancer.received());
        series.backends.set(stats.backends() as f64);
        series.backend_updates.absolute(stats.backend_updates());
        series.resolutions_ok.absolute(stats.resolutions());
        series.malformed.absolute(stats.malformed_requests());
        exporter.sent.absolute(read.forwarded);
        exporter.send_failed.absolute(stats.unknown_outcome_spans());
        exporter.enqueue_failed.absolute(stats.enqueue_failed_spans());
        // Not a queue behind the answer: the bytes of requests that wait for theirs.
        exporter.queue_size.set(in_flight.used() as f64);
        exporter.queue_capacity.set(in_flight.limit() as f64);
        let flow = stats.flow();
        exporter.flow(&flow);
        let rpc = stats.rpc();
        // Samplers are not spoken to in gRPC: then there is no time, and there are no sizes.
        let sizes = if rpc.count() > 0 { flow } else { QueueReadings::default() };
        client.set(&rpc, &sizes.sent_bytes);
        show_backends(&all, &balancer, &members);
    });
}

fn show_backends(metrics: &Metrics, balancer: &LoadBalancer, members: &MemberSeries) {
    let (view, backends) = (balancer.view(), balancer.backends());
    for backend in &backends {
        let series = BackendSeries::new(metrics, &backend.member.endpoint);
        series.latency.set(backend.stats.latency());
        let (ok, failed) = backend.stats.outcomes();
        series.ok.absolute(ok);
        series.failed.absolute(failed);
    }
    let there = |endpoint: &str| backends.iter().any(|b| b.member.endpoint == endpoint);
    BackendSeries::retain(metrics, there);
    members.set(backends.iter().map(|backend| view.state_of(backend.id).label()));
    members.disagreeing.set(backends.iter().filter(|b| b.disagrees()).count() as f64);
    members.table_version.set(view.version() as f64);
}

/// What makes a load balancer degraded.
pub fn probe(health: &Health, balancer: &Arc<LoadBalancer>) {
    let peers = balancer.clone();
    health.probe("members", move || {
        let backends = peers.backends();
        let disagree = backends.iter().filter(|backend| backend.disagrees());
        let names = disagree.map(|backend| &*backend.member.name).collect();
        listed("were given other members", names)
    });
    let plain = balancer.clone();
    health.probe("backends", move || {
        let backends = plain.backends();
        let failing = backends.iter().filter(|backend| backend.is_failing());
        listed("take no spans", failing.map(|backend| &*backend.member.name).collect())
    });
}
