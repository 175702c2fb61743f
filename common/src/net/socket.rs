//! A door is a TCP port or a unix socket; what comes through is a [`Socket`] either way.

use super::listen::{BindError, Listener, accepted_or_pause};
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixListener, UnixStream};

/// Something that clients connect to.
#[derive(Debug)]
pub enum Door {
    /// A port.
    Tcp(Listener),
    /// A path; the socket's file goes with it.
    Unix(UnixDoor),
}

/// A unix socket that listens.
#[derive(Debug)]
pub struct UnixDoor {
    inner: UnixListener,
    path: PathBuf,
}

/// An accepted connection.
#[derive(Debug)]
pub enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// On this machine.
    Unix(UnixStream),
}

// === impl Door ===

impl Door {
    /// Listens on `endpoint`: `host:port` (port 0 takes a free one) or `unix:/path`. A socket file
    /// at which nobody listens any more is replaced.
    pub async fn bind(endpoint: &str) -> Result<Self, BindError> {
        let Some(path) = endpoint.strip_prefix("unix:") else {
            return Listener::bind(endpoint).await.map(Self::Tcp);
        };
        let path = Path::new(path);
        let bound = match UnixListener::bind(path) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && is_abandoned(path).await => {
                std::fs::remove_file(path).and_then(|()| UnixListener::bind(path))
            }
            bound => bound,
        };
        let named = |source| BindError { endpoint: endpoint.to_owned(), source };
        let inner = bound.map_err(named)?;
        Ok(Self::Unix(UnixDoor { inner, path: path.to_owned() }))
    }

    /// The address listened on; `0.0.0.0:0` for a unix socket.
    pub fn local_addr(&self) -> SocketAddr {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
            Self::Unix(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        }
    }

    /// The next connection and, over TCP, where it comes from. Errors of the socket are logged and
    /// waited out, never returned.
    pub async fn accept(&self) -> (Socket, Option<IpAddr>) {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await;
                (Socket::Tcp(stream), Some(peer.ip()))
            }
            Self::Unix(door) => loop {
                let accepted = door.inner.accept().await;
                if let Some((stream, _)) = accepted_or_pause(accepted, &door.path.display()).await {
                    return (Socket::Unix(stream), None);
                }
            },
        }
    }
}

/// Whether the path is a socket that nobody listens on.
async fn is_abandoned(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
    let refused = |e: io::Error| e.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).await.is_err_and(refused)
}

// === impl UnixDoor ===

impl Drop for UnixDoor {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = std::fs::remove_file(&self.path);
    }
}

// === impl Socket ===

impl Socket {
    /// Waits until the client has sent something or is gone.
    pub async fn has_sent(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.ready(Interest::READABLE).await.map(drop),
            Self::Unix(stream) => stream.ready(Interest::READABLE).await.map(drop),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, out),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, out),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
