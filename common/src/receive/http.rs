//! OTLP/HTTP with protobuf and JSON bodies.
//!
//! Source of the codes and of the error bodies (`google.rpc.Status`): the OTLP specification,
//! "OTLP/HTTP Response".

use super::body::{BodyReader, too_large};
use super::decompress::{Encoding, no_room, unpack};
use super::reply::{Code, Refusal, Reply};
use super::response::ReplyBody;
use super::settings::{HttpServes, Shared};
use super::{Ingest, Signal, Transport, status};
use crate::limit::Permit;
use bytes::Bytes;
use http::header::{
    ALLOW, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HOST, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use std::time::Instant;
use tailgate_proto::json::read_json;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The form of a request's body, and of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

/// Why a request was not taken in.
enum Refused {
    /// It is not OTLP at all: a status and a text.
    NotOtlp(StatusCode, String),
    /// It is, and OTLP has a code for it.
    Otlp(Form, Refusal),
}

/// Answers one request.
pub(super) async fn handle<I: Ingest>(
    shared: &Shared<I>,
    serves: &HttpServes,
    request: Request<Incoming>,
) -> Response<ReplyBody> {
    let began = Instant::now();
    let drains = request.version() < Version::HTTP_2 && !request.headers().contains_key(EXPECT);
    let (head, body) = request.into_parts();
    let mut body = shared.body(body);
    let (response, read) = traces(shared, serves, &head, &mut body).await;
    if !read && drains {
        body.discard().await;
    }
    shared.stats.answered_http(response.status().as_u16(), began.elapsed());
    response
}

/// Answers a request for traces, and says whether its body was read.
async fn traces<I: Ingest>(
    shared: &Shared<I>,
    serves: &HttpServes,
    head: &Parts,
    body: &mut BodyReader,
) -> (Response<ReplyBody>, bool) {
    let received = match check(shared, serves, head).await {
        Ok((form, encoding)) => match receive(shared, form, encoding, body).await {
            Ok((bytes, permit)) => Ok((form, bytes, permit)),
            Err(refusal) => Err(Refused::Otlp(form, refusal)),
        },
        Err(refused) => Err(refused),
    };
    match received {
        Ok((form, bytes, _permit)) => {
            let reply = match bytes.is_empty() {
                true => Reply::Held,
                false => {
                    shared.stats.request_of(bytes.len());
                    shared.ingest.ingest(bytes, Transport::Http).await
                }
            };
            (answer(form, reply), true)
        }
        Err(refused) => (refused.response(), false),
    }
}

/// Everything that the head of a request tells.
async fn check<I>(
    shared: &Shared<I>,
    serves: &HttpServes,
    head: &Parts,
) -> Result<(Form, Encoding), Refused> {
    // RFC 9112, section 3.2.
    if head.version == Version::HTTP_11 && head.headers.get_all(HOST).iter().count() != 1 {
        let text = "HTTP/1.1 needs one host header".to_owned();
        return Err(Refused::NotOtlp(StatusCode::BAD_REQUEST, text));
    }
    let path = after_slashes(head.uri.path());
    if path != serves.traces_path {
        let Some(signal) = serves.signal(path) else {
            let text = format!("{path} not found; traces go to {}", serves.traces_path);
            return Err(Refused::NotOtlp(StatusCode::NOT_FOUND, text));
        };
        shared.stats.other_signal(signal);
        let form = Form::of(&head.headers).unwrap_or(Form::Protobuf);
        return Err(Refused::Otlp(form, signal.refusal()));
    }
    if head.method != Method::POST {
        let text = format!("{} is not allowed here; use POST", head.method);
        return Err(Refused::NotOtlp(StatusCode::METHOD_NOT_ALLOWED, text));
    }
    let form = Form::of(&head.headers).map_err(|essence| {
        let text = format!(
            "content type '{essence}' is not supported; send application/x-protobuf or \
             application/json"
        );
        Refused::NotOtlp(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    })?;
    shared.authenticate(&head.headers).await.map_err(|refusal| Refused::Otlp(form, refusal))?;
    let encoding = encoding(serves, &head.headers).map_err(|r| Refused::Otlp(form, r))?;
    Ok((form, encoding))
}

/// The path with one slash before it: an endpoint that ends with one, and SDKs that add another, send
/// to `//v1/traces`.
fn after_slashes(path: &str) -> &str {
    let slashes = path.len() - path.trim_start_matches('/').len();
    &path[slashes.saturating_sub(1)..]
}

fn encoding(serves: &HttpServes, headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let name = headers.get(CONTENT_ENCODING).map_or(&b""[..], HeaderValue::as_bytes);
    let known = Encoding::of_http(name).filter(|encoding| serves.encodings.contains(encoding));
    known.ok_or_else(|| {
        let name: String = String::from_utf8_lossy(name).chars().take(32).collect();
        let message = format!("unsupported content encoding '{name}'; use gzip or zstd");
        Refusal::new(Code::InvalidArgument, message)
    })
}

/// The request as decompressed protobuf, and the permit for it.
async fn receive<I>(
    shared: &Shared<I>,
    form: Form,
    encoding: Encoding,
    body: &mut BodyReader,
) -> Result<(Bytes, Permit), Refusal> {
    shared.admit()?;
    let (mut bytes, mut permit) = read(shared, body).await?;
    if encoding != Encoding::Identity && !bytes.is_empty() {
        let limit = shared.settings.max_request_body_size;
        let unpacked = unpack(encoding, &bytes, limit, &mut permit)?;
        // The packed bytes are gone with this.
        permit.shrink(unpacked.capacity() as u64);
        bytes = unpacked.into();
    }
    if form == Form::Json {
        // Protobuf is never longer than the JSON it comes from.
        if !permit.try_grow(bytes.len() as u64) {
            return Err(no_room(bytes.len()));
        }
        let invalid = |e| Refusal::new(Code::InvalidArgument, format!("malformed JSON: {e}"));
        let read = read_json(&bytes).map_err(invalid)?;
        permit.shrink(read.capacity() as u64);
        bytes = read.into();
    }
    Ok((bytes, permit))
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

fn answer(form: Form, reply: Reply) -> Response<ReplyBody> {
    match reply {
        Reply::Held => with_body(StatusCode::OK, form.content_type(), form.held()),
        Reply::Partial { rejected, message } => {
            let body = match form {
                Form::Protobuf => status::encode_partial(rejected, &message),
                Form::Json => status::encode_partial_json(rejected, &message),
            };
            with_body(StatusCode::OK, form.content_type(), body.into())
        }
        Reply::Refused(refusal) => Refused::Otlp(form, refusal).response(),
    }
}

fn with_body(status: StatusCode, kind: HeaderValue, body: Bytes) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::new(body, None));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

// === impl Form ===

impl Form {
    /// The form that a content type names, whatever its parameters; else the type.
    fn of(headers: &HeaderMap) -> Result<Self, String> {
        let value = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let essence = value.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/x-protobuf") {
            Ok(Self::Protobuf)
        } else if essence.eq_ignore_ascii_case(b"application/json") {
            Ok(Self::Json)
        } else {
            Err(String::from_utf8_lossy(essence).chars().take(64).collect())
        }
    }

    fn content_type(self) -> HeaderValue {
        match self {
            Self::Protobuf => HeaderValue::from_static("application/x-protobuf"),
            Self::Json => HeaderValue::from_static("application/json"),
        }
    }

    /// An empty `partial_success`, as the collector answers.
    fn held(self) -> Bytes {
        match self {
            Self::Protobuf => Bytes::from_static(&[0x0a, 0]),
            Self::Json => Bytes::from_static(br#"{"partialSuccess":{}}"#),
        }
    }
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
            Self::Otlp(form, refusal) => {
                let encode = match form {
                    Form::Protobuf => status::encode,
                    Form::Json => status::encode_json,
                };
                let body = encode(refusal.code.grpc(), &refusal.message, refusal.retry_hint());
                let code = StatusCode::from_u16(refusal.code.http());
                let code = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut response = with_body(code, form.content_type(), body.into());
                if let Some(seconds) = refusal.retry_seconds() {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                if let Code::Unauthenticated(scheme) = refusal.code {
                    let scheme = HeaderValue::from_static(scheme);
                    response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
                }
                response
            }
        }
    }
}

// === impl Signal ===

impl Signal {
    /// What a client is told that sends this.
    pub(super) fn refusal(self) -> Refusal {
        let name = self.name();
        let message = format!(
            "{name} are not taken: this is a gateway for traces; send {name} to your agent or to a \
             collector with a {name} pipeline (OTEL_{}_EXPORTER or OTEL_EXPORTER_OTLP_{}_ENDPOINT)",
            name.to_uppercase(),
            name.to_uppercase()
        );
        Refusal::new(Code::Unimplemented, message)
    }
}
