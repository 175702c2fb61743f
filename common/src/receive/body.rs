//! Reads request bodies under permits.

use super::decompress::no_room;
use super::pace::{Pace, Terms};
use super::reply::{Code, Refusal};
use crate::limit::Permit;
use bytes::{Buf, Bytes};
use hyper::body::{Body, Incoming, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// A body as it comes in, piece by piece.
pub(super) struct BodyReader {
    incoming: Incoming,
    /// Received, not taken yet.
    piece: Bytes,
    pace: Pace,
}

/// How much of a refused HTTP/1 body is thrown away so that the connection can go on and the
/// client reads our answer instead of failing to write.
const DISCARD: u64 = 1 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(2);
/// First step for bodies in several pieces.
const STEP: usize = 64 * 1024;

// === impl BodyReader ===

impl BodyReader {
    /// A body that has to come on these terms.
    pub fn new(incoming: Incoming, terms: Terms) -> Self {
        Self { incoming, piece: Bytes::new(), pace: Pace::new(terms) }
    }

    /// What the head of the request tells about the body's length.
    pub fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }

    /// Gets the next piece that is not empty; `false` at the end. The piece before must have been
    /// taken whole.
    async fn next_piece(&mut self) -> Result<bool, Refusal> {
        loop {
            let (incoming, pace) = (&mut self.incoming, &mut self.pace);
            let frame = poll_fn(|cx| match Pin::new(&mut *incoming).poll_frame(cx) {
                Poll::Pending => pace.poll(cx).map(Err),
                Poll::Ready(frame) => Poll::Ready(Ok(frame)),
            });
            let Some(frame) = frame.await? else { return Ok(false) };
            // The client is gone or broke the protocol; nobody reads this answer.
            let frame = frame.map_err(|e| bad(format!("request body: {e}")))?;
            // Trailers of a request mean nothing to us.
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                self.pace.received += data.len() as u64;
                self.piece = data;
                return Ok(true);
            }
        }
    }

    /// The next `N` bytes; `None` if the body ends before the first of them.
    pub async fn array<const N: usize>(&mut self) -> Result<Option<[u8; N]>, Refusal> {
        let mut out = [0; N];
        let mut filled = 0;
        while filled < N {
            if self.piece.is_empty() && !self.next_piece().await? {
                return if filled == 0 { Ok(None) } else { Err(truncated(N, filled)) };
            }
            let n = self.piece.len().min(N - filled);
            self.piece.copy_to_slice(&mut out[filled..filled + n]);
            filled += n;
        }
        Ok(Some(out))
    }

    /// The next `len` bytes. Not copied if they came in one piece; else the permit grows as they
    /// come, so that a slow client keeps little more than it has sent.
    pub async fn exactly(&mut self, len: usize, permit: &mut Permit) -> Result<Bytes, Refusal> {
        if self.piece.is_empty() && len > 0 {
            self.next_piece().await?;
        }
        if self.piece.len() >= len {
            permitted(permit, len)?;
            return Ok(self.piece.split_to(len));
        }
        let mut out = Vec::new();
        loop {
            let n = self.piece.len().min(len - out.len());
            // Once an eighth is there the rest is believed: each further doubling would leave as
            // much behind for the allocator as it had before.
            let room = if (out.len() + n) * 8 >= len { len - out.len() } else { n };
            make_room(&mut out, room, len, permit)?;
            out.extend_from_slice(&self.piece.split_to(n));
            if out.len() == len {
                return Ok(out.into());
            }
            if !self.next_piece().await? {
                return Err(truncated(len, out.len()));
            }
        }
    }

    /// Waits for the body's end; anything before it is an error.
    pub async fn end(&mut self) -> Result<(), Refusal> {
        let ended =
            self.piece.is_empty() && (self.incoming.is_end_stream() || !self.next_piece().await?);
        let more = || bad("more than one message in a unary request".to_owned());
        if ended { Ok(()) } else { Err(more()) }
    }

    /// All of a body whose length is not known, at most `limit` bytes; the permit grows with it.
    pub async fn all(&mut self, limit: usize, permit: &mut Permit) -> Result<Bytes, Refusal> {
        let mut out = Vec::new();
        while self.next_piece().await? {
            let len = out.len() + self.piece.len();
            if len > limit {
                return Err(too_large(None, limit));
            }
            make_room(&mut out, self.piece.len(), limit, permit)?;
            out.extend_from_slice(&std::mem::take(&mut self.piece));
        }
        Ok(out.into())
    }

    /// Reads and forgets a small body; gives up on a large or slow one.
    pub async fn discard(&mut self) {
        if self.incoming.size_hint().lower() > DISCARD {
            return;
        }
        let all = async {
            let mut seen = 0;
            while seen <= DISCARD && matches!(self.next_piece().await, Ok(true)) {
                seen += self.piece.len() as u64;
            }
        };
        // Too slow is the same as too large.
        let _ = tokio::time::timeout(DISCARD_TIME, all).await;
    }
}

/// Makes room for `more` bytes, by doubling, in a buffer that gets no larger than `limit`.
fn make_room(
    out: &mut Vec<u8>,
    more: usize,
    limit: usize,
    permit: &mut Permit,
) -> Result<(), Refusal> {
    let len = out.len() + more;
    if len > out.capacity() {
        let capacity = len.max(out.capacity() * 2).max(STEP).min(limit);
        permitted(permit, capacity - out.capacity())?;
        out.reserve_exact(capacity - out.len());
    }
    Ok(())
}

fn permitted(permit: &mut Permit, more: usize) -> Result<(), Refusal> {
    if permit.try_grow(more as u64) { Ok(()) } else { Err(no_room(more)) }
}

/// The refusal of a request that is over a size limit.
pub(super) fn too_large(len: Option<u64>, limit: usize) -> Refusal {
    let what = len.map_or_else(|| "request".to_owned(), |len| format!("request of {len} bytes"));
    let message = format!("{what} exceeds the limit of {limit} bytes; send smaller batches");
    Refusal::new(Code::TooLarge, message)
}

fn truncated(want: usize, got: usize) -> Refusal {
    bad(format!("truncated request: {got} of {want} bytes"))
}

fn bad(message: String) -> Refusal {
    Refusal::new(Code::InvalidArgument, message)
}
