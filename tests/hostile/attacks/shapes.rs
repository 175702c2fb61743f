//! Requests whose bytes are OTLP, and not as anyone would mean it.

use super::payloads::{
    deep, deep_json, empty_elements, empty_resources, empty_spans, request_of, span, times,
};
use super::{grpc_says, http_says};
use crate::raw;
use crate::rig::Target;
use http::Method;
use tailgate_proto::wire::put_len;
use tonic::Code;

/// A request through both doors that is refused whole.
async fn refused(target: Target, what: &str, body: Vec<u8>, text: &str) {
    let (status, _) = raw::export(&target.grpc_url(), None, &body).await;
    grpc_says(what, &status, Code::InvalidArgument, text);
    let answer = raw::post(&target.http_url(), &[], body).await;
    http_says(what, &answer, 400, text);
}

/// A request through both doors of which `rejected` spans are left out, with this reason.
async fn partly(target: Target, what: &str, body: Vec<u8>, rejected: i64, text: &str) {
    let (status, grpc) = raw::export(&target.grpc_url(), None, &body).await;
    grpc_says(what, &status, Code::Ok, "");
    let answer = raw::post(&target.http_url(), &[], body).await;
    http_says(what, &answer, 200, "");
    let grpc = (status.code() == Code::Ok).then(|| grpc.grpc_partial());
    let http = (answer.code == 200).then(|| answer.partial());
    for partial in grpc.into_iter().chain(http) {
        assert_eq!(partial.rejected_spans, rejected, "{what}: {}", partial.error_message);
        assert!(partial.error_message.starts_with(text), "{what}: {}", partial.error_message);
    }
}

/// A request through both doors that is taken.
async fn taken(target: Target, what: &str, body: Vec<u8>) {
    partly(target, what, body, 0, "").await;
}

/// Elements of two bytes each, by the million.
pub async fn tiny_elements(target: Target) {
    let text = "more than 50000 spans in one request; send smaller batches";
    refused(target, "empty spans", empty_spans(4_000_000), text).await;
    let text = "more than 50000 resources and scopes in one request; send smaller batches";
    refused(target, "empty resources", empty_resources(4_000_000), text).await;
    for number in [9, 11, 13] {
        let fits = span([number; 16], 1, &empty_elements(number, 200_000));
        taken(target, "100,000 elements", request_of(&[fits])).await;
        let large = span([number; 16], 2, &empty_elements(number, 3_000_000));
        let good = span([number; 16], 3, &[]);
        let text = "span of 3000028 bytes exceeds max_span_bytes 262144";
        partly(target, "1,500,000 elements", request_of(&[large, good]), 1, text).await;
    }
}

/// Values in values, as protobuf and as JSON.
pub async fn deep_values(target: Target, json_bytes: usize) {
    let good = || span([3; 16], 1, &[]);
    let text = "attribute nesting > 32";
    let body = request_of(&[span([3; 16], 2, &deep(25_000)), good()]);
    partly(target, "25,000 deep", body, 1, text).await;
    let body = request_of(&[span([3; 16], 3, &deep(400_000)), good()]);
    partly(target, "400,000 deep", body, 1, "span of ").await;
    let url = format!("{}/v1/traces", target.http_url());
    let json = [("content-type", "application/json")];
    let answer = raw::send(Method::POST, &url, &json, deep_json(json_bytes)).await;
    http_says("deep JSON", &answer, 200, "");
    if answer.code == 200 {
        let told =
            r#"{"partialSuccess":{"errorMessage":"attribute nesting > 32","rejectedSpans":"1"}}"#;
        let told: serde_json::Value = serde_json::from_str(told).unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap(), told);
    }
}

/// Names that are no text, and names that are nasty text.
pub async fn strings(target: Target) {
    let named = |id: u64, name: &[u8]| {
        let mut fields = Vec::new();
        put_len(&mut fields, 5, name);
        span([4; 16], id, &fields)
    };
    let body = request_of(&[named(1, b"\xff\xfe"), named(2, b"fine"), named(3, b"cut \xe2\x82")]);
    partly(target, "no UTF-8", body, 2, "a string is not UTF-8").await;
    let nasty = b"\0\x1b[2J\x1b]0;owned\x07\r\nlevel=error msg=\"forged\"\n\xe2\x80\xae";
    taken(target, "NUL, ANSI and newlines", request_of(&[named(4, nasty)])).await;
}

/// Times that are none, and ids that are none.
pub async fn times_and_ids(target: Target) {
    let odd = [(0, 0), (u64::MAX, u64::MAX), (0, u64::MAX), (u64::MAX, 0), (2_000, 1_000)];
    let spans = (1..).zip(odd).map(|(id, (start, end))| span([5; 16], id, &times(start, end)));
    taken(target, "odd times", request_of(&spans.collect::<Vec<_>>())).await;
    let text = "trace_id must be 16 non-zero bytes";
    let zero = request_of(&[span([0; 16], 1, &[]), span([6; 16], 1, &[])]);
    partly(target, "a zero trace id", zero, 1, text).await;
    let mut short = Vec::new();
    put_len(&mut short, 1, &[1; 8]);
    put_len(&mut short, 2, &[1; 8]);
    partly(target, "a short trace id", request_of(&[short]), 1, text).await;
    let zero = request_of(&[span([6; 16], 0, &[])]);
    partly(target, "a zero span id", zero, 1, "span_id must be 8 non-zero bytes").await;
}

/// Spans of these traces, one each, with span ids from `first` on.
pub async fn of_traces(target: Target, what: &str, traces: &[[u8; 16]], first: u64) {
    let spans: Vec<_> = (first..).zip(traces).map(|(id, trace)| span(*trace, id, &[])).collect();
    let (status, _) = raw::export(&target.grpc_url(), None, &request_of(&spans)).await;
    grpc_says(what, &status, Code::Ok, "");
}
