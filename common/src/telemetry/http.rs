//! A small HTTP server for metrics and health: bounded, patient with nobody.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::net::tls::ServerTls;
use crate::net::{self, Listener};

/// A port that could not be had.
#[derive(Debug, Error)]
#[error("{what}: {cause}: {}", cause.source)]
pub struct BindError {
    /// Which server.
    pub what: &'static str,
    /// Where it should have been, and what the system said.
    pub cause: net::BindError,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

pub(super) type Page = Response<Full<Bytes>>;

const MAX_CONNECTIONS: usize = 64;
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);

/// A page of plain text.
pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Page {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}

/// Called where waiting for a lock holds nobody up.
type Handler = dyn Fn(&Request<Incoming>) -> Page + Send + Sync;

async fn accept(
    listener: Listener,
    tls: Option<ServerTls>,
    handler: Arc<Handler>,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let next = async {
            // Never closed, so this waits only.
            let slot = slots.clone().acquire_owned().await.ok();
            (slot, listener.accept().await)
        };
        let (slot, (stream, _)) = tokio::select! {
            next = next => next,
            () = stop.cancelled() => return,
        };
        let (tls, handler, stop) = (tls.clone(), handler.clone(), stop.clone());
        tokio::spawn(async move {
            let Some(tls) = tls else { return connection(stream, slot, handler, stop).await };
            let handshake = TlsAcceptor::from(tls.current()).accept(stream);
            match tokio::time::timeout(HEADER_TIMEOUT, handshake).await {
                Ok(Ok(stream)) => connection(stream, slot, handler, stop).await,
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake took too long"),
            }
        });
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send>(
    stream: S,
    _slot: Option<OwnedSemaphorePermit>,
    handler: Arc<Handler>,
    stop: CancellationToken,
) {
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move {
            let page = tokio::task::spawn_blocking(move || handler(&request)).await;
            let failed = |_| text(StatusCode::INTERNAL_SERVER_ERROR, "the page failed\n");
            Ok::<_, Infallible>(page.unwrap_or_else(failed))
        }
    });
    let mut server = http1::Builder::new();
    server.max_buf_size(MAX_HEAD);
    server.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // A client that breaks off is no news.
        _ = &mut connection => {}
        () = tokio::time::sleep(CONNECTION_TIMEOUT) => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(HEADER_TIMEOUT, connection).await;
        }
    }
}

// === impl Server ===

impl Server {
    /// Listens on `address` (`host:port`; port 0 finds one) and answers until `stop`.
    pub(super) async fn start(
        what: &'static str,
        address: &str,
        tls: Option<ServerTls>,
        stop: CancellationToken,
        handler: impl Fn(&Request<Incoming>) -> Page + Send + Sync + 'static,
    ) -> Result<Self, BindError> {
        let fail = |cause| BindError { what, cause };
        let listener = Listener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr();
        let task = tokio::spawn(accept(listener, tls, Arc::new(handler), stop));
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has stopped listening.
    pub async fn stopped(self) {
        // However it ended, it has.
        let _ = self.task.await;
    }
}
