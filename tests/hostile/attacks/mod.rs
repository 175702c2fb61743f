//! The attacks. Each runs for a moment, and checks that it gets its exact answer.

pub mod bombs;
pub mod floods;
pub mod payloads;
pub mod shapes;
pub mod slow;

use crate::raw::Answer;
use tonic::{Code, Status};

/// What may be answered to anything while the node has no memory to spare.
const BUSY: [&str; 5] = [
    "more bytes of requests now; try again later",
    "no memory for spans",
    "no memory for more spans now",
    "no sampler holds these spans now",
    "no room",
];

/// Checks an answer over HTTP, unless the node is too busy for any.
pub fn http_says(what: &str, answer: &Answer, code: u16, text: &str) {
    let said = answer.text();
    if answer.code == 503 && BUSY.iter().any(|busy| said.contains(busy)) {
        assert_ne!(answer.header("retry-after"), "", "{what}: {said}");
        return;
    }
    assert_eq!(answer.code, code, "{what}: {said}");
    assert!(said.starts_with(text), "{what}: {said}");
    assert_eq!(answer.header("retry-after"), "", "{what}: never to be sent again");
}

/// Checks an answer over gRPC, unless the node is too busy for any.
pub fn grpc_says(what: &str, status: &Status, code: Code, text: &str) {
    let details = String::from_utf8_lossy(status.details());
    let retried = details.contains("google.rpc.RetryInfo");
    if status.code() == Code::Unavailable && BUSY.iter().any(|b| status.message().contains(b)) {
        assert!(retried, "{what}: {status}");
        return;
    }
    assert_eq!(status.code(), code, "{what}: {status}");
    assert!(status.message().starts_with(text), "{what}: {status}");
    assert!(!retried, "{what}: never to be sent again");
}
