//! The shallow scan: where each span of a request is, and which trace it belongs to.
//!
//! One pass over the bytes, no object tree and no allocation per span; the buffers of a [`Scan`] are reused. Limits
//! are checked on the way, before anything is copied, so that no request costs more than its own size.
//!
//! A request that is not protobuf is refused whole. A span that can never be processed (bad ids, too large, nested too
//! deeply, not UTF-8) is left out and counted, for `partial_success`.

use thiserror::Error;

use crate::id::{SpanId, TraceId};
use crate::schema::{self, Malformed};
use crate::view::{ResourceView, messages};
use crate::wire::{Field, Fields, Wire, WireError};

/// What a request may contain.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Spans in one request; and as many resources and scopes.
    pub max_spans: usize,
    /// Size of one span, in bytes.
    pub max_span_bytes: usize,
    /// Size of a resource or scope (without its spans), in bytes: it is repeated for each trace.
    pub max_header_bytes: usize,
    /// How deeply attribute values may be nested in each other.
    pub max_depth: usize,
    /// Check the inside of spans too. Not needed for bytes from a peer, which has checked them.
    pub check_inside: bool,
}

/// Why a whole request is refused, for good.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScanError {
    /// The bytes are not an `ExportTraceServiceRequest`.
    #[error("malformed ExportTraceServiceRequest: {0}")]
    Malformed(#[from] WireError),
    /// Too many spans.
    #[error("more than {limit} spans in one request; send smaller batches")]
    TooManySpans {
        /// [`Limits::max_spans`].
        limit: usize,
    },
    /// Too many resources and scopes.
    #[error("more than {limit} resources and scopes in one request; send smaller batches")]
    TooManyScopes {
        /// [`Limits::max_spans`].
        limit: usize,
    },
    /// Resources and scopes are held once for each trace with spans of them.
    #[error("resources and scopes repeated for each trace take {bytes} bytes, limit {limit}")]
    Headers {
        /// What they would take.
        bytes: usize,
        /// What they may, for a request of this size.
        limit: usize,
    },
    /// Offsets are kept in 32 bits.
    #[error("a request of {0} bytes is too large to scan")]
    TooLarge(usize),
}

/// A span in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanRef {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Where the `Span` message begins in the request, in bytes.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// Index of its scope in the scan.
    pub scope: u32,
    /// It has no parent.
    pub root: bool,
}

/// Spans that can never be accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected {
    /// How many.
    pub spans: u64,
    /// Why the first one was.
    pub reason: Option<String>,
}

/// What a scan found. Reuse it: its buffers keep their capacity.
#[derive(Debug, Default)]
pub struct Scan {
    pub(crate) spans: Vec<SpanRef>,
    pub(crate) scopes: Vec<ScopeRef>,
    pub(crate) resources: Vec<Header>,
    /// Byte ranges of the request that the headers consist of.
    pub(crate) ranges: Vec<(u32, u32)>,
    rejected: Rejected,
    total: usize,
}

/// The fields of a resource or scope without its scopes or spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// First of its byte ranges in `Scan::ranges`.
    first: u32,
    /// Number of its byte ranges.
    count: u32,
    /// Sum of their lengths.
    pub(crate) len: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ScopeRef {
    pub(crate) resource: u32,
    pub(crate) header: Header,
}

/// A message inside the request: its bytes, and where they begin.
#[derive(Clone, Copy)]
struct Part<'a> {
    bytes: &'a [u8],
    at: usize,
}

const NOT_TEXT: &str = "a string is not UTF-8";

/// Scans one `ExportTraceServiceRequest`. On an error `out` holds nothing of use.
pub fn scan(request: &[u8], limits: &Limits, out: &mut Scan) -> Result<(), ScanError> {
    out.clear();
    if u32::try_from(request.len()).is_err() {
        return Err(ScanError::TooLarge(request.len()));
    }
    let whole = Part { bytes: request, at: 0 };
    for field in Fields::new(request) {
        let field = field?;
        if field.number == 1 {
            out.scan_resource(whole.inside(&field)?, limits)?;
        }
    }
    debug_assert_eq!(out.spans.len() + out.rejected.spans as usize, out.total);
    Ok(())
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_spans: 50_000,
            max_span_bytes: 256 << 10,
            max_header_bytes: 64 << 10,
            max_depth: 32,
            check_inside: true,
        }
    }
}

impl Limits {
    /// For requests that another Tailgate has scanned already.
    pub fn trusted() -> Self {
        Self { check_inside: false, ..Self::default() }
    }

    /// For spans that were held already: whatever they are, they are not refused now.
    pub fn held() -> Self {
        let max = usize::MAX;
        let limits = Self { max_spans: max, max_span_bytes: max, ..Self::trusted() };
        Self { max_header_bytes: max, ..limits }
    }

    /// Levels of messages: event or resource, pair, value, and two for each value inside a value.
    fn levels(&self) -> usize {
        3 + 2 * self.max_depth
    }
}

// === impl Scan ===

impl Scan {
    /// The accepted spans, in request order.
    pub fn spans(&self) -> &[SpanRef] {
        &self.spans
    }

    /// The spans that were left out.
    pub fn rejected(&self) -> &Rejected {
        &self.rejected
    }

    /// All spans of the request, accepted or not.
    pub fn total(&self) -> usize {
        self.total
    }

    /// The bytes of the headers that a fragment with spans of this scope repeats.
    pub fn header_bytes(&self, scope: u32) -> usize {
        let scope = &self.scopes[scope as usize];
        (scope.header.len + self.resources[scope.resource as usize].len) as usize
    }

    /// The resource that this scope belongs to, as an index.
    pub fn resource_of(&self, scope: u32) -> u32 {
        self.scopes[scope as usize].resource
    }

    /// All resources, in request order.
    pub fn resources<'a>(&'a self, request: &'a [u8]) -> impl Iterator<Item = ResourceView<'a>> {
        self.resources.iter().map(|header| {
            let ranges = self.header_ranges(*header).iter();
            let fields = ranges.map(|(start, end)| &request[*start as usize..*end as usize]);
            // Each range is whole fields; the last resource counts.
            let found = fields.filter_map(|fields| messages(fields, 1).last()).next_back();
            ResourceView::new(found.unwrap_or_default())
        })
    }

    pub(crate) fn header_ranges(&self, header: Header) -> &[(u32, u32)] {
        &self.ranges[header.first as usize..(header.first + header.count) as usize]
    }

    fn clear(&mut self) {
        self.spans.clear();
        self.scopes.clear();
        self.resources.clear();
        self.ranges.clear();
        self.rejected = Rejected::default();
        self.total = 0;
    }

    fn scan_resource(&mut self, part: Part<'_>, limits: &Limits) -> Result<(), ScanError> {
        self.check_groups(limits)?;
        let (header, fault) = self.header(part, &schema::RESOURCE_SPANS, limits)?;
        let resource = self.resources.len() as u32;
        self.resources.push(header);
        for field in Fields::new(part.bytes) {
            let field = field?;
            if field.number == 2 {
                self.scan_scope(part.inside(&field)?, resource, fault.as_deref(), limits)?;
            }
        }
        Ok(())
    }

    fn scan_scope(
        &mut self,
        part: Part<'_>,
        resource: u32,
        resource_fault: Option<&str>,
        limits: &Limits,
    ) -> Result<(), ScanError> {
        self.check_groups(limits)?;
        let (header, fault) = self.header(part, &schema::SCOPE_SPANS, limits)?;
        let fault = resource_fault.or(fault.as_deref());
        let scope = self.scopes.len() as u32;
        self.scopes.push(ScopeRef { resource, header });
        for field in Fields::new(part.bytes) {
            let field = field?;
            if field.number != 2 {
                continue;
            }
            let span = part.inside(&field)?;
            self.total += 1;
            if self.total > limits.max_spans {
                return Err(ScanError::TooManySpans { limit: limits.max_spans });
            }
            match fault {
                Some(fault) => self.reject(|| fault.to_owned()),
                None => self.scan_span(span, scope, limits)?,
            }
        }
        Ok(())
    }

    /// An empty scope is two bytes on the wire, and many more here.
    fn check_groups(&self, limits: &Limits) -> Result<(), ScanError> {
        match self.resources.len() + self.scopes.len() < limits.max_spans {
            true => Ok(()),
            false => Err(ScanError::TooManyScopes { limit: limits.max_spans }),
        }
    }

    /// The ranges of all fields but number 2, and why the spans below can't be accepted, if so.
    fn header(
        &mut self,
        part: Part<'_>,
        schema: &schema::Message,
        limits: &Limits,
    ) -> Result<(Header, Option<String>), ScanError> {
        let first = self.ranges.len();
        let (mut len, mut fault) = (0, None);
        for field in Fields::new(part.bytes) {
            let field = field?;
            if field.number == 2 {
                continue;
            }
            match schema.check_field(&field, limits.levels()) {
                Ok(()) => {}
                Err(Malformed::Wire(error)) => return Err(error.into()),
                Err(Malformed::TooDeep) => fault = Some(too_deep(limits)),
                Err(Malformed::NotText) => fault = Some(NOT_TEXT.to_owned()),
            }
            let (start, end) = ((part.at + field.start) as u32, (part.at + field.end) as u32);
            len += end - start;
            match self.ranges[first..].last_mut() {
                Some(last) if last.1 == start => last.1 = end,
                _ => self.ranges.push((start, end)),
            }
        }
        if len as usize > limits.max_header_bytes {
            let limit = limits.max_header_bytes;
            fault = Some(format!("a resource or scope of {len} bytes exceeds {limit}"));
        }
        let count = (self.ranges.len() - first) as u32;
        Ok((Header { first: first as u32, count, len }, fault))
    }

    fn scan_span(&mut self, part: Part<'_>, scope: u32, limits: &Limits) -> Result<(), ScanError> {
        let (mut trace_id, mut span_id): (&[u8], &[u8]) = (&[], &[]);
        let mut parent: &[u8] = &[];
        let (mut deep, mut garbled) = (false, false);
        for field in Fields::new(part.bytes) {
            let field = field?;
            match (field.number, field.value) {
                (1, Wire::Len(id)) => trace_id = id,
                (2, Wire::Len(id)) => span_id = id,
                (4, Wire::Len(id)) => parent = id,
                _ if limits.check_inside => match schema::SPAN.check_field(&field, limits.levels())
                {
                    Ok(()) => {}
                    Err(Malformed::Wire(error)) => return Err(error.into()),
                    Err(Malformed::TooDeep) => deep = true,
                    Err(Malformed::NotText) => garbled = true,
                },
                _ => {}
            }
        }
        let size = part.bytes.len();
        let id = TraceId::from_bytes(trace_id).filter(|id| !id.is_zero());
        let Some(trace_id) = id else {
            self.reject(|| "trace_id must be 16 non-zero bytes".to_owned());
            return Ok(());
        };
        if SpanId::from_bytes(span_id).is_none_or(|id| id.0 == [0; 8]) {
            self.reject(|| "span_id must be 8 non-zero bytes".to_owned());
        } else if !matches!(parent.len(), 0 | 8) {
            self.reject(|| "parent_span_id must be empty or 8 bytes".to_owned());
        } else if size > limits.max_span_bytes {
            let limit = limits.max_span_bytes;
            self.reject(|| format!("span of {size} bytes exceeds max_span_bytes {limit}"));
        } else if deep {
            self.reject(|| too_deep(limits));
        } else if garbled {
            self.reject(|| NOT_TEXT.to_owned());
        } else {
            let (start, end) = (part.at as u32, (part.at + size) as u32);
            let root = parent.iter().all(|byte| *byte == 0);
            self.spans.push(SpanRef { trace_id, start, end, scope, root });
        }
        Ok(())
    }

    fn reject(&mut self, reason: impl FnOnce() -> String) {
        self.rejected.spans += 1;
        if self.rejected.reason.is_none() {
            self.rejected.reason = Some(reason());
        }
    }
}

fn too_deep(limits: &Limits) -> String {
    format!("attribute nesting > {}", limits.max_depth)
}

// === impl Part ===

impl<'a> Part<'a> {
    /// The message in a field of this one.
    #[inline]
    fn inside(self, field: &Field<'a>) -> Result<Part<'a>, WireError> {
        match field.value {
            Wire::Len(bytes) => Ok(Part { bytes, at: self.at + field.end - bytes.len() }),
            other => Err(WireError::WireType(other.wire_type())),
        }
    }
}
