//! OTLP out, over gRPC and HTTP: sends request bytes as they are and says what became of them.
//!
//! gRPC's connection is a tonic `Channel`; the framing of the one unary call is ours, so that the
//! bytes are not copied and compression contexts are used again. HTTP is hyper-util's client with
//! its pool; [`PostClient`] is what other APIs over HTTP use of it. Both connect
//! the same way ([`connect`]): to a port or a unix socket, through a proxy,
//! with TLS that is read again when its files change.

mod answer;
mod body;
mod compress;
mod connect;
mod error;
mod grpc;
mod http;
mod post;
mod proxy;
mod sign;

pub use self::answer::retry_after;
pub use self::compress::Compression;
pub use self::error::{ClientError, PostError, SendError};
pub use self::grpc::OtlpGrpcClient;
pub use self::http::{HttpSettings, OtlpHttpClient};
pub use self::post::{PostClient, PostSettings, Response};
pub use self::proxy::{Proxy, ProxyEnvironment};
pub use self::sign::{Signed, Signer, Stamp};

use self::compress::Packer;
use crate::auth::Credentials;
use crate::net::tls::ClientTls;
use ::http::header::HeaderName;
use ::http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

/// Where to send and how.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// gRPC: `host:port` or `unix:/path`; a scheme `http` or `https` is not looked at. HTTP: the URL.
    pub endpoint: String,
    /// From [`net::tls::client_config`](crate::net::tls::client_config); ALPN for gRPC is `h2`.
    /// `None` is plain.
    pub tls: Option<ClientTls>,
    /// The name to ask the server's certificate for, instead of the endpoint's host.
    pub server_name: Option<String>,
    /// What the server is called in requests (gRPC), instead of the endpoint.
    pub authority: Option<String>,
    /// The proxy on the way.
    pub proxy: Option<Proxy>,
    /// What requests are compressed with.
    pub compression: Compression,
    /// Its level; `None` is the fastest.
    pub level: Option<u32>,
    /// Sent with every request.
    pub headers: Vec<(String, String)>,
    /// Put into every request, beside the headers.
    pub auth: Option<Arc<Credentials>>,
    /// Time for one export, with connecting.
    pub timeout: Duration,
    /// How it is found out that an HTTP/2 server is gone.
    pub ping: Option<Ping>,
}

/// HTTP/2 pings on a connection on which nothing comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// After this much silence.
    pub after: Duration,
    /// Without an answer within this the connection is closed.
    pub timeout: Duration,
    /// Also while no request is under way.
    pub while_idle: bool,
}

/// A request that was taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Spans that the server will never take; they must not be sent again.
    pub rejected: u64,
    /// Why; may be a warning when nothing was rejected.
    pub message: String,
}

const USER_AGENT: &str = concat!("tailgate/", env!("CARGO_PKG_VERSION"));
/// A response is a few bytes and a text.
const MAX_RESPONSE: usize = 64 * 1024;

// === impl ClientSettings ===

impl ClientSettings {
    /// Plain, not compressed, 5 seconds (the collector's default).
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            tls: None,
            server_name: None,
            authority: None,
            proxy: None,
            compression: Compression::None,
            level: None,
            headers: Vec::new(),
            auth: None,
            timeout: Duration::from_secs(5),
            ping: Some(Ping::default()),
        }
    }

    fn packer(&self) -> Packer {
        Packer { compression: self.compression, level: self.level }
    }

    /// The configured headers.
    fn own_headers(&self) -> Result<HeaderMap, ClientError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let bad = || ClientError::Header(name.clone());
            let key = HeaderName::try_from(name).map_err(|_| bad())?;
            let mut value = HeaderValue::try_from(value).map_err(|_| bad())?;
            value.set_sensitive(true);
            headers.append(key, value);
        }
        Ok(headers)
    }
}

// === impl Ping ===

impl Default for Ping {
    /// The collector's.
    fn default() -> Self {
        let ten = Duration::from_secs(10);
        Self { after: ten, timeout: ten, while_idle: false }
    }
}
