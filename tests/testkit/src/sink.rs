//! An OTLP backend that remembers what it got: gRPC and HTTP on one port, well-behaved or not.
//!
//! In a test it runs in the process; `testkit sink` runs it as one of its own, with `GET /stats`
//! and `POST /behave` for control and a file as its record.

mod record;
mod service;

pub use record::Received;

use anyhow::Context as _;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, Version};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use record::Store;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Connections served at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;

/// How requests are answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Behaviour {
    /// Recorded and acked.
    Accept,
    /// Neither recorded nor answered until the behaviour changes.
    Stall,
    /// Recorded, but not answered until the behaviour changes: the sender cannot know.
    Mute,
    /// As `Accept`, after a time.
    Slow(Duration),
    /// Refused with this gRPC code, and a retry delay if there is one. Not recorded.
    Refuse(tonic::Code, Option<Duration>),
    /// Recorded and answered with a `partial_success` that rejects this many spans.
    Partial(u64),
    /// Requests of more bytes are refused in the words of grpc-go, or with 413. Not recorded.
    Limit(usize),
    /// Answered with this status of HTTP, and `Retry-After` if it is given. Not recorded.
    Status(StatusCode, Option<String>),
}

/// A request as it came, whatever was answered.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When its body was there.
    pub at: Instant,
    /// `POST` and what follows, as on the first line: behind a proxy that has an origin too.
    pub uri: Uri,
    /// HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// Its headers.
    pub headers: HeaderMap,
    /// Bytes of its message, decompressed.
    pub bytes: usize,
}

/// Requests that are remembered.
const MAX_SEEN: usize = 10_000;

/// How much is remembered.
#[derive(Clone, Debug, Default)]
pub enum Keep {
    /// Every span's ids, in memory.
    #[default]
    Memory,
    /// Every span's ids, in memory and appended to this file before the answer.
    File(PathBuf),
    /// Every span's ids and all requests as they were, decompressed, in memory.
    Bodies,
    /// Numbers only, for benches.
    Counts,
}

/// Numbers since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Requests recorded.
    pub requests: u64,
    /// Spans in them.
    pub spans: u64,
    /// Bytes of them, decompressed.
    pub bytes: u64,
    /// Requests refused.
    pub refused: u64,
    /// Requests that were no OTLP.
    pub malformed: u64,
}

/// A running sink; it ends when dropped.
#[derive(Debug)]
pub struct Sink {
    addr: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    behaviour: watch::Sender<Behaviour>,
    store: Mutex<Store>,
    refused: AtomicU64,
    malformed: AtomicU64,
    encodings: Mutex<BTreeMap<String, u64>>,
    seen: Mutex<Vec<Seen>>,
}

// === impl Sink ===

impl Sink {
    /// Listens on `addr` (port 0: any) and accepts.
    ///
    /// # Errors
    /// When the address cannot be bound or the file not created.
    pub async fn start(addr: SocketAddr, keep: Keep) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(addr).await.with_context(|| format!("bind {addr}"))?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behaviour: watch::Sender::new(Behaviour::Accept),
            store: Mutex::new(Store::new(keep)?),
            refused: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            encodings: Mutex::default(),
            seen: Mutex::default(),
        });
        let server = tokio::spawn(serve(listener, shared.clone()));
        Ok(Sink { addr, shared, server })
    }

    /// On any port of 127.0.0.1, in memory.
    ///
    /// # Errors
    /// As [`Sink::start`].
    pub async fn local() -> anyhow::Result<Self> {
        Self::start(SocketAddr::from(([127, 0, 0, 1], 0)), Keep::Memory).await
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on, and for requests that wait under the behaviour before.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.behaviour.send_replace(behaviour);
    }

    /// The numbers so far.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// What was received so far.
    pub fn received(&self) -> Received {
        self.shared.store.lock().received()
    }

    /// The requests so far, decompressed, if it keeps them.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.shared.store.lock().bodies()
    }

    /// Requests that came, by how they were compressed.
    pub fn encodings(&self) -> BTreeMap<String, u64> {
        self.shared.encodings.lock().clone()
    }

    /// The first 10,000 requests, as they came.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.seen.lock().clone()
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    /// When the server's task failed.
    pub async fn wait(mut self) -> anyhow::Result<()> {
        Ok((&mut self.server).await?)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

// === impl Shared ===

impl Shared {
    fn came(&self, encoding: Option<&HeaderValue>) {
        let name = encoding.and_then(|e| e.to_str().ok()).filter(|e| *e != "identity");
        *self.encodings.lock().entry(name.unwrap_or("none").to_owned()).or_default() += 1;
    }

    fn saw(&self, head: &Parts, bytes: usize) {
        let mut seen = self.seen.lock();
        if seen.len() < MAX_SEEN {
            let (uri, version) = (head.uri.clone(), head.version);
            let headers = head.headers.clone();
            seen.push(Seen { at: Instant::now(), uri, version, headers, bytes });
        }
    }

    fn stats(&self) -> Stats {
        let stats = self.store.lock().stats();
        let (refused, malformed) = (self.refused.load(Relaxed), self.malformed.load(Relaxed));
        Stats { refused, malformed, ..stats }
    }
}

// === impl Behaviour ===

impl FromStr for Behaviour {
    type Err = anyhow::Error;

    /// `accept`, `stall`, `mute`, `slow MS`, `refuse CODE [RETRY_MS]`, `partial N`, `limit BYTES`,
    /// `status CODE [RETRY_AFTER]`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let ms = |text: &str| anyhow::Ok(Duration::from_millis(text.parse()?));
        Ok(match words.as_slice() {
            ["accept"] => Behaviour::Accept,
            ["stall"] => Behaviour::Stall,
            ["mute"] => Behaviour::Mute,
            ["slow", time] => Behaviour::Slow(ms(time)?),
            ["refuse", code] => Behaviour::Refuse(code.parse::<i32>()?.into(), None),
            ["refuse", code, time] => {
                Behaviour::Refuse(code.parse::<i32>()?.into(), Some(ms(time)?))
            }
            ["partial", n] => Behaviour::Partial(n.parse()?),
            ["limit", n] => Behaviour::Limit(n.parse()?),
            ["status", code, after @ ..] => {
                let after = Some(after.join(" ")).filter(|after| !after.is_empty());
                Behaviour::Status(code.parse()?, after)
            }
            _ => anyhow::bail!("no behaviour: {text}"),
        })
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        while connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // Out of file descriptors, most likely: give others a chance to close.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        connections.spawn(async move {
            let answer = service_fn(move |request| service::answer(request, shared.clone()));
            let mut server = auto::Builder::new(TokioExecutor::new());
            server
                .http2()
                .initial_stream_window_size(4 << 20)
                .initial_connection_window_size(16 << 20)
                .max_concurrent_streams(1024);
            // A sender that goes away is its own business.
            let _ = server.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

#[cfg(test)]
mod tests;
