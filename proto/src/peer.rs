//! Frames of the internal protocol between the tiers.
//!
//! A connection is a stream of frames: a fixed header of [`HEADER_LEN`] bytes and a body. All
//! numbers are little-endian. The header alone says how long the body is, which request it belongs
//! to and how many spans are in it, so that a receiver without room can skip the body and still
//! answer.
//!
//! ```text
//! 0      4    5        8        16      20
//! | len  |kind| 0 0 0  | id     | count | body: len bytes
//! ```
//!
//! A connection begins with the handshake: `Hello` and `Hello`, then `Proof` and `Proof`: each side
//! shows that it knows the shared secret by a MAC over both `Hello` bodies ([`proof_input`]). An
//! `Error` frame says why a side closes. After that, requests (`Deliver`, `GiveBack`) and their
//! results are matched by id, in any order.
//!
//! The codec here is pure; sockets, secrets and time are elsewhere.

mod body;
mod frame;
#[cfg(test)]
mod tests;

pub use self::frame::{
    Deliver, DeliverResult, Entry, Frame, GiveBackResult, Hello, Mode, Role, proof_input,
};

use thiserror::Error;

/// The version of the protocol. Peers of another version are refused with a reason.
pub const VERSION: u16 = 1;
/// First bytes of a `Hello` body.
pub const MAGIC: [u8; 4] = *b"TGpp";
/// Size of a frame's header, in bytes.
pub const HEADER_LEN: usize = 20;
/// The largest body of any frame, in bytes: above the largest OTLP request that is accepted.
pub const MAX_BODY: usize = 32 << 20;
/// The largest body before the handshake is done, in bytes.
pub const MAX_HANDSHAKE_BODY: usize = 1024;
/// The longest instance name, in bytes.
pub const MAX_NAME: usize = 255;
/// The longest reason, in bytes; longer ones are cut.
pub const MAX_REASON: usize = 512;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Who a side is, and its nonce.
    Hello = 1,
    /// The MAC that shows the shared secret.
    Proof = 2,
    /// Why the sender closes the connection.
    Error = 3,
    /// Spans to hold.
    Deliver = 4,
    /// What became of a `Deliver`.
    DeliverResult = 5,
    /// Spans that a deputy held, for their owner.
    GiveBack = 6,
    /// What became of a `GiveBack`.
    GiveBackResult = 7,
    /// Are you there?
    Ping = 8,
    /// Yes.
    Pong = 9,
    /// The sender is shutting down: send it nothing more.
    Goodbye = 10,
}

/// The fixed part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Size of the body, in bytes.
    pub len: u32,
    /// What the frame is.
    pub kind: Kind,
    /// Request id, chosen by the requester; 0 where there is none.
    pub id: u64,
    /// Spans of a `Deliver`, entries of a `GiveBack`, 0 in all other frames.
    pub count: u32,
}

/// Bytes that are not a frame of this protocol. The connection can't be used any longer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A body above the limit.
    #[error("a frame of {len} bytes exceeds {limit}")]
    TooLarge {
        /// As announced.
        len: usize,
        /// What was allowed here.
        limit: usize,
    },
    /// No frame of this version has this kind.
    #[error("unknown frame kind {0}")]
    UnknownKind(u8),
    /// Reserved bytes that are not zero.
    #[error("reserved bytes of a frame are in use")]
    Reserved,
    /// The body ends too early.
    #[error("truncated frame")]
    Truncated,
    /// The body goes on after its end.
    #[error("{0} bytes too many in a frame")]
    Trailing(usize),
    /// The other side does not speak this protocol.
    #[error("not a tailgate peer (bad magic)")]
    Magic,
    /// The other side speaks another version.
    #[error("peer speaks protocol version {theirs}, this side speaks {VERSION}")]
    Version {
        /// The other side's version.
        theirs: u16,
    },
    /// A value outside its range.
    #[error("invalid {0}")]
    Invalid(&'static str),
}

// === impl Kind ===

impl Kind {
    fn from_byte(byte: u8) -> Result<Self, FrameError> {
        const ALL: [Kind; 10] = [
            Kind::Hello,
            Kind::Proof,
            Kind::Error,
            Kind::Deliver,
            Kind::DeliverResult,
            Kind::GiveBack,
            Kind::GiveBackResult,
            Kind::Ping,
            Kind::Pong,
            Kind::Goodbye,
        ];
        let found = ALL.into_iter().find(|kind| *kind as u8 == byte);
        found.ok_or(FrameError::UnknownKind(byte))
    }
}

// === impl Header ===

impl Header {
    /// Reads a header; `limit` is the largest body allowed here.
    pub fn decode(bytes: &[u8; HEADER_LEN], limit: usize) -> Result<Self, FrameError> {
        let [l0, l1, l2, l3, kind, r0, r1, r2, rest @ ..] = *bytes;
        let [i0, i1, i2, i3, i4, i5, i6, i7, c0, c1, c2, c3] = rest;
        let kind = Kind::from_byte(kind)?;
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        if len as usize > limit {
            return Err(FrameError::TooLarge { len: len as usize, limit });
        }
        if [r0, r1, r2] != [0; 3] {
            return Err(FrameError::Reserved);
        }
        let id = u64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]);
        Ok(Self { len, kind, id, count: u32::from_le_bytes([c0, c1, c2, c3]) })
    }

    fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..4].copy_from_slice(&self.len.to_le_bytes());
        bytes[4] = self.kind as u8;
        bytes[8..16].copy_from_slice(&self.id.to_le_bytes());
        bytes[16..].copy_from_slice(&self.count.to_le_bytes());
        bytes
    }
}
