//! `grpc.health.v1`: whether this listener takes requests.
//!
//! Source: the gRPC health checking protocol. The process as a whole is the empty service name.
//! Back-pressure is not sickness: a listener is not serving only when it is about to go.

use super::grpc::{framed, refused, success};
use super::reply::{Code, Refusal};
use super::response::ReplyBody;
use super::settings::Shared;
use crate::limit::Permit;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use tailgate_proto::wire::{Fields, Wire};

/// The service's methods.
pub(super) const CHECK: &str = "/grpc.health.v1.Health/Check";
pub(super) const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// What can be asked for.
const SERVICES: [&[u8]; 2] = [b"", b"opentelemetry.proto.collector.trace.v1.TraceService"];
/// A `HealthCheckRequest` is a name.
const MAX_REQUEST: usize = 1024;
/// `HealthCheckResponse.status`.
const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;
const SERVICE_UNKNOWN: u8 = 3;

/// Answers `Check` or `Watch`.
pub(super) async fn handle<I>(
    shared: &Shared<I>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Refusal> {
    let watch = request.uri().path() == WATCH;
    let service = service(shared, request).await?;
    let known = SERVICES.contains(&&*service);
    let stopping = shared.stop.borrow().is_some();
    let status = match (known, stopping) {
        (false, _) => SERVICE_UNKNOWN,
        (true, true) => NOT_SERVING,
        (true, false) => SERVING,
    };
    if watch && !stopping {
        let mut stop = shared.stop.clone();
        let stopped = Box::pin(async move {
            // Gone is as good as told.
            let _ = stop.wait_for(Option::is_some).await;
        });
        let last = if known { NOT_SERVING } else { SERVICE_UNKNOWN };
        return Ok(success(message(status)).map(|body| body.and_later(stopped, message(last))));
    }
    match known || watch {
        true => Ok(success(message(status))),
        false => {
            let refusal = Refusal::new(Code::NotFound, "unknown service; ask for the empty name");
            Ok(refused(&refusal))
        }
    }
}

fn message(status: u8) -> Bytes {
    framed(&[0x08, status])
}

/// The name in the request.
async fn service<I>(shared: &Shared<I>, request: Request<Incoming>) -> Result<Bytes, Refusal> {
    let mut body = shared.body(request.into_body());
    let mut permit: Permit = shared.permit_up_to(MAX_REQUEST)?;
    let bytes = body.all(MAX_REQUEST, &mut permit).await?;
    let bad = || Refusal::new(Code::InvalidArgument, "this is no HealthCheckRequest");
    let Some((_, message)) = bytes.split_first_chunk::<5>() else { return Err(bad()) };
    let mut name = Bytes::new();
    for field in Fields::new(message) {
        if let (1, Wire::Len(value)) = field.map(|f| (f.number, f.value)).map_err(|_| bad())? {
            name = bytes.slice_ref(value);
        }
    }
    Ok(name)
}
