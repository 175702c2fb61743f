//! What went wrong, and whether sending again can help.
//!
//! Source of the rule: the OTLP specification, "OTLP/gRPC Response", "Failures".

use super::compress::Compression;
use crate::receive::status;
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, StatusCode};
use hyper_util::client::legacy;
use std::error::Error;
use std::io;
use std::iter::successors;
use std::time::Duration;

/// A request that was not taken in, or whose outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("code {code}: {message}")]
pub struct SendError {
    /// Sending the same bytes again may help.
    pub retryable: bool,
    /// The server asks not to be tried again before; an hour at most.
    pub retry_after: Option<Duration>,
    /// It was more than the server takes at once; less of it may be taken.
    pub too_large: bool,
    /// What the server said, or what happened here.
    pub message: String,
    /// The gRPC status code.
    pub code: u32,
}

/// No answer over HTTP.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// There are no credentials, for this reason.
    #[error("the request cannot be signed: {0}")]
    NotSigned(String),
    /// Neither connection nor answer within this.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// No connection, or it broke before the answer.
    #[error("{}", explain(.0))]
    Unreachable(#[from] legacy::Error),
}

/// Settings that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Not `host:port`.
    #[error("endpoint {0:?} is not host:port")]
    Endpoint(String),
    /// Neither a DNS name nor an address.
    #[error("{0:?} is not a server name")]
    ServerName(String),
    /// A header's name or value has characters that headers can't have.
    #[error("header {0:?} is not a valid HTTP header")]
    Header(String),
    /// Not an `http` or `https` URL.
    #[error("{0:?} is not a URL that begins with http:// or https://")]
    Url(String),
    /// What `proxy_url` or a variable of the environment has.
    #[error("{0} is not the URL of an HTTP proxy; write http://host:port")]
    Proxy(&'static str),
    /// gRPC does not have it.
    #[error("compression {0:?} is not for gRPC; use gzip, snappy or zstd")]
    Compression(Compression),
}

const INVALID_ARGUMENT: u32 = 3;
const DEADLINE_EXCEEDED: u32 = 4;
const PERMISSION_DENIED: u32 = 7;
const RESOURCE_EXHAUSTED: u32 = 8;
const OUT_OF_RANGE: u32 = 11;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;
const UNAUTHENTICATED: u32 = 16;

/// Whatever the server says, it is asked again after this: what waits takes room.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// How servers say that a message is too large; there is no code for it. In this order: grpc-go,
/// C++, Python and Node; Java; .NET; tonic; the collector over HTTP.
const TOO_LARGE: [&str; 5] = [
    "larger than max",
    "exceeds maximum size",
    "exceeds the maximum",
    "message length too large",
    "request body too large",
];

fn says_too_large(message: &str) -> bool {
    TOO_LARGE.iter().any(|words| message.contains(words))
}

/// `-bin` headers come with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An error and all its causes.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    successors(Some(error), |error| (*error).source())
}

/// An error's text and those of all its causes.
fn explain(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<_> = causes(error).map(ToString::to_string).collect();
    texts.join(": ")
}

/// Whether hyper dropped the request before a byte of it was written.
pub(super) fn was_never_sent(error: &(dyn Error + 'static)) -> bool {
    causes(error)
        .filter_map(|error| error.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_canceled)
}

// === impl SendError ===

impl SendError {
    /// The server does not take our credentials, or they have no right to this. By the OTLP
    /// specification that is no reason to send again as it is; but with other credentials it is.
    pub fn is_denied(&self) -> bool {
        matches!(self.code, PERMISSION_DENIED | UNAUTHENTICATED)
    }

    fn new(code: u32, message: String, retry_after: Option<Duration>) -> Self {
        let too_large =
            matches!(code, RESOURCE_EXHAUSTED | OUT_OF_RANGE) && says_too_large(&message);
        let retryable = match code {
            _ if too_large => false,
            // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
            1 | 4 | 10 | OUT_OF_RANGE | 14 | 15 => true,
            RESOURCE_EXHAUSTED => retry_after.is_some(),
            _ => false,
        };
        let retry_after = retry_after.filter(|_| retryable).map(|after| after.min(LONGEST_WAIT));
        Self { retryable, retry_after, too_large, message, code }
    }

    /// From headers or trailers: `None` is success or no status; `Err` is a broken status.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, Self> {
        let Some(code) = headers.get("grpc-status") else { return Ok(None) };
        let code = code.to_str().ok().and_then(|code| code.parse().ok());
        let code: u32 = code.ok_or_else(|| Self::bad_response("grpc-status is not a number"))?;
        if code == 0 {
            return Ok(None);
        }
        let message = headers.get("grpc-message").map(|m| status::percent_decode(m.as_bytes()));
        let details = headers.get("grpc-status-details-bin");
        let details = details.and_then(|d| BASE64.decode(d.as_bytes()).ok());
        let delay = details.and_then(|d| status::retry_delay(&d));
        Ok(Some(Self::new(code, message.unwrap_or_default(), delay)))
    }

    /// An answer by a status of HTTP. Source of the table: gRPC's http-grpc-status-mapping.md; the
    /// codes that are worth a retry are those of OTLP/HTTP.
    pub(super) fn from_http(status: StatusCode, text: &str, after: Option<Duration>) -> Self {
        let code = match status.as_u16() {
            400 => INTERNAL,
            401 => UNAUTHENTICATED,
            403 => PERMISSION_DENIED,
            404 => 12,
            429 | 502 | 503 | 504 => UNAVAILABLE,
            _ => 2,
        };
        let colon = if text.is_empty() { "" } else { ": " };
        let too_large = status == StatusCode::PAYLOAD_TOO_LARGE
            || (status == StatusCode::BAD_REQUEST && says_too_large(text));
        let message = format!("the server answered HTTP {status}{colon}{text}");
        Self { too_large, ..Self::new(code, message, after) }
    }

    /// No connection, or it broke before the answer.
    pub(super) fn unreachable(error: &(dyn Error + 'static)) -> Self {
        Self::new(UNAVAILABLE, explain(error), None)
    }

    /// Over HTTP. Credentials that are not there may come.
    pub(super) fn unanswered(error: PostError) -> Self {
        let code = match error {
            PostError::TimedOut(_) => DEADLINE_EXCEEDED,
            PostError::NotSigned(_) | PostError::Unreachable(_) => UNAVAILABLE,
        };
        Self::new(code, error.to_string(), None)
    }

    pub(super) fn timed_out(within: Duration) -> Self {
        Self::unanswered(PostError::TimedOut(within))
    }

    pub(super) fn bad_response(what: &str) -> Self {
        Self::new(INTERNAL, format!("not a gRPC response: {what}"), None)
    }

    /// The stream ended in order but without a status: the server went away.
    pub(super) fn no_status() -> Self {
        Self::new(UNAVAILABLE, "the response ended without a status".to_owned(), None)
    }

    /// The server says beforehand how much it takes.
    pub(super) fn over(bytes: usize, most: usize) -> Self {
        let message = format!("{bytes} bytes are more than the server takes, {most}");
        Self { too_large: true, ..Self::new(INVALID_ARGUMENT, message, None) }
    }

    pub(super) fn not_sendable(error: &dyn Error) -> Self {
        Self::new(INVALID_ARGUMENT, format!("the request cannot be sent: {error}"), None)
    }
}

// === impl PostError ===

impl PostError {
    /// Nobody listens there.
    pub fn is_refused(&self) -> bool {
        let Self::Unreachable(error) = self else { return false };
        causes(error)
            .filter_map(|error| error.downcast_ref::<io::Error>())
            .any(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_retryable_table() {
        let second = Some(Duration::from_secs(1));
        for code in 1..=17 {
            let always = [1, 4, 10, 11, 14, 15].contains(&code);
            let bare = SendError::new(code, String::new(), None);
            let told = SendError::new(code, String::new(), second);
            assert_eq!(bare.retryable, always, "{code}");
            assert_eq!(told.retryable, always || code == RESOURCE_EXHAUSTED, "{code}");
            assert_eq!(told.retry_after.is_some(), told.retryable, "{code}");
        }
    }

    #[test]
    fn credentials_that_are_not_taken_are_told_from_the_rest() {
        for status in 400..600 {
            let status = StatusCode::from_u16(status).unwrap();
            let error = SendError::from_http(status, "", None);
            assert_eq!(error.is_denied(), [401, 403].contains(&status.as_u16()), "{status}");
            assert!(!(error.is_denied() && error.retryable), "{status}");
        }
        let denied = |code| SendError::new(code, String::new(), None).is_denied();
        assert!((1..=17).all(|code| denied(code) == [7, 16].contains(&code)));
    }

    #[test]
    fn a_message_too_large_is_not_sent_again_as_it_is() {
        for (code, text) in [
            (8, "grpc: received message larger than max (5242880 vs. 4194304)"),
            (8, "grpc: message after decompression larger than max 4194304"),
            (8, "CLIENT: Received message larger than max (5 vs. 4)"),
            (8, "gRPC message exceeds maximum size 4194304: 5000000"),
            (8, "Received message exceeds the maximum configured message size."),
            (11, "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes"),
        ] {
            let error = SendError::new(code, text.to_owned(), None);
            assert!(error.too_large && !error.retryable, "{text}");
        }
        let quota = SendError::new(8, "quota".to_owned(), Some(Duration::from_secs(9999)));
        assert!(quota.retryable && !quota.too_large);
        assert_eq!(quota.retry_after, Some(LONGEST_WAIT));
        assert!(!SendError::new(13, TOO_LARGE[0].to_owned(), None).too_large);
    }

    #[test]
    fn details_are_read_with_and_without_padding() {
        let details = status::encode(8, "quota", Some(Duration::from_millis(2_500)));
        let engines = [
            base64::engine::general_purpose::STANDARD,
            base64::engine::general_purpose::STANDARD_NO_PAD,
        ];
        for engine in engines {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", "8".parse().unwrap());
            headers.insert("grpc-message", "over%20quota".parse().unwrap());
            headers.insert("grpc-status-details-bin", engine.encode(&details).parse().unwrap());
            let error = SendError::from_headers(&headers).unwrap().unwrap();
            assert_eq!(error.retry_after, Some(Duration::from_millis(2_500)));
            assert_eq!((error.retryable, &*error.message), (true, "over quota"));
        }
    }

    #[test]
    fn success_is_no_error_and_nonsense_is() {
        let mut headers = HeaderMap::new();
        assert_eq!(SendError::from_headers(&headers), Ok(None));
        headers.insert("grpc-status", "0".parse().unwrap());
        assert_eq!(SendError::from_headers(&headers), Ok(None));
        headers.insert("grpc-status", "soon".parse().unwrap());
        assert!(!SendError::from_headers(&headers).unwrap_err().retryable);
    }
}
