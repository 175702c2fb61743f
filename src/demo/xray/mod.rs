//! An embedded endpoint that speaks enough of the AWS X-Ray API to look at what Tailgate sent:
//! `PutTraceSegments`, `GetTraceSummaries` with filter expressions, `BatchGetTraces`,
//! `GetServiceGraph` (any AWS SDK with `endpoint_url` can ask it), `PutTelemetryRecords` (accepted,
//! not kept), and `GET /_stats`, which is ours.
//!
//! Signatures are not checked. Everything is in memory under its own limit; the oldest trace goes
//! first and is counted.

mod api;
mod document;
mod filter;
mod graph;
mod store;
mod summary;

#[cfg(test)]
mod tests;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

pub use store::Stats;

/// What the endpoint takes and keeps. The defaults are the service's own limits where it has any.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes held, documents and their bookkeeping; beyond it the oldest trace goes.
    pub max_bytes: usize,
    /// Bytes of one segment document (X-Ray: 64 KiB).
    pub max_document_bytes: usize,
    /// Documents of one `PutTraceSegments` call (X-Ray: 50).
    pub max_documents: usize,
    /// Bytes of one request body; the documents are escaped in it.
    pub max_body_bytes: usize,
    /// Connections served at a time; later ones wait to be accepted.
    pub max_connections: usize,
}

/// A running endpoint. It ends when this is dropped.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    store: Arc<Mutex<Store>>,
    task: JoinHandle<()>,
}

/// Binds `address` (port 0 takes a free one) and serves it.
///
/// # Errors
/// What binding the socket gave.
pub async fn bind(address: SocketAddr, limits: Limits) -> io::Result<Handle> {
    serve(TcpListener::bind(address).await?, limits)
}

/// Serves an already bound socket; must be called inside a tokio runtime.
///
/// # Errors
/// If the socket has no local address.
pub fn serve(listener: TcpListener, limits: Limits) -> io::Result<Handle> {
    let address = listener.local_addr()?;
    let store = Arc::new(Mutex::new(Store::new(limits)));
    let task = tokio::spawn(accept(listener, store.clone(), limits));
    Ok(Handle { address, store, task })
}

/// A header that is not here by then is an attack or a dead peer.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

async fn accept(listener: TcpListener, store: Arc<Mutex<Store>>, limits: Limits) {
    let room = Arc::new(Semaphore::new(limits.max_connections));
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let store = store.clone();
                connections.spawn(async move {
                    connection(stream, store, limits).await;
                    drop(permit);
                });
            }
            // Out of file descriptors, most likely: the next try would fail at once too.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn connection(stream: TcpStream, store: Arc<Mutex<Store>>, limits: Limits) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let store = store.clone();
        async move { Ok::<_, std::convert::Infallible>(answer(request, &store, limits).await) }
    });
    // A connection that ends badly concerns its client alone.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    store: &Mutex<Store>,
    limits: Limits,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, limits.max_body_bytes).collect();
    let reply = match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => api::handle(&head.method, head.uri.path(), &body.to_bytes(), store, limits),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(api::Error::TooLarge(limits.max_body_bytes))
        }
        Ok(Err(error)) => Err(api::Error::Invalid(format!("the body broke off: {error}"))),
        Err(_) => Err(api::Error::Invalid("the body did not arrive in time".into())),
    };
    let (status, kind, body) = match reply {
        Ok(body) => (StatusCode::OK, None, body),
        Err(error) => (error.status(), Some(error.kind()), error.body()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("content-type", http::HeaderValue::from_static("application/json"));
    if let Some(kind) = kind {
        headers.insert("x-amzn-errortype", http::HeaderValue::from_static(kind));
    }
    response
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_bytes: 256 << 20,
            max_document_bytes: 64 << 10,
            max_documents: 50,
            max_body_bytes: 16 << 20,
            max_connections: 512,
        }
    }
}

// === impl Handle ===

impl Handle {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port`, as an exporter's `endpoint` or an SDK's `endpoint_url` wants it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was stored, refused and pushed out until now.
    pub fn stats(&self) -> Stats {
        self.store.lock().stats()
    }

    /// The documents of one trace (X-Ray form of the id), by start time; empty if unknown.
    pub fn documents(&self, trace_id: &str) -> Vec<String> {
        let store = self.store.lock();
        let segments = store.trace(trace_id).map(store::Trace::by_start);
        segments.unwrap_or_default().into_iter().map(|(_, s)| s.document.clone()).collect()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}
