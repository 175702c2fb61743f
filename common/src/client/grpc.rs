//! OTLP/gRPC.

use super::body::{ResponseBody, UnaryBody};
use super::compress::Packer;
use super::connect::{Connector, Target};
use super::error::{self, ClientError, SendError};
use super::{ClientSettings, Compression, Exported, USER_AGENT};
use crate::auth::Credentials;
use crate::receive::status;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint};

/// A client of one endpoint. Cheap to clone; connects when it is first used and again after every
/// failure.
#[derive(Clone)]
pub struct OtlpGrpcClient {
    channel: Channel,
    endpoint: Arc<str>,
    headers: HeaderMap,
    auth: Option<Arc<Credentials>>,
    packer: Packer,
    timeout: Duration,
}

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const WINDOW: u32 = 1 << 20;
const MAX_TRIES: u32 = 3;

// === impl OtlpGrpcClient ===

impl OtlpGrpcClient {
    /// Checks the settings; does not connect yet. Must be called on a runtime.
    pub fn new(settings: ClientSettings) -> Result<Self, ClientError> {
        let bad = || ClientError::Endpoint(settings.endpoint.clone());
        let called = settings.authority.as_deref().map(str::parse::<Authority>).transpose();
        let called = called.map_err(|_| bad())?;
        let name = settings.server_name.as_deref().or(called.as_ref().map(Authority::host));
        let target = Target::parse(&settings.endpoint, name)?;
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        let authority = settings.authority.as_deref().unwrap_or(&target.authority);
        let origin: Uri = format!("{scheme}://{authority}").parse().map_err(|_| bad())?;
        // tonic refuses https without a TLS configuration of its own; TLS is in the connector.
        let plain = format!("http://{}", target.authority);
        let mut endpoint = Endpoint::from_shared(plain)
            .and_then(|e| e.user_agent(USER_AGENT))
            .map_err(|_| bad())?
            .origin(origin)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW);
        if let Some(ping) = settings.ping {
            endpoint = endpoint
                .http2_keep_alive_interval(ping.after)
                .keep_alive_timeout(ping.timeout)
                .keep_alive_while_idle(ping.while_idle);
        }
        let headers = headers(&settings)?;
        let shown = match &target.socket {
            Some(_) => settings.endpoint.as_str().into(),
            None => target.authority.as_str().into(),
        };
        let (packer, timeout) = (settings.packer().for_grpc(), settings.timeout);
        let connector = Connector::new(Arc::new(target), settings.tls, settings.proxy, timeout);
        Ok(Self {
            channel: endpoint.connect_with_connector_lazy(connector),
            endpoint: shown,
            headers,
            auth: settings.auth,
            packer,
            timeout,
        })
    }

    /// The endpoint's `host:port` or its unix socket, for logs and labels.
    pub fn authority(&self) -> &str {
        &self.endpoint
    }

    /// Sends one `ExportTraceServiceRequest` and waits for its outcome.
    pub async fn export(&self, request: Bytes) -> Result<Exported, SendError> {
        let within = self.timeout;
        let sent = tokio::time::timeout(within, self.call(request)).await;
        sent.unwrap_or_else(|_| Err(SendError::timed_out(within)))
    }

    async fn call(&self, request: Bytes) -> Result<Exported, SendError> {
        let body = UnaryBody::new(self.packer, request)?;
        let (head, body) = self.send(body).await?.into_parts();
        // Headers only: an error.
        if let Some(error) = SendError::from_headers(&head.headers)? {
            return Err(error);
        }
        if head.status != http::StatusCode::OK {
            return Err(SendError::from_http(head.status, "", None));
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
    let mut headers = settings.own_headers()?;
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    match (settings.compression, settings.compression.grpc_name()) {
        (Compression::None, _) => {}
        (_, Some(name)) => {
            headers.insert("grpc-encoding", HeaderValue::from_static(name));
        }
        (other, None) => return Err(ClientError::Compression(other)),
    }
    let millis = settings.timeout.as_millis().min(99_999_999);
    if let Ok(value) = HeaderValue::try_from(format!("{millis}m")) {
        headers.insert("grpc-timeout", value);
    }
    Ok(headers)
}
