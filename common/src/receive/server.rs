//! Accepts connections and ends them gracefully.

use super::conn::{Ended, Lifetime, serve};
use super::peers::{Peers, Place};
use super::settings::Shared;
use super::stats::Gauge;
use super::{Gate, Ingest, ServerSettings, ServerStats};
use crate::limit::ByteBudget;
use crate::net::tls::ServerTls;
use crate::net::{BindError, Door, ReadAhead, Socket};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

/// A listener that is bound and not served yet.
pub struct Server<I> {
    door: Door,
    stop: watch::Sender<Option<Instant>>,
    shared: Arc<Shared<I>>,
}

/// A server that runs. Dropping the handle stops it without waiting.
#[derive(Debug)]
pub struct ServerHandle {
    local: SocketAddr,
    stats: Arc<ServerStats>,
    stop: watch::Sender<Option<Instant>>,
    tasks: TaskTracker,
    cut_off: Arc<AtomicU64>,
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// Connections that had not ended at the deadline and were closed.
    pub cut_off: u64,
}

/// What the accept loop gives to each connection.
struct Accept<I> {
    shared: Arc<Shared<I>>,
    stop: watch::Receiver<Option<Instant>>,
    tasks: TaskTracker,
    cut_off: Arc<AtomicU64>,
}

// === impl Server ===

impl<I: Ingest> Server<I> {
    /// Listens. Requests' bytes are taken from `budget`; `gate` is asked before each body.
    pub async fn bind(
        settings: ServerSettings,
        ingest: I,
        budget: ByteBudget,
        gate: Option<Gate>,
    ) -> Result<Self, BindError> {
        let door = Door::bind(&settings.endpoint).await?;
        let (stats, peers) = (Arc::default(), Peers::default());
        let handshakes = Semaphore::new(settings.max_handshakes);
        let (sender, stop) = watch::channel(None);
        let shared = Shared { settings, ingest, budget, gate, stats, peers, handshakes, stop };
        Ok(Self { door, stop: sender, shared: Arc::new(shared) })
    }

    /// The address listened on; `0.0.0.0:0` for a unix socket.
    pub fn local_addr(&self) -> SocketAddr {
        self.door.local_addr()
    }

    /// Serves in the background, on the runtime of the caller.
    pub fn spawn(self) -> ServerHandle {
        let stopped = self.shared.stop.clone();
        let (tasks, cut_off) = (TaskTracker::new(), Arc::<AtomicU64>::default());
        let handle = ServerHandle {
            local: self.door.local_addr(),
            stats: self.shared.stats.clone(),
            stop: self.stop,
            tasks: tasks.clone(),
            cut_off: cut_off.clone(),
        };
        let accept = Accept { shared: self.shared, stop: stopped, tasks: tasks.clone(), cut_off };
        tasks.spawn(accept.run(self.door));
        handle
    }
}

// === impl ServerHandle ===

impl ServerHandle {
    /// The address listened on; `0.0.0.0:0` for a unix socket.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The server's counters.
    pub fn stats(&self) -> &Arc<ServerStats> {
        &self.stats
    }

    /// Stops accepting, tells clients to go elsewhere, waits for requests in flight for at most
    /// `within`, then closes what is left.
    pub async fn shutdown(self, within: Duration) -> Shutdown {
        self.stop.send_replace(Some(Instant::now() + within));
        self.tasks.close();
        self.tasks.wait().await;
        Shutdown { cut_off: self.cut_off.load(Ordering::Relaxed) }
    }
}

// === impl Accept ===

impl<I: Ingest> Accept<I> {
    async fn run(self, door: Door) {
        let mut stop = self.stop.clone();
        loop {
            let (stream, peer) = tokio::select! {
                // Both outcomes mean stop: told to, or the handle is gone.
                _ = stop.wait_for(Option::is_some) => return,
                accepted = door.accept() => accepted,
            };
            let stats = &self.shared.stats;
            let Some(place) = self.place(peer) else {
                stats.turned_away();
                continue;
            };
            stats.accepted();
            let open = (stats.connection(), place);
            let life = self.lifetime(stats.accepted_connections());
            let (shared, cut_off) = (self.shared.clone(), self.cut_off.clone());
            self.tasks.spawn(async move {
                let ended = connection(shared, stream, peer, life, open).await;
                cut_off.fetch_add(u64::from(ended == Ended::CutOff), Ordering::Relaxed);
            });
        }
    }

    /// A place for one more connection, if there is one.
    fn place(&self, peer: Option<IpAddr>) -> Option<Option<Place>> {
        let (settings, stats) = (&self.shared.settings, &self.shared.stats);
        if stats.open_connections() >= settings.max_connections {
            return None;
        }
        let Some(peer) = peer else { return Some(None) };
        self.shared.peers.place(peer, settings.max_connections_per_peer).map(Some)
    }

    fn lifetime(&self, serial: u64) -> Lifetime {
        let settings = &self.shared.settings;
        Lifetime {
            stop: self.stop.clone(),
            max_age: settings.max_connection_age.map(|age| spread(age, serial)),
            grace: settings.max_connection_age_grace,
        }
    }
}

/// The ages of connections differ by up to 10 % either way, so that those which came together do
/// not all go together.
fn spread(age: Duration, serial: u64) -> Duration {
    let hash = xxhash_rust::xxh3::xxh3_64(&serial.to_le_bytes());
    age * (90 + u32::try_from(hash % 21).unwrap_or(10)) / 100
}

async fn connection<I: Ingest>(
    shared: Arc<Shared<I>>,
    socket: Socket,
    peer: Option<IpAddr>,
    mut life: Lifetime,
    _open: (Gauge, Option<Place>),
) -> Ended {
    let Some(tls) = shared.settings.tls.as_ref().map(ServerTls::current) else {
        return serve(shared, socket, life).await;
    };
    let handshake = async {
        // Who says nothing takes no one's turn.
        socket.has_sent().await?;
        let _turn = shared.handshakes.acquire().await;
        // rustls reads in small steps as well.
        TlsAcceptor::from(tls).accept(ReadAhead::new(socket)).await
    };
    let handshake = timeout(shared.settings.handshake_timeout, handshake);
    match life.unless_stopped(handshake).await {
        Some(Ok(Ok(stream))) => serve(shared, stream, life).await,
        None => Ended::Whole,
        Some(Ok(Err(error))) => {
            shared.stats.failed_handshake();
            tracing::debug!(?peer, %error, "TLS handshake failed");
            Ended::Whole
        }
        Some(Err(_)) => {
            shared.stats.failed_handshake();
            tracing::debug!(?peer, "TLS handshake took too long");
            Ended::Whole
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ages_of_connections_differ() {
        let ages: Vec<_> = (1..=2_100).map(|n| spread(Duration::from_millis(1_000), n)).collect();
        let count = |ms: u64| ages.iter().filter(|age| age.as_millis() == u128::from(ms)).count();
        let of_each: Vec<_> = (900..=1_100).step_by(10).map(count).collect();
        assert_eq!(of_each.iter().sum::<usize>(), 2_100, "{ages:?}");
        assert!(of_each.iter().all(|n| (50..=150).contains(n)), "{of_each:?}");
    }
}
