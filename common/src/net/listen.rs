//! Listening sockets whose accept loop outlives a machine that is short of descriptors.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// A TCP listener; accepted sockets have no Nagle delay and TCP keepalive.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    local: SocketAddr,
}

/// An endpoint could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {endpoint}{}", remedy(source))]
pub struct BindError {
    /// The endpoint as configured.
    pub endpoint: String,
    /// What the system said.
    pub source: io::Error,
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            " (give each endpoint of the configuration, service.telemetry.metrics too, an address \
             of its own, and end what else has it)"
        }
        io::ErrorKind::AddrNotAvailable => " (no interface of this machine has the address)",
        _ => "",
    }
}

/// Below every load balancer's idle timeout (AWS NLB: 350 s), so that a dead peer is noticed.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Pause after an accept error such as EMFILE, which only time heals.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

// === impl Listener ===

impl Listener {
    /// Listens on `endpoint` (`host:port`; port 0 takes a free one).
    pub async fn bind(endpoint: &str) -> Result<Self, BindError> {
        let named = |source| BindError { endpoint: endpoint.to_owned(), source };
        let inner = TcpListener::bind(endpoint).await.map_err(named)?;
        let local = inner.local_addr().map_err(named)?;
        Ok(Self { inner, local })
    }

    /// The address listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next connection. Errors of the socket are logged and waited out, never returned.
    pub async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            let accepted = self.inner.accept().await;
            if let Some((stream, peer)) = accepted_or_pause(accepted, &self.local).await {
                prepare(&stream);
                return (stream, peer);
            }
        }
    }
}

/// What was accepted; else, after an error, a pause.
pub(super) async fn accepted_or_pause<T>(
    accepted: io::Result<T>,
    listen: &(impl Display + ?Sized),
) -> Option<T> {
    match accepted {
        Ok(accepted) => return Some(accepted),
        // The client gave up before we came: not our trouble.
        Err(e) if is_of_one_connection(&e) => {}
        Err(error) => {
            tracing::warn!(%listen, %error, "accept failed");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
    None
}

/// Socket options are wishes: a socket without them still works.
fn prepare(stream: &TcpStream) {
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE);
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

fn is_of_one_connection(e: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(e.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
