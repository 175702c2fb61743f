//! What a request is answered, and the one place that says which code that is on the wire.
//!
//! Source of the codes: the OTLP specification's "Failures" sections. A permanent error must be a
//! code that clients do not retry; an overload must be one that they do.

use std::time::Duration;

/// The outcome of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// All of its spans are held.
    Held,
    /// All but `rejected` spans are held; those are bad for good and must not be sent again.
    Partial {
        /// How many.
        rejected: u64,
        /// Why, for the first of them.
        message: String,
    },
    /// None of its spans is held.
    Refused(Refusal),
}

/// Why a request was refused and when to send it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Says whether the client may send it again.
    pub code: Code,
    /// For a person: what happened and what to do.
    pub message: String,
    /// The least time before the next try; the retryable codes get one second if there is none.
    pub retry_after: Option<Duration>,
}

/// The reasons for a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request is bad and stays bad.
    InvalidArgument,
    /// The request is larger than the limits allow.
    TooLarge,
    /// Not now: overload, draining, or nobody to hold it. Retried.
    Unavailable,
    /// Over a quota. Retried.
    ResourceExhausted,
    /// Its outcome did not become known in time. Retried.
    DeadlineExceeded,
    /// The client took too long to send its body.
    RequestTimeout,
    /// No such service or method.
    Unimplemented,
    /// There is no such thing.
    NotFound,
    /// Nobody we know: the scheme to use, as `WWW-Authenticate` names it.
    Unauthenticated(&'static str),
    /// A fault of ours.
    Internal,
}

const DEFAULT_RETRY: Duration = Duration::from_secs(1);

// === impl Refusal ===

impl Refusal {
    /// A refusal with the code's default retry hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// The hint to send: only for codes that are retried with one.
    pub(super) fn retry_hint(&self) -> Option<Duration> {
        let hinted = matches!(self.code, Code::Unavailable | Code::ResourceExhausted);
        hinted.then(|| self.retry_after.unwrap_or(DEFAULT_RETRY))
    }

    /// The hint as `Retry-After`: whole seconds, rounded up, at least one.
    pub(super) fn retry_seconds(&self) -> Option<u64> {
        let hint = self.retry_hint()?;
        let part = u64::from(hint.subsec_nanos() > 0);
        Some(hint.as_secs().saturating_add(part).max(1))
    }
}

// === impl Code ===

impl Code {
    /// The gRPC status code.
    pub fn grpc(self) -> u32 {
        match self {
            Self::InvalidArgument | Self::TooLarge => 3,
            Self::DeadlineExceeded | Self::RequestTimeout => 4,
            Self::NotFound => 5,
            Self::ResourceExhausted => 8,
            Self::Unimplemented => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
            Self::Unauthenticated(_) => 16,
        }
    }

    /// The HTTP status.
    pub fn http(self) -> u16 {
        match self {
            Self::InvalidArgument => 400,
            Self::Unauthenticated(_) => 401,
            Self::Unimplemented | Self::NotFound => 404,
            Self::RequestTimeout => 408,
            Self::TooLarge => 413,
            Self::ResourceExhausted => 429,
            Self::Internal => 500,
            // Not 504: the collector answers 503, and clients treat both alike.
            Self::DeadlineExceeded | Self::Unavailable => 503,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's retryable codes.
    const GRPC_RETRYABLE: [u32; 6] = [1, 4, 10, 11, 14, 15];
    const HTTP_RETRYABLE: [u16; 4] = [429, 502, 503, 504];

    #[test]
    fn every_code_on_both_wires() {
        // code, grpc, http, has a retry hint
        let table = [
            (Code::InvalidArgument, 3, 400, false),
            (Code::TooLarge, 3, 413, false),
            (Code::Unavailable, 14, 503, true),
            (Code::ResourceExhausted, 8, 429, true),
            (Code::DeadlineExceeded, 4, 503, false),
            (Code::RequestTimeout, 4, 408, false),
            (Code::Unimplemented, 12, 404, false),
            (Code::NotFound, 5, 404, false),
            (Code::Unauthenticated("Bearer"), 16, 401, false),
            (Code::Internal, 13, 500, false),
        ];
        for (code, grpc, http, hint) in table {
            let refusal = Refusal::new(code, "");
            assert_eq!((code.grpc(), code.http()), (grpc, http), "{code:?}");
            assert_eq!(refusal.retry_hint().is_some(), hint, "{code:?}");
            // RESOURCE_EXHAUSTED is retried because it carries a hint.
            let grpc_retried = GRPC_RETRYABLE.contains(&grpc) || (grpc == 8 && hint);
            if code != Code::RequestTimeout {
                assert_eq!(grpc_retried, HTTP_RETRYABLE.contains(&http), "{code:?}");
            }
        }
    }

    #[test]
    fn retry_after_is_whole_seconds_and_at_least_one() {
        let after = |ms| Refusal {
            retry_after: Some(Duration::from_millis(ms)),
            ..Refusal::new(Code::Unavailable, "")
        };
        let seconds = |ms| after(ms).retry_seconds();
        assert_eq!(seconds(0), Some(1));
        assert_eq!(seconds(1_000), Some(1));
        assert_eq!(seconds(1_001), Some(2));
        assert_eq!(Refusal::new(Code::Internal, "").retry_seconds(), None);
    }
}
