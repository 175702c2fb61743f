//! OTLP out, against a backend, a server with TLS and a proxy that are not ours.
#![allow(clippy::unwrap_used, missing_docs)]

mod dead;
mod grpc;
mod http;
mod proxy;
mod signed;
mod way;

use bytes::Bytes;
use std::sync::Arc;
use tailgate_common::client::{ClientSettings, HttpSettings, OtlpHttpClient};
use tailgate_common::clock::SystemClock;
use tailgate_testkit::traffic::{Shape, Traffic};

/// A request of 60 spans.
pub fn request() -> Bytes {
    let mut out = Vec::new();
    Traffic::new(Shape::default()).unwrap().encode(0, &mut out);
    out.into()
}

pub fn http_settings(client: ClientSettings) -> HttpSettings {
    let clock = Arc::new(SystemClock::new());
    HttpSettings {
        client,
        json: false,
        max_idle: 10,
        idle_timeout: None,
        signer: None,
        max_body: None,
        clock,
    }
}

pub fn http_client(client: ClientSettings) -> OtlpHttpClient {
    OtlpHttpClient::new(http_settings(client)).unwrap()
}
