//! Requests that are larger than they look, or say that they are.

use super::payloads::{Bomb, wide_window};
use super::{grpc_says, http_says};
use crate::raw;
use crate::rig::Target;
use tailgate_testkit::EXPORT_PATH;
use tonic::Code;

/// One bomb through both doors.
pub async fn bomb(target: Target, bomb: &Bomb) {
    let headers = [("content-encoding", bomb.http)];
    let answer = raw::post(&target.http_url(), &headers, bomb.body.clone()).await;
    let text = "decompressed size exceeds 20971520 bytes; send smaller batches";
    http_says(bomb.http, &answer, 413, text);
    if let Some(encoding) = bomb.grpc {
        let (status, _) = raw::export(&target.grpc_url(), Some(encoding), &bomb.body).await;
        let text = "decompressed size exceeds 4194304 bytes; send smaller batches";
        grpc_says(encoding, &status, Code::InvalidArgument, text);
    }
}

/// Encodings in encodings, and windows of 16 MiB.
pub async fn odd_encodings(target: Target) {
    let url = target.http_url();
    let answer = raw::post(&url, &[("content-encoding", "gzip, gzip")], vec![1; 100]).await;
    let text = "unsupported content encoding 'gzip, gzip'; use gzip or zstd";
    http_says("nested", &answer, 400, text);
    let answer = raw::post(&url, &[("content-encoding", "zstd")], wide_window()).await;
    http_says("window", &answer, 400, "malformed zstd data: ");
    let (status, _) = raw::export(&target.grpc_url(), Some("zstd"), &wide_window()).await;
    grpc_says("window", &status, Code::InvalidArgument, "malformed zstd data: ");
}

/// Lengths of terabytes, and no bytes.
pub async fn giants(target: Target) {
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
                content-length: 1099511627776\r\n\r\n";
    let answer = raw::bytes(target.http, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let text = "request of 1099511627776 bytes exceeds the limit of 20971520 bytes";
    assert!(answer.contains(text), "{answer}");
    let frame = raw::frame(false, u32::MAX as usize, &[]);
    let (status, _) = raw::call(&target.grpc_url(), EXPORT_PATH, "gzip", frame).await;
    let text = "request of 4294967295 bytes exceeds the limit of 4194304 bytes; send smaller";
    grpc_says("giant", &status, Code::InvalidArgument, text);
}
