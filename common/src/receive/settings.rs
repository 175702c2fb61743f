//! What a server is told; the defaults are the collector's where it has them.

use super::body::BodyReader;
use super::decompress::{Encoding, no_room};
use super::pace::Terms;
use super::peers::Peers;
use super::{Code, Cors, Refusal, ServerStats, Signal};
use crate::auth::{Checker, Denied};
use crate::limit::{ByteBudget, Permit};
use crate::net::tls::ServerTls;
use http::HeaderMap;
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// Which of OTLP's two protocols a listener speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serves {
    /// OTLP/gRPC, unary.
    Grpc,
    /// OTLP/HTTP with protobuf and JSON bodies.
    Http(Box<HttpServes>),
}

/// What an HTTP listener answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpServes {
    /// The path of traces, `/v1/traces` by default.
    pub traces_path: String,
    /// The path of metrics, which are refused with a remedy.
    pub metrics_path: String,
    /// The path of logs, likewise.
    pub logs_path: String,
    /// The encodings that are taken.
    pub encodings: Vec<Encoding>,
}

/// Asked before a request's body is read: `Some` turns the request away. For pressure and
/// draining; must be cheap.
pub type Gate = Arc<dyn Fn() -> Option<Refusal> + Send + Sync>;

/// Settings of one listener.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// `host:port` or `unix:/path`.
    pub endpoint: String,
    /// gRPC or HTTP.
    pub serves: Serves,
    /// From [`net::tls::server_config`](crate::net::tls::server_config); `None` is plain.
    pub tls: Option<ServerTls>,
    /// Who may send; `None`: anyone.
    pub auth: Option<Arc<Checker>>,
    /// More connections than this are closed at once.
    pub max_connections: u64,
    /// As many of them from one address (of IPv6, the first 64 bits), so that one client cannot
    /// take all places. Not for unix sockets.
    pub max_connections_per_peer: u64,
    /// TLS handshakes at once; more wait, within `handshake_timeout`.
    pub max_handshakes: usize,
    /// Largest gRPC message in bytes, as sent and decompressed.
    pub max_recv_msg_size: usize,
    /// Largest HTTP body in bytes, as sent and decompressed.
    pub max_request_body_size: usize,
    /// Requests at once on an HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// Time for a TLS handshake.
    pub handshake_timeout: Duration,
    /// Time for the first bytes of a connection, and for the first HTTP/1 request's head.
    pub header_timeout: Duration,
    /// Time on an HTTP/1 connection from one request's end to the end of the next one's head.
    /// Longer than the idle timeout of proxies in front (AWS ALB: 60 s), which otherwise send
    /// requests into a connection that is just closing.
    pub idle_timeout: Duration,
    /// Time for a whole body.
    pub body_timeout: Duration,
    /// Bytes per second that a body must come with on the whole, once it has taken `body_grace`.
    pub min_body_rate: u64,
    /// Time in which a body may be slower than that.
    pub body_grace: Duration,
    /// Time that a write may be stuck because the client does not read. `None`: any.
    pub write_timeout: Option<Duration>,
    /// An HTTP/2 connection without requests for this long (up to a quarter more) is asked to go.
    /// `None`: never.
    pub max_connection_idle: Option<Duration>,
    /// Whether an HTTP/1 connection has more than one request.
    pub keep_alives: bool,
    /// HTTP/2 pings after this much silence; must be under the idle timeouts on the way.
    pub keepalive_interval: Duration,
    /// A ping that is not answered in this time ends the connection.
    pub keepalive_timeout: Duration,
    /// Connections are asked to reconnect at this age, +-10 %, so that load spreads after a
    /// scale-up. `None`: never.
    pub max_connection_age: Option<Duration>,
    /// Time for requests in flight after that.
    pub max_connection_age_grace: Duration,
    /// What browsers are told on HTTP; `None`: nothing, so they refuse to send from pages.
    pub cors: Option<Arc<Cors>>,
    /// Headers added to all HTTP answers that don't have them.
    pub response_headers: HeaderMap,
}

/// What all connections of a server share.
pub(super) struct Shared<I> {
    pub settings: ServerSettings,
    pub ingest: I,
    pub budget: ByteBudget,
    pub gate: Option<Gate>,
    pub stats: Arc<ServerStats>,
    pub peers: Peers,
    pub handshakes: Semaphore,
    /// Set when the server stops: the time by which requests in flight must be done.
    pub stop: watch::Receiver<Option<Instant>>,
}

// === impl ServerSettings ===

impl ServerSettings {
    /// OTLP/gRPC at an endpoint, everything else by default.
    pub fn grpc(endpoint: impl Into<String>) -> Self {
        Self::new(endpoint.into(), Serves::Grpc)
    }

    /// OTLP/HTTP at an endpoint, everything else by default.
    pub fn http(endpoint: impl Into<String>) -> Self {
        Self::new(endpoint.into(), Serves::Http(Box::default()))
    }

    fn new(endpoint: String, serves: Serves) -> Self {
        Self {
            endpoint,
            serves,
            tls: None,
            auth: None,
            max_connections: 10_000,
            max_connections_per_peer: 5_000,
            max_handshakes: 512,
            max_recv_msg_size: 4 << 20,
            max_request_body_size: 20 << 20,
            max_concurrent_streams: 128,
            handshake_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            min_body_rate: 1024,
            body_grace: Duration::from_secs(5),
            write_timeout: Some(Duration::from_secs(30)),
            max_connection_idle: None,
            keep_alives: true,
            keepalive_interval: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
            max_connection_age: None,
            max_connection_age_grace: Duration::from_secs(30),
            cors: None,
            response_headers: HeaderMap::new(),
        }
    }
}

// === impl HttpServes ===

impl HttpServes {
    /// What a path beside that of traces is for.
    pub(super) fn signal(&self, path: &str) -> Option<Signal> {
        match path {
            _ if path == self.metrics_path => Some(Signal::Metrics),
            _ if path == self.logs_path => Some(Signal::Logs),
            "/v1development/profiles" => Some(Signal::Profiles),
            _ => None,
        }
    }
}

impl Default for HttpServes {
    fn default() -> Self {
        Self {
            traces_path: "/v1/traces".to_owned(),
            metrics_path: "/v1/metrics".to_owned(),
            logs_path: "/v1/logs".to_owned(),
            encodings: Encoding::ALL.to_vec(),
        }
    }
}

// === impl Shared ===

impl<I> Shared<I> {
    /// The gate's answer.
    pub fn admit(&self) -> Result<(), Refusal> {
        match self.gate.as_ref().and_then(|gate| gate()) {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    /// A request's body, to be read under the time limits.
    pub fn body(&self, incoming: Incoming) -> BodyReader {
        let settings = &self.settings;
        let (limit, grace) = (settings.body_timeout, settings.body_grace);
        BodyReader::new(incoming, Terms { limit, rate: settings.min_body_rate, grace })
    }

    /// Whether the client may send; asked before any of its body is read.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(checker) = &self.settings.auth else { return Ok(()) };
        checker.check(headers).await.map_err(|denied| {
            let code = match denied {
                Denied::Unknown { scheme, .. } => Code::Unauthenticated(scheme.challenge()),
                Denied::Busy => Code::Unavailable,
            };
            Refusal::new(code, denied.to_string())
        })
    }

    /// A permit that grows with a body of `announced` bytes as it comes; refused now if the whole
    /// would not fit now.
    pub fn permit_up_to(&self, announced: usize) -> Result<Permit, Refusal> {
        match self.budget.has_room(announced as u64) {
            true => Ok(self.budget.empty_permit()),
            false => Err(no_room(announced)),
        }
    }
}
