//! One request to the sink and its answer.

use super::{Behaviour, Shared};
use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use std::convert::Infallible;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tonic::{Code, Status};

/// Of a body, compressed or not.
const MAX_BODY: usize = 256 << 20;

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// Why there is no success.
enum Refusal {
    Grpc(Box<Status>),
    /// Of HTTP, with `Retry-After`.
    Status(StatusCode, Option<String>),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Grpc(Box::new(status))
    }
}

pub(super) async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Answer, Infallible> {
    let grpc = request.uri().path() == crate::EXPORT_PATH;
    let path = request.uri().path().to_owned();
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(text(StatusCode::BAD_REQUEST, "no body")),
    };
    Ok(match path.as_str() {
        "/stats" => {
            text(StatusCode::OK, &serde_json::to_string(&shared.stats()).unwrap_or_default())
        }
        "/behave" => match String::from_utf8_lossy(&body).parse() {
            Ok(behaviour) => {
                shared.behaviour.send_replace(behaviour);
                text(StatusCode::OK, "")
            }
            Err(e) => text(StatusCode::BAD_REQUEST, &e.to_string()),
        },
        _ if grpc => {
            let encoding = head.headers.get("grpc-encoding");
            let message = unframe(&body).and_then(|(compressed, message)| {
                let encoding = encoding.filter(|_| compressed);
                shared.came(encoding);
                decompress(encoding, message, true)
            });
            shared.saw(&head, message.as_ref().map_or(0, Bytes::len));
            match export(message, &shared).await {
                Err(Refusal::Status(code, after)) => bare(code, after.as_deref()),
                Err(Refusal::Grpc(status)) => status.into_http(),
                Ok(message) => grpc_answer(&message),
            }
        }
        "/v1/traces" => {
            let encoding = head.headers.get("content-encoding");
            shared.came(encoding);
            let message = decompress(encoding, body, false);
            shared.saw(&head, message.as_ref().map_or(0, Bytes::len));
            let json = head.headers.get("content-type").is_some_and(|v| v == "application/json");
            let message = message.and_then(|m| if json { from_json(&m) } else { Ok(m) });
            match export(message, &shared).await {
                Err(Refusal::Status(code, after)) => bare(code, after.as_deref()),
                Err(Refusal::Grpc(status)) => http_refusal(&status),
                Ok(message) => http_answer(message, json),
            }
        }
        _ => text(StatusCode::NOT_FOUND, "not found"),
    })
}

/// Behaves; success is the encoded ExportTraceServiceResponse.
async fn export(message: anyhow::Result<Bytes>, shared: &Shared) -> Result<Vec<u8>, Refusal> {
    let malformed = |e: anyhow::Error| {
        shared.malformed.fetch_add(1, Relaxed);
        Refusal::from(Status::invalid_argument(format!("{e:#}")))
    };
    let message = message.map_err(malformed)?;
    let record = || shared.store.lock().record(&message).map_err(malformed);
    let mut watch = shared.behaviour.subscribe();
    loop {
        let behaviour = watch.borrow_and_update().clone();
        match behaviour {
            Behaviour::Accept => {}
            Behaviour::Slow(time) => tokio::time::sleep(time).await,
            Behaviour::Stall => {
                // The sender of the watch lives as long as the sink.
                let _ = watch.changed().await;
                continue;
            }
            Behaviour::Mute => {
                record()?;
                let _ = watch.changed().await;
                return Ok(Vec::new());
            }
            Behaviour::Refuse(code, retry) => {
                shared.refused.fetch_add(1, Relaxed);
                return Err(refusal(code, retry).into());
            }
            Behaviour::Limit(most) if message.len() > most => {
                shared.refused.fetch_add(1, Relaxed);
                let bytes = message.len();
                let text = format!("grpc: received message larger than max ({bytes} vs. {most})");
                return Err(Status::resource_exhausted(text).into());
            }
            Behaviour::Limit(_) => {}
            Behaviour::Status(code, after) => {
                shared.refused.fetch_add(1, Relaxed);
                return Err(Refusal::Status(code, after));
            }
            Behaviour::Partial(rejected) => {
                record()?;
                return Ok(partial_success(rejected));
            }
        }
        record()?;
        return Ok(Vec::new());
    }
}

fn partial_success(rejected: u64) -> Vec<u8> {
    // partial_success = 1 { rejected_spans = 1 }, the number padded to a fixed length.
    let mut out = vec![0x0a, 11, 0x08];
    out.extend((0..9).map(|n| (rejected >> (7 * n)) as u8 & 0x7f | 0x80));
    out.push((rejected >> 63) as u8);
    out
}

/// A status with a RetryInfo where a delay is told.
fn refusal(code: Code, retry: Option<Duration>) -> Status {
    let Some(delay) = retry else { return Status::new(code, "refused by the sink") };
    let mut any = vec![0x0a, 40];
    any.extend_from_slice(b"type.googleapis.com/google.rpc.RetryInfo");
    let millis = delay.as_millis().min(100_000);
    let (secs, nanos) = (millis / 1000, (millis % 1000) * 1_000_000);
    let mut duration = vec![0x08, secs as u8 & 0x7f, 0x10];
    // Seconds fit one byte up to 127; nanoseconds need five.
    duration.extend((0..4).map(|n| (nanos >> (7 * n)) as u8 & 0x7f | 0x80));
    duration.push((nanos >> 28) as u8);
    any.extend_from_slice(&[0x12, duration.len() as u8 + 2, 0x0a, duration.len() as u8]);
    any.extend_from_slice(&duration);
    let mut details = vec![0x08, code as u8, 0x1a, any.len() as u8];
    details.extend_from_slice(&any);
    Status::with_details(code, "refused by the sink", details.into())
}

/// The one message of a unary call.
fn unframe(body: &Bytes) -> anyhow::Result<(bool, Bytes)> {
    let mut rest = body.clone();
    anyhow::ensure!(rest.len() >= 5, "no gRPC frame");
    let (compressed, len) = (rest.get_u8() == 1, rest.get_u32() as usize);
    anyhow::ensure!(rest.len() == len, "gRPC frame of {len} bytes in a body of {}", rest.len());
    Ok((compressed, rest))
}

/// gRPC has snappy in frames, HTTP in one block.
fn decompress(encoding: Option<&HeaderValue>, body: Bytes, is_grpc: bool) -> anyhow::Result<Bytes> {
    let mut out = Vec::new();
    match encoding.map(HeaderValue::as_bytes) {
        None | Some(b"identity" | b"") => return Ok(body),
        Some(b"gzip") => {
            let gzip = flate2::read::MultiGzDecoder::new(body.reader());
            gzip.take(MAX_BODY as u64).read_to_end(&mut out)?
        }
        Some(b"zstd") => {
            zstd::Decoder::new(body.reader())?.take(MAX_BODY as u64).read_to_end(&mut out)?
        }
        Some(b"deflate" | b"zlib") if !is_grpc => {
            let zlib = flate2::read::ZlibDecoder::new(body.reader());
            zlib.take(MAX_BODY as u64).read_to_end(&mut out)?
        }
        Some(b"snappy") if !is_grpc => {
            anyhow::ensure!(snap::raw::decompress_len(&body)? <= MAX_BODY, "too much");
            return Ok(snap::raw::Decoder::new().decompress_vec(&body)?.into());
        }
        Some(b"snappy" | b"x-snappy-framed") => {
            let frames = snap::read::FrameDecoder::new(body.reader());
            frames.take(MAX_BODY as u64).read_to_end(&mut out)?
        }
        Some(b"lz4") if !is_grpc => {
            let frames = lz4_flex::frame::FrameDecoder::new(body.reader());
            frames.take(MAX_BODY as u64).read_to_end(&mut out)?
        }
        Some(other) => anyhow::bail!("encoding {}", String::from_utf8_lossy(other)),
    };
    Ok(out.into())
}

/// OTLP/JSON by the reference's types.
fn from_json(body: &[u8]) -> anyhow::Result<Bytes> {
    let request: ExportTraceServiceRequest = serde_json::from_slice(body)?;
    Ok(request.encode_to_vec().into())
}

fn grpc_answer(message: &[u8]) -> Answer {
    let mut frame = vec![0];
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from(frame)).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(BoxBody::new(body));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn http_answer(message: Vec<u8>, json: bool) -> Answer {
    let (kind, message) = match json {
        false => ("application/x-protobuf", message),
        true => {
            let answer = ExportTraceServiceResponse::decode(&message[..]).unwrap_or_default();
            ("application/json", serde_json::to_vec(&answer).unwrap_or_default())
        }
    };
    let mut response = Response::new(BoxBody::new(Full::new(Bytes::from(message))));
    response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    response
}

fn http_refusal(status: &Status) -> Answer {
    let code = match status.code() {
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        Code::ResourceExhausted if status.message().contains("larger than max") => {
            StatusCode::PAYLOAD_TOO_LARGE
        }
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    text(code, status.message())
}

/// As a proxy answers.
fn bare(code: StatusCode, retry_after: Option<&str>) -> Answer {
    let mut answer = text(code, "not by the sink itself");
    if let Some(Ok(after)) = retry_after.map(HeaderValue::from_str) {
        answer.headers_mut().insert("retry-after", after);
    }
    answer
}

fn text(status: StatusCode, body: &str) -> Answer {
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    let mut response = Response::new(BoxBody::new(body));
    *response.status_mut() = status;
    response
}
