//! Connections for the clients: to a port or a unix socket, through a proxy if there is one, with a
//! rustls configuration of our own.

use super::error::ClientError;
use super::proxy::Proxy;
use crate::net::tls::ClientTls;
use http::Uri;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tonic::codegen::Service;

/// Whom to connect to.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// `host:port`; `localhost` for a unix socket.
    pub authority: String,
    /// The unix socket, if it is one.
    pub socket: Option<PathBuf>,
    /// The name in the server's certificate.
    pub server_name: ServerName<'static>,
}

/// How to get there.
#[derive(Clone)]
pub(super) struct Connector {
    target: Arc<Target>,
    tls: Option<ClientTls>,
    proxy: Option<Proxy>,
    /// The proxy passes requests on itself, instead of the connection.
    forwards: bool,
    within: Duration,
    tcp: HttpConnector,
}

/// A connection.
pub(super) struct Stream {
    io: Box<dyn Io>,
    is_h2: bool,
    forwards: bool,
}

/// Bytes both ways.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A peer that vanished without a word is given up after this long with bytes on the way to it.
const DEAD_AFTER: Duration = Duration::from_secs(20);
const UNIX: &str = "unix:";

// === impl Target ===

impl Target {
    /// Reads `host:port`, with or without a scheme, or `unix:/path`; another path is refused.
    pub fn parse(endpoint: &str, server_name: Option<&str>) -> Result<Self, ClientError> {
        let bad = || ClientError::Endpoint(endpoint.to_owned());
        let socket = endpoint.strip_prefix(UNIX).map(PathBuf::from);
        let bare = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
        let authority = match socket {
            Some(_) => "localhost",
            None => bare.strip_suffix('/').unwrap_or(bare),
        };
        let parsed: http::uri::Authority = authority.parse().map_err(|_| bad())?;
        if (socket.is_none() && parsed.port_u16().is_none()) || parsed.host().is_empty() {
            return Err(bad());
        }
        let name = server_name.unwrap_or_else(|| parsed.host());
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let server_name = ServerName::try_from(name.to_owned());
        let server_name = server_name.map_err(|_| ClientError::ServerName(name.to_owned()))?;
        Ok(Self { authority: authority.to_owned(), socket, server_name })
    }
}

// === impl Connector ===

impl Connector {
    pub fn new(
        target: Arc<Target>,
        tls: Option<ClientTls>,
        proxy: Option<Proxy>,
        within: Duration,
    ) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(DEAD_AFTER));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(DEAD_AFTER));
        Self { target, tls, proxy, forwards: false, within, tcp }
    }

    /// A proxy passes plain requests on, and connections only for TLS.
    pub fn forwarding(self) -> Self {
        let forwards = self.tls.is_none() && self.proxy.is_some();
        Self { forwards, ..self }
    }

    async fn connect(mut self) -> io::Result<Stream> {
        let within = self.within;
        let timed_out = |_| io::Error::other(format!("no connection within {within:?}"));
        let io = tokio::time::timeout(within, self.reach()).await.map_err(timed_out)??;
        let forwards = self.forwards;
        let Some(tls) = self.tls else { return Ok(Stream { io, is_h2: false, forwards }) };
        let name = self.target.server_name.clone();
        let handshake = TlsConnector::from(tls.current()).connect(name, io);
        let stream = tokio::time::timeout(within, handshake).await.map_err(timed_out)??;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream { io: Box::new(stream), is_h2, forwards })
    }

    async fn reach(&mut self) -> io::Result<Box<dyn Io>> {
        if let Some(path) = &self.target.socket {
            return Ok(Box::new(UnixStream::connect(path).await?));
        }
        let to = Uri::builder().scheme("http").authority(&*self.target.authority);
        let to = to.path_and_query("/").build().map_err(io::Error::other)?;
        let Some(proxy) = &self.proxy else { return self.dial(to).await };
        let failed = |e: &dyn std::error::Error| {
            let cause = e.source().map(|e| format!(": {e}")).unwrap_or_default();
            io::Error::other(format!("proxy {}: {e}{cause}", proxy.authority()))
        };
        if self.forwards {
            return self.tcp.call(proxy.uri.clone()).await.map(boxed).map_err(|e| failed(&e));
        }
        let mut tunnel = Tunnel::new(proxy.uri.clone(), self.tcp.clone());
        if let Some(credentials) = &proxy.credentials {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        tunnel.call(to).await.map(boxed).map_err(|e| failed(&e))
    }

    async fn dial(&mut self, to: Uri) -> io::Result<Box<dyn Io>> {
        self.tcp.call(to).await.map(boxed).map_err(io::Error::other)
    }
}

fn boxed(stream: TokioIo<tokio::net::TcpStream>) -> Box<dyn Io> {
    Box::new(stream.into_inner())
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connecting = self.clone().connect();
        Box::pin(async { connecting.await.map(TokioIo::new) })
    }
}

// === impl Stream ===

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.forwards);
        if self.is_h2 { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, out)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
