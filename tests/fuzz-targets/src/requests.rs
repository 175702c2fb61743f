//! OTLP requests, as protobuf and as JSON. The oracle is prost, which strict backends use or are
//! like: whatever is accepted here must be read there, with the same spans.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as Request;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tailgate_proto::json::read_json;
use tailgate_proto::view::SpanView;
use tailgate_proto::{Limits, Scan, ScanError, scan, splice, spliced_len};

/// A body that a receiver would not have read.
const TOO_LARGE: usize = 20 << 20;

fn scanned(bytes: &[u8]) -> Result<Scan, ScanError> {
    let mut out = Scan::default();
    scan(bytes, &Limits::default(), &mut out).map(|()| out)
}

fn spliced(bytes: &[u8], found: &Scan, indexes: &[u32]) -> Vec<u8> {
    let mut out = Vec::new();
    splice(bytes, found, indexes, &mut out);
    assert_eq!(out.len(), spliced_len(found, indexes));
    out
}

fn spans(request: &Request) -> impl Iterator<Item = &Span> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans)
}

/// What is accepted is what prost reads: the same spans, in the same order, field by field.
fn agrees_with_prost(bytes: &[u8], found: &Scan) {
    let all: Vec<u32> = (0..found.spans().len() as u32).collect();
    let fragment = spliced(bytes, found, &all);
    let request = Request::decode(&fragment[..]).expect("prost reads what was accepted");
    assert_eq!(spans(&request).count(), all.len());
    for (span, at) in spans(&request).zip(found.spans()) {
        let view = SpanView::new(&bytes[at.start as usize..at.end as usize]);
        assert_eq!(&at.trace_id.0[..], &span.trace_id[..]);
        assert_eq!(at.root, span.parent_span_id.iter().all(|byte| *byte == 0));
        assert_eq!(view.start_ns(), span.start_time_unix_nano);
        assert_eq!(view.end_ns(), span.end_time_unix_nano);
        assert_eq!(view.attributes().count(), span.attributes.len());
        assert_eq!(view.events().count(), span.events.len());
        assert_eq!(view.links().count(), span.links.len());
    }
}

/// Scanning any bytes.
pub(crate) fn scan_any(bytes: &[u8]) {
    if let Ok(found) = scanned(bytes) {
        assert_eq!(found.spans().len() as u64 + found.rejected().spans, found.total() as u64);
        assert_eq!(found.rejected().spans > 0, found.rejected().reason.is_some());
        agrees_with_prost(bytes, &found);
    }
}

/// Splitting a request in two by a mask in its first byte: nothing is lost, and both are requests.
pub(crate) fn splice_any(bytes: &[u8]) {
    let Some((mask, bytes)) = bytes.split_first() else { return };
    let Ok(found) = scanned(bytes) else { return };
    let all = 0..found.spans().len() as u32;
    let (left, right): (Vec<u32>, Vec<u32>) = all.partition(|at| mask >> (at % 8) & 1 == 1);
    let mut ids = Vec::new();
    for part in [&left, &right] {
        let fragment = spliced(bytes, &found, part);
        let mut again = Scan::default();
        scan(&fragment, &Limits::held(), &mut again).expect("a fragment is a request");
        assert_eq!((again.spans().len(), again.rejected().spans), (part.len(), 0));
        for (span, at) in again.spans().iter().zip(part) {
            let from = found.spans()[*at as usize];
            let whole = |at: &tailgate_proto::SpanRef| at.start as usize..at.end as usize;
            assert_eq!(fragment[whole(span)], bytes[whole(&from)]);
            ids.push(*at);
        }
    }
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..found.spans().len() as u32));
}

/// Reading any text as JSON: no larger than it was, and protobuf whatever it says.
pub(crate) fn json_any(text: &[u8]) {
    let Ok(bytes) = read_json(text) else { return };
    assert!(bytes.len() <= text.len().min(TOO_LARGE), "{} of {}", bytes.len(), text.len());
    match scanned(&bytes) {
        Ok(found) => agrees_with_prost(&bytes, &found),
        Err(ScanError::Malformed(error)) => panic!("what was written is no protobuf: {error}"),
        Err(_) => {}
    }
}
