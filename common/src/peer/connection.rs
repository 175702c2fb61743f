//! One live connection of a client: requests out, results in, heartbeats.

use std::collections::HashMap;

use tailgate_proto::peer::{Frame, FrameError};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

use super::client::{Command, DRAINING, ReplyTo, Shared};
use super::handshake::Opened;
use super::stream::{ConnectionError, FrameReader, FrameWriter, Gate, Incoming};
use super::{DeliverResult, GiveBackResult, NotSent, PeerError};

pub(super) struct Connection<'a, S> {
    reader: FrameReader<ReadHalf<S>>,
    shared: &'a Shared,
    talk: Talk<WriteHalf<S>>,
}

/// The writing half, and who waits for what.
struct Talk<W> {
    writer: FrameWriter<W>,
    pending: HashMap<u64, Pending>,
    next_id: u64,
    /// Heartbeats since the peer was last heard.
    unheard: u32,
}

enum Pending {
    Deliver(ReplyTo<DeliverResult>),
    GiveBack(ReplyTo<GiveBackResult>),
}

/// Requests that wait for their result; beyond, requests wait in the queue.
const MAX_PENDING: usize = 4096;
/// Bytes that wait to be written; beyond, requests wait in the queue.
const MAX_QUEUED: usize = 512 << 10;
/// Heartbeats without an answer after which the peer counts as gone.
const MAX_UNHEARD: u32 = 3;

// === impl Connection ===

impl<'a, S: AsyncRead + AsyncWrite> Connection<'a, S> {
    pub(super) fn new(opened: Opened<S>, shared: &'a Shared) -> Self {
        let writer = FrameWriter::new(opened.writer);
        let talk = Talk { writer, pending: HashMap::new(), next_id: 1, unheard: 0 };
        Self { reader: opened.reader, shared, talk }
    }

    /// Runs until the connection is lost. Then the outcome of all that was sent is unknown.
    pub(super) async fn run(mut self, queue: &mut mpsc::Receiver<Command>) -> ConnectionError {
        let error = self.run_until_lost(queue).await;
        for (_, pending) in self.talk.pending.drain() {
            pending.fail(PeerError::Unknown);
        }
        error
    }

    async fn run_until_lost(&mut self, queue: &mut mpsc::Receiver<Command>) -> ConnectionError {
        let Self { reader, shared, talk } = self;
        let mut heartbeat = tokio::time::interval(shared.options.heartbeat);
        // After a standstill of this process the peer has as long to answer as ever.
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let room = talk.pending.len() < MAX_PENDING && talk.writer.queued() < MAX_QUEUED;
            // In this order, so that requests gather while there are more.
            let done = tokio::select! {
                biased;
                next = reader.next(|_| Gate::Read(None)) => match next {
                    Ok(incoming) => talk.incoming(incoming, shared),
                    Err(error) => Err(error),
                },
                Some(command) = queue.recv(), if room => talk.command(command),
                wrote = talk.writer.write(), if !talk.writer.is_idle() => {
                    wrote.map_err(ConnectionError::Io)
                }
                _ = heartbeat.tick() => talk.heartbeat(shared),
            };
            if let Err(error) = done {
                return error;
            }
        }
    }
}

// === impl Talk ===

impl<W: AsyncWrite + Unpin> Talk<W> {
    fn command(&mut self, command: Command) -> Result<(), ConnectionError> {
        if command.is_cancelled() {
            return Ok(());
        }
        let id = self.next_id;
        self.next_id += 1;
        let (frame, pending) = match command {
            Command::Deliver(deliver, reply) => {
                (Frame::Deliver(id, deliver), Pending::Deliver(reply))
            }
            Command::GiveBack(entries, reply) => {
                (Frame::GiveBack(id, entries), Pending::GiveBack(reply))
            }
        };
        match self.writer.push(&frame) {
            Ok(()) => {
                self.pending.insert(id, pending);
                Ok(())
            }
            Err(FrameError::TooLarge { .. }) => {
                pending.fail(PeerError::NotSent(NotSent::TooLarge));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn incoming(&mut self, incoming: Incoming, shared: &Shared) -> Result<(), ConnectionError> {
        self.unheard = 0;
        shared.heard();
        let Incoming::Frame(frame, _) = incoming else { return Ok(()) };
        match frame {
            Frame::DeliverResult(id, result) => {
                if let Some(Pending::Deliver(reply)) = self.pending.remove(&id) {
                    // The requester may have stopped waiting.
                    drop(reply.send(Ok(result)));
                }
            }
            Frame::GiveBackResult(id, result) => {
                if let Some(Pending::GiveBack(reply)) = self.pending.remove(&id) {
                    drop(reply.send(Ok(result)));
                }
            }
            Frame::Pong(digest) => shared.heard_digest(digest),
            Frame::Goodbye => shared.set_state(DRAINING),
            Frame::Error(reason) => return Err(ConnectionError::Peer(reason)),
            other => return Err(ConnectionError::Unexpected(other.kind())),
        }
        self.closed_when_drained(shared)
    }

    /// A peer that said goodbye is left as soon as it owes nothing.
    fn closed_when_drained(&self, shared: &Shared) -> Result<(), ConnectionError> {
        if shared.is_draining() && self.pending.is_empty() {
            return Err(ConnectionError::Closed);
        }
        Ok(())
    }

    fn heartbeat(&mut self, shared: &Shared) -> Result<(), ConnectionError> {
        if self.unheard >= MAX_UNHEARD {
            return Err(ConnectionError::Silent);
        }
        self.unheard += 1;
        self.pending.retain(|_, pending| !pending.is_cancelled());
        self.writer.push(&Frame::Ping(shared.options.identity.digest.get()))?;
        self.closed_when_drained(shared)
    }
}

// === impl Pending ===

impl Pending {
    fn fail(self, error: PeerError) {
        match self {
            Self::Deliver(reply) => drop(reply.send(Err(error))),
            Self::GiveBack(reply) => drop(reply.send(Err(error))),
        }
    }

    fn is_cancelled(&self) -> bool {
        match self {
            Self::Deliver(reply) => reply.is_closed(),
            Self::GiveBack(reply) => reply.is_closed(),
        }
    }
}
