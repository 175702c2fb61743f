//! Everything that can go wrong with a call, mixed.

use super::proxy::{Fate, XrayProxy};
use super::{plan, shape};
use crate::python::Moto;
use std::time::Duration;
use tailgate_testkit::load::{self, Config};
use tailgate_testkit::traffic::Traffic;

/// The first calls, then all is well. One in four of them passes.
const FATES: [Fate; 24] = [
    Fate::Throttle,
    Fate::Unprocessed("InternalFailure"),
    Fate::Pass,
    Fate::Reset,
    Fate::Unprocessed("ThrottledException"),
    Fate::Slow(Duration::from_millis(1_500)),
    Fate::Unavailable,
    Fate::Pass,
    Fate::ResetAfter,
    Fate::Expired,
    Fate::Throttle,
    Fate::Pass,
    Fate::Slow(Duration::from_millis(100)),
    Fate::Unprocessed("ServiceUnavailable"),
    Fate::Reset,
    Fate::Pass,
    Fate::Unavailable,
    Fate::Throttle,
    Fate::Pass,
    Fate::ResetAfter,
    Fate::Unprocessed("InternalFailure"),
    Fate::Pass,
    Fate::Throttle,
    Fate::Unprocessed("Throttling"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_is_stored_and_what_is_lost_is_counted() {
    let moto = Moto::start().await;
    let proxy = XrayProxy::start(moto.url()).await;
    let mut fates = FATES.into_iter();
    proxy.script(move |_| fates.next().unwrap_or(Fate::Pass));
    proxy.poison("01", "InvalidSegment");
    let mut node = plan(&proxy, ", request_timeout_seconds: 1").alone().await;
    let shape = shape(300);
    let report = load::run(Traffic::new(shape.clone()).unwrap(), Config::new(node.grpc())).await;
    assert_eq!(report.unwrap().acked_spans, shape.spans());
    node.settled().await;
    let metrics = node.metrics().await;
    let documents =
        |outcome| metrics.sum("tailgate_xray_documents", &[("outcome", outcome)]).unwrap() as u64;
    let sent = metrics.sum("otelcol_exporter_sent_spans", &[]).unwrap() as u64;
    let failed = metrics.sum("otelcol_exporter_send_failed_spans", &[]).unwrap() as u64;
    let refused = metrics.sum("tailgate_xray_unprocessed_documents", &[("code", "InvalidSegment")]);
    let (code, ledger) = node.stop().await;
    let stored = proxy.stored(&shape).await;
    let poisoned = (0..shape.traces).flat_map(|n| (0..shape.spans_per_trace).map(move |i| (n, i)));
    let poisoned = poisoned.filter(|(n, i)| shape.key(&shape.trace(*n), *i).span[7] == 1).count();
    assert!(poisoned > 3, "{poisoned}");
    assert!(stored.keys().all(|id| !id.ends_with("01")));
    assert_eq!(ledger.total("exported"), stored.len() as u64, "{ledger}");
    assert_eq!(ledger.reasons("lost"), [("xray_invalid_segment", poisoned as u64)].into());
    assert_eq!(code, Some(0), "nothing was lost by stopping");
    assert_eq!((sent, failed), (stored.len() as u64, poisoned as u64));
    assert_eq!((documents("accepted"), documents("lost")), (sent, failed));
    assert_eq!(refused, Some(failed as f64));
    assert!(documents("retried") > 500, "{}", documents("retried"));
    assert!(proxy.judged().len() > FATES.len());
}
