//! Reads a socket in large steps.
//!
//! The HTTP/2 codec asks for what one frame still needs, so a 25 kB request costs four or five
//! reads of the socket. Here the socket is read 64 KiB at a time and the codec is served from
//! memory. Buffers belong to the thread and are lent to a connection only while it has unread
//! bytes, so an idle connection costs none.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose reads are large; writes pass through.
#[derive(Debug)]
pub struct ReadAhead<T> {
    inner: T,
    ahead: Option<Ahead>,
}

/// Bytes `start..end` of the buffer are read from the socket and not yet asked for.
#[derive(Debug)]
struct Ahead {
    buf: Box<[u8]>,
    start: usize,
    end: usize,
}

const STEP: usize = 64 * 1024;
/// Buffers that a thread keeps for the next connection.
const SPARE: usize = 4;

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

fn take_buffer() -> Box<[u8]> {
    let spare = POOL.with_borrow_mut(Vec::pop);
    spare.unwrap_or_else(|| vec![0; STEP].into_boxed_slice())
}

fn put_buffer(buf: Box<[u8]>) {
    POOL.with_borrow_mut(|pool| {
        if pool.len() < SPARE {
            pool.push(buf);
        }
    });
}

// === impl ReadAhead ===

impl<T: AsyncRead + Unpin> ReadAhead<T> {
    /// Wraps a stream.
    pub fn new(inner: T) -> Self {
        Self { inner, ahead: None }
    }

    /// The stream underneath.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// Whether the stream starts with `prefix` (at most 64 KiB); nothing is consumed. Waits for as
    /// many bytes as it takes to tell, or the stream's end.
    pub async fn starts_with(&mut self, prefix: &[u8]) -> io::Result<bool> {
        loop {
            let seen = self.ahead.as_ref().map_or(&[][..], |a| &a.buf[a.start..a.end]);
            let n = seen.len().min(prefix.len());
            if seen[..n] != prefix[..n] {
                return Ok(false);
            }
            if n == prefix.len() {
                return Ok(true);
            }
            if !std::future::poll_fn(|cx| self.poll_fill(cx)).await? {
                return Ok(false);
            }
        }
    }

    /// Reads the socket once behind what is there; `false` is the stream's end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut ahead = self.ahead.take().unwrap_or_else(Ahead::new);
        let mut into = ReadBuf::new(&mut ahead.buf[ahead.end..]);
        let polled = Pin::new(&mut self.inner).poll_read(cx, &mut into);
        let got = into.filled().len();
        ahead.end += got;
        self.keep(ahead);
        ready!(polled)?;
        Poll::Ready(Ok(got > 0))
    }

    fn keep(&mut self, ahead: Ahead) {
        if ahead.start < ahead.end {
            self.ahead = Some(ahead);
        } else {
            put_buffer(ahead.buf);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ReadAhead<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_none() {
            if out.remaining() >= STEP {
                return Pin::new(&mut self.inner).poll_read(cx, out);
            }
            ready!(self.poll_fill(cx))?;
        }
        if let Some(mut ahead) = self.ahead.take() {
            let n = out.remaining().min(ahead.end - ahead.start);
            out.put_slice(&ahead.buf[ahead.start..ahead.start + n]);
            ahead.start += n;
            self.keep(ahead);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ReadAhead<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

// === impl Ahead ===

impl Ahead {
    fn new() -> Self {
        Self { buf: take_buffer(), start: 0, end: 0 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn small_reads_give_every_byte_in_order() {
        let (mut far, near) = duplex(1 << 20);
        let sent: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
        far.write_all(&sent).await.unwrap();
        drop(far);
        let mut near = ReadAhead::new(near);
        let mut got = Vec::new();
        let mut piece = [0; 777];
        loop {
            let n = near.read(&mut piece).await.unwrap();
            got.extend_from_slice(&piece[..n]);
            if n == 0 {
                break;
            }
        }
        assert!(got == sent);
        assert!(near.ahead.is_none());
    }

    #[tokio::test]
    async fn peeking_consumes_nothing_and_survives_single_bytes() {
        let (mut far, near) = duplex(1);
        let writer = tokio::spawn(async move { far.write_all(b"PRI * rest").await });
        let mut near = ReadAhead::new(near);
        assert!(near.starts_with(b"PRI *").await.unwrap());
        assert!(!near.starts_with(b"PRJ").await.unwrap());
        assert!(!near.starts_with(b"PRI * rest and more").await.unwrap());
        let mut all = String::new();
        near.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "PRI * rest");
        writer.await.unwrap().unwrap();
    }
}
