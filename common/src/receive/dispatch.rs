//! From a request to the handler of its protocol.

use super::response::ReplyBody;
use super::settings::{HttpServes, Serves, Shared};
use super::{Cors, Ingest, grpc, http as otlp_http};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Answers any request that reaches a listener.
pub(super) async fn dispatch<I: Ingest>(
    shared: Arc<Shared<I>>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Infallible> {
    let in_flight = shared.stats.request();
    let mut response = match (&shared.settings.serves, is_grpc(&request)) {
        // Its trailers would be lost.
        (Serves::Grpc, true) if request.version() < Version::HTTP_2 => {
            plain(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC needs HTTP/2\n".to_owned())
        }
        (Serves::Grpc, true) => grpc::handle(&shared, request).await,
        (Serves::Http(serves), false) => over_http(&shared, serves, request).await,
        (Serves::Grpc, false) => wrong_port("OTLP/gRPC", "HTTP", 4318),
        (Serves::Http(_), true) => wrong_port("OTLP/HTTP", "gRPC", 4317),
    };
    shared.stats.response_of(response.body().data_len());
    response.body_mut().hold(in_flight);
    Ok(response)
}

/// OTLP/HTTP, and what browsers and configuration want around it.
async fn over_http<I: Ingest>(
    shared: &Shared<I>,
    serves: &HttpServes,
    request: Request<Incoming>,
) -> Response<ReplyBody> {
    let cors = shared.settings.cors.as_deref();
    let preflight = Cors::is_preflight(request.method(), request.headers());
    let mut response = match cors {
        None => otlp_http::handle(shared, serves, request).await,
        // A browser asks without credentials, so this comes before they are checked.
        Some(cors) if preflight => {
            let mut response = Response::new(ReplyBody::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            cors.preflight(request.headers(), response.headers_mut());
            shared.stats.answered_http(response.status().as_u16(), Duration::ZERO);
            response
        }
        Some(cors) => {
            let origin = cors.allowed(request.headers());
            let mut answer = otlp_http::handle(shared, serves, request).await;
            cors.mark(origin, answer.headers_mut());
            answer
        }
    };
    for (name, value) in &shared.settings.response_headers {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}

/// Whether the content type is gRPC's, by the protocol's grammar: `application/grpc`, perhaps with
/// `+` and a format, or parameters. gRPC-Web is another protocol.
fn is_grpc(request: &Request<Incoming>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    matches!(kind.strip_prefix(b"application/grpc"), Some([] | [b'+' | b';', ..]))
}

fn wrong_port(this: &str, other: &str, port: u16) -> Response<ReplyBody> {
    let text = format!("this port takes {this}; OTLP over {other} usually has port {port}\n");
    plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
}

fn plain(status: StatusCode, text: String) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::new(Bytes::from(text), None));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
