#![allow(clippy::unwrap_used)]

use super::*;
use crate::wire::span_keys;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use std::collections::{HashMap, HashSet};

fn decode(traffic: &Traffic, seq: u64) -> (Vec<u8>, ExportTraceServiceRequest) {
    let mut bytes = Vec::new();
    traffic.encode(seq, &mut bytes);
    let request = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
    (bytes, request)
}

#[test]
fn spans_are_as_asked_when_read_by_prost() {
    for (span_bytes, spans_per_request) in [(416, 60), (416, 600), (425, 7), (5000, 13)] {
        let shape = Shape { traces: 230, span_bytes, spans_per_request, ..Shape::default() };
        let shape = Shape { errors_per_mille: 300, slow_per_mille: 300, ..shape };
        let traffic = Traffic::new(shape).unwrap();
        let mut spans = HashMap::new();
        for seq in 0..traffic.requests() {
            let (bytes, request) = decode(&traffic, seq);
            let [of_resource] = request.resource_spans.as_slice() else { panic!("one resource") };
            assert_eq!(of_resource.resource.as_ref().unwrap().attributes.len(), 4);
            let [of_scope] = of_resource.scope_spans.as_slice() else { panic!("one scope") };
            assert_eq!(of_scope.spans.len() as u64, traffic.span_count(seq));
            let mut read = Vec::new();
            span_keys(&bytes, |key| read.push(key)).unwrap();
            let told = traffic.spans(seq).map(|(trace, index)| traffic.shape().key(&trace, index));
            assert_eq!(read, told.collect::<Vec<_>>());
            for (span, (trace, index)) in of_scope.spans.iter().zip(traffic.spans(seq)) {
                assert_eq!(span.encoded_len(), span_bytes);
                assert_eq!(span.attributes.len(), 12);
                let code = span.status.as_ref().map_or(0, |s| s.code);
                assert_eq!(code == 2, trace.error == Some(index));
                let lasts = span.end_time_unix_nano - span.start_time_unix_nano;
                assert_eq!(lasts > 5_000_000_000, trace.slow);
                let key = (span.trace_id.clone(), span.span_id.clone());
                assert!(spans.insert(key, span.parent_span_id.clone()).is_none(), "sent twice");
            }
        }
        assert_eq!(spans.len() as u64, traffic.shape().spans());
        let roots = spans.values().filter(|parent| parent.is_empty()).count();
        assert_eq!(roots, 230);
        let mut with_parent = spans.iter().filter(|(_, parent)| !parent.is_empty());
        assert!(with_parent.all(|(key, p)| spans.contains_key(&(key.0.clone(), p.clone()))));
    }
}

#[test]
fn one_seed_gives_the_same_bytes_and_another_gives_others() {
    let bytes = |seed| decode(&Traffic::new(Shape { seed, ..Shape::default() }).unwrap(), 3).0;
    assert_eq!(bytes(7), bytes(7));
    assert_ne!(bytes(7), bytes(8));
}

#[test]
fn a_lag_spreads_a_trace_over_the_run() {
    let shape = Shape { traces: 400, lag_blocks: 5, ..Shape::default() };
    let traffic = Traffic::new(shape).unwrap();
    let of_first: Vec<u64> = (0..traffic.requests())
        .filter(|&seq| traffic.spans(seq).any(|(trace, _)| trace.number == 0))
        .collect();
    assert_eq!(of_first.len(), 4);
    assert!(of_first[3] - of_first[0] >= 15, "{of_first:?}");
    let spread = Shape::default().spread(4.0, 12_000.0);
    // 48,000 spans leave in 4 s, a block is 240: 200 blocks, in three steps.
    assert_eq!(spread.lag_blocks, 67);
}

#[test]
fn ids_do_not_repeat_and_rates_hold() {
    let shape = Shape { errors_per_mille: 100, ..Shape::default() };
    let traces: Vec<Trace> = (0..20_000).map(|n| shape.trace(n)).collect();
    assert_eq!(traces.iter().map(|t| t.id).collect::<HashSet<_>>().len(), 20_000);
    let errors = traces.iter().filter(|t| t.error.is_some()).count();
    assert!((1_800..2_200).contains(&errors), "{errors}");
}

#[test]
fn impossible_shapes_are_refused() {
    let small = Traffic::new(Shape { span_bytes: 50, ..Shape::default() });
    assert!(matches!(small, Err(ShapeError::Small(_))));
    let none = Traffic::new(Shape { services: 0, ..Shape::default() });
    assert_eq!(none.err(), Some(ShapeError::Range("services")));
}
