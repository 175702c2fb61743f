//! What the tests of this crate share: reading policies from YAML, and folding whole requests.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde::Deserialize;
use serde_json::{Map, Value};
use tailgate_policy::{Facts, PolicyConfig, Program, Rule};
use tailgate_proto::TraceId;
use tailgate_proto::view::resource_spans;

/// The keys of a `tail_sampling` block that the cases here have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    pub decision_wait: String,
    #[serde(default)]
    pub sample_on_first_match: bool,
    pub policies: Vec<Policy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    name: String,
    r#type: String,
    latency: Option<Latency>,
    numeric_attribute: Option<Numeric>,
    string_attribute: Option<Text>,
    status_code: Option<Status>,
    probabilistic: Option<Probabilistic>,
    span_count: Option<SpanCount>,
    and: Option<And>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Latency {
    threshold_ms: i64,
    upper_threshold_ms: i64,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Numeric {
    key: String,
    min_value: i64,
    max_value: i64,
    invert_match: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Text {
    key: String,
    values: Vec<String>,
    enabled_regex_matching: bool,
    cache_max_size: i64,
    invert_match: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Status {
    status_codes: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Probabilistic {
    hash_salt: String,
    /// A number or the text `.nan`, which JSON's numbers can't hold.
    sampling_percentage: Value,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct SpanCount {
    min_spans: i64,
    max_spans: i64,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct And {
    and_sub_policy: Vec<Policy>,
}

pub fn read_block(yaml: &str) -> Block {
    serde_json::from_value(read_yaml(yaml)).unwrap_or_else(|error| panic!("{error} in:\n{yaml}"))
}

pub fn configs(policies: Vec<Policy>) -> Vec<PolicyConfig> {
    policies.into_iter().map(config).collect()
}

fn config(policy: Policy) -> PolicyConfig {
    let rule = match policy.r#type.as_str() {
        "always_sample" => Rule::AlwaysSample,
        "latency" => {
            let Latency { threshold_ms, upper_threshold_ms } = policy.latency.unwrap_or_default();
            Rule::Latency { threshold_ms, upper_threshold_ms }
        }
        "numeric_attribute" => {
            let Numeric { key, min_value, max_value, invert_match } =
                policy.numeric_attribute.unwrap_or_default();
            Rule::NumericAttribute { key, min_value, max_value, invert_match }
        }
        "string_attribute" => {
            let text = policy.string_attribute.unwrap_or_default();
            Rule::StringAttribute {
                key: text.key,
                values: text.values,
                enabled_regex_matching: text.enabled_regex_matching,
                cache_max_size: text.cache_max_size,
                invert_match: text.invert_match,
            }
        }
        "status_code" => {
            Rule::StatusCode { status_codes: policy.status_code.unwrap_or_default().status_codes }
        }
        "probabilistic" => {
            let block = policy.probabilistic.unwrap_or_default();
            let sampling_percentage = match &block.sampling_percentage {
                Value::Null => 0.0,
                Value::String(text) if text == ".nan" => f64::NAN,
                number => number.as_f64().unwrap(),
            };
            Rule::Probabilistic { hash_salt: block.hash_salt, sampling_percentage }
        }
        "span_count" => {
            let SpanCount { min_spans, max_spans } = policy.span_count.unwrap_or_default();
            Rule::SpanCount { min_spans, max_spans }
        }
        "and" => Rule::And { sub_policies: configs(policy.and.unwrap_or_default().and_sub_policy) },
        other => panic!("policy type {other}"),
    };
    PolicyConfig { name: policy.name, rule }
}

/// One YAML document without anchors, as JSON.
fn read_yaml(text: &str) -> Value {
    let mut events = Parser::new_from_str(text).map(|event| event.unwrap().0).filter(|event| {
        !matches!(event, Event::StreamStart | Event::DocumentStart(_) | Event::Nothing)
    });
    let first = events.next().unwrap();
    node(first, &mut events)
}

fn node<'i>(event: Event<'i>, events: &mut impl Iterator<Item = Event<'i>>) -> Value {
    match event {
        Event::Scalar(text, ScalarStyle::Plain, ..) => plain(&text),
        Event::Scalar(text, ..) => Value::String(text.into_owned()),
        Event::SequenceStart(..) => {
            let mut list = Vec::new();
            loop {
                match events.next().unwrap() {
                    Event::SequenceEnd => return Value::Array(list),
                    event => list.push(node(event, events)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut map = Map::new();
            loop {
                let key = match events.next().unwrap() {
                    Event::MappingEnd => return Value::Object(map),
                    Event::Scalar(key, ..) => key.into_owned(),
                    other => panic!("{other:?} as a key"),
                };
                let event = events.next().unwrap();
                let value = node(event, events);
                assert!(map.insert(key, value).is_none());
            }
        }
        other => panic!("{other:?}"),
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => true.into(),
        "false" => false.into(),
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(int), _) => int.into(),
            (_, Ok(float)) if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                float.into()
            }
            _ => text.into(),
        },
    }
}

/// Folds each trace of a request, as a sampler does: a trace's spans one by one, and a resource
/// once for each trace that has spans of it.
pub fn fold(program: &Program, request: &[u8], traces: &mut BTreeMap<TraceId, Facts>) {
    for resource in resource_spans(request) {
        let mut met = Vec::new();
        for span in resource.scopes().flat_map(|scope| scope.spans()) {
            let id = TraceId::from_bytes(span.trace_id()).unwrap();
            let facts = traces.entry(id).or_insert_with(|| program.new_facts());
            if !met.contains(&id) {
                program.fold_resource(resource.resource().attributes(), facts);
                met.push(id);
            }
            program.fold_span(span, facts);
        }
    }
}
