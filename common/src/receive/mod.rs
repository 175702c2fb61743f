//! OTLP in: gRPC and HTTP servers that hand each request's bytes to an [`Ingest`] and answer only
//! when its outcome is known.
//!
//! One [`Server`] is one listener. Memory is bounded before it is used: a request's bytes are
//! permitted by a [`ByteBudget`](crate::limit::ByteBudget) before its body is read, and a
//! [`Gate`] can turn all requests away before that.
//!
//! - `server` accepts connections and shuts them down gracefully; `conn` drives one of them,
//!   `peers` counts connections by address, `idle` ends those without requests;
//! - `dispatch` finds the right handler, `grpc` and `http` are the two framings,
//!   `cors` is for browsers, `health` answers `grpc.health.v1`;
//! - `body` reads bodies under permits, `pace` gives up on slow ones, `decompress` unpacks them;
//! - `reply` holds the answers and both code maps, `status` the protobuf form of errors.

mod body;
mod conn;
mod cors;
mod decompress;
mod dispatch;
mod grpc;
mod health;
mod http;
mod idle;
mod pace;
mod peers;
mod reply;
mod response;
mod server;
mod settings;
mod stats;
pub(crate) mod status;

pub use self::cors::Cors;
pub use self::decompress::{Encoding, unpack};
pub use self::reply::{Code, Refusal, Reply};
pub use self::server::{Server, ServerHandle, Shutdown};
pub use self::settings::{Gate, HttpServes, ServerSettings, Serves};
pub use self::stats::{ReceivedSpans, RequestCount, ServerStats, SpanCounts};

use bytes::Bytes;
use std::future::Future;
use std::sync::Arc;

/// How a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP.
    Http,
}

/// What OTLP has beside traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Metrics.
    Metrics,
    /// Logs.
    Logs,
    /// Profiles.
    Profiles,
}

/// What takes in the spans.
pub trait Ingest: Send + Sync + 'static {
    /// `body` is one decompressed `ExportTraceServiceRequest` (protobuf, not validated, not
    /// empty). The answer is given only when its outcome is known. The future is dropped when the
    /// client goes away, at any await point.
    fn ingest(&self, body: Bytes, transport: Transport) -> impl Future<Output = Reply> + Send;
}

impl<I: Ingest> Ingest for Arc<I> {
    fn ingest(&self, body: Bytes, transport: Transport) -> impl Future<Output = Reply> + Send {
        I::ingest(self, body, transport)
    }
}

// === impl Signal ===

impl Signal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Logs, Self::Profiles];

    /// Its name in labels, texts and OTLP's paths.
    pub fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Profiles => "profiles",
        }
    }
}

// === impl Transport ===

impl Transport {
    /// The value of the `transport` label of the collector's receiver metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}
