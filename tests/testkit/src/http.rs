//! One small HTTP request, for health, metrics and the control of sinks.

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

const MAX_BODY: usize = 64 << 20;

/// `GET url`: the status and the body.
///
/// # Errors
/// When nobody answers within 30 s.
pub async fn get(url: &str) -> anyhow::Result<(u16, String)> {
    send(http::Method::GET, url, "").await
}

/// `POST url` with a text body.
///
/// # Errors
/// When nobody answers within 30 s.
pub async fn post(url: &str, body: &str) -> anyhow::Result<(u16, String)> {
    send(http::Method::POST, url, body).await
}

async fn send(method: http::Method, url: &str, body: &str) -> anyhow::Result<(u16, String)> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = http::Request::builder()
        .method(method)
        .uri(url)
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
    let exchange = async {
        let response = client.request(request).await.with_context(|| url.to_owned())?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        let body = body.map_err(|e| anyhow::anyhow!("{url}: {e}"))?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::time::timeout(Duration::from_secs(30), exchange).await.with_context(|| url.to_owned())?
}
