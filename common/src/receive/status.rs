//! `google.rpc.Status`, in protobuf and JSON, and the percent encoding of `grpc-message`, both ways.
//!
//! Sources: google/rpc/status.proto, error_details.proto; the gRPC over HTTP/2 protocol's
//! "Responses" section.

use std::time::Duration;
use tailgate_proto::wire::{Fields, Wire, put_len, put_varint};

const RETRY_INFO: &[u8] = b"type.googleapis.com/google.rpc.RetryInfo";

/// A status as bytes, with a RetryInfo if there is a delay.
pub(crate) fn encode(code: u32, message: &str, retry: Option<Duration>) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 80);
    put_number(&mut out, 1, u64::from(code));
    put_len(&mut out, 2, message.as_bytes());
    if let Some(delay) = retry {
        let mut duration = Vec::new();
        put_number(&mut duration, 1, delay.as_secs());
        put_number(&mut duration, 2, u64::from(delay.subsec_nanos()));
        let mut retry_info = Vec::new();
        put_len(&mut retry_info, 1, &duration);
        let mut any = Vec::new();
        put_len(&mut any, 1, RETRY_INFO);
        put_len(&mut any, 2, &retry_info);
        put_len(&mut out, 3, &any);
    }
    out
}

/// The RetryInfo's delay of a status, if it has one; a negative delay is none.
pub(crate) fn retry_delay(status: &[u8]) -> Option<Duration> {
    lens(status, 3).find_map(|any| {
        let is_retry = lens(any, 1).next().is_some_and(|url| url == RETRY_INFO);
        let info = lens(any, 2).next().filter(|_| is_retry)?;
        let duration = lens(info, 1).next().unwrap_or_default();
        let seconds = i64::try_from(number(duration, 1)).ok()?;
        let nanos = u32::try_from(number(duration, 2)).ok().filter(|n| *n < 1_000_000_000)?;
        // `try_from` above has refused negatives, which are varints over i64::MAX.
        Some(Duration::new(u64::try_from(seconds).ok()?, nanos))
    })
}

/// A status' message; empty if there is none.
pub(crate) fn message(status: &[u8]) -> String {
    let found = lens(status, 2).last().unwrap_or_default();
    String::from_utf8_lossy(found).into_owned()
}

/// `partial_success` of an `ExportTraceServiceResponse`: rejected spans and message.
pub(crate) fn partial_success(response: &[u8]) -> (u64, String) {
    let partial = lens(response, 1).last().unwrap_or_default();
    let message = lens(partial, 2).last().unwrap_or_default();
    (number(partial, 1), String::from_utf8_lossy(message).into_owned())
}

/// An `ExportTraceServiceResponse` that says how many spans were rejected.
pub(crate) fn encode_partial(rejected: u64, message: &str) -> Vec<u8> {
    let mut partial = Vec::with_capacity(message.len() + 16);
    put_number(&mut partial, 1, rejected);
    put_len(&mut partial, 2, message.as_bytes());
    let mut out = Vec::with_capacity(partial.len() + 4);
    put_len(&mut out, 1, &partial);
    out
}

/// A status in JSON, with a RetryInfo if there is a delay (protobuf's JSON mapping of `Any`).
pub(crate) fn encode_json(code: u32, message: &str, retry: Option<Duration>) -> Vec<u8> {
    let mut status = serde_json::json!({ "code": code, "message": message });
    if let Some(delay) = retry {
        let delay = format!("{}s", delay.as_secs_f64());
        let url = String::from_utf8_lossy(RETRY_INFO);
        status["details"] = serde_json::json!([{ "@type": url, "retryDelay": delay }]);
    }
    status.to_string().into_bytes()
}

/// An `ExportTraceServiceResponse` in JSON.
pub(crate) fn encode_partial_json(rejected: u64, message: &str) -> Vec<u8> {
    let partial =
        serde_json::json!({ "rejectedSpans": rejected.to_string(), "errorMessage": message });
    serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes()
}

/// `grpc-message`: printable ASCII but `%` stays, every other byte becomes `%XX`.
pub(crate) fn percent_encode(message: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b'%' | ..=0x1f | 0x7f.. => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
            _ => out.push(char::from(byte)),
        }
    }
    out
}

/// The other way; what is not an escape stays as it is.
pub(crate) fn percent_decode(message: &[u8]) -> String {
    let mut out = Vec::with_capacity(message.len());
    let mut rest = message;
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                out.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = after;
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        put_varint(out, u64::from(number) << 3);
        put_varint(out, value);
    }
}

fn lens(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    Fields::new(message).map_while(Result::ok).filter_map(move |field| match field.value {
        Wire::Len(bytes) if field.number == number => Some(bytes),
        _ => None,
    })
}

fn number(message: &[u8], number: u32) -> u64 {
    let found = Fields::new(message).map_while(Result::ok).filter_map(|field| match field.value {
        Wire::Varint(value) if field.number == number => Some(value),
        _ => None,
    });
    found.last().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    use prost::Message;

    #[test]
    fn the_delay_survives() {
        let delay = Duration::new(3, 500);
        assert_eq!(retry_delay(&encode(14, "later", Some(delay))), Some(delay));
        assert_eq!(retry_delay(&encode(14, "later", Some(Duration::ZERO))), Some(Duration::ZERO));
        assert_eq!(retry_delay(&encode(14, "later", None)), None);
    }

    #[test]
    fn a_negative_or_broken_delay_is_none() {
        let good = encode(14, "x", Some(Duration::from_secs(1)));
        for cut in 0..good.len() {
            let _ = retry_delay(&good[..cut]);
        }
        let mut info = vec![0x08];
        put_varint(&mut info, (-5i64) as u64);
        let (mut retry, mut any, mut status) = (Vec::new(), Vec::new(), Vec::new());
        put_len(&mut retry, 1, &info);
        put_len(&mut any, 1, RETRY_INFO);
        put_len(&mut any, 2, &retry);
        put_len(&mut status, 3, &any);
        assert_eq!(retry_delay(&status), None);
    }

    #[test]
    fn the_partial_reply_is_what_prost_reads() {
        let bytes = encode_partial(7, "too deep");
        let partial = ExportTraceServiceResponse::decode(&bytes[..]).unwrap().partial_success;
        let partial = partial.unwrap();
        assert_eq!((partial.rejected_spans, &*partial.error_message), (7, "too deep"));
        assert_eq!(partial_success(&bytes), (7, "too deep".to_owned()));
        assert_eq!(partial_success(&[]), (0, String::new()));
    }

    #[test]
    fn messages_survive_percent_encoding() {
        for message in ["plain", "100 %", "na\u{ef}ve\nline\u{0}", "%41", ""] {
            let encoded = percent_encode(message);
            assert!(encoded.bytes().all(|b| (0x20..0x7f).contains(&b)), "{encoded}");
            assert_eq!(percent_decode(encoded.as_bytes()), message);
        }
        assert_eq!(percent_decode(b"50% off %4"), "50% off %4");
    }
}
