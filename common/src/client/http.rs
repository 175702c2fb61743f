//! OTLP/HTTP: protobuf or JSON.
//!
//! Source of the rules: the OTLP specification, "OTLP/HTTP Response".

use super::answer;
use super::compress::Packer;
use super::error::{ClientError, SendError};
use super::post::{PostClient, PostSettings};
use super::{ClientSettings, Exported, Signer};
use crate::clock::Clock;
use bytes::Bytes;
use http::Uri;
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
    post: PostClient,
    url: Uri,
    max_body: usize,
    packer: Packer,
    json: bool,
    clock: Arc<dyn Clock>,
}

// === impl OtlpHttpClient ===

impl OtlpHttpClient {
    /// Checks the settings; does not connect yet.
    pub fn new(settings: HttpSettings) -> Result<Self, ClientError> {
        let HttpSettings { client, json, max_idle, idle_timeout, signer, max_body, clock } =
            settings;
        let bad = || ClientError::Url(client.endpoint.clone());
        let url: Uri = client.endpoint.parse().map_err(|_| bad())?;
        let packer = client.packer();
        let kind = if json { "application/json" } else { "application/x-protobuf" };
        let settings = PostSettings { client, max_idle, idle_timeout, signer };
        let (post, max_body) = (PostClient::new(settings, kind)?, max_body.unwrap_or(usize::MAX));
        Ok(Self { post, url, max_body, packer, json, clock })
    }

    /// The URL, for logs.
    pub fn url(&self) -> &Uri {
        &self.url
    }

    /// Sends one `ExportTraceServiceRequest`, which is protobuf, and waits for its outcome.
    pub async fn export(&self, request: Bytes) -> Result<Exported, SendError> {
        let body = self.encode(request)?;
        let response = self.post.post(&self.url, body).await.map_err(SendError::unanswered)?;
        // The status says whether it was taken; a body that can't be read changes nothing.
        if response.status.is_success() {
            return Ok(answer::exported(&response.headers, &response.body));
        }
        let failure =
            answer::failure(response.status, &response.headers, &response.body, &*self.clock);
        if failure.is_denied() {
            response.refuse_credentials();
        }
        Err(failure)
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
}

impl fmt::Debug for OtlpHttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpHttpClient").field("url", &self.url).finish_non_exhaustive()
    }
}
