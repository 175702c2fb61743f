//! From a TCP connection to what the protocol runs over.

use std::future::Future;
use std::io;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::net::tls::{ClientTls, ServerTls};

/// Makes a stream out of a fresh TCP connection.
pub trait Upgrade: Send + Sync + 'static {
    /// What comes out.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Does it; the caller sets the time limit.
    fn upgrade(&self, tcp: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// TCP as it is.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

/// The client's side of TLS, for one server name.
#[derive(Clone)]
pub struct TlsTo {
    /// Trusted roots, and a certificate of one's own for mutual TLS.
    pub tls: ClientTls,
    /// The name the server's certificate must have.
    pub name: ServerName<'static>,
}

impl Upgrade for Plain {
    type Stream = TcpStream;

    async fn upgrade(&self, tcp: TcpStream) -> io::Result<TcpStream> {
        Ok(tcp)
    }
}

impl Upgrade for ServerTls {
    type Stream = tokio_rustls::server::TlsStream<TcpStream>;

    async fn upgrade(&self, tcp: TcpStream) -> io::Result<Self::Stream> {
        TlsAcceptor::from(self.current()).accept(tcp).await
    }
}

impl Upgrade for TlsTo {
    type Stream = tokio_rustls::client::TlsStream<TcpStream>;

    async fn upgrade(&self, tcp: TcpStream) -> io::Result<Self::Stream> {
        TlsConnector::from(self.tls.current()).connect(self.name.clone(), tcp).await
    }
}
