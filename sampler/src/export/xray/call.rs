//! One `PutTraceSegments` call: what goes in, what comes back, what that means.

use std::time::Duration;

use bytes::Bytes;

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
    /// The JSON text as it stands in a call, inside a string: escaped.
    pub json: Bytes,
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
        /// Whose fault it is.
        cause: Cause,
        /// How it failed.
        error: CallError,
        /// It asked for this much patience.
        retry_after: Option<Duration>,
        /// What went wrong.
        message: String,
    },
}

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// X-Ray said that it gets too much.
    Throttled,
    /// There are no credentials, or they are not accepted (any more).
    Credentials,
    /// Not reached, no answer, a failure of the service.
    Other,
}

/// How a call failed, as telemetry records count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallError {
    /// Answered with this.
    Http4xx,
    /// Answered with this.
    Http5xx,
    /// Nobody listens there.
    ConnectionRefused,
    /// No answer in time.
    Timeout,
    /// Anything else.
    Other,
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
const OTHER_CODE: &str = "other";

/// Beginnings of codes after which the same document may be accepted, and how they are counted:
/// throttling (the first four) and failures of the service.
const RETRYABLE: [(&str, &str); 11] = [
    ("Throttl", "Throttled"),
    ("TooManyRequests", "Throttled"),
    ("RequestLimitExceeded", "Throttled"),
    ("SlowDown", "Throttled"),
    ("InternalFailure", "InternalFailure"),
    ("InternalServerError", "InternalFailure"),
    ("InternalError", "InternalFailure"),
    ("ServiceUnavailable", "ServiceUnavailable"),
    ("ServiceFailure", "ServiceUnavailable"),
    ("RequestTimeout", "Timeout"),
    ("Timeout", "Timeout"),
];

/// Codes of calls whose signature was not accepted.
const CREDENTIALS: [&str; 11] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
];

/// Every reason for which this exporter loses spans, so that its series are there from the start.
pub fn lost_reasons() -> Vec<Reason> {
    let mut reasons: Vec<_> = CODES.iter().map(|(_, reason)| *reason).collect();
    reasons.extend([OTHER, Reason("xray_invalid_request"), Reason("xray_no_document")]);
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

/// Every label of a code, so that its series is there from the start.
pub fn code_labels() -> Vec<&'static str> {
    let known = CODES.iter().map(|(code, _)| *code);
    let mut labels: Vec<_> = known.chain(RETRYABLE.iter().map(|(_, label)| *label)).collect();
    labels.push(OTHER_CODE);
    labels.sort_unstable();
    labels.dedup();
    labels
}

/// The body of a call with these documents.
pub(super) fn body(documents: &[Document]) -> Bytes {
    const BEGIN: &[u8] = b"{\"TraceSegmentDocuments\":[";
    let bytes: usize = documents.iter().map(|document| document.json.len() + 3).sum();
    let mut body = Vec::with_capacity(BEGIN.len() + bytes + 2);
    body.extend_from_slice(BEGIN);
    for (n, document) in documents.iter().enumerate() {
        body.extend_from_slice(if n == 0 { b"\"" } else { b",\"" });
        body.extend_from_slice(&document.json);
        body.push(b'"');
    }
    body.extend_from_slice(b"]}");
    body.into()
}

/// Whether an error code, of a call or a document, speaks of too much load.
pub(super) fn is_throttle(code: &str) -> bool {
    RETRYABLE[..4].iter().any(|(prefix, _)| code.starts_with(prefix))
}

/// Whether an error code of a call says that other credentials are needed.
pub(super) fn is_credentials(code: &str) -> bool {
    CREDENTIALS.contains(&code)
}

// === impl Document ===

impl Document {
    /// The segment's id: the first `"id"` key. The only one before it is `name`, whose quotes are
    /// escaped twice.
    pub fn id(&self) -> Option<&[u8]> {
        const KEY: &[u8] = b",\\\"id\\\":\\\"";
        let at = self.json.windows(KEY.len()).position(|key| key == KEY)? + KEY.len();
        self.json[at..].split(|&byte| byte == b'\\').next()
    }
}

// === impl CallError ===

impl CallError {
    /// How many there are.
    pub const COUNT: usize = Self::Other as usize + 1;
}

// === impl Unprocessed ===

impl Unprocessed {
    /// The same document may be accepted later.
    pub fn is_retryable(&self) -> bool {
        self.retryable_label().is_some()
    }

    /// Its code for a metric: one of [`code_labels`].
    pub fn label(&self) -> &'static str {
        let known = CODES.iter().find(|(code, _)| *code == self.code).map(|(code, _)| *code);
        self.retryable_label().or(known).unwrap_or(OTHER_CODE)
    }

    fn retryable_label(&self) -> Option<&'static str> {
        let found = RETRYABLE.iter().find(|(prefix, _)| self.code.starts_with(prefix));
        found.map(|(_, label)| *label)
    }

    /// Under which reason it is lost.
    pub fn reason(&self) -> Reason {
        let known = CODES.iter().find(|(code, _)| *code == self.code);
        known.map_or(OTHER, |(_, reason)| *reason)
    }
}
