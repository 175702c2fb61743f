//! The frames themselves.

use std::sync::Arc;

use bytes::Bytes;

use super::body::{Body, put_name, put_reason};
use super::{FrameError, HEADER_LEN, Header, Kind, MAGIC, MAX_BODY, VERSION};
use crate::TraceId;

/// One frame. Request ids (`u64`) are chosen by the requester and returned with the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// First frame of each side.
    Hello(Hello),
    /// HMAC-SHA256 over [`proof_input`].
    Proof([u8; 32]),
    /// Why the sender closes the connection.
    Error(String),
    /// Spans to hold.
    Deliver(u64, Deliver),
    /// What became of them.
    DeliverResult(u64, DeliverResult),
    /// Spans that the sender held as deputy of the receiver.
    GiveBack(u64, Vec<Entry>),
    /// What became of those.
    GiveBackResult(u64, GiveBackResult),
    /// Heartbeat, with the digest of the sender's table.
    Ping(u64),
    /// Its answer, with the digest of the answering side's table.
    Pong(u64),
    /// The sender is shutting down.
    Goodbye,
}

/// Who a side is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The tier it belongs to.
    pub role: Role,
    /// Its name among the members.
    pub name: Arc<str>,
    /// Digest of the names in its ownership table.
    pub digest: u64,
    /// Random bytes, so that a proof can't be replayed.
    pub nonce: [u8; 32],
}

/// The tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Tier 1.
    LoadBalancer = 1,
    /// Tier 2.
    Sampler = 2,
}

/// Spans to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliver {
    /// As what the receiver shall hold them.
    pub mode: Mode,
    /// How many spans the fragment has.
    pub spans: u32,
    /// The spans: a valid `ExportTraceServiceRequest`.
    pub fragment: Bytes,
}

/// As what a sampler holds spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As the owner of their slots: it decides.
    Owner,
    /// As deputy of a member that does not answer: it holds, and does not decide while that
    /// member is one.
    Deputy {
        /// The owner's name.
        owner: Arc<str>,
    },
}

/// What became of the spans of a `Deliver`; the three counts add up to its spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliverResult {
    /// Spans that are held now, duplicates included.
    pub held: u32,
    /// Spans that were not taken now and may be sent again.
    pub refused: u32,
    /// Spans that can never be taken.
    pub rejected: u32,
    /// When to try again, in milliseconds; 0 = the receiver has no opinion.
    pub retry_after_ms: u32,
    /// Why, if not all are held; else empty.
    pub reason: String,
}

/// What a deputy held of one trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The trace.
    pub trace_id: TraceId,
    /// How long ago its first span arrived, in milliseconds.
    pub age_ms: u64,
    /// Spans in the fragment.
    pub spans: u32,
    /// The spans: a valid `ExportTraceServiceRequest`.
    pub fragment: Bytes,
}

/// What became of a `GiveBack`. Entries are taken in order, so those not taken are a tail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GiveBackResult {
    /// How many entries, from the first, are held by the owner now.
    pub taken: u32,
    /// When to offer the others again, in milliseconds; 0 = the receiver has no opinion.
    pub retry_after_ms: u32,
    /// Why, if not all were taken; else empty.
    pub reason: String,
}

/// Bytes of an entry besides its fragment.
const ENTRY_FIXED: usize = 16 + 8 + 4 + 4;

/// What a `Proof` is the MAC of: a label for the direction, then both `Hello` bodies as they were
/// on the wire. A proof is worth nothing in another connection, direction or version.
pub fn proof_input(by_client: bool, client_hello: &[u8], server_hello: &[u8]) -> Vec<u8> {
    let label: &[u8] = if by_client { b"tailgate peer client" } else { b"tailgate peer server" };
    let mut input = Vec::with_capacity(label.len() + 8 + client_hello.len() + server_hello.len());
    input.extend_from_slice(label);
    for hello in [client_hello, server_hello] {
        input.extend_from_slice(&(hello.len() as u32).to_le_bytes());
        input.extend_from_slice(hello);
    }
    input
}

// === impl Frame ===

impl Frame {
    /// Reads the body of a frame. Parts of it share its buffer.
    pub fn decode(header: &Header, body: Bytes) -> Result<Self, FrameError> {
        let mut body = Body::new(body);
        let id = header.id;
        let frame = match header.kind {
            Kind::Deliver => return Deliver::decode(header, body),
            Kind::Hello => Self::Hello(Hello::decode(&mut body)?),
            Kind::Proof => Self::Proof(body.array()?),
            Kind::Error => Self::Error(body.reason()?),
            Kind::DeliverResult => Self::DeliverResult(id, DeliverResult::decode(&mut body)?),
            Kind::GiveBack => Self::GiveBack(id, entries(header.count, &mut body)?),
            Kind::GiveBackResult => Self::GiveBackResult(id, GiveBackResult::decode(&mut body)?),
            Kind::Ping => Self::Ping(body.u64()?),
            Kind::Pong => Self::Pong(body.u64()?),
            Kind::Goodbye => Self::Goodbye,
        };
        body.end()?;
        Ok(frame)
    }

    /// Appends the frame, except for a fragment at its end, which comes back to be written next
    /// without a copy. An error if the body exceeds [`MAX_BODY`]; then nothing was appended.
    pub fn encode<'a>(&'a self, out: &mut Vec<u8>) -> Result<Option<&'a Bytes>, FrameError> {
        let start = out.len();
        out.resize(start + HEADER_LEN, 0);
        self.put_body(out);
        let payload = self.payload();
        let len = out.len() - start - HEADER_LEN + payload.map_or(0, Bytes::len);
        if len > MAX_BODY {
            out.truncate(start);
            return Err(FrameError::TooLarge { len, limit: MAX_BODY });
        }
        let (id, count) = self.id_and_count();
        let header = Header { len: len as u32, kind: self.kind(), id, count };
        out[start..start + HEADER_LEN].copy_from_slice(&header.encode());
        Ok(payload)
    }

    /// What the frame is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Proof(_) => Kind::Proof,
            Self::Error(_) => Kind::Error,
            Self::Deliver(..) => Kind::Deliver,
            Self::DeliverResult(..) => Kind::DeliverResult,
            Self::GiveBack(..) => Kind::GiveBack,
            Self::GiveBackResult(..) => Kind::GiveBackResult,
            Self::Ping(_) => Kind::Ping,
            Self::Pong(_) => Kind::Pong,
            Self::Goodbye => Kind::Goodbye,
        }
    }

    fn id_and_count(&self) -> (u64, u32) {
        match self {
            Self::Deliver(id, deliver) => (*id, deliver.spans),
            Self::GiveBack(id, entries) => (*id, entries.len() as u32),
            Self::DeliverResult(id, _) | Self::GiveBackResult(id, _) => (*id, 0),
            _ => (0, 0),
        }
    }

    fn payload(&self) -> Option<&Bytes> {
        match self {
            Self::Deliver(_, deliver) => Some(&deliver.fragment),
            _ => None,
        }
    }

    fn put_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello(hello) => hello.put(out),
            Self::Proof(mac) => out.extend_from_slice(mac),
            Self::Error(reason) => put_reason(out, reason),
            Self::Deliver(_, deliver) => match &deliver.mode {
                Mode::Owner => out.push(0),
                Mode::Deputy { owner } => {
                    out.push(1);
                    put_name(out, owner);
                }
            },
            Self::DeliverResult(_, result) => result.put(out),
            Self::GiveBack(_, entries) => entries.iter().for_each(|entry| entry.put(out)),
            Self::GiveBackResult(_, result) => {
                out.extend_from_slice(&result.taken.to_le_bytes());
                out.extend_from_slice(&result.retry_after_ms.to_le_bytes());
                put_reason(out, &result.reason);
            }
            Self::Ping(digest) | Self::Pong(digest) => out.extend_from_slice(&digest.to_le_bytes()),
            Self::Goodbye => {}
        }
    }
}

// === impl Hello ===

impl Hello {
    fn decode(body: &mut Body) -> Result<Self, FrameError> {
        if body.array()? != MAGIC {
            return Err(FrameError::Magic);
        }
        let theirs = body.u16()?;
        if theirs != VERSION {
            return Err(FrameError::Version { theirs });
        }
        let role = match body.u8()? {
            1 => Role::LoadBalancer,
            2 => Role::Sampler,
            _ => return Err(FrameError::Invalid("role")),
        };
        Ok(Self { role, digest: body.u64()?, nonce: body.array()?, name: body.name()? })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.push(self.role as u8);
        out.extend_from_slice(&self.digest.to_le_bytes());
        out.extend_from_slice(&self.nonce);
        put_name(out, &self.name);
    }
}

// === impl Deliver ===

impl Deliver {
    fn decode(header: &Header, mut body: Body) -> Result<Frame, FrameError> {
        let mode = match body.u8()? {
            0 => Mode::Owner,
            1 => Mode::Deputy { owner: body.name()? },
            _ => return Err(FrameError::Invalid("mode")),
        };
        let deliver = Self { mode, spans: header.count, fragment: body.rest() };
        Ok(Frame::Deliver(header.id, deliver))
    }
}

// === impl DeliverResult ===

impl DeliverResult {
    /// All spans are held.
    pub fn held(spans: u32) -> Self {
        Self { held: spans, ..Self::default() }
    }

    /// No span was taken.
    pub fn refused(spans: u32, retry_after_ms: u32, reason: impl Into<String>) -> Self {
        Self { refused: spans, retry_after_ms, reason: reason.into(), ..Self::default() }
    }

    fn decode(body: &mut Body) -> Result<Self, FrameError> {
        Ok(Self {
            held: body.u32()?,
            refused: body.u32()?,
            rejected: body.u32()?,
            retry_after_ms: body.u32()?,
            reason: body.reason()?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        for number in [self.held, self.refused, self.rejected, self.retry_after_ms] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        put_reason(out, &self.reason);
    }
}

// === impl Entry ===

impl Entry {
    /// Bytes that this entry takes in a frame.
    pub fn encoded_len(&self) -> usize {
        ENTRY_FIXED + self.fragment.len()
    }

    fn decode(body: &mut Body) -> Result<Self, FrameError> {
        let trace_id = TraceId(body.array()?);
        let (age_ms, spans, len) = (body.u64()?, body.u32()?, body.u32()?);
        Ok(Self { trace_id, age_ms, spans, fragment: body.take(len as usize)? })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.trace_id.0);
        out.extend_from_slice(&self.age_ms.to_le_bytes());
        out.extend_from_slice(&self.spans.to_le_bytes());
        out.extend_from_slice(&(self.fragment.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.fragment);
    }
}

/// Room is made as entries come, never for what the header claims.
fn entries(count: u32, body: &mut Body) -> Result<Vec<Entry>, FrameError> {
    (0..count).map(|_| Entry::decode(body)).collect()
}

// === impl GiveBackResult ===

impl GiveBackResult {
    fn decode(body: &mut Body) -> Result<Self, FrameError> {
        Ok(Self { taken: body.u32()?, retry_after_ms: body.u32()?, reason: body.reason()? })
    }
}
