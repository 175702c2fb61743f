#![allow(clippy::unwrap_used)]

use super::*;
use crate::ledger::Outcome;
use crate::load::{self, Compression, Config, Load, Transport};
use crate::traffic::{Shape, Traffic};
use crate::wait::eventually;
use std::sync::atomic::Ordering::Relaxed;
use tonic::Code;

const DEADLINE: Duration = Duration::from_secs(20);

fn config(sink: &Sink) -> Config {
    Config::new(format!("http://{}", sink.addr()))
}

fn traffic(traces: u64) -> Traffic {
    Traffic::new(Shape { traces, ..Shape::default() }).unwrap()
}

#[tokio::test]
async fn everything_sent_arrives_by_every_transport_and_encoding() {
    for transport in [Transport::Grpc, Transport::Http] {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let sink = Sink::local().await.unwrap();
            let config = Config { transport, compression, ..config(&sink) };
            let report = load::run(traffic(200), config).await.unwrap();
            assert_eq!(report.acked_spans, 2_400, "{transport:?} {compression:?}");
            assert_eq!(sink.stats().spans, 2_400);
            assert_eq!(sink.stats().requests, 40);
            assert_eq!(sink.received().len(), 2_400);
            assert!(sink.received().iter().all(|(_, n)| n == 1));
            assert_eq!(report.latencies.len(), 40);
            assert!(report.percentile(50.0) <= report.percentile(99.0));
        }
    }
}

#[tokio::test]
async fn a_refusal_is_retried_if_it_may_be_and_is_final_if_not() {
    let sink = Sink::local().await.unwrap();
    sink.behave(Behaviour::Refuse(Code::ResourceExhausted, Some(Duration::from_millis(1))));
    let load = Load::start(traffic(20), config(&sink)).unwrap();
    let refused = eventually("refusals", DEADLINE, async || sink.stats().refused > 20).await;
    refused.unwrap();
    sink.behave(Behaviour::Accept);
    let report = load.finish().await.unwrap();
    assert_eq!(report.acked_spans, 240);
    assert!(report.failed_attempts > 20);

    sink.behave(Behaviour::Refuse(Code::ResourceExhausted, None));
    let report = load::run(traffic(20), config(&sink)).await.unwrap();
    let rejected = |o: &Outcome| matches!(o, Outcome::Rejected(_));
    assert_eq!(report.ledger.spans(rejected).unwrap(), 240);
    assert_eq!(report.failed_attempts, 4);
}

#[tokio::test]
async fn a_stalled_sink_acks_nothing_and_a_mute_one_leaves_the_unknown() {
    let sink = Sink::local().await.unwrap();
    sink.behave(Behaviour::Mute);
    let mut config = config(&sink);
    config.timeout = Duration::from_secs(2);
    config.retry_for = Duration::from_millis(1);
    let report = load::run(traffic(20), config.clone()).await.unwrap();
    assert_eq!(report.ledger.spans(|o| matches!(o, Outcome::Unknown(_))).unwrap(), 240);
    assert_eq!(sink.received().len(), 240);

    sink.behave(Behaviour::Stall);
    let stalled = traffic(40);
    config.timeout = Duration::from_millis(200);
    config.retry_for = DEADLINE;
    let load = Load::start(stalled, config).unwrap();
    let sent = || load.progress().failed_attempts.load(Relaxed) >= 8;
    eventually("time-outs", DEADLINE, async || sent()).await.unwrap();
    assert_eq!(load.progress().acked.load(Relaxed), 0);
    assert_eq!(sink.stats().spans, 240);
    sink.behave(Behaviour::Accept);
    assert_eq!(load.finish().await.unwrap().acked_spans, 480);
}

#[tokio::test]
async fn partial_successes_and_duplicates_are_told() {
    let sink = Sink::local().await.unwrap();
    sink.behave(Behaviour::Partial(300));
    let report = load::run(traffic(20), config(&sink)).await.unwrap();
    assert!(report.ledger.records.iter().all(|r| r.outcome == Outcome::Partial(300)));

    let sink = Sink::local().await.unwrap();
    let shape = Shape { duplicates_per_mille: 1000, traces: 20, ..Shape::default() };
    load::run(Traffic::new(shape).unwrap(), config(&sink)).await.unwrap();
    assert!(sink.received().iter().all(|(_, n)| n == 2));
}

#[tokio::test]
async fn a_rate_is_kept_and_a_stop_ends_it() {
    let sink = Sink::local().await.unwrap();
    let config = Config { rate: Some(6_000.0), ..config(&sink) };
    let report = load::run(traffic(200), config.clone()).await.unwrap();
    // 40 requests of 60 spans, one each 10 ms.
    assert!(report.elapsed >= Duration::from_millis(390), "{:?}", report.elapsed);
    let load = Load::start(traffic(1_000_000), config).unwrap();
    let acked = || load.progress().acked.load(Relaxed) > 0;
    eventually("acks", DEADLINE, async || acked()).await.unwrap();
    load.stop();
    assert!(load.finish().await.unwrap().elapsed < DEADLINE);
}

#[tokio::test]
async fn a_sink_is_controlled_over_http_and_its_file_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let sink = Sink::start(any, Keep::File(path.clone())).await.unwrap();
    let url = format!("http://{}", sink.addr());
    let refuse = crate::http::post(&format!("{url}/behave"), "refuse 3").await.unwrap();
    assert_eq!(refuse.0, 200);
    assert_eq!(crate::http::post(&format!("{url}/behave"), "dance").await.unwrap().0, 400);
    let report = load::run(traffic(20), config(&sink)).await.unwrap();
    assert_eq!(report.acked_spans, 0);
    crate::http::post(&format!("{url}/behave"), "accept").await.unwrap();
    load::run(traffic(20), config(&sink)).await.unwrap();
    let (_, stats) = crate::http::get(&format!("{url}/stats")).await.unwrap();
    assert!(stats.contains("\"spans\":240") && stats.contains("\"refused\":4"), "{stats}");
    assert_eq!(Received::load(&path).unwrap(), sink.received());
    let bad = crate::http::post(&format!("{url}/v1/traces"), "no protobuf").await.unwrap();
    assert_eq!((bad.0, sink.stats().malformed), (400, 1));
}
