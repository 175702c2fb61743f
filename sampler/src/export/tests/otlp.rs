//! The OTLP exporter against a real gRPC server.

use std::collections::VecDeque;
use std::net::SocketAddr;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use parking_lot::Mutex;
use tailgate_common::client::{ClientSettings, OtlpGrpcClient};
use tailgate_testkit::ports::Port;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

use super::*;

/// Answers with what is prepared, then with success.
#[derive(Clone, Default)]
struct Backend(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answers: VecDeque<Result<u64, Code>>,
    /// By request: encoded size, spans.
    requests: Vec<(usize, Vec<Vec<u8>>)>,
    calls: usize,
}

#[tonic::async_trait]
impl TraceService for Backend {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        let mut state = self.0.lock();
        state.calls += 1;
        let rejected_spans = match state.answers.pop_front() {
            Some(Err(code)) => return Err(Status::new(code, "not now")),
            Some(Ok(rejected)) => rejected as i64,
            None => 0,
        };
        let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
        let spans = scopes.flat_map(|s| s.spans.iter().map(|span| span.span_id.clone())).collect();
        state.requests.push((request.encoded_len(), spans));
        let error_message = if rejected_spans > 0 { "bad ones".into() } else { String::new() };
        let partial = ExportTracePartialSuccess { rejected_spans, error_message };
        Ok(Response::new(ExportTraceServiceResponse { partial_success: Some(partial) }))
    }
}

async fn serve(answers: impl IntoIterator<Item = Result<u64, Code>>) -> (Backend, SocketAddr) {
    let backend = Backend::default();
    backend.0.lock().answers.extend(answers);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = TraceServiceServer::new(backend.clone());
    let server = Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    (backend, address)
}

fn exporter(address: SocketAddr) -> OtlpExporter<OtlpGrpcClient> {
    let client = OtlpGrpcClient::new(ClientSettings::new(address.to_string())).unwrap();
    OtlpExporter::new("otlp_grpc", client, None)
}

#[tokio::test]
async fn what_fails_is_sent_again_and_counted_once() {
    let answers = [Err(Code::Unavailable), Err(Code::Aborted), Ok(2)];
    let (backend, address) = serve(answers).await;
    let exports = start("otlp_grpc", exporter(address), 1);
    for trace in 0..5 {
        exports.offer(kept(trace, 4)).unwrap();
    }
    let counts = exports.drain(PATIENCE).await;
    assert_eq!((counts.exported, counts.lost), (18, [(Reason::REJECTED_BY_BACKEND, 2)].into()));
    assert_eq!((counts.queues[0].sent, counts.queues[0].failed), (18, 2));
    let state = backend.0.lock();
    let received: usize = state.requests.iter().map(|(_, spans)| spans.len()).sum();
    assert_eq!((received, state.calls - state.requests.len()), (20, 2));
}

#[tokio::test]
async fn what_is_refused_to_these_credentials_waits_for_others() {
    let answers = [Err(Code::Unauthenticated), Err(Code::PermissionDenied)];
    let (backend, address) = serve(answers).await;
    let exports = start("otlp_grpc", exporter(address), 1);
    exports.offer(kept(1, 4)).unwrap();
    let counts = exports.drain(PATIENCE).await;
    assert_eq!((counts.exported, counts.lost.len()), (4, 0));
    assert_eq!(backend.0.lock().calls, 3);
}

#[tokio::test]
async fn what_is_refused_for_good_is_lost() {
    let (_backend, address) = serve([Err(Code::InvalidArgument)]).await;
    let exports = start("otlp_grpc", exporter(address), 1);
    exports.offer(kept(1, 4)).unwrap();
    until("settled", || exports.counts().in_flight == 0).await;
    exports.offer(kept(2, 3)).unwrap();
    let counts = exports.drain(PATIENCE).await;
    assert_eq!((counts.exported, counts.lost), (3, [(Reason::PERMANENT, 4)].into()));
}

#[tokio::test]
async fn a_dead_backend_loses_exactly_what_was_held() {
    let nobody = Port::reserve().unwrap();
    let exports = start("otlp_grpc", exporter(nobody.addr()), 2);
    for trace in 0..50 {
        exports.offer(kept(trace, 3)).unwrap();
    }
    until("it has been tried", || exports.status()[0].failure.is_some()).await;
    let counts = exports.drain(Duration::from_millis(200)).await;
    assert_eq!((counts.exported, counts.lost), (0, [(Reason::SHUTDOWN, 150)].into()));
}

#[tokio::test]
async fn a_backend_that_comes_back_gets_everything() {
    let port = Port::reserve().unwrap();
    let exports = start("otlp_grpc", exporter(port.addr()), 4);
    for trace in 0..50 {
        exports.offer(kept(trace, 3)).unwrap();
    }
    until("it has been tried", || exports.status()[0].failure.is_some()).await;
    let listener = TcpListener::bind(port.addr()).await.unwrap();
    let backend = Backend::default();
    let server = Server::builder().add_service(TraceServiceServer::new(backend.clone()));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    assert_eq!(exports.drain(PATIENCE).await.exported, 150);
    let received: usize = backend.0.lock().requests.iter().map(|(_, spans)| spans.len()).sum();
    assert_eq!(received, 150);
}

/// A trace of 6 MB cannot go as one message: backends take 4 MiB.
#[tokio::test]
async fn a_huge_trace_is_cut() {
    let (backend, address) = serve([]).await;
    let exports = start("otlp_grpc", exporter(address), 1);
    let value = Some(AnyValue { value: Some(Value::StringValue("x".repeat(60_000))) });
    let huge = |n| Span {
        attributes: vec![KeyValue { key: "k".into(), value: value.clone(), ..Default::default() }],
        ..span(7, n, "huge")
    };
    let spans: Vec<_> = (0..100).map(huge).collect();
    let ids: Vec<_> = spans.iter().map(|span| span.span_id.clone()).collect();
    exports.offer(Kept { fragment: fragment(spans), spans: 100, ..kept(7, 0) }).unwrap();
    assert_eq!(exports.drain(PATIENCE).await.exported, 100);
    let state = backend.0.lock();
    assert!(state.requests.len() > 1);
    assert!(state.requests.iter().all(|(bytes, _)| *bytes <= 3_670_016));
    let received: Vec<_> = state.requests.iter().flat_map(|(_, spans)| spans.clone()).collect();
    assert_eq!(received, ids);
}
