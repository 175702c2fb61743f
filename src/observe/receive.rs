//! Receivers and their servers, from their counters to series.

use std::collections::BTreeMap;

use tailgate_common::config::Shared;
use tailgate_common::receive::{ReceivedSpans, RequestCount, ServerStats, Signal, Transport};
use tailgate_common::telemetry::{Counter, Metrics, Reading, ReceiverSeries, ServerSeries, defs};

use crate::receivers;

/// Shows the servers of the receivers.
pub fn watch(metrics: &Metrics, shared: &Shared, receivers: &receivers::Receivers) {
    let servers = receivers.stats();
    let counted = series(metrics, shared);
    let series = [(Transport::Grpc, 0), (Transport::Http, 200)].map(|(transport, success)| {
        (transport, ServerSeries::new(metrics, transport.label(), success))
    });
    let others =
        Signal::ALL.map(|signal| metrics.counter(&defs::OTHER_SIGNAL_REQUESTS, &[signal.name()]));
    metrics.on_scrape(move || {
        for (transport, series) in &series {
            let mine = servers.iter().filter(|(by, _)| by == transport);
            let mine = mine.map(|(_, stats)| &**stats);
            show_servers(series, mine.clone());
            let receiver = counted.iter().filter(|(by, _)| by == transport);
            receiver.for_each(|(_, series)| show_outcomes(series, mine.clone()));
        }
        show_others(&others, servers.iter().map(|(_, stats)| &**stats));
    });
}

fn show_servers<'a>(series: &ServerSeries, servers: impl Iterator<Item = &'a ServerStats> + Clone) {
    let sum = |count: fn(&ServerStats) -> u64| servers.clone().map(count).sum::<u64>();
    series.connections.set(sum(ServerStats::open_connections) as f64);
    series.in_flight.set(sum(ServerStats::in_flight) as f64);
    series.refused.absolute(sum(ServerStats::turned_away_connections));
    series.handshakes_failed.absolute(sum(ServerStats::failed_handshakes));
    let mut answered = BTreeMap::<u16, Reading>::new();
    let none = || Reading::empty(&defs::RPC_SERVER_DURATION);
    for RequestCount { code, time, .. } in servers.clone().flat_map(ServerStats::requests) {
        *answered.entry(code).or_insert_with(none) += &time;
    }
    for (code, time) in answered {
        series.answered(code, &time);
    }
    let none = || Reading::empty(&defs::RPC_SERVER_REQUEST_SIZE);
    let (mut requests, mut responses) = (none(), none());
    for (request, response) in servers.map(ServerStats::sizes) {
        requests += &request;
        responses += &response;
    }
    series.sizes(&requests, &responses);
}

/// As the collector's receivers count requests.
fn show_outcomes<'a>(series: &ReceiverSeries, servers: impl Iterator<Item = &'a ServerStats>) {
    let (mut ok, mut refused, mut failed) = (0, 0, 0);
    for request in servers.flat_map(ServerStats::requests) {
        match (request.transport, request.code) {
            (Transport::Grpc, 0) | (Transport::Http, 200 | 204) => ok += request.count,
            (Transport::Grpc, 8 | 14) | (Transport::Http, 429 | 503) => refused += request.count,
            _ => failed += request.count,
        }
    }
    series.requests_ok.absolute(ok);
    series.requests_refused.absolute(refused);
    series.requests_failed.absolute(failed);
}

fn show_others<'a>(
    counters: &[Counter; Signal::ALL.len()],
    servers: impl Iterator<Item = &'a ServerStats> + Clone,
) {
    for (signal, counter) in Signal::ALL.into_iter().zip(counters) {
        let of = |stats: &ServerStats| stats.other_signals().find(|(of, _)| *of == signal);
        counter.absolute(servers.clone().filter_map(of).map(|(_, count)| count).sum());
    }
}

/// The series of the first receiver, by transport; spans are not counted by receiver.
pub fn series(metrics: &Metrics, shared: &Shared) -> Receivers {
    let name = shared.receivers.first().map_or("otlp".to_owned(), |r| r.id.to_string());
    let series =
        |transport: Transport| (transport, ReceiverSeries::new(metrics, &name, transport.label()));
    [Transport::Grpc, Transport::Http].map(series).to_vec()
}

/// A receiver by transport.
pub type Receivers = Vec<(Transport, ReceiverSeries)>;

/// Shows what was received.
pub fn set(receivers: &Receivers, received: &ReceivedSpans) {
    for (transport, series) in receivers {
        let (accepted, refused) = received.of(*transport);
        series.accepted.absolute(accepted);
        series.refused.absolute(refused);
    }
}
