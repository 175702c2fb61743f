//! What an OTLP/HTTP server answered.

use super::Exported;
use super::error::SendError;
use crate::clock::Clock;
use crate::receive::status;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use std::time::{Duration, UNIX_EPOCH};

/// Of an answer that is neither protobuf nor JSON, such as a proxy's page.
const SHOWN: usize = 200;

fn is(headers: &HeaderMap, kind: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|found| found.trim().eq_ignore_ascii_case(kind))
}

/// A success, and what it says of spans that were not taken.
pub(super) fn exported(headers: &HeaderMap, body: &[u8]) -> Exported {
    if !is(headers, "application/json") {
        let (rejected, message) = status::partial_success(body);
        return Exported { rejected, message };
    }
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let partial = &answer["partialSuccess"];
    // A 64-bit number is a text in protobuf's JSON; some write a number all the same.
    let rejected = &partial["rejectedSpans"];
    let text = rejected.as_str().and_then(|text| text.parse().ok());
    let message = partial["errorMessage"].as_str().unwrap_or_default().to_owned();
    Exported { rejected: rejected.as_u64().or(text).unwrap_or(0), message }
}

/// A failure.
pub(super) fn failure(
    code: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    clock: &dyn Clock,
) -> SendError {
    let text = if is(headers, "application/json") {
        let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        answer["message"].as_str().unwrap_or_default().to_owned()
    } else if is(headers, "application/x-protobuf") {
        status::message(body)
    } else {
        let text = String::from_utf8_lossy(body);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let text: String = text.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    SendError::from_http(code, &text, retry_after(headers, clock))
}

/// `Retry-After`: seconds or a date (RFC 9110, 10.2.3).
pub fn retry_after(headers: &HeaderMap, clock: &dyn Clock) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(then.saturating_sub(Duration::from_nanos(clock.unix_ns())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::clock::ManualClock;

    /// 1994-11-06 08:49:37 UTC, the date of RFC 9110's examples.
    const THEN: u64 = 784_111_777;

    fn headers(kind: &str, after: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        if let Some(after) = after {
            headers.insert(RETRY_AFTER, after.parse().unwrap());
        }
        headers
    }

    fn failed(code: u16, kind: &str, body: &[u8], after: Option<&str>) -> SendError {
        let clock = ManualClock::new((THEN - 30) * 1_000_000_000);
        failure(code.try_into().unwrap(), &headers(kind, after), body, &clock)
    }

    #[test]
    fn the_retryable_codes() {
        for code in (300..600).filter(|code| StatusCode::from_u16(*code).is_ok()) {
            let error = failed(code, "text/plain", b"", Some("7"));
            let retryable = [429, 502, 503, 504].contains(&code);
            assert_eq!(error.retryable, retryable, "{code}");
            assert_eq!(error.retry_after, retryable.then_some(Duration::from_secs(7)), "{code}");
            assert_eq!(error.too_large, code == 413, "{code}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let after = |text| failed(503, "text/plain", b"", Some(text)).retry_after;
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(after("120"), seconds(120));
        assert_eq!(after("0"), seconds(0));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), seconds(30));
        assert_eq!(after("Sunday, 06-Nov-94 08:49:37 GMT"), seconds(30));
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), seconds(0), "it is past");
        assert_eq!(after("Sat, 06 Nov 2094 08:00:00 GMT"), seconds(3600), "not that long");
        assert_eq!(after("99999999"), seconds(3600), "not that long");
        assert_eq!(after("-5"), None);
        assert_eq!(after("soon"), None);
    }

    #[test]
    fn the_message_is_found_in_every_form() {
        let said = |kind, body: &[u8]| failed(400, kind, body, None).message;
        let proto = status::encode(3, "bad span", None);
        assert!(said("application/x-protobuf", &proto).ends_with("bad span"));
        assert!(
            said("application/json", br#"{"code":3,"message":"bad span"}"#).ends_with("bad span")
        );
        let page = b"<html>\n  no\x07 such   page" as &[u8];
        assert!(said("text/html; charset=x", page).ends_with("<html> no such page"));
        assert!(said("text/plain", &[b'x'; 9999]).len() < 300);
        assert!(failed(400, "text/plain", b"http: request body too large", None).too_large);
    }

    #[test]
    fn partial_success_in_protobuf_and_json() {
        let some = |rejected| Exported { rejected, message: "too deep".to_owned() };
        let proto = status::encode_partial(7, "too deep");
        assert_eq!(exported(&headers("application/x-protobuf", None), &proto), some(7));
        let json = headers("application/json; charset=utf-8", None);
        for number in ["7", "\"7\""] {
            let text = format!(
                "{{\"partialSuccess\":{{\"rejectedSpans\":{number},\"errorMessage\":\"too deep\"}}}}"
            );
            assert_eq!(exported(&json, text.as_bytes()), some(7));
        }
        for nothing in ["", "{}", "{\"partialSuccess\":{}}", "no json"] {
            assert_eq!(exported(&json, nothing.as_bytes()), Exported::default());
        }
    }
}
