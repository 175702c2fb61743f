//! The buffer: an append-only log of records in fixed-size segments.
//!
//! A record holds the spans of one trace that came in one request, as a fragment (ready to be exported), and points to
//! the trace's record before it; so a trace is one reference, however many records it has. What is charged to the
//! byte budget is the capacity of segments, before they are allocated. A segment is freed when its last live record is
//! released; [`Log::sparse`] names one that is worth rewriting.
//!
//! Layout of a record, little-endian. The frame (first 17 bytes) is made for a log in files too:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of what follows the frame |
//! | 8 | sequence number, from 1 |
//! | 1 | kind |
//! | 4 | CRC32C of what follows the frame |
//! | 16 | trace id |
//! | 4 | spans |
//! | 8 | segment and offset of the trace's record before; segment 0: none |
//! | rest | fragment |

use hashbrown::HashMap;
use tailgate_common::limit::{ByteBudget, Permit};
use tailgate_proto::TraceId;

/// Capacity of a segment, in bytes. A larger record gets a segment of its own.
pub const SEGMENT_BYTES: usize = 256 << 10;

const FRAME: usize = 4 + 8 + 1 + 4;
const BODY_HEAD: usize = 16 + 4 + 8;

/// What a record costs besides its fragment, in bytes.
pub const RECORD_OVERHEAD: usize = FRAME + BODY_HEAD;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// Spans of a trace. The other kinds (decided, handed off, exported) are for a log in files, where what became of
    /// spans has to be written down.
    Span = 1,
}

/// Where a record is. Segments are numbered from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordRef {
    segment: u32,
    offset: u32,
}

/// A record, read in place.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The trace its spans belong to.
    pub trace_id: TraceId,
    /// How many spans.
    pub spans: u32,
    /// The trace's record before this one.
    pub prev: Option<RecordRef>,
    /// The spans.
    pub fragment: &'a [u8],
}

/// The byte budget has no room for another segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no memory left for another segment")]
pub struct Full;

/// An append-only log. One per shard, under the shard's lock.
#[derive(Debug)]
pub struct Log {
    segments: HashMap<u32, Segment>,
    /// The segment that is appended to; 0: none.
    open: u32,
    last_id: u32,
    last_sequence: u64,
    live_bytes: u64,
    capacity: u64,
    budget: ByteBudget,
}

#[derive(Debug)]
struct Segment {
    bytes: Vec<u8>,
    /// Bytes of records that are still held.
    live: usize,
    _permit: Permit,
}

// === impl RecordRef ===

impl RecordRef {
    /// Whether the record is in this segment.
    pub fn is_in(self, segment: u32) -> bool {
        self.segment == segment
    }
}

// === impl Log ===

impl Log {
    /// An empty log that takes its segments from `budget`.
    pub fn new(budget: ByteBudget) -> Self {
        Self {
            segments: HashMap::new(),
            open: 0,
            last_id: 0,
            last_sequence: 0,
            live_bytes: 0,
            capacity: 0,
            budget,
        }
    }

    /// Bytes of records that are held.
    pub fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Bytes of all segments: what the budget is charged.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Appends a record whose fragment is what `write` appends: exactly `len` bytes.
    ///
    /// # Errors
    /// [`Full`] if a segment is needed and the budget has no room. Nothing has changed then.
    pub fn append(
        &mut self,
        trace_id: TraceId,
        spans: u32,
        prev: Option<RecordRef>,
        len: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<RecordRef, Full> {
        let total = RECORD_OVERHEAD + len;
        self.make_room(total)?;
        self.last_sequence += 1;
        let sequence = self.last_sequence;
        let id = self.open;
        let Some(segment) = self.segments.get_mut(&id) else { return Err(Full) };
        let start = segment.bytes.len();
        let out = &mut segment.bytes;
        out.extend_from_slice(&((BODY_HEAD + len) as u32).to_le_bytes());
        out.extend_from_slice(&sequence.to_le_bytes());
        out.push(RecordKind::Span as u8);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&trace_id.0);
        out.extend_from_slice(&spans.to_le_bytes());
        let (segment_id, offset) = prev.map_or((0, 0), |prev| (prev.segment, prev.offset));
        out.extend_from_slice(&segment_id.to_le_bytes());
        out.extend_from_slice(&offset.to_le_bytes());
        write(out);
        assert_eq!(out.len(), start + total, "a record has the length it announced");
        let crc = crc32c::crc32c(&out[start + FRAME..]).to_le_bytes();
        out[start + FRAME - 4..start + FRAME].copy_from_slice(&crc);
        segment.live += total;
        self.live_bytes += total as u64;
        Ok(RecordRef { segment: id, offset: start as u32 })
    }

    /// The record at `at`, which must not have been released.
    pub fn read(&self, at: RecordRef) -> Record<'_> {
        let segment = &self.segments[&at.segment];
        let (record, _) = read_at(&segment.bytes, at.offset as usize);
        record
    }

    /// Gives a record up: its bytes are freed with its segment. Tells the trace's record before it.
    pub fn release(&mut self, at: RecordRef) -> Option<RecordRef> {
        let Record { prev, fragment, .. } = self.read(at);
        let total = RECORD_OVERHEAD + fragment.len();
        let segment = self.segments.get_mut(&at.segment)?;
        assert!(segment.live >= total, "a record is released once");
        segment.live -= total;
        self.live_bytes -= total as u64;
        if segment.live == 0 {
            // The open one too: an idle shard must not keep what a busy one needs.
            self.free(at.segment);
        }
        prev
    }

    /// A full segment of which less than a half is live, if capacity is wasted on the whole.
    pub fn sparse(&self) -> Option<u32> {
        if self.capacity < 4 * SEGMENT_BYTES as u64 || self.live_bytes * 2 > self.capacity {
            return None;
        }
        self.sparsest(|segment| segment.live * 2 < segment.bytes.capacity())
    }

    /// A full segment with less than two thirds live of what is in it: worth rewriting when memory is short.
    pub fn wasteful(&self) -> Option<u32> {
        self.sparsest(|segment| segment.live * 3 < segment.bytes.len() * 2)
    }

    fn sparsest(&self, sparse: impl Fn(&Segment) -> bool) -> Option<u32> {
        let full = self.segments.iter().filter(|(id, _)| **id != self.open);
        let sparse = full.filter(|(_, segment)| sparse(segment));
        sparse.min_by_key(|(_, segment)| segment.live).map(|(id, _)| *id)
    }

    /// The traces that have records in a segment, live or not; each once.
    pub fn traces_in(&self, segment: u32) -> Vec<TraceId> {
        let Some(segment) = self.segments.get(&segment) else { return Vec::new() };
        let (mut traces, mut at) = (Vec::new(), 0);
        while at < segment.bytes.len() {
            let (record, next) = read_at(&segment.bytes, at);
            traces.push(record.trace_id);
            at = next;
        }
        traces.sort_unstable();
        traces.dedup();
        traces
    }

    fn make_room(&mut self, total: usize) -> Result<(), Full> {
        if let Some(segment) = self.segments.get(&self.open)
            && segment.bytes.capacity() - segment.bytes.len() >= total
        {
            return Ok(());
        }
        let capacity = total.max(SEGMENT_BYTES);
        let permit = self.budget.try_acquire(capacity as u64).ok_or(Full)?;
        self.last_id += 1;
        self.open = self.last_id;
        let segment = Segment { bytes: Vec::with_capacity(capacity), live: 0, _permit: permit };
        self.capacity += segment.bytes.capacity() as u64;
        self.segments.insert(self.open, segment);
        Ok(())
    }

    fn free(&mut self, id: u32) {
        if id == self.open {
            self.open = 0;
        }
        if let Some(segment) = self.segments.remove(&id) {
            self.capacity -= segment.bytes.capacity() as u64;
        }
    }
}

/// The record at `at`, and where the next one begins.
fn read_at(bytes: &[u8], at: usize) -> (Record<'_>, usize) {
    let len = u32_at(bytes, at) as usize;
    let body = &bytes[at + FRAME..at + FRAME + len];
    let segment = u32_at(body, 20);
    let prev = (segment != 0).then(|| RecordRef { segment, offset: u32_at(body, 24) });
    let mut id = [0; 16];
    id.copy_from_slice(&body[..16]);
    let record = Record {
        trace_id: TraceId(id),
        spans: u32_at(body, 16),
        prev,
        fragment: &body[BODY_HEAD..],
    };
    debug_assert_eq!(crc32c::crc32c(body), u32_at(bytes, at + FRAME - 4), "bytes have rotted");
    (record, at + FRAME + len)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}
