//! Trace and span ids.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

/// A slot of the ownership table. Every trace belongs to one of [`SLOTS`] slots.
pub type Slot = u16;

/// How many slots there are.
pub const SLOTS: usize = 1 << 16;

/// The 16 bytes of a W3C trace id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub [u8; 16]);

/// The 8 bytes of a span id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub [u8; 8]);

// === impl TraceId ===

impl TraceId {
    /// The id in `bytes`, if it has the right length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// All bytes zero: W3C Trace Context calls such an id invalid.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; 16]
    }

    /// The slot of this trace. The hash is fixed: every node must find the same slot.
    pub fn slot(&self) -> Slot {
        (xxh3_64(&self.0) & 0xffff) as Slot
    }

    /// A number to sort traces by: those of a slot are together, slots are in their order. Different traces may have
    /// the same.
    pub fn rank(&self) -> u64 {
        // The slot is on top.
        xxh3_64(&self.0).rotate_right(16)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl SpanId ===

impl SpanId {
    /// The id in `bytes`, if it has the right length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
