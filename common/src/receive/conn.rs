//! One connection, from its first byte to its end.
//!
//! An HTTP/2 connection and all of its requests are one task: a request needs no task of its own,
//! no wake-up across threads, and its body is read in the moment it arrives. What runs in
//! parallel are connections.

use super::Ingest;
use super::dispatch::dispatch;
use super::idle::Idle;
use super::settings::Shared;
use crate::net::{ReadAhead, WriteLimit};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

type Limited<T> = ReadAhead<WriteLimit<T>>;

/// When a connection must come to its end.
pub(super) struct Lifetime {
    /// Set when the server stops: the time by which requests in flight must be done.
    pub stop: watch::Receiver<Option<Instant>>,
    /// Age at which the client is asked to reconnect.
    pub max_age: Option<Duration>,
    /// Time for requests in flight after that.
    pub grace: Duration,
}

/// Whether everything on the connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Whole,
    CutOff,
}

/// Requests that hyper wants to run, on their way to the connection's own set.
#[derive(Clone, Default)]
struct Spawned(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

/// An HTTP/2 connection and its requests.
struct Http2<C> {
    connection: Pin<Box<C>>,
    spawned: Spawned,
    requests: FuturesUnordered<BoxFuture<'static, ()>>,
    /// Requests so far.
    served: u64,
    idle: Option<Idle>,
}

/// An HTTP/1 connection.
struct Http1<C>(Pin<Box<C>>);

/// Either of them; done when it is closed, for whatever reason.
trait Connection: Future<Output = ()> {
    /// Takes no more requests and ends after those in flight.
    fn shut_down(&mut self);
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// A usual request in one frame, for clients that make use of it.
const MAX_FRAME: u32 = 256 << 10;
const MAX_HEADER_LIST: u32 = 16 << 10;
const MAX_HEAD: usize = 16 << 10;
/// Requests that a client may cancel before we have seen them (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;
const MAX_LOCAL_RESETS: usize = 256;

/// Serves a connection until it ends or `life` does.
pub(super) async fn serve<I, T>(shared: Arc<Shared<I>>, io: T, mut life: Lifetime) -> Ended
where
    I: Ingest,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut io = ReadAhead::new(WriteLimit::new(io, shared.settings.write_timeout));
    let first = timeout(shared.settings.header_timeout, io.starts_with(PREFACE));
    match life.unless_stopped(first).await {
        Some(Ok(Ok(true))) => serve_http2(shared, io, life).await,
        Some(Ok(Ok(false))) => serve_http1(shared, io, life).await,
        // Silent or broken, or nothing has come when the server stops: there is nobody to tell.
        Some(Ok(Err(_)) | Err(_)) | None => Ended::Whole,
    }
}

async fn serve_http1<I, T>(shared: Arc<Shared<I>>, io: Limited<T>, life: Lifetime) -> Ended
where
    I: Ingest,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let seen_request = AtomicBool::new(false);
    let settings = &shared.settings;
    let service = service_fn(|request| {
        seen_request.store(true, Ordering::Relaxed);
        dispatch(shared.clone(), request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.idle_timeout)
        .keep_alive(settings.keep_alives)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(io), service);
    // hyper's timeout runs while a connection is idle too, so it can't be as short as this one.
    let headless = async {
        sleep(settings.header_timeout).await;
        if seen_request.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        ended = until_end(Http1(Box::pin(connection)), life) => ended,
        () = headless => Ended::Whole,
    }
}

async fn serve_http2<I, T>(shared: Arc<Shared<I>>, io: Limited<T>, life: Lifetime) -> Ended
where
    I: Ingest,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let spawned = Spawned::default();
    let settings = &shared.settings;
    let idle = settings.max_connection_idle.map(Idle::new);
    let connection = http2::Builder::new(spawned.clone())
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .adaptive_window(false)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_concurrent_streams(settings.max_concurrent_streams)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .keep_alive_interval(settings.keepalive_interval)
        .keep_alive_timeout(settings.keepalive_timeout)
        .serve_connection(
            TokioIo::new(io),
            service_fn(move |request| dispatch(shared.clone(), request)),
        );
    let connection = Box::pin(connection);
    let requests = FuturesUnordered::new();
    until_end(Http2 { connection, spawned, requests, served: 0, idle }, life).await
}

/// Runs a connection; when its life is over, lets it finish what it has begun.
async fn until_end<C: Connection + Unpin>(mut connection: C, mut life: Lifetime) -> Ended {
    let too_old = async {
        match life.max_age {
            Some(age) => sleep(age).await,
            None => std::future::pending().await,
        }
    };
    let grace = tokio::select! {
        biased;
        () = &mut connection => return Ended::Whole,
        deadline = stopped(&mut life.stop) => deadline,
        () = too_old => Instant::now() + life.grace,
    };
    connection.shut_down();
    tokio::select! {
        biased;
        () = connection => Ended::Whole,
        () = sleep_until(grace) => Ended::CutOff,
        // The server may stop in an old connection's grace and have less patience.
        () = async { sleep_until(stopped(&mut life.stop).await).await } => Ended::CutOff,
    }
}

async fn stopped(stop: &mut watch::Receiver<Option<Instant>>) -> Instant {
    // A server that is gone without a word has stopped too.
    let deadline = stop.wait_for(Option::is_some).await.ok().and_then(|d| *d);
    deadline.unwrap_or_else(Instant::now)
}

// === impl Lifetime ===

impl Lifetime {
    /// The future's output; none if the server stops first: for what comes before any request.
    pub(super) async fn unless_stopped<F: Future>(&mut self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            _ = stopped(&mut self.stop) => None,
        }
    }
}

// === impl Spawned ===

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawned {
    fn execute(&self, future: F) {
        self.0.lock().push(Box::pin(future));
    }
}

// === impl Http1 ===

impl<C: GracefulConnection> Future for Http1<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // An error of the connection is the client's going away.
        self.0.as_mut().poll(cx).map(drop)
    }
}

impl<C: GracefulConnection> Connection for Http1<C> {
    fn shut_down(&mut self) {
        self.0.as_mut().graceful_shutdown();
    }
}

// === impl Http2 ===

impl<C: GracefulConnection> Future for Http2<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            // An error of the connection is the client's going away; its requests go with it.
            if this.connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let new = std::mem::take(&mut *this.spawned.0.lock());
            this.served += new.len() as u64;
            this.requests.extend(new);
            // What requests have written is sent at once, not at the next wake-up.
            let mut progress = false;
            while let Poll::Ready(Some(())) = this.requests.poll_next_unpin(cx) {
                progress = true;
            }
            if progress {
                continue;
            }
            let (served, busy) = (this.served, !this.requests.is_empty());
            let idle = this.idle.as_mut().map(|idle| idle.poll(cx, served, busy));
            if idle != Some(Poll::Ready(())) {
                return Poll::Pending;
            }
            this.idle = None;
            this.connection.as_mut().graceful_shutdown();
        }
    }
}

impl<C: GracefulConnection> Connection for Http2<C> {
    fn shut_down(&mut self) {
        self.connection.as_mut().graceful_shutdown();
    }
}
