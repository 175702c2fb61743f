//! A server and raw requests for the receive tests.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tailgate_common::limit::ByteBudget;
use tailgate_common::receive::Transport;
use tailgate_common::receive::{Gate, Ingest, Reply, Server, ServerHandle, ServerSettings};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Sender, channel};

pub const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Remembers what it got and answers what it is told, when it is let.
pub struct Probe {
    pub got: Mutex<Vec<(Bytes, Transport)>>,
    pub reply: Mutex<Reply>,
    pub permits: Semaphore,
}

pub struct Rig {
    pub handle: ServerHandle,
    pub probe: Arc<Probe>,
    pub budget: ByteBudget,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

impl Ingest for Probe {
    async fn ingest(&self, body: Bytes, transport: Transport) -> Reply {
        self.got.lock().push((body, transport));
        let _permit = self.permits.acquire().await.unwrap();
        self.reply.lock().clone()
    }
}

impl Rig {
    pub async fn start(settings: ServerSettings) -> Self {
        Self::with(settings, ByteBudget::new(64 << 20), None).await
    }

    pub async fn with(
        mut settings: ServerSettings,
        budget: ByteBudget,
        gate: Option<Gate>,
    ) -> Self {
        settings.endpoint = "127.0.0.1:0".to_owned();
        Self::at(settings, budget, gate).await
    }

    /// At the endpoint of the settings.
    pub async fn at(settings: ServerSettings, budget: ByteBudget, gate: Option<Gate>) -> Self {
        let probe = Arc::new(Probe {
            got: Mutex::default(),
            reply: Mutex::new(Reply::Held),
            permits: Semaphore::new(1_000),
        });
        let server = Server::bind(settings, probe.clone(), budget.clone(), gate).await.unwrap();
        Self { handle: server.spawn(), probe, budget }
    }

    pub fn addr(&self) -> SocketAddr {
        self.handle.local_addr()
    }

    pub fn got(&self) -> usize {
        self.probe.got.lock().len()
    }

    pub fn last(&self) -> (Bytes, Transport) {
        self.probe.got.lock().last().unwrap().clone()
    }

    pub fn say(&self, reply: Reply) {
        *self.probe.reply.lock() = reply;
    }
}

impl Answer {
    async fn read(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        let (status, headers) = (head.status.as_u16(), head.headers);
        Self { status, headers, body: body.to_bytes(), trailers }
    }

    /// gRPC status and decoded-enough message.
    pub fn grpc(&self) -> (u32, String) {
        let from =
            if self.headers.contains_key("grpc-status") { &self.headers } else { &self.trailers };
        let text = |name| from.get(name).map_or("", |v| v.to_str().unwrap()).to_owned();
        (text("grpc-status").parse().unwrap(), text("grpc-message"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

/// One request on a connection of its own; `None` as version two is HTTP/1.1.
pub async fn send(addr: SocketAddr, http2: bool, request: Request<Full<Bytes>>) -> Answer {
    let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    if http2 {
        let shake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
        let (mut sender, connection) = shake.await.unwrap();
        tokio::spawn(connection);
        Answer::read(sender.send_request(request).await.unwrap()).await
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        Answer::read(sender.send_request(request).await.unwrap()).await
    }
}

pub fn grpc_request(path: &str, encoding: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    let uri = format!("http://localhost{path}");
    let mut request = Request::post(uri).header("content-type", "application/grpc");
    if !encoding.is_empty() {
        request = request.header("grpc-encoding", encoding);
    }
    request.body(Full::new(Bytes::from(body))).unwrap()
}

pub async fn grpc(addr: SocketAddr, encoding: &str, body: Vec<u8>) -> Answer {
    send(addr, true, grpc_request(EXPORT, encoding, body)).await
}

pub fn http_request(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Request<Full<Bytes>> {
    let mut request = Request::post(path).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(Bytes::copy_from_slice(body))).unwrap()
}

pub fn framed(compressed: bool, message: &[u8]) -> Vec<u8> {
    let len = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[u8::from(compressed)], &len[..], message].concat()
}

pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A body that is written by hand, over HTTP/2.
pub async fn open_grpc(
    addr: SocketAddr,
) -> (Sender<Bytes>, tokio::task::JoinHandle<Option<Answer>>) {
    let (sender, mut pieces) = channel::<Bytes>(8);
    let stream = futures_util::stream::poll_fn(move |cx| {
        pieces.poll_recv(cx).map(|piece| piece.map(|p| Ok::<_, Infallible>(Frame::data(p))))
    });
    let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let shake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (mut requests, connection) = shake.await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://localhost{EXPORT}"))
        .header("content-type", "application/grpc")
        .body(StreamBody::new(stream))
        .unwrap();
    let answer = tokio::spawn(async move {
        let response = requests.send_request(request).await.ok()?;
        Some(Answer::read(response).await)
    });
    (sender, answer)
}

/// Waits until something is so.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
