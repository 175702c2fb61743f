//! OTLP/HTTP: protobuf or JSON, HTTP/1.1 or what ALPN says.
//!
//! Source of the rules: the OTLP specification, "OTLP/HTTP Response".

use super::answer;
use super::compress::Packer;
use super::connect::{Connector, Target};
use super::error::{ClientError, SendError};
use super::sign::Signer;
use super::{ClientSettings, Exported, MAX_RESPONSE, USER_AGENT};
use crate::auth::Credentials;
use crate::clock::Clock;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, PROXY_AUTHORIZATION, USER_AGENT as AGENT};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tailgate_proto::json::write_json;

/// Where to send over HTTP, and how.
#[derive(Clone)]
pub struct HttpSettings {
    /// What gRPC has too; the endpoint is the URL that is posted to.
    pub client: ClientSettings,
    /// OTLP/JSON instead of protobuf.
    pub json: bool,
    /// Most connections kept for the next request.
    pub max_idle: usize,
    /// How long they are kept; `None`: as long as the server wants.
    pub idle_timeout: Option<Duration>,
    /// Signs each request, after all else.
    pub signer: Option<Arc<dyn Signer>>,
    /// Most bytes of a body before it is compressed, if the server says so.
    pub max_body: Option<usize>,
    /// For `Retry-After` with a date.
    pub clock: Arc<dyn Clock>,
}

/// A client of one URL. Cheap to clone; connects when it is used, and keeps connections.
#[derive(Clone)]
pub struct OtlpHttpClient {
    client: Client<Connector, Full<Bytes>>,
    url: Uri,
    headers: HeaderMap,
    auth: Option<Arc<Credentials>>,
    signer: Option<Arc<dyn Signer>>,
    max_body: usize,
    packer: Packer,
    json: bool,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

// === impl OtlpHttpClient ===

impl OtlpHttpClient {
    /// Checks the settings; does not connect yet.
    pub fn new(settings: HttpSettings) -> Result<Self, ClientError> {
        let HttpSettings { client: own, json, max_idle, idle_timeout, .. } = settings;
        let bad = || ClientError::Url(own.endpoint.clone());
        let url: Uri = own.endpoint.parse().map_err(|_| bad())?;
        let port = match url.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => 80,
            Some(scheme) if *scheme == Scheme::HTTPS => 443,
            _ => return Err(bad()),
        };
        let host = url.host().ok_or_else(bad)?;
        let place = format!("{host}:{}", url.port_u16().unwrap_or(port));
        let target = Arc::new(Target::parse(&place, own.server_name.as_deref())?);
        let headers = headers(&own, json)?;
        let packer = own.packer();
        let connector = Connector::new(target, own.tls, own.proxy, own.timeout).forwarding();
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(max_idle)
            .pool_idle_timeout(idle_timeout);
        if let Some(ping) = own.ping {
            builder
                .http2_keep_alive_interval(ping.after)
                .http2_keep_alive_timeout(ping.timeout)
                .http2_keep_alive_while_idle(ping.while_idle);
        }
        Ok(Self {
            client: builder.build(connector),
            url,
            headers,
            auth: own.auth,
            signer: settings.signer,
            max_body: settings.max_body.unwrap_or(usize::MAX),
            packer,
            json,
            timeout: own.timeout,
            clock: settings.clock,
        })
    }

    /// The URL, for logs.
    pub fn url(&self) -> &Uri {
        &self.url
    }

    /// Sends one `ExportTraceServiceRequest`, which is protobuf, and waits for its outcome.
    pub async fn export(&self, request: Bytes) -> Result<Exported, SendError> {
        let body = self.encode(request)?;
        let within = self.timeout;
        let sent = tokio::time::timeout(within, self.call(body)).await;
        sent.unwrap_or_else(|_| Err(SendError::timed_out(within)))
    }

    fn encode(&self, request: Bytes) -> Result<Bytes, SendError> {
        let plain = match self.json {
            true => {
                let mut text = Vec::with_capacity(request.len() * 3);
                write_json(&request, &mut text);
                Bytes::from(text)
            }
            false => request,
        };
        if plain.len() > self.max_body {
            return Err(SendError::over(plain.len(), self.max_body));
        }
        let packed = self.packer.pack(&plain).map_err(|e| SendError::not_sendable(&e))?;
        Ok(packed.map_or(plain, Bytes::from))
    }

    async fn call(&self, body: Bytes) -> Result<Exported, SendError> {
        let mut headers = self.headers.clone();
        if let Some(auth) = &self.auth {
            auth.apply(&mut headers);
        }
        let mut stamp = None;
        if let Some(signer) = &self.signer {
            let signed = signer.sign(&self.url, &mut headers, &body).await;
            stamp = Some((signer, signed.map_err(|why| SendError::not_signed(&why))?));
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = headers;
        let response = self.client.request(request).await;
        let (head, body) = response.map_err(|e| SendError::unreachable(&e))?.into_parts();
        // The status says whether it was taken; a body that can't be read changes nothing.
        let body = read(body).await;
        if head.status.is_success() {
            return Ok(answer::exported(&head.headers, &body));
        }
        let failure = answer::failure(head.status, &head.headers, &body, &*self.clock);
        if let (true, Some((signer, stamp))) = (failure.is_denied(), stamp) {
            signer.refused(stamp);
        }
        Err(failure)
    }
}

/// At most [`MAX_RESPONSE`] bytes of it.
async fn read(mut body: Incoming) -> Bytes {
    let mut read = BytesMut::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(piece) = frame.into_data() else { continue };
        if read.len() + piece.len() > MAX_RESPONSE {
            break;
        }
        read.extend_from_slice(&piece);
    }
    read.freeze()
}

fn headers(settings: &ClientSettings, json: bool) -> Result<HeaderMap, ClientError> {
    let mut headers = settings.own_headers()?;
    let kind = if json { "application/json" } else { "application/x-protobuf" };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.entry(AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    if let Some(name) = settings.compression.http_name() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    // For TLS the proxy passes the connection on, and is asked for that with its credentials.
    let credentials = settings.proxy.as_ref().and_then(|proxy| proxy.credentials.clone());
    if let (Some(credentials), None) = (credentials, &settings.tls) {
        headers.insert(PROXY_AUTHORIZATION, credentials);
    }
    Ok(headers)
}

impl fmt::Debug for OtlpHttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the headers: they may be secret.
        f.debug_struct("OtlpHttpClient").field("url", &self.url).finish_non_exhaustive()
    }
}
