//! OTLP/HTTP with protobuf bodies.
//!
//! Source of the codes and of the error bodies (`google.rpc.Status`): the OTLP specification,
//! "OTLP/HTTP Response".

use super::body::{BodyReader, too_large};
use super::decompress::{Encoding, unpack};
use super::reply::{Code, Refusal, Reply};
use super::response::ReplyBody;
use super::settings::Shared;
use super::{Ingest, Transport, status};
use crate::limit::Permit;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// An empty `partial_success`, as the collector answers.
const HELD: &[u8] = &[0x0a, 0];

/// Why a request was not taken in.
enum Refused {
    /// It is not OTLP at all: a status and a text.
    NotOtlp(StatusCode, String),
    /// It is, and OTLP has a code for it.
    Otlp(Refusal),
}

/// Answers one request for traces. The permit is for the request's bytes.
pub(super) async fn handle<I: Ingest>(
    shared: &Shared<I>,
    traces_path: &str,
    request: Request<Incoming>,
) -> (Response<ReplyBody>, Option<Permit>) {
    let drains = request.version() < Version::HTTP_2 && !request.headers().contains_key(EXPECT);
    let (head, body) = request.into_parts();
    let mut body = shared.body(body);
    let received = match check(&head, traces_path) {
        Ok(encoding) => receive(shared, encoding, &mut body).await.map_err(Refused::Otlp),
        Err(refused) => Err(refused),
    };
    let (response, permit) = match received {
        Ok((bytes, permit)) => {
            let reply = match bytes.is_empty() {
                true => Reply::Held,
                false => shared.ingest.ingest(bytes, Transport::Http).await,
            };
            (answer(reply), Some(permit))
        }
        Err(refused) => {
            if drains {
                body.discard().await;
            }
            (refused.response(), None)
        }
    };
    shared.stats.answered_http(response.status().as_u16());
    (response, permit)
}

/// Everything that the head of a request tells.
fn check(head: &http::request::Parts, traces_path: &str) -> Result<Encoding, Refused> {
    let path = head.uri.path();
    if path != traces_path {
        let text = if path.ends_with("/metrics") || path.ends_with("/logs") {
            "this gateway takes traces only; keep metrics and logs in your agent".to_owned()
        } else {
            format!("{path} not found; traces go to {traces_path}")
        };
        return Err(Refused::NotOtlp(StatusCode::NOT_FOUND, text));
    }
    if head.method != Method::POST {
        let text = format!("{} is not allowed here; use POST", head.method);
        return Err(Refused::NotOtlp(StatusCode::METHOD_NOT_ALLOWED, text));
    }
    check_type(&head.headers)?;
    encoding(&head.headers).map_err(Refused::Otlp)
}

fn check_type(headers: &HeaderMap) -> Result<(), Refused> {
    let value = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let essence = value.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(PROTOBUF.as_bytes()) {
        return Ok(());
    }
    let text = if essence.eq_ignore_ascii_case(b"application/json") {
        "application/json is not supported yet; send application/x-protobuf".to_owned()
    } else {
        let essence = String::from_utf8_lossy(essence);
        format!("content type '{essence}' is not supported; send application/x-protobuf")
    };
    Err(Refused::NotOtlp(StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    match headers.get(CONTENT_ENCODING).map_or(&b""[..], HeaderValue::as_bytes) {
        b"" | b"identity" => Ok(Encoding::Identity),
        b"gzip" => Ok(Encoding::Gzip),
        b"zstd" => Ok(Encoding::Zstd),
        other => {
            let other = String::from_utf8_lossy(other);
            let message = format!("unsupported content encoding '{other}'; use gzip or zstd");
            Err(Refusal::new(Code::InvalidArgument, message))
        }
    }
}

/// The request's body, decompressed, and the permit for it.
async fn receive<I>(
    shared: &Shared<I>,
    encoding: Encoding,
    body: &mut BodyReader,
) -> Result<(Bytes, Permit), Refusal> {
    shared.admit()?;
    let (packed, mut permit) = read(shared, body).await?;
    if encoding == Encoding::Identity || packed.is_empty() {
        return Ok((packed, permit));
    }
    let bytes = unpack(encoding, &packed, shared.settings.max_request_body_size, &mut permit)?;
    drop(packed);
    permit.shrink(bytes.capacity() as u64);
    Ok((bytes.into(), permit))
}

async fn read<I>(shared: &Shared<I>, body: &mut BodyReader) -> Result<(Bytes, Permit), Refusal> {
    let limit = shared.settings.max_request_body_size;
    let told = body.size_hint();
    let least = told.lower();
    let size = usize::try_from(least).ok().filter(|size| *size <= limit);
    let size = size.ok_or_else(|| too_large(Some(least), limit))?;
    let mut permit = shared.permit_up_to(size)?;
    let bytes = match told.exact() {
        Some(_) => body.exactly(size, &mut permit).await?,
        None => body.all(limit, &mut permit).await?,
    };
    Ok((bytes, permit))
}

fn answer(reply: Reply) -> Response<ReplyBody> {
    match reply {
        Reply::Held => with_body(StatusCode::OK, PROTOBUF, Bytes::from_static(HELD)),
        Reply::Partial { rejected, message } => {
            let body = status::encode_partial(rejected, &message);
            with_body(StatusCode::OK, PROTOBUF, body.into())
        }
        Reply::Refused(refusal) => Refused::Otlp(refusal).response(),
    }
}

fn with_body(status: StatusCode, kind: HeaderValue, body: Bytes) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::new(body, None));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

// === impl Refused ===

impl Refused {
    fn response(self) -> Response<ReplyBody> {
        match self {
            Self::NotOtlp(status, text) => {
                let mut response = with_body(status, TEXT, text.into());
                if status == StatusCode::METHOD_NOT_ALLOWED {
                    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
                }
                response
            }
            Self::Otlp(refusal) => {
                let body =
                    status::encode(refusal.code.grpc(), &refusal.message, refusal.retry_hint());
                let code = StatusCode::from_u16(refusal.code.http());
                let code = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut response = with_body(code, PROTOBUF, body.into());
                if let Some(seconds) = refusal.retry_seconds() {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                response
            }
        }
    }
}
