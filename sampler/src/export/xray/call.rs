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
    /// The JSON text, UTF-8, as it stands in a call: inside a string.
    pub escaped: Bytes,
    /// How often X-Ray did not take it.
    pub vain: Vain,
}

/// How often something was sent in vain that may be its own fault: for a reason that is not load,
/// and others were accepted since the time before. So an outage of everything counts once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vain {
    times: u32,
    /// Documents that X-Ray had accepted the last time.
    accepted: Option<u64>,
}

/// A call that fails so often is cut: that half of all calls fail is no reason.
const SUSPECT: u32 = 4;
/// What is sent so often in vain will not be taken, though nine of ten be refused in between. With
/// the default pauses these are minutes.
const HOPELESS: u32 = 100;

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
const CODES: [(&str, Reason); 15] = [
    ("InvalidSegment", Reason("xray_invalid_segment")),
    ("InvalidSegmentDocument", Reason("xray_invalid_segment")),
    ("InvalidTraceId", Reason("xray_invalid_trace_id")),
    ("InvalidId", Reason("xray_invalid_id")),
    ("InvalidName", Reason("xray_invalid_name")),
    ("MissingParentId", Reason("xray_missing_field")),
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
/// See [`Vain`].
pub(super) const NOT_TAKEN: Reason = Reason("xray_not_taken");
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

/// Codes of calls that are refused as they are, whoever sends them and when: X-Ray's own, and those
/// of its protocol (AWS restJson1) for a body that cannot be read.
const REFUSED: [&str; 3] =
    ["InvalidRequestException", "SerializationException", "ValidationException"];

/// Every reason for which this exporter loses spans, so that its series are there from the start.
pub fn lost_reasons() -> Vec<Reason> {
    let mut reasons: Vec<_> = CODES.iter().map(|(_, reason)| *reason).collect();
    reasons.extend([OTHER, NOT_TAKEN, Reason("xray_invalid_request"), Reason("xray_no_document")]);
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
    let bytes: usize = documents.iter().map(|document| document.escaped.len() + 3).sum();
    let mut body = Vec::with_capacity(BEGIN.len() + bytes + 2);
    body.extend_from_slice(BEGIN);
    for (n, document) in documents.iter().enumerate() {
        body.extend_from_slice(if n == 0 { b"\"" } else { b",\"" });
        body.extend_from_slice(&document.escaped);
        body.push(b'"');
    }
    body.extend_from_slice(b"]}");
    body.into()
}

/// Whether an error code, of a call or a document, speaks of too much load.
pub(super) fn is_throttle(code: &str) -> bool {
    RETRYABLE[..4].iter().any(|(prefix, _)| code.starts_with(prefix))
}

/// Whether an error code of a call says that sending the same again is useless.
pub(super) fn is_refused(code: &str) -> bool {
    REFUSED.contains(&code)
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
        let at = self.escaped.windows(KEY.len()).position(|key| key == KEY)? + KEY.len();
        self.escaped[at..].split(|&byte| byte == b'\\').next()
    }

    /// The same without the others that were translated with it, which it would keep in memory.
    pub(super) fn apart(mut self) -> Self {
        self.escaped = Bytes::copy_from_slice(&self.escaped);
        self
    }
}

// === impl Vain ===

impl Vain {
    /// Once more; `accepted`: documents that X-Ray has accepted until now.
    pub(super) fn again(&mut self, accepted: u64) {
        if self.accepted.is_some_and(|before| accepted > before) {
            self.times = self.times.saturating_add(1);
        }
        self.accepted = Some(accepted);
    }

    /// It is worth finding out whose fault it is.
    pub(super) fn is_suspect(&self) -> bool {
        self.times >= SUSPECT
    }

    /// It will not be taken.
    pub(super) fn is_hopeless(&self) -> bool {
        self.times >= HOPELESS
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use proptest::prelude::*;
    use prost::Message;
    use serde_json::Value;
    use tailgate_xray::{Documents, Options, Translator};

    use super::*;

    /// Dense in what is escaped, and in what looks like an id.
    const PIECES: [&str; 10] =
        [",", "\"", "\\", "id", "\"id\":\"x\"", ":", "\n", "\u{1}", "a", "\u{e9}\u{1f680}"];

    fn text() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(PIECES.as_slice()), 0..12)
            .prop_map(|pieces| pieces.concat())
    }

    fn attribute(key: &str, text: &str) -> KeyValue {
        let value = Some(any_value::Value::StringValue(text.to_owned()));
        KeyValue { key: key.to_owned(), value: Some(AnyValue { value }), ..KeyValue::default() }
    }

    /// A call of the exporter with a span of each of these names.
    fn documents(names: &[String]) -> Vec<Document> {
        let spans = names.iter().zip(1_u64..).map(|(name, number)| Span {
            trace_id: vec![1; 16],
            span_id: number.to_be_bytes().to_vec(),
            name: "own".to_owned(),
            kind: 3,
            attributes: vec![attribute("peer.service", name), attribute(name, name)],
            ..Span::default()
        });
        let scope = ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() };
        let spans = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        let fragment = ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec();
        let mut made = Documents::default();
        Translator::new(Options::default()).translate(&fragment, &mut || 7, 0, &mut made);
        let document = |document: tailgate_xray::Document<'_>| Document {
            item: 0,
            span: document.span,
            escaped: Bytes::copy_from_slice(document.escaped),
            vain: Vain::default(),
        };
        made.iter().map(document).collect()
    }

    proptest! {
        /// Whoever reads a call gets the documents, and their ids are those that are looked up.
        #[test]
        fn what_a_reader_gets(names in prop::collection::vec(text(), 0..4)) {
            let documents = documents(&names);
            let call: Value = serde_json::from_slice(&body(&documents)).unwrap();
            let texts = call["TraceSegmentDocuments"].as_array().unwrap();
            prop_assert_eq!(texts.len(), names.len());
            for ((text, document), name) in texts.iter().zip(&documents).zip(&names) {
                let read: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
                prop_assert_eq!(&read["name"], if name.is_empty() { "own" } else { name });
                prop_assert_eq!(&read["metadata"]["default"][name], name);
                prop_assert_eq!(read["id"].as_str().map(str::as_bytes), document.id());
            }
        }
    }
}
