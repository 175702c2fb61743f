//! OTLP/gRPC out: sends request bytes as they are and says what became of them.
//!
//! The connection is a tonic `Channel`; the framing of the one unary call is ours, so that the
//! bytes are not copied and compression contexts are used again.

mod body;
mod compress;
mod connect;
mod error;

pub use self::compress::Compression;
pub use self::error::{ClientError, SendError};

use self::body::{ResponseBody, UnaryBody};
use self::connect::{Connector, Target};
use crate::auth::Credentials;
use crate::net::tls::ClientTls;
use crate::receive::status;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, TE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint};

/// Where to send and how.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// `host:port`, or a URI with `http` or `https`, whose scheme is not looked at.
    pub endpoint: String,
    /// From [`net::tls::client_config`](crate::net::tls::client_config) with `h2` as ALPN; `None`
    /// is plain.
    pub tls: Option<ClientTls>,
    /// The name to ask the server's certificate for, instead of the endpoint's host.
    pub server_name: Option<String>,
    /// What requests are compressed with.
    pub compression: Compression,
    /// Sent with every request.
    pub headers: Vec<(String, String)>,
    /// Put into every request, beside the headers.
    pub auth: Option<Arc<Credentials>>,
    /// Time for one export, with connecting.
    pub timeout: Duration,
}

/// A client of one endpoint. Cheap to clone; connects when it is first used and again after every
/// failure.
#[derive(Clone)]
pub struct OtlpGrpcClient {
    channel: Channel,
    target: Arc<Target>,
    headers: HeaderMap,
    auth: Option<Arc<Credentials>>,
    compression: Compression,
    timeout: Duration,
}

/// A request that was taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Spans that the server will never take; they must not be sent again.
    pub rejected: u64,
    /// Why; may be a warning when nothing was rejected.
    pub message: String,
}

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const WINDOW: u32 = 1 << 20;
const MAX_TRIES: u32 = 3;

// === impl ClientSettings ===

impl ClientSettings {
    /// Plain, not compressed, 5 seconds (the collector's default).
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            tls: None,
            server_name: None,
            compression: Compression::None,
            headers: Vec::new(),
            auth: None,
            timeout: Duration::from_secs(5),
        }
    }
}

// === impl OtlpGrpcClient ===

impl OtlpGrpcClient {
    /// Checks the settings; does not connect yet. Must be called on a runtime.
    pub fn new(settings: ClientSettings) -> Result<Self, ClientError> {
        let target = Target::parse(&settings.endpoint, settings.server_name.as_deref())?;
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        let origin: Uri = format!("{scheme}://{}", target.authority)
            .parse()
            .map_err(|_| ClientError::Endpoint(settings.endpoint.clone()))?;
        // tonic refuses https without a TLS configuration of its own; TLS is in the connector.
        let plain = format!("http://{}", target.authority);
        let endpoint = Endpoint::from_shared(plain)
            .and_then(|e| e.user_agent(concat!("tailgate/", env!("CARGO_PKG_VERSION"))))
            .map_err(|_| ClientError::Endpoint(settings.endpoint.clone()))?
            .origin(origin)
            .connect_timeout(settings.timeout)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW);
        let headers = headers(&settings)?;
        let target = Arc::new(target);
        let connector = Connector::new(target.clone(), settings.tls);
        Ok(Self {
            channel: endpoint.connect_with_connector_lazy(connector),
            target,
            headers,
            auth: settings.auth,
            compression: settings.compression,
            timeout: settings.timeout,
        })
    }

    /// The endpoint's `host:port`, for logs and labels.
    pub fn authority(&self) -> &str {
        &self.target.authority
    }

    /// Sends one `ExportTraceServiceRequest` and waits for its outcome.
    pub async fn export(&self, request: Bytes) -> Result<Exported, SendError> {
        let within = self.timeout;
        let sent = tokio::time::timeout(within, self.call(request)).await;
        sent.unwrap_or_else(|_| Err(SendError::timed_out(within)))
    }

    async fn call(&self, request: Bytes) -> Result<Exported, SendError> {
        let body = UnaryBody::new(self.compression, request)?;
        let (head, body) = self.send(body).await?.into_parts();
        // Headers only: an error.
        if let Some(error) = SendError::from_headers(&head.headers)? {
            return Err(error);
        }
        if head.status != http::StatusCode::OK {
            return Err(SendError::from_http(head.status));
        }
        let ResponseBody { message, trailers } = ResponseBody::read(body).await?;
        match SendError::from_headers(&trailers)? {
            Some(error) => Err(error),
            None if !trailers.contains_key("grpc-status") => Err(SendError::no_status()),
            None => {
                let (rejected, message) = status::partial_success(&message);
                Ok(Exported { rejected, message })
            }
        }
    }
}

impl OtlpGrpcClient {
    /// A request that meets a connection which is just closing (servers limit their age) was never
    /// sent, so it is sent again at once.
    async fn send(&self, body: UnaryBody) -> Result<Response<Body>, SendError> {
        let mut tries_left = MAX_TRIES;
        loop {
            tries_left -= 1;
            let mut request = Request::new(Body::new(body.clone()));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = Uri::from_static(EXPORT);
            *request.headers_mut() = self.headers.clone();
            if let Some(auth) = &self.auth {
                auth.apply(request.headers_mut());
            }
            let mut channel = self.channel.clone();
            let ready = std::future::poll_fn(|cx| channel.poll_ready(cx)).await;
            ready.map_err(|e| SendError::unreachable(&e))?;
            match channel.call(request).await {
                Err(e) if tries_left > 0 && error::was_never_sent(&e) => {}
                sent => return sent.map_err(|e| SendError::unreachable(&e)),
            }
        }
    }
}

impl fmt::Debug for OtlpGrpcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the headers: they may be secret.
        f.debug_struct("OtlpGrpcClient").field("authority", &self.authority()).finish()
    }
}

fn headers(settings: &ClientSettings) -> Result<HeaderMap, ClientError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let key = HeaderName::try_from(name).map_err(|_| ClientError::Header(name.clone()))?;
        let value = HeaderValue::try_from(value).map_err(|_| ClientError::Header(name.clone()))?;
        headers.append(key, value);
    }
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if let Some(name) = settings.compression.name() {
        headers.insert("grpc-encoding", HeaderValue::from_static(name));
    }
    let millis = settings.timeout.as_millis().min(99_999_999);
    if let Ok(value) = HeaderValue::try_from(format!("{millis}m")) {
        headers.insert("grpc-timeout", value);
    }
    Ok(headers)
}
