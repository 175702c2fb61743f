use super::*;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use std::collections::{HashMap, HashSet};

const NOW: u64 = 1_800_000_000_000_000_000;

fn traces(seed: u64, count: usize) -> Vec<Trace> {
    let mut shop = Shop::new(seed);
    (0..count).map(|_| shop.next_trace(NOW)).collect()
}

fn spans(trace: &Trace) -> impl Iterator<Item = &Span> {
    let resources = trace.requests.iter().flat_map(|request| &request.resource_spans);
    resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans)
}

fn failed(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == 2)
}

#[test]
fn the_same_seed_tells_the_same_stories() {
    let (a, b) = (traces(7, 50), traces(7, 50));
    for (a, b) in a.iter().zip(&b) {
        assert_eq!((a.trace_id, a.fate), (b.trace_id, b.fate));
        assert_eq!(a.requests, b.requests);
    }
    assert_ne!(traces(8, 1)[0].trace_id, a[0].trace_id);
}

#[test]
fn each_trace_is_whole() {
    for trace in traces(1, 2_000) {
        let ids: HashSet<&[u8]> = spans(&trace).map(|span| span.span_id.as_slice()).collect();
        assert_eq!(ids.len() as u64, trace.spans(), "an id is used twice");
        assert!((8..=14).contains(&trace.spans()), "{} spans", trace.spans());
        assert!(trace.requests.len() >= 3, "{} services", trace.requests.len());
        let mut roots = 0;
        for span in spans(&trace) {
            assert_eq!(span.trace_id, trace.trace_id);
            assert!(span.span_id.len() == 8 && span.span_id.iter().any(|b| *b != 0));
            assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
            assert!(span.end_time_unix_nano <= NOW);
            if span.parent_span_id.is_empty() {
                roots += 1;
                assert_eq!(span.kind, SpanKind::Server as i32);
            } else {
                assert!(ids.contains(span.parent_span_id.as_slice()), "the parent is missing");
            }
        }
        assert_eq!(roots, 1);
        assert!(trace.trace_id.iter().any(|b| *b != 0));
    }
}

#[test]
fn each_request_is_of_one_service() {
    for trace in traces(2, 200) {
        let mut seen = HashSet::new();
        for request in &trace.requests {
            assert_eq!(request.resource_spans.len(), 1);
            let resource = request.resource_spans[0].resource.as_ref().expect("a resource");
            let name = resource.attributes.iter().find(|a| a.key == "service.name");
            let value = name.and_then(|a| a.value.as_ref()).and_then(|v| v.value.clone());
            let Some(Value::StringValue(name)) = value else { panic!("no service.name") };
            assert!(Service::ALL.iter().any(|service| service.name() == name));
            assert!(seen.insert(name), "two requests of one service");
        }
    }
}

#[test]
fn fates_show_in_the_spans() {
    for trace in traces(3, 5_000) {
        let start = spans(&trace).map(|s| s.start_time_unix_nano).min().expect("spans");
        let end = spans(&trace).map(|s| s.end_time_unix_nano).max().expect("spans");
        assert_eq!(end, NOW);
        let slow = end - start > SLOW_MS * 1_000_000;
        let errors = spans(&trace).filter(|span| failed(span)).count();
        let root_failed = spans(&trace).any(|s| s.parent_span_id.is_empty() && failed(s));
        match trace.fate {
            Fate::Plain => assert!(!slow && errors == 0),
            Fate::Slow => assert!(slow && errors == 0),
            Fate::Error => assert!(!slow && errors >= 3 && root_failed),
            Fate::Retry => assert!(!slow && errors == 2 && !root_failed),
        }
    }
}

#[test]
fn shares_are_as_told() {
    let mut counts: HashMap<Fate, usize> = HashMap::new();
    let all = traces(4, 20_000);
    all.iter().for_each(|trace| *counts.entry(trace.fate).or_default() += 1);
    let share = |fate| counts[&fate] as f64 / all.len() as f64;
    // 3 %, 2 % and 2 %, within 5 standard deviations.
    assert!((share(Fate::Error) - 0.03).abs() < 0.006, "{}", share(Fate::Error));
    assert!((share(Fate::Slow) - 0.02).abs() < 0.005, "{}", share(Fate::Slow));
    assert!((share(Fate::Retry) - 0.02).abs() < 0.005, "{}", share(Fate::Retry));
    let ids: HashSet<_> = all.iter().map(|trace| trace.trace_id).collect();
    assert_eq!(ids.len(), all.len());
}
