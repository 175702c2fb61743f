//! TCP and TLS connections for a tonic channel, with a rustls configuration of our own.

use super::error::ClientError;
use crate::net::tls::ClientTls;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tonic::codegen::Service;

/// Whom to connect to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// `host:port`.
    pub authority: String,
    /// The name in the server's certificate.
    pub server_name: ServerName<'static>,
}

/// Opens a connection whenever the channel wants one.
#[derive(Clone)]
pub(super) struct Connector {
    target: Arc<Target>,
    tls: Option<ClientTls>,
}

type Stream = TokioIo<Either<TcpStream, TlsStream<TcpStream>>>;

// === impl Target ===

impl Target {
    /// Reads `host:port` with or without a scheme; a path is refused.
    pub fn parse(endpoint: &str, server_name: Option<&str>) -> Result<Self, ClientError> {
        let bad = || ClientError::Endpoint(endpoint.to_owned());
        let bare = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
        let authority = bare.strip_suffix('/').unwrap_or(bare);
        let parsed: http::uri::Authority = authority.parse().map_err(|_| bad())?;
        if parsed.port_u16().is_none() || parsed.host().is_empty() {
            return Err(bad());
        }
        let name = server_name.unwrap_or_else(|| parsed.host());
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let server_name = ServerName::try_from(name.to_owned());
        let server_name = server_name.map_err(|_| ClientError::ServerName(name.to_owned()))?;
        Ok(Self { authority: authority.to_owned(), server_name })
    }
}

// === impl Connector ===

impl Connector {
    pub fn new(target: Arc<Target>, tls: Option<ClientTls>) -> Self {
        Self { target, tls }
    }

    async fn connect(self) -> io::Result<Stream> {
        let stream = TcpStream::connect(&*self.target.authority).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = self.tls else { return Ok(TokioIo::new(Either::Left(stream))) };
        let name = self.target.server_name.clone();
        let stream = TlsConnector::from(tls.current()).connect(name, stream).await?;
        Ok(TokioIo::new(Either::Right(stream)))
    }
}

impl Service<http::Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}
