//! A TCP proxy that misbehaves on request.
//!
//! Faults apply to a direction from the moment they are set, to open connections and new ones:
//! `Up` is from the client to the target.

use anyhow::Context as _;
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

const CHUNK: usize = 32 << 10;
/// Chunks of a direction that wait for their delay to pass.
const QUEUE: usize = 64;
const MAX_CONNECTIONS: usize = 1024;

/// What happens to the bytes of a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Fault {
    /// They pass.
    #[default]
    None,
    /// They pass later, in order, at full rate.
    Latency(Duration),
    /// They wait, as in a partition: when this ends, all of them come.
    Stall,
    /// They are swallowed; a connection that lost any is reset when this ends.
    Blackhole,
    /// They pass at so many bytes a second.
    Bandwidth(u32),
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the target.
    Up,
    /// From the target to the client.
    Down,
    /// Both ways.
    Both,
}

/// A running proxy; connections and all end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    state: watch::Sender<State>,
    open: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

#[derive(Clone, Debug)]
struct State {
    target: SocketAddr,
    refuse: bool,
    ways: [Way; 2],
    /// Counts calls of `reset`; a connection ends when it changes.
    resets: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Way {
    fault: Fault,
    /// Counts calls of `half_close`.
    closes: u64,
}

// === impl Proxy ===

impl Proxy {
    /// Listens on any port of 127.0.0.1 for connections to `target`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(target: SocketAddr) -> anyhow::Result<Self> {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), target).await
    }

    /// Listens on `addr`.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub async fn start_on(addr: SocketAddr, target: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(addr).await.with_context(|| format!("bind {addr}"))?;
        let addr = listener.local_addr()?;
        let state = State { target, refuse: false, ways: Default::default(), resets: 0 };
        let state = watch::Sender::new(state);
        let open = Arc::new(AtomicUsize::new(0));
        let server = tokio::spawn(serve(listener, state.subscribe(), open.clone()));
        Ok(Proxy { addr, state, open, server })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Sets the fault of a direction.
    pub fn set(&self, direction: Direction, fault: Fault) {
        self.each_way(direction, |way| way.fault = fault);
    }

    /// Resets (RST) every open connection, on both sides.
    pub fn reset(&self) {
        self.state.send_modify(|state| state.resets += 1);
    }

    /// Ends (FIN) a direction of every open connection; the other stays.
    pub fn half_close(&self, direction: Direction) {
        self.each_way(direction, |way| way.closes += 1);
    }

    /// Whether new connections are reset at once.
    pub fn refuse(&self, refuse: bool) {
        self.state.send_modify(|state| state.refuse = refuse);
    }

    /// Sends new connections elsewhere.
    pub fn retarget(&self, target: SocketAddr) {
        self.state.send_modify(|state| state.target = target);
    }

    fn each_way(&self, direction: Direction, change: impl Fn(&mut Way)) {
        self.state.send_modify(|state| {
            let [up, down] = &mut state.ways;
            if direction != Direction::Down {
                change(up);
            }
            if direction != Direction::Up {
                change(down);
            }
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, state: watch::Receiver<State>, open: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let count = Count::new(&open);
        let state = state.clone();
        connections.spawn(async move {
            connection(client, state).await;
            drop(count);
        });
    }
}

/// One open connection in the proxy's count.
struct Count(Arc<AtomicUsize>);

// === impl Count ===

impl Count {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Relaxed);
        Count(open.clone())
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

async fn connection(mut client: TcpStream, mut state: watch::Receiver<State>) {
    let now = state.borrow_and_update().clone();
    let server = if now.refuse { None } else { TcpStream::connect(now.target).await.ok() };
    let Some(mut server) = server else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let [up, down] = [0, 1].map(|way| (way, now.ways[way].closes));
        let up = pump(from_client, to_server, up, state.clone());
        let down = pump(from_server, to_client, down, state.clone());
        tokio::select! {
            both = async { tokio::try_join!(up, down) } => both.is_ok(),
            _ = state.wait_for(|s| s.resets != now.resets) => false,
        }
    };
    if !ended {
        // Dropping a socket with a linger time of zero sends RST.
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Moves the bytes of one direction until its end; an error resets the connection. `closes` is the
/// direction's count when the connection was made.
async fn pump(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    (way, closes): (usize, u64),
    state: watch::Receiver<State>,
) -> io::Result<()> {
    let (queue, queued) = mpsc::channel(QUEUE);
    tokio::try_join!(
        read(from, queue, (way, closes), state.clone()),
        write(to, queued, way, state)
    )?;
    Ok(())
}

async fn read(
    mut from: ReadHalf<'_>,
    queue: mpsc::Sender<(Instant, Bytes)>,
    (way, closes): (usize, u64),
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut swallowed = false;
    loop {
        let fault = flowing(&mut state, way).await;
        if swallowed && fault != Fault::Blackhole {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        // `flowing` has marked the state as seen, so this comes before waiting for a change.
        if state.borrow().ways[way].closes != closes {
            return Ok(());
        }
        let n = tokio::select! {
            n = from.read(&mut buffer) => n?,
            _ = state.changed() => continue,
        };
        if n == 0 {
            return Ok(());
        }
        // The fault may have come while the bytes did.
        let delay = match state.borrow().ways[way].fault {
            Fault::Blackhole => {
                swallowed = true;
                continue;
            }
            Fault::Latency(delay) => delay,
            _ => Duration::ZERO,
        };
        let chunk = (Instant::now() + delay, Bytes::copy_from_slice(&buffer[..n]));
        if queue.send(chunk).await.is_err() {
            return Ok(());
        }
    }
}

async fn write(
    mut to: WriteHalf<'_>,
    mut queued: mpsc::Receiver<(Instant, Bytes)>,
    way: usize,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    while let Some((due, mut chunk)) = queued.recv().await {
        tokio::time::sleep_until(due).await;
        while !chunk.is_empty() {
            let Fault::Bandwidth(rate) = flowing(&mut state, way).await else {
                to.write_all(&chunk).await?;
                break;
            };
            // A tenth of a second at a time.
            let part = chunk.split_to(chunk.len().min((rate as usize / 10).max(1)));
            let time = Duration::from_secs_f64(part.len() as f64 / f64::from(rate.max(1)));
            to.write_all(&part).await?;
            tokio::time::sleep(time).await;
        }
    }
    to.shutdown().await
}

/// Waits while the direction is stalled; the fault it has then.
async fn flowing(state: &mut watch::Receiver<State>, way: usize) -> Fault {
    let flowing = state.wait_for(|s| s.ways[way].fault != Fault::Stall).await;
    let fault = flowing.map(|s| s.ways[way].fault);
    match fault {
        Ok(fault) => fault,
        // The proxy is gone, and this task with it in a moment.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
