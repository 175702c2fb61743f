//! Frames on a byte stream: reading with a permit before each body, writing many at once.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use tailgate_proto::peer::{Frame, FrameError, HEADER_LEN, Header};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::limit::Permit;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What came is not this protocol.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The other side closed the connection between two frames.
    #[error("closed by the peer")]
    Closed,
    /// The other side said why it closes.
    #[error("peer: {0}")]
    Peer(String),
    /// Nothing came for too long.
    #[error("nothing heard for too long")]
    Silent,
    /// A frame that has no place here.
    #[error("unexpected frame {0:?}")]
    Unexpected(tailgate_proto::peer::Kind),
}

/// Reads frames. All progress is kept here, so a dropped [`FrameReader::next`] loses nothing.
pub(super) struct FrameReader<R> {
    inner: R,
    buf: BytesMut,
    state: State,
    limit: usize,
    step: usize,
}

/// What came.
pub(super) enum Incoming {
    /// A frame, the permit for its body, and the size of that body.
    Frame(Frame, Option<Permit>),
    /// A frame whose body was thrown away, since there was no permit.
    Skipped(Header),
}

/// What a gate says about a frame of which only the header is known.
pub(super) enum Gate {
    Read(Option<Permit>),
    Skip,
}

enum State {
    Header,
    Body(Header, Option<Permit>),
    Skip(Header, usize),
}

/// Frames to write. Small ones are copied together, large fragments are written from where they
/// are; one vectored write takes many of both.
#[derive(Default)]
pub(super) struct Outbox {
    chunks: VecDeque<Bytes>,
    tail: BytesMut,
    bytes: usize,
    scratch: Vec<u8>,
}

/// Writes an [`Outbox`]. A dropped [`FrameWriter::write`] loses nothing.
pub(super) struct FrameWriter<W> {
    inner: W,
    outbox: Outbox,
    /// Something may wait inside of the stream (TLS records do).
    unflushed: bool,
}

/// A connection that is not yet authenticated costs this much memory.
const FIRST_STEP: usize = 4 << 10;
/// How much is read at once afterwards.
const STEP: usize = 64 << 10;
/// Fragments below this size are copied: cheaper than one more slice in the write.
const COPY: usize = 2 << 10;

// === impl FrameReader ===

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(inner: R, limit: usize) -> Self {
        Self { inner, buf: BytesMut::new(), state: State::Header, limit, step: FIRST_STEP }
    }

    /// From now on bodies may have `limit` bytes.
    pub(super) fn raise(&mut self, limit: usize) {
        self.limit = limit;
        self.step = STEP;
    }

    /// The next frame; `gate` is asked once for each, before its body is read.
    pub(super) async fn next(
        &mut self,
        mut gate: impl FnMut(&Header) -> Gate,
    ) -> Result<Incoming, ConnectionError> {
        loop {
            match &mut self.state {
                State::Header => {
                    if let Some(bytes) = self.buf.first_chunk::<HEADER_LEN>() {
                        let header = Header::decode(bytes, self.limit)?;
                        self.buf.advance(HEADER_LEN);
                        self.state = match gate(&header) {
                            Gate::Read(permit) => State::Body(header, permit),
                            Gate::Skip => State::Skip(header, header.len as usize),
                        };
                        continue;
                    }
                }
                State::Body(header, permit) => {
                    let len = header.len as usize;
                    if self.buf.len() >= len {
                        let frame = Frame::decode(header, self.buf.split_to(len).freeze())?;
                        let permit = permit.take();
                        self.state = State::Header;
                        return Ok(Incoming::Frame(frame, permit));
                    }
                    self.buf.reserve(len - self.buf.len());
                }
                State::Skip(header, left) => {
                    let now = self.buf.len().min(*left);
                    self.buf.advance(now);
                    *left -= now;
                    if *left == 0 {
                        let header = *header;
                        self.state = State::Header;
                        return Ok(Incoming::Skipped(header));
                    }
                }
            }
            self.fill().await?;
        }
    }

    /// Reads what there is. Between frames the end of the stream is a clean close.
    async fn fill(&mut self) -> Result<(), ConnectionError> {
        if self.buf.capacity() - self.buf.len() < HEADER_LEN {
            self.buf.reserve(self.step);
        }
        if self.inner.read_buf(&mut self.buf).await? > 0 {
            return Ok(());
        }
        let clean = self.buf.is_empty() && matches!(self.state, State::Header);
        Err(if clean { ConnectionError::Closed } else { FrameError::Truncated.into() })
    }
}

// === impl Outbox ===

impl Outbox {
    /// Queues a frame. On an error nothing is queued.
    pub(super) fn push(&mut self, frame: &Frame) -> Result<(), FrameError> {
        self.scratch.clear();
        let payload = frame.encode(&mut self.scratch)?;
        self.tail.extend_from_slice(&self.scratch);
        self.bytes += self.scratch.len();
        let Some(payload) = payload else { return Ok(()) };
        self.bytes += payload.len();
        if payload.len() < COPY {
            self.tail.extend_from_slice(payload);
        } else {
            self.chunks.push_back(self.tail.split().freeze());
            self.chunks.push_back(payload.clone());
        }
        Ok(())
    }
}

impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.front().map_or(&self.tail[..], |chunk| &chunk[..])
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        let tail = (!self.tail.is_empty()).then_some(&self.tail[..]);
        let chunks = self.chunks.iter().map(|chunk| &chunk[..]).chain(tail);
        let pairs = dst.iter_mut().zip(chunks);
        pairs.map(|(slot, chunk)| *slot = IoSlice::new(chunk)).count()
    }

    fn advance(&mut self, mut count: usize) {
        self.bytes -= count;
        while let Some(front) = self.chunks.front_mut() {
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.chunks.pop_front();
        }
        self.tail.advance(count);
    }
}

// === impl FrameWriter ===

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, outbox: Outbox::default(), unflushed: false }
    }

    /// Queues a frame. On an error nothing is queued.
    pub(super) fn push(&mut self, frame: &Frame) -> Result<(), FrameError> {
        self.outbox.push(frame)
    }

    /// Bytes that wait to be written.
    pub(super) fn queued(&self) -> usize {
        self.outbox.remaining()
    }

    /// Whether [`Self::write`] has anything to do.
    pub(super) fn is_idle(&self) -> bool {
        self.queued() == 0 && !self.unflushed
    }

    /// Writes some of what waits, and flushes after the last of it.
    pub(super) async fn write(&mut self) -> io::Result<()> {
        if self.outbox.has_remaining() {
            self.unflushed = true;
            if self.inner.write_buf(&mut self.outbox).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        if !self.outbox.has_remaining() {
            self.inner.flush().await?;
            self.unflushed = false;
        }
        Ok(())
    }

    /// Writes all that waits, then closes this direction.
    #[cfg(test)]
    pub(super) async fn finish(mut self) -> io::Result<()> {
        while !self.is_idle() {
            self.write().await?;
        }
        self.inner.shutdown().await
    }
}
