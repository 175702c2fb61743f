//! Sends the shop's traces as OTLP/gRPC: one request for each service of a trace, so that a trace
//! arrives in pieces. Closed loop: a bounded number of traces is on its way, and when the gateway
//! is slower than the wanted rate, the rate gives way.

use super::shop::{Shop, Trace, spans_of};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tonic::transport::{Channel, Endpoint};

/// How much traffic, and where to.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `http://host:port` of an OTLP/gRPC receiver.
    pub endpoint: String,
    /// Traces started in a second, at most.
    pub traces_per_second: f64,
    /// Traces on their way at a time, at most.
    pub in_flight: usize,
    /// The shop's seed.
    pub seed: u64,
}

/// Spans by what became of them, and the traces they were in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Traces begun.
    pub traces: u64,
    /// Spans sent.
    pub sent: u64,
    /// Spans answered with success.
    pub acked: u64,
    /// Spans rejected for good by a partial success.
    pub rejected: u64,
    /// Spans of requests answered with an error, or not answered. A part of such a request may
    /// have been taken all the same. They are not sent again.
    pub refused: u64,
}

/// Running traffic. It ends when this is dropped.
#[derive(Debug)]
pub struct Traffic {
    counters: Arc<Counters>,
    /// Tells to stop, and how long to wait for what is on its way.
    stop: Option<oneshot::Sender<Duration>>,
    task: JoinHandle<()>,
}

/// A request without an answer by then is refused.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Traces are started in small groups, as a timer has its grain.
const TICK: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
struct Counters {
    traces: AtomicU64,
    sent: AtomicU64,
    acked: AtomicU64,
    rejected: AtomicU64,
    refused: AtomicU64,
}

/// Counts a request's spans as refused unless an answer said otherwise, even if its task is cut.
struct Sending<'a> {
    counters: &'a Counters,
    spans: u64,
}

/// Starts traffic; must be called inside a tokio runtime.
///
/// # Errors
/// If the endpoint is no URL.
pub fn start(plan: Plan) -> anyhow::Result<Traffic> {
    let channel = Endpoint::from_shared(plan.endpoint.clone())?
        .connect_timeout(Duration::from_secs(2))
        .timeout(TIMEOUT)
        .connect_lazy();
    let counters = Arc::new(Counters::default());
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(generate(plan, channel, counters.clone(), stopped));
    Ok(Traffic { counters, stop: Some(stop), task })
}

async fn generate(
    plan: Plan,
    channel: Channel,
    counters: Arc<Counters>,
    mut stop: oneshot::Receiver<Duration>,
) {
    let mut shop = Shop::new(plan.seed);
    let room = Arc::new(Semaphore::new(plan.in_flight.max(1)));
    let mut sending = JoinSet::new();
    let mut tick = tokio::time::interval(TICK);
    let mut last = Instant::now();
    let mut due = 0.0;
    let told = 'run: loop {
        tokio::select! {
            told = &mut stop => break 'run told,
            _ = tick.tick() => {}
        }
        let passed = std::mem::replace(&mut last, Instant::now()).elapsed().as_secs_f64();
        // What a second could not send is given up, not made up for.
        let most = plan.traces_per_second.max(1.0);
        due = f64::min(due + passed * plan.traces_per_second, most);
        while due >= 1.0 {
            let permit = tokio::select! {
                told = &mut stop => break 'run told,
                permit = room.clone().acquire_owned() => permit,
            };
            due -= 1.0;
            let trace = shop.next_trace(unix_ns());
            let (channel, counters) = (channel.clone(), counters.clone());
            sending.spawn(async move {
                send(trace, channel, &counters).await;
                drop(permit);
            });
        }
        while sending.try_join_next().is_some() {}
    };
    // An error means that the handle is gone.
    let patience = told.unwrap_or_default();
    let all = async { while sending.join_next().await.is_some() {} };
    if tokio::time::timeout(patience, all).await.is_err() {
        // Requests count as refused when they are dropped.
        sending.shutdown().await;
    }
}

async fn send(trace: Trace, channel: Channel, counters: &Counters) {
    counters.traces.fetch_add(1, Relaxed);
    let mut client = TraceServiceClient::new(channel);
    for request in trace.requests {
        let sending = Sending::new(counters, spans_of(&request));
        if let Ok(reply) = client.export(request).await {
            let partial = reply.into_inner().partial_success.unwrap_or_default();
            sending.answered(u64::try_from(partial.rejected_spans).unwrap_or(0));
        }
    }
}

fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

// === impl Traffic ===

impl Traffic {
    /// What became of the spans until now.
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }

    /// Starts no more traces, waits at most `patience` for those on their way, and counts.
    pub async fn stop(mut self, patience: Duration) -> Counts {
        let _ = self.stop.take().map(|stop| stop.send(patience));
        let _ = (&mut self.task).await;
        self.counters.read()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Counters ===

impl Counters {
    fn read(&self) -> Counts {
        Counts {
            traces: self.traces.load(Relaxed),
            acked: self.acked.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            refused: self.refused.load(Relaxed),
            sent: self.sent.load(Relaxed),
        }
    }
}

// === impl Sending ===

impl<'a> Sending<'a> {
    fn new(counters: &'a Counters, spans: u64) -> Sending<'a> {
        counters.sent.fetch_add(spans, Relaxed);
        Sending { counters, spans }
    }

    fn answered(mut self, rejected: u64) {
        let rejected = rejected.min(self.spans);
        self.counters.rejected.fetch_add(rejected, Relaxed);
        self.counters.acked.fetch_add(self.spans - rejected, Relaxed);
        self.spans = 0;
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.counters.refused.fetch_add(self.spans, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use hyper_util::service::TowerToHyperService;
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    };
    use std::collections::HashMap;
    use tailgate_testkit::ports::Port;
    use tonic::{Request, Response, Status};

    /// Takes a third of the requests, refuses a third and rejects one span of each other.
    #[derive(Default)]
    struct Moody(parking_lot::Mutex<Seen>);

    #[derive(Default)]
    struct Seen {
        requests: u64,
        taken: Counts,
        requests_of_trace: HashMap<Vec<u8>, u64>,
    }

    #[tonic::async_trait]
    impl TraceService for Moody {
        async fn export(
            &self,
            request: Request<ExportTraceServiceRequest>,
        ) -> Result<Response<ExportTraceServiceResponse>, Status> {
            let request = request.into_inner();
            let spans = spans_of(&request);
            let trace = request.resource_spans[0].scope_spans[0].spans[0].trace_id.clone();
            let mut seen = self.0.lock();
            *seen.requests_of_trace.entry(trace).or_default() += 1;
            seen.requests += 1;
            seen.taken.sent += spans;
            let mut reply = ExportTraceServiceResponse::default();
            match seen.requests % 3 {
                0 => seen.taken.acked += spans,
                1 => {
                    seen.taken.refused += spans;
                    return Err(Status::unavailable("not now"));
                }
                _ => {
                    seen.taken.acked += spans - 1;
                    seen.taken.rejected += 1;
                    let error_message = "one is bad".to_owned();
                    reply.partial_success =
                        Some(ExportTracePartialSuccess { rejected_spans: 1, error_message });
                }
            }
            Ok(Response::new(reply))
        }
    }

    async fn receiver() -> (String, Arc<Moody>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let moody = Arc::new(Moody::default());
        let server = TraceServiceServer::from_arc(moody.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(server.clone());
                let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(http2.serve_connection(TokioIo::new(stream), service));
            }
        });
        (url, moody)
    }

    fn plan(endpoint: String, traces_per_second: f64) -> Plan {
        Plan { endpoint, traces_per_second, in_flight: 8, seed: 1 }
    }

    async fn until(traffic: &Traffic, reached: impl Fn(Counts) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !reached(traffic.counts()) {
            assert!(Instant::now() < deadline, "{:?}", traffic.counts());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn each_span_is_counted_as_it_was_answered() {
        let (url, moody) = receiver().await;
        let traffic = start(plan(url, 2_000.0)).unwrap();
        until(&traffic, |counts| counts.traces > 100).await;
        let counts = traffic.stop(Duration::from_secs(10)).await;
        let seen = moody.0.lock();
        assert_eq!(counts, Counts { traces: counts.traces, ..seen.taken });
        assert_eq!(counts.sent, counts.acked + counts.refused + counts.rejected);
        assert!(counts.acked > 0 && counts.refused > 0 && counts.rejected > 0);
        assert_eq!(seen.requests_of_trace.len() as u64, counts.traces);
        assert!(seen.requests_of_trace.values().all(|requests| *requests >= 3));
    }

    #[tokio::test]
    async fn nobody_there_refuses() {
        let nobody = Port::reserve().unwrap();
        let url = format!("http://{}", nobody.addr());
        let traffic = start(plan(url, 100.0)).unwrap();
        until(&traffic, |counts| counts.refused > 20).await;
        let counts = traffic.stop(Duration::from_secs(10)).await;
        assert_eq!((counts.acked, counts.sent), (0, counts.refused));
    }

    #[tokio::test]
    async fn a_silent_receiver_holds_it_back_and_counts_as_refusing() {
        // Connections open, and nothing is ever answered.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let traffic = start(plan(url, 10_000.0)).unwrap();
        until(&traffic, |counts| counts.traces == 8).await;
        let counts = traffic.stop(Duration::from_millis(50)).await;
        assert_eq!(counts.traces, 8, "more on their way than allowed");
        assert_eq!((counts.acked, counts.refused), (0, counts.sent));
    }
}
