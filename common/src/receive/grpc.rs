//! OTLP/gRPC: one unary method, framed by hand over the HTTP/2 body.
//!
//! A stock gRPC server reserves a message's memory when its five-byte header comes in and answers
//! an oversized one with OUT_OF_RANGE, which OTLP clients send again and again. Here the length is
//! checked and permitted first, and what can't be mended by a retry is INVALID_ARGUMENT.

use super::body::{BodyReader, too_large};
use super::decompress::{Encoding, unpack};
use super::reply::{Code, Refusal, Reply};
use super::response::ReplyBody;
use super::settings::Shared;
use super::{Ingest, Signal, Transport, health, status};
use crate::limit::Permit;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use std::time::{Duration, Instant};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const OTHER_SIGNALS: &str = "/opentelemetry.proto.collector.";

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const OUR_ENCODINGS: HeaderValue = HeaderValue::from_static("identity,gzip,snappy,zstd");

/// A message with an empty `partial_success`: not compressed, two bytes.
const HELD: &[u8] = &[0, 0, 0, 0, 2, 0x0a, 0];
/// Headers are limited by clients (grpc-go: 16 MiB, others 8 KiB), so a long message is cut.
const MAX_MESSAGE: usize = 1024;

/// Answers one request.
pub(super) async fn handle<I: Ingest>(
    shared: &Shared<I>,
    request: Request<Incoming>,
) -> Response<ReplyBody> {
    if request.method() != Method::POST {
        let message = format!("{} is not a gRPC request; use POST", request.method());
        let mut response = refused(&Refusal::new(Code::Internal, message));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return response;
    }
    if matches!(request.uri().path(), health::CHECK | health::WATCH) {
        let answer = health::handle(shared, request).await;
        return answer.unwrap_or_else(|refusal| refused(&refusal));
    }
    let began = Instant::now();
    let within = request.headers().get("grpc-timeout").and_then(timeout);
    let answered = async {
        match receive(shared, request).await {
            Ok((body, _)) if body.is_empty() => Reply::Held,
            Ok((body, _permit)) => {
                shared.stats.request_of(body.len());
                shared.ingest.ingest(body, Transport::Grpc).await
            }
            Err(refusal) => Reply::Refused(refusal),
        }
    };
    let reply = match within {
        None => answered.await,
        Some(Duration::ZERO) => {
            let message = "the client's time was up before the request came".to_owned();
            Reply::Refused(Refusal::new(Code::DeadlineExceeded, message))
        }
        // The client has given up by then; the answer is for what is between us.
        Some(within) => tokio::time::timeout(within, answered).await.unwrap_or_else(|_| {
            let message = format!("no outcome within the client's {} ms", within.as_millis());
            Reply::Refused(Refusal::new(Code::DeadlineExceeded, message))
        }),
    };
    match reply {
        Reply::Held => {
            shared.stats.answered_grpc(0, began.elapsed());
            success(Bytes::from_static(HELD))
        }
        Reply::Partial { rejected, message } => {
            shared.stats.answered_grpc(0, began.elapsed());
            success(framed(&status::encode_partial(rejected, &message)))
        }
        Reply::Refused(refusal) => {
            shared.stats.answered_grpc(refusal.code.grpc(), began.elapsed());
            refused(&refusal)
        }
    }
}

/// `grpc-timeout`: at most eight digits and a unit; what is no timeout is none.
fn timeout(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(n * 3600),
        b'M' => Duration::from_secs(n * 60),
        b'S' => Duration::from_secs(n),
        b'm' => Duration::from_millis(n),
        b'u' => Duration::from_micros(n),
        b'n' => Duration::from_nanos(n),
        _ => return None,
    })
}

/// The request's message, decompressed, and the permit for it.
async fn receive<I>(
    shared: &Shared<I>,
    request: Request<Incoming>,
) -> Result<(Bytes, Permit), Refusal> {
    let path = request.uri().path();
    if path != EXPORT {
        return Err(unknown_method(shared, path));
    }
    shared.authenticate(request.headers()).await?;
    shared.admit()?;
    let encoding = encoding(request.headers())?;
    let body = shared.body(request.into_body());
    let (compressed, packed, mut permit) = message(shared, body).await?;
    // By gRPC's "Compression" document.
    if compressed && encoding == Encoding::Identity {
        let message = "a compressed message, but grpc-encoding does not say how".to_owned();
        return Err(Refusal::new(Code::Internal, message));
    }
    if !compressed || packed.is_empty() {
        return Ok((packed, permit));
    }
    let bytes = unpack(encoding, &packed, shared.settings.max_recv_msg_size, &mut permit)?;
    drop(packed);
    permit.shrink(bytes.capacity() as u64);
    Ok((bytes.into(), permit))
}

/// Reads the one message of a unary request: whether it is compressed, its bytes, their permit.
async fn message<I>(
    shared: &Shared<I>,
    mut body: BodyReader,
) -> Result<(bool, Bytes, Permit), Refusal> {
    let Some([flag, len @ ..]) = body.array::<5>().await? else {
        let message = "a unary request must have one message, this one has none";
        return Err(Refusal::new(Code::InvalidArgument, message));
    };
    if flag > 1 {
        let message = format!("{flag} is not a gRPC compression flag");
        return Err(Refusal::new(Code::InvalidArgument, message));
    }
    let len = u32::from_be_bytes(len);
    let limit = shared.settings.max_recv_msg_size;
    let size = usize::try_from(len).ok().filter(|size| *size <= limit);
    let size = size.ok_or_else(|| too_large(Some(u64::from(len)), limit))?;
    let mut permit = shared.permit_up_to(size)?;
    let bytes = body.exactly(size, &mut permit).await?;
    body.end().await?;
    Ok((flag == 1, bytes, permit))
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let name = headers.get(GRPC_ENCODING).filter(|name| !name.is_empty());
    let Some(name) = name else { return Ok(Encoding::Identity) };
    Encoding::of_grpc(name.as_bytes()).ok_or_else(|| {
        let name: String = String::from_utf8_lossy(name.as_bytes()).chars().take(32).collect();
        let message = format!("grpc-encoding {name} is not known here; use gzip, snappy or zstd");
        Refusal::new(Code::Unimplemented, message)
    })
}

fn unknown_method<I>(shared: &Shared<I>, path: &str) -> Refusal {
    let of = |signal: &Signal| {
        let rest = path.strip_prefix(OTHER_SIGNALS).unwrap_or_default();
        rest.starts_with(signal.name()) && path.ends_with("/Export")
    };
    if let Some(signal) = Signal::ALL.into_iter().find(of) {
        shared.stats.other_signal(signal);
        return signal.refusal();
    }
    let path: String = path.chars().take(128).collect();
    let message =
        format!("{path}: unknown method; this is an OTLP/gRPC endpoint for traces ({EXPORT})");
    Refusal::new(Code::Unimplemented, message)
}

pub(super) fn framed(message: &[u8]) -> Bytes {
    let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &len.to_be_bytes()[..], message].concat().into()
}

pub(super) fn success(message: Bytes) -> Response<ReplyBody> {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let mut response = Response::new(ReplyBody::new(message, Some(trailers)));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// A response of headers only.
pub(super) fn refused(refusal: &Refusal) -> Response<ReplyBody> {
    let code = refusal.code.grpc();
    let mut cut = refusal.message.len().min(MAX_MESSAGE);
    while !refusal.message.is_char_boundary(cut) {
        cut -= 1;
    }
    let text = &refusal.message[..cut];
    let mut response = Response::new(ReplyBody::default());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(GRPC_STATUS, HeaderValue::from(code));
    // Percent-encoded and base64 text are always valid header values.
    if let Ok(value) = HeaderValue::try_from(status::percent_encode(text)) {
        headers.insert(GRPC_MESSAGE, value);
    }
    let details = STANDARD_NO_PAD.encode(status::encode(code, text, refusal.retry_hint()));
    if let Ok(value) = HeaderValue::try_from(details) {
        headers.insert(GRPC_DETAILS, value);
    }
    if refusal.code == Code::Unimplemented {
        headers.insert(GRPC_ACCEPT_ENCODING, OUR_ENCODINGS);
    }
    response
}
