//! What the policies mean, in the plainest way: over decoded spans, one policy at a time.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use regex::Regex;
use tailgate_policy::{Rule, Value as Worth, hash, threshold};

use crate::generate::{Piece, TRACE};

pub fn is_root(span: &Span) -> bool {
    span.parent_span_id.iter().all(|byte| *byte == 0)
}

pub fn status(span: &Span) -> i32 {
    span.status.as_ref().map_or(0, |status| status.code)
}

pub fn samples(rule: &Rule, trace: &[Piece]) -> bool {
    match rule {
        Rule::AlwaysSample => true,
        Rule::Latency { threshold_ms, upper_threshold_ms } => {
            let ms = duration_ms(trace);
            *threshold_ms < ms && (*upper_threshold_ms == 0 || ms <= *upper_threshold_ms)
        }
        Rule::NumericAttribute { key, min_value, max_value, invert_match } => {
            let holds = |value: Option<&Value>| number_within(value, *min_value, *max_value);
            let found = trace.iter().any(|piece| {
                first(&piece.resource.attributes, key).is_some_and(holds)
                    || first(&piece.span.attributes, key).is_some_and(holds)
            });
            found != *invert_match
        }
        Rule::StringAttribute { key, values, enabled_regex_matching, invert_match, .. } => {
            let hit = |text: &str| {
                values.iter().any(|value| match enabled_regex_matching {
                    true => Regex::new(value).unwrap().is_match(text),
                    false => !value.is_empty() && value == text,
                })
            };
            let found = trace.iter().any(|piece| {
                first(&piece.resource.attributes, key).is_some_and(|value| hit(text(value)))
                    || first(&piece.span.attributes, key)
                        .is_some_and(|value| !text(value).is_empty() && hit(text(value)))
            });
            found != *invert_match
        }
        Rule::StatusCode { status_codes } => {
            let name =
                |piece: &Piece| ["UNSET", "OK", "ERROR"].get(status(&piece.span) as usize).copied();
            trace.iter().filter_map(name).any(|name| status_codes.iter().any(|code| code == name))
        }
        Rule::Probabilistic { hash_salt, sampling_percentage } => {
            hash(hash_salt, &TRACE) <= threshold(*sampling_percentage)
        }
        Rule::SpanCount { min_spans, max_spans } => {
            let count = trace.len() as i64;
            count >= *min_spans && (*max_spans == 0 || count <= *max_spans)
        }
        Rule::And { sub_policies } => sub_policies.iter().all(|sub| samples(&sub.rule, trace)),
    }
}

/// What a trace is worth that has no error and that this samples.
pub fn worth(rule: &Rule) -> Worth {
    match rule {
        Rule::AlwaysSample | Rule::Probabilistic { .. } => Worth::Chance,
        Rule::Latency { .. } => Worth::Slow,
        Rule::And { sub_policies } => {
            sub_policies.iter().map(|sub| worth(&sub.rule)).max().unwrap()
        }
        _ => Worth::Policy,
    }
}

/// The value of the first attribute with this key: nothing at all, or an empty value.
fn first<'a>(attributes: &'a [KeyValue], key: &str) -> Option<Option<&'a Value>> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(attribute.value.as_ref().and_then(|value| value.value.as_ref()))
}

fn text(value: Option<&Value>) -> &str {
    match value {
        Some(Value::StringValue(text)) => text,
        _ => "",
    }
}

fn number_within(value: Option<&Value>, min: i64, max: i64) -> bool {
    let within = |n: i64| (min == 0 || n >= min) && (max == 0 || n <= max);
    match value {
        Some(Value::IntValue(n)) => within(*n),
        Some(Value::DoubleValue(x)) => {
            within(0) || ((min == 0 || *x >= min as f64) && (max == 0 || *x <= max as f64))
        }
        _ => within(0),
    }
}

fn duration_ms(trace: &[Piece]) -> i64 {
    let start =
        trace.iter().map(|piece| piece.span.start_time_unix_nano).filter(|ns| *ns != 0).min();
    let end = trace.iter().map(|piece| piece.span.end_time_unix_nano).filter(|ns| *ns != 0).max();
    match (start, end) {
        (Some(start), Some(end)) if end > start => ((end - start) / 1_000_000) as i64,
        _ => 0,
    }
}
