//! What an answer means to an OTLP client, by the rules of the OTLP specification: which codes may
//! be sent again, and after what time.

use crate::wire::{Fields, Value};
use std::time::Duration;
use tonic::{Code, Status};

/// The meaning of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Success; with `partial_success.rejected_spans`.
    Ok {
        /// How many spans of the request were not taken.
        rejected: u64,
    },
    /// The server said no. `retry`: may be sent again, after the time told, if any was.
    Refused {
        /// Code and message.
        reason: String,
        /// `None`: permanent; `Some(None)`: retryable, the client chooses when.
        retry: Option<Option<Duration>>,
    },
    /// No answer: the request may have arrived or not.
    NoAnswer {
        /// What was seen instead.
        reason: String,
    },
}

// === impl Verdict ===

impl Verdict {
    /// From an ExportTraceServiceResponse.
    pub(super) fn of_response(body: &[u8]) -> Self {
        // partial_success = 1 { rejected_spans = 1 }
        let number = |message, wanted| {
            Fields::new(message).flatten().find_map(|(n, value)| match value {
                Value::Number(v) if n == wanted => Some(v),
                _ => None,
            })
        };
        let rejected = bytes(body, 1).and_then(|partial| number(partial, 1)).unwrap_or(0);
        Verdict::Ok { rejected }
    }

    /// From a gRPC status that is not OK.
    pub(super) fn of_status(status: &Status) -> Self {
        let reason = format!("{:?}: {}", status.code(), status.message());
        if std::error::Error::source(status).is_some() || status.code() == Code::Cancelled {
            // Made here, by the transport or a deadline of ours; not an answer.
            return Verdict::NoAnswer { reason };
        }
        let told = retry_info(status.details());
        let retryable = match status.code() {
            Code::ResourceExhausted => told.is_some(),
            Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => true,
            _ => false,
        };
        Verdict::Refused { reason, retry: retryable.then_some(told) }
    }

    /// From an HTTP status other than 200.
    pub(super) fn of_http(status: u16, retry_after: Option<&str>, message: &str) -> Self {
        let reason = format!("{status}: {message}");
        let told = retry_after.and_then(|s| s.trim().parse().ok()).map(Duration::from_secs);
        let retryable = matches!(status, 429 | 502 | 503 | 504);
        Verdict::Refused { reason, retry: retryable.then_some(told) }
    }
}

/// The delay of a RetryInfo among the details of a google.rpc.Status.
fn retry_info(status: &[u8]) -> Option<Duration> {
    // Status.details = 3 (Any); Any.type_url = 1, value = 2; RetryInfo.retry_delay = 1.
    Fields::new(status).flatten().find_map(|(n, value)| match value {
        Value::Bytes(any) if n == 3 && bytes(any, 1)?.ends_with(b"/google.rpc.RetryInfo") => {
            let delay = bytes(bytes(any, 2)?, 1).unwrap_or_default();
            let (mut secs, mut nanos) = (0, 0);
            for field in Fields::new(delay).flatten() {
                match field {
                    (1, Value::Number(n)) => secs = n,
                    (2, Value::Number(n)) => nanos = n as u32,
                    _ => {}
                }
            }
            Some(Duration::from_secs(secs) + Duration::from_nanos(u64::from(nanos)))
        }
        _ => None,
    })
}

fn bytes(message: &[u8], wanted: u64) -> Option<&[u8]> {
    Fields::new(message).flatten().find_map(|(n, value)| match value {
        Value::Bytes(b) if n == wanted => Some(b),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exhausted_with_retry_info() -> Status {
        let mut any = vec![0x0a, 40];
        any.extend_from_slice(b"type.googleapis.com/google.rpc.RetryInfo");
        // retry_delay { seconds: 2, nanos: 5 }
        any.extend_from_slice(&[0x12, 6, 0x0a, 4, 0x08, 2, 0x10, 5]);
        let mut details = vec![0x08, 8, 0x1a, any.len() as u8];
        details.extend_from_slice(&any);
        Status::with_details(Code::ResourceExhausted, "full", details.into())
    }

    #[test]
    fn codes_mean_what_the_specification_says() {
        let retry = |status: &Status| match Verdict::of_status(status) {
            Verdict::Refused { retry, .. } => retry,
            other => panic!("{other:?}"),
        };
        let told = Duration::from_secs(2) + Duration::from_nanos(5);
        assert_eq!(retry(&exhausted_with_retry_info()), Some(Some(told)));
        assert_eq!(retry(&Status::resource_exhausted("")), None);
        assert_eq!(retry(&Status::unavailable("")), Some(None));
        assert_eq!(retry(&Status::out_of_range("")), Some(None));
        assert_eq!(retry(&Status::invalid_argument("")), None);
        assert_eq!(retry(&Status::unimplemented("")), None);
        let http = Verdict::of_http(503, Some("3"), "x");
        let told = Some(Some(Duration::from_secs(3)));
        assert_eq!(http, Verdict::Refused { reason: "503: x".into(), retry: told });
        let http = Verdict::of_http(400, None, "x");
        assert_eq!(http, Verdict::Refused { reason: "400: x".into(), retry: None });
    }

    #[test]
    fn a_partial_success_is_read() {
        assert_eq!(Verdict::of_response(&[]), Verdict::Ok { rejected: 0 });
        assert_eq!(Verdict::of_response(&[0x0a, 2, 0x08, 7]), Verdict::Ok { rejected: 7 });
    }
}
