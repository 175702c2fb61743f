//! Nesting without end costs one span, and no stack.
#![allow(clippy::unwrap_used)]

use tailgate_proto::json::read_json;
use tailgate_proto::{Limits, Scan, scan};

#[test]
fn a_value_too_deep_costs_its_span_only() {
    for (open, close) in [
        (r#"{"arrayValue":{"values":["#, "]}}"),
        (r#"{"kvlistValue":{"values":[{"key":"k","value":"#, "}]}}"),
    ] {
        let depth = 300_000;
        let value = format!("{}null{}", open.repeat(depth), close.repeat(depth));
        let good = r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}"#;
        let bad = format!(r#"{{"attributes":[{{"key":"k","value":{value}}}],{}"#, &good[1..]);
        let text =
            format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{bad},{good}]}}]}}]}}"#);
        // As small as the stacks of some runtimes.
        let small = std::thread::Builder::new().stack_size(512 << 10);
        let bytes =
            small.spawn(move || read_json(text.as_bytes())).unwrap().join().unwrap().unwrap();
        let mut found = Scan::default();
        scan(&bytes, &Limits::default(), &mut found).unwrap();
        assert_eq!((found.spans().len(), found.rejected().spans), (1, 1));
    }
}
