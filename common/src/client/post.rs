//! Whole bodies posted to a server, and its whole answers: what OTLP/HTTP and AWS's own APIs have
//! in common. HTTP/1.1 or what ALPN says.

use super::connect::{Connector, Target};
use super::error::{ClientError, PostError};
use super::sign::{Signer, Stamp};
use super::{ClientSettings, MAX_RESPONSE, USER_AGENT};
use crate::auth::Credentials;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, PROXY_AUTHORIZATION, USER_AGENT as AGENT};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Which server, and how its requests are made.
pub struct PostSettings {
    /// What gRPC has too; the endpoint is a URL of the server.
    pub client: ClientSettings,
    /// Most connections kept for the next request.
    pub max_idle: usize,
    /// How long they are kept; `None`: as long as the server wants.
    pub idle_timeout: Option<Duration>,
    /// Signs each request, after all else.
    pub signer: Option<Arc<dyn Signer>>,
}

/// A client of one server. Cheap to clone; connects when it is used, and keeps connections.
#[derive(Clone)]
pub struct PostClient {
    client: Client<Connector, Full<Bytes>>,
    headers: HeaderMap,
    auth: Option<Arc<Credentials>>,
    signer: Option<Arc<dyn Signer>>,
    timeout: Duration,
}

/// What a server answered.
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, 64 KiB at most.
    pub body: Bytes,
    /// Whether that is all of the body.
    pub whole: bool,
    signed: Option<(Arc<dyn Signer>, Stamp)>,
}

// === impl PostClient ===

impl PostClient {
    /// Checks the settings; does not connect yet. All bodies are of this type.
    pub fn new(settings: PostSettings, content_type: &'static str) -> Result<Self, ClientError> {
        let PostSettings { client: own, max_idle, idle_timeout, signer } = settings;
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
        let headers = headers(&own, content_type)?;
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
        let (client, auth, timeout) = (builder.build(connector), own.auth, own.timeout);
        Ok(Self { client, headers, auth, signer, timeout })
    }

    /// Posts a body to a URL of the server and waits for the answer.
    pub async fn post(&self, url: &Uri, body: Bytes) -> Result<Response, PostError> {
        let within = self.timeout;
        let answered = tokio::time::timeout(within, self.call(url, body)).await;
        answered.unwrap_or(Err(PostError::TimedOut(within)))
    }

    async fn call(&self, url: &Uri, body: Bytes) -> Result<Response, PostError> {
        let mut headers = self.headers.clone();
        if let Some(auth) = &self.auth {
            auth.apply(&mut headers);
        }
        let mut signed = None;
        if let Some(signer) = &self.signer {
            let stamp = signer.sign(url, &mut headers, &body).await;
            signed = Some((signer.clone(), stamp.map_err(PostError::NotSigned)?));
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.clone();
        *request.headers_mut() = headers;
        let (head, body) = self.client.request(request).await?.into_parts();
        let (body, whole) = read(body).await;
        Ok(Response { status: head.status, headers: head.headers, body, whole, signed })
    }
}

/// At most [`MAX_RESPONSE`] bytes of it, and whether that is all.
async fn read(mut body: Incoming) -> (Bytes, bool) {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return (read.freeze(), false) };
        let Ok(piece) = frame.into_data() else { continue };
        if read.len() + piece.len() > MAX_RESPONSE {
            return (read.freeze(), false);
        }
        read.extend_from_slice(&piece);
    }
    (read.freeze(), true)
}

fn headers(settings: &ClientSettings, kind: &'static str) -> Result<HeaderMap, ClientError> {
    let mut headers = settings.own_headers()?;
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

impl fmt::Debug for PostClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the headers: they may be secret.
        f.write_str("PostClient")
    }
}

// === impl Response ===

impl Response {
    /// It says that the request's credentials are not accepted: others are looked for.
    pub fn refuse_credentials(&self) {
        if let Some((signer, stamp)) = &self.signed {
            signer.refused(*stamp);
        }
    }
}
