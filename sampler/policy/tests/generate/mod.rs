//! Random policies and spans, over few keys and values so that they often meet.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tailgate_policy::{PolicyConfig, Rule};
use tailgate_proto::TraceId;

/// All spans are of this trace.
pub const TRACE: TraceId = TraceId([7; 16]);

/// A span and the resource that it came from.
#[derive(Debug, Clone)]
pub struct Piece {
    pub resource: Resource,
    pub span: Span,
}

/// Keys of all lengths, some with the same end or the same beginning.
const KEYS: [&str; 7] = [
    "",
    "k",
    "http.route",
    "ahttp.route",
    "http.response.status_code",
    "http.response.status_cod",
    "\u{e9}",
];
const TEXTS: [&str; 6] = ["", "GET", "get", "checkout", "5", "\u{65e5}\u{672c}"];
const NUMBERS: [i64; 8] = [i64::MIN, -7, -1, 1, 5, 503, 9_007_199_254_740_993, i64::MAX];
const MS: u64 = 1_000_000;

pub fn policies() -> impl Strategy<Value = Vec<PolicyConfig>> {
    let and = vec(leaf(), 1..4).prop_map(|rules| Rule::And { sub_policies: named(rules) });
    vec(prop_oneof![3 => leaf(), 1 => and], 1..8).prop_map(named)
}

fn named(rules: Vec<Rule>) -> Vec<PolicyConfig> {
    let names = (0..).map(|n| format!("p{n}"));
    names.zip(rules).map(|(name, rule)| PolicyConfig { name, rule }).collect()
}

/// Keys that a policy may have: not the empty one.
fn policy_key() -> impl Strategy<Value = String> {
    select(&KEYS[1..]).prop_map(str::to_owned)
}

fn leaf() -> impl Strategy<Value = Rule> {
    let numbers = || prop_oneof![Just(0), select(&NUMBERS[..])];
    let numeric = (policy_key(), numbers(), numbers(), any::<bool>())
        .prop_filter("must mean something", |(_, min, max, _)| {
            (*min != 0 || *max != 0) && (*min == 0 || *max == 0 || min <= max)
        })
        .prop_map(|(key, min_value, max_value, invert_match)| Rule::NumericAttribute {
            key,
            min_value,
            max_value,
            invert_match,
        });
    let patterns =
        vec(select(vec!["^GET$", "(?i)get", "e", ".*", "^$"]), 0..3).prop_map(|p| (p, true));
    let exact = vec(select(&TEXTS[..]), 0..4).prop_map(|values| (values, false));
    let string = (policy_key(), prop_oneof![patterns, exact], any::<bool>()).prop_map(
        |(key, (values, enabled_regex_matching), invert_match)| Rule::StringAttribute {
            key,
            values: values.into_iter().map(str::to_owned).collect(),
            enabled_regex_matching,
            cache_max_size: 0,
            invert_match,
        },
    );
    let status = vec(select(vec!["OK", "ERROR", "UNSET"]), 1..3).prop_map(|codes| {
        Rule::StatusCode { status_codes: codes.into_iter().map(str::to_owned).collect() }
    });
    let latency = (0..12i64, 0..12i64).prop_map(|(threshold_ms, more)| Rule::Latency {
        threshold_ms,
        upper_threshold_ms: if more < 4 { 0 } else { threshold_ms + more },
    });
    let chance = (select(vec!["", "salt", "pepper"]), 0.0..120.0f64).prop_map(
        |(salt, sampling_percentage)| Rule::Probabilistic {
            hash_salt: salt.to_owned(),
            sampling_percentage,
        },
    );
    let count = (0..6i64, 0..6i64).prop_map(|(min_spans, more)| Rule::SpanCount {
        min_spans,
        max_spans: if more < 2 { 0 } else { min_spans + more },
    });
    prop_oneof![
        1 => Just(Rule::AlwaysSample),
        4 => numeric,
        4 => string,
        2 => status,
        2 => latency,
        1 => chance,
        2 => count,
    ]
}

fn value() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        4 => select(&TEXTS[..]).prop_map(|text| Some(Value::StringValue(text.to_owned()))),
        1 => "[a-z]{0,200}".prop_map(|text| Some(Value::StringValue(text))),
        4 => prop_oneof![Just(0), select(&NUMBERS[..])].prop_map(|n| Some(Value::IntValue(n))),
        2 => select(vec![0.0, 5.0, 503.5, -7.5, 1e300, f64::NAN, f64::INFINITY, -0.0])
            .prop_map(|x| Some(Value::DoubleValue(x))),
        1 => any::<bool>().prop_map(|b| Some(Value::BoolValue(b))),
        1 => Just(Some(Value::BytesValue(b"GET".to_vec()))),
        1 => Just(Some(Value::ArrayValue(ArrayValue {
            values: vec![AnyValue { value: Some(Value::IntValue(503)) }],
        }))),
        1 => Just(None),
    ]
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let attribute =
        (select(&KEYS[..]), prop::option::weighted(0.9, value())).prop_map(|(key, value)| {
            KeyValue {
                key: key.to_owned(),
                value: value.map(|value| AnyValue { value }),
                ..Default::default()
            }
        });
    vec(attribute, 0..6)
}

fn span() -> impl Strategy<Value = Span> {
    let whole_ms = || (1000..1016u64).prop_map(|ms| ms * MS);
    let time = || prop_oneof![1 => Just(0), 6 => whole_ms(), 1 => 1000 * MS..1016 * MS];
    let parent = select(vec![vec![], vec![0; 8], vec![1; 8], vec![0, 0, 0, 0, 0, 0, 0, 1]]);
    let status = prop::option::of(-1..4i32);
    (attributes(), time(), time(), parent, status, any::<u64>()).prop_map(
        |(attributes, start, end, parent_span_id, code, id)| Span {
            trace_id: TRACE.0.to_vec(),
            span_id: id.to_be_bytes().to_vec(),
            parent_span_id,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes,
            status: code.map(|code| Status { code, message: "m".into() }),
            ..Default::default()
        },
    )
}

pub fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let resources = vec(
        attributes().prop_map(|attributes| Resource { attributes, ..Default::default() }),
        1..3,
    );
    let spans = vec((span(), any::<prop::sample::Index>()), 1..8);
    (resources, spans).prop_map(|(resources, spans)| {
        let piece = |(span, n): (Span, prop::sample::Index)| Piece {
            resource: n.get(&resources).clone(),
            span,
        };
        spans.into_iter().map(piece).collect()
    })
}
