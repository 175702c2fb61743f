//! One `PutTraceSegments` call: what goes in, what comes back, what that means.

use std::time::Duration;

use crate::core::outbox::Reason;

/// X-Ray refuses calls with more: "Exceeding maximum segment count: 50".
pub const MAX_CALL_DOCUMENTS: usize = 50;
/// Bytes of documents in a call; X-Ray documents no limit, and takes this.
pub const MAX_CALL_BYTES: usize = 1 << 20;

/// One segment document and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Which item of the batch.
    pub item: usize,
    /// Which span of the item. A split span has two documents.
    pub span: u32,
    /// The JSON text.
    pub text: String,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// X-Ray has all documents but these.
    Taken {
        /// Those that it has not.
        unprocessed: Vec<Unprocessed>,
    },
    /// The call is wrong: sending the same again is useless.
    Refused {
        /// What X-Ray said.
        message: String,
    },
    /// Throttled, not reached, no credentials, no answer: worth another try.
    Failed {
        /// X-Ray said that it gets too much.
        throttled: bool,
        /// It asked for this much patience.
        retry_after: Option<Duration>,
        /// What went wrong.
        message: String,
    },
}

/// An element of `UnprocessedTraceSegments`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unprocessed {
    /// The segment's id; may be missing.
    pub id: Option<String>,
    /// `ErrorCode`.
    pub code: String,
    /// `Message`.
    pub message: String,
}

/// Codes that X-Ray is known to give for a document, with the ledger's reason. It documents none of
/// them, so unknown ones are expected: they are lost as `xray_other`, and logged.
const CODES: [(&str, Reason); 13] = [
    ("InvalidSegment", Reason("xray_invalid_segment")),
    ("InvalidSegmentDocument", Reason("xray_invalid_segment")),
    ("InvalidTraceId", Reason("xray_invalid_trace_id")),
    ("InvalidId", Reason("xray_invalid_id")),
    ("MissingId", Reason("xray_missing_field")),
    ("MissingName", Reason("xray_missing_field")),
    ("MissingTraceId", Reason("xray_missing_field")),
    ("MissingStartTime", Reason("xray_missing_field")),
    ("MissingEndTime", Reason("xray_missing_field")),
    ("ParseError", Reason("xray_parse_error")),
    ("LimitExceeded", Reason("xray_limit_exceeded")),
    ("SegmentTooLarge", Reason("xray_too_large")),
    ("DocumentTooLarge", Reason("xray_too_large")),
];

const OTHER: Reason = Reason("xray_other");

/// Codes after which the same document may be accepted: throttling and failures of the service.
const RETRYABLE: [&str; 11] = [
    "Throttl",
    "TooManyRequests",
    "RequestLimitExceeded",
    "SlowDown",
    "InternalFailure",
    "InternalServerError",
    "InternalError",
    "ServiceUnavailable",
    "ServiceFailure",
    "RequestTimeout",
    "Timeout",
];

/// Every reason for which this exporter loses spans, so that its series are there from the start.
pub fn lost_reasons() -> Vec<Reason> {
    let mut reasons: Vec<_> = CODES.iter().map(|(_, reason)| *reason).collect();
    reasons.extend([OTHER, Reason("xray_invalid_request"), Reason("xray_no_document")]);
    reasons.extend(tailgate_xray::Reason::ALL.map(|reason| Reason(reason.as_str())));
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

/// Whether an error code, of a call or a document, speaks of too much load.
pub(super) fn is_throttle(code: &str) -> bool {
    RETRYABLE[..4].iter().any(|prefix| code.starts_with(prefix))
}

// === impl Document ===

impl Document {
    /// The segment's id: the first `"id"` key. The only one before it is `name`, whose quotes are
    /// escaped.
    pub fn id(&self) -> Option<&str> {
        let at = self.text.find("\"id\":\"")? + 6;
        let id = &self.text[at..];
        id.split('"').next()
    }
}

// === impl Unprocessed ===

impl Unprocessed {
    /// The same document may be accepted later.
    pub fn is_retryable(&self) -> bool {
        RETRYABLE.iter().any(|prefix| self.code.starts_with(prefix))
    }

    /// Under which reason it is lost.
    pub fn reason(&self) -> Reason {
        let known = CODES.iter().find(|(code, _)| *code == self.code);
        known.map_or(OTHER, |(_, reason)| *reason)
    }
}
