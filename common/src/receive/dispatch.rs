//! From a request to the handler of its protocol.

use super::response::ReplyBody;
use super::settings::{Serves, Shared};
use super::{Ingest, grpc, http as otlp_http};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::sync::Arc;

/// Answers any request that reaches a listener.
pub(super) async fn dispatch<I: Ingest>(
    shared: Arc<Shared<I>>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Infallible> {
    let in_flight = shared.stats.request();
    let (mut response, permit) = match (&shared.settings.serves, is_grpc(&request)) {
        (Serves::Grpc, true) => grpc::handle(&shared, request).await,
        (Serves::Http { traces_path }, false) => {
            otlp_http::handle(&shared, traces_path, request).await
        }
        (Serves::Grpc, false) => (wrong_port("OTLP/gRPC", "HTTP", 4318), None),
        (Serves::Http { .. }, true) => (wrong_port("OTLP/HTTP", "gRPC", 4317), None),
    };
    response.body_mut().hold(in_flight, permit);
    Ok(response)
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    kind.starts_with(b"application/grpc")
}

fn wrong_port(this: &str, other: &str, port: u16) -> Response<ReplyBody> {
    let text = format!("this port takes {this}; OTLP over {other} usually has port {port}\n");
    let mut response = Response::new(ReplyBody::new(Bytes::from(text), None));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
