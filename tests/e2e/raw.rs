//! Requests byte by byte, as no client library would send them, and the answers as they came.

use crate::SOON;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use std::net::SocketAddr;
use tailgate_testkit::EXPORT_PATH;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Status;

/// Headers of a request.
pub type Headers<'a> = &'a [(&'static str, &'a str)];

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

/// Sends any request; gRPC needs HTTP/2.
pub async fn send(method: Method, url: &str, headers: Headers<'_>, body: Vec<u8>) -> Answer {
    let grpc = headers.iter().any(|(_, value)| value.starts_with("application/grpc"));
    let mut client = Client::builder(TokioExecutor::new());
    let client = client.http2_only(grpc).build_http::<Full<Bytes>>();
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let exchange = async {
        let (head, body) = client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        Answer {
            code: head.status.as_u16(),
            headers: head.headers,
            body: body.to_bytes(),
            trailers,
        }
    };
    tokio::time::timeout(SOON, exchange).await.unwrap()
}

/// `POST url/v1/traces`, protobuf.
pub async fn post(url: &str, headers: Headers<'_>, body: Vec<u8>) -> Answer {
    let protobuf = [("content-type", "application/x-protobuf")];
    let headers = [&protobuf, headers].concat();
    send(Method::POST, &format!("{url}/v1/traces"), &headers, body).await
}

/// Calls the export method with one message; compressed, if an encoding is given.
pub async fn export(url: &str, encoding: Option<&str>, message: &[u8]) -> (Status, Answer) {
    let frame = frame(encoding.is_some(), message.len(), message);
    call(url, EXPORT_PATH, encoding.unwrap_or("identity"), frame).await
}

/// Calls a method with bytes that may be no frame.
pub async fn call(url: &str, path: &str, encoding: &str, body: Vec<u8>) -> (Status, Answer) {
    let headers =
        [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-encoding", encoding)];
    let answer = send(Method::POST, &format!("{url}{path}"), &headers, body).await;
    assert_eq!(answer.code, 200, "gRPC has its own codes: {answer:?}");
    let status = Status::from_header_map(&answer.trailers)
        .or_else(|| Status::from_header_map(&answer.headers));
    (status.unwrap_or_else(|| Status::unknown("no grpc-status")), answer)
}

/// A gRPC frame that claims `len` bytes.
pub fn frame(compressed: bool, len: usize, message: &[u8]) -> Vec<u8> {
    [&[u8::from(compressed)], &(len as u32).to_be_bytes()[..], message].concat()
}

/// Writes bytes and closes the way there; all that comes back until the other side has enough.
pub async fn bytes(addr: SocketAddr, bytes: &[u8]) -> String {
    let exchange = async {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        // A server that has enough before the end resets the connection; that is an answer too.
        let _ = (stream.write_all(bytes).await, stream.shutdown().await);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(SOON, exchange).await.unwrap()
}

// === impl Answer ===

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as text, or the message of the Status in it.
    pub fn text(&self) -> String {
        if self.header("content-type") != "application/x-protobuf" {
            return String::from_utf8_lossy(&self.body).into_owned();
        }
        // google.rpc.Status has code = 1 and message = 2, as a gRPC status has.
        let fields = tailgate_testkit::wire::Fields::new(&self.body).flatten();
        let message = fields.filter_map(|field| match field {
            (2, tailgate_testkit::wire::Value::Bytes(text)) => Some(text),
            _ => None,
        });
        String::from_utf8_lossy(message.last().unwrap_or_default()).into_owned()
    }

    /// The `partial_success` of a success over HTTP.
    pub fn partial(&self) -> ExportTracePartialSuccess {
        partial(&self.body)
    }

    /// The `partial_success` of a success over gRPC.
    pub fn grpc_partial(&self) -> ExportTracePartialSuccess {
        partial(&self.body[5..])
    }
}

fn partial(body: &[u8]) -> ExportTracePartialSuccess {
    ExportTraceServiceResponse::decode(body).unwrap().partial_success.unwrap_or_default()
}
