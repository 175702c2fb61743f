//! Policies that are refused: where, and with which words.

use super::{heads, sampling};

const PATH: &str = "processors.tail_sampling.policies";

/// Each block with line and column, path below `policies`, and the beginning of the message.
const BAD: &[(&str, (&str, &str, &str))] = &[
    ("policies: []", ("3:15", "", "no policies: nothing would ever be sampled")),
    ("{}", ("3:5", "", "no policies: nothing would ever be sampled")),
    ("policies: {a: b}", ("3:15", "", "is not a list")),
    ("policies: [{type: always_sample}]", ("3:16", "[0].name", "a policy needs a name")),
    ("policies: [{name: '', type: always_sample}]", ("3:23", "[0].name", "a policy needs a name")),
    ("policies: [{name: a}]", ("3:16", "[0].type", "is missing")),
    ("policies: [{name: a, type: latncy}]", ("3:32", "[0].type", "\"latncy\" is no policy type")),
    ("policies: [{name: a, type: LATENCY}]", ("3:32", "[0].type", "\"LATENCY\" is no policy type")),
    (
        "policies: [{name: a, type: latency, latncy: {threshold_ms: 5}}]",
        ("3:41", "[0].latncy", "unknown key"),
    ),
    (
        "policies: [{name: a, type: latency, latency: {treshold_ms: 5}}]",
        ("3:51", "[0].latency.treshold_ms", "unknown key"),
    ),
    (
        "policies: [{name: a, type: latency, latency: {threshold_ms: -5}}]",
        ("3:65", "[0].latency.threshold_ms", "-5 is negative"),
    ),
    (
        "policies: [{name: a, type: latency, latency: {threshold_ms: slow}}]",
        ("3:65", "[0].latency.threshold_ms", "\"slow\" is not a whole number"),
    ),
    (
        "policies: [{name: a, type: latency, span_count: {min_spans: 1}}]",
        ("3:41", "[0].span_count", "does not belong to a policy of type latency"),
    ),
    ("policies: [{name: a, type: latency, 5}]", ("3:41", "[0].5", "unknown key")),
    ("policies: [a]", ("3:16", "[0]", "a single value where a mapping is wanted")),
    (
        "policies: [{name: a, type: string_attribute, string_attribute: {key: k, values: [a, \
            '(b'], enabled_regex_matching: true}}]",
        ("3:89", "[0].string_attribute.values[1]", "not a regular expression"),
    ),
    (
        "policies: [{name: a, type: status_code, status_code: {status_codes: [ERROR, ok]}}]",
        ("3:81", "[0].status_code.status_codes[1]", "unknown status code \"ok\""),
    ),
    (
        "policies: [{name: a, type: status_code}]",
        ("3:16", "[0].status_code.status_codes", "at least one of"),
    ),
    (
        "policies: [{name: a, type: numeric_attribute, numeric_attribute: {key: k}}]",
        ("3:70", "[0].numeric_attribute", "min_value or max_value is needed"),
    ),
    (
        "policies: [{name: a, type: numeric_attribute, numeric_attribute: {key: k, \
            min_value: 1.5}}]",
        ("3:90", "[0].numeric_attribute.min_value", "\"1.5\" is not a whole number"),
    ),
    (
        "policies: [{name: a, type: probabilistic, probabilistic: {sampling_percentage: -1}}]",
        ("3:84", "[0].probabilistic.sampling_percentage", "-1 is out of range"),
    ),
    (
        "policies: [{name: a, type: probabilistic, probabilistic: {sampling_percentage: \
            .nan}}]",
        ("3:84", "[0].probabilistic.sampling_percentage", ".nan is out of range"),
    ),
    (
        "policies: [{name: a, type: probabilistic}]",
        ("3:16", "[0].probabilistic.sampling_percentage", "is missing"),
    ),
    (
        "policies: [{name: a, type: span_count, span_count: {min_spans: 9, max_spans: 2}}]",
        ("3:68", "[0].span_count.min_spans", "nothing is at least 9 and at most 2"),
    ),
    (
        "policies: [{name: a, type: and, and: {and_sub_policy: []}}]",
        ("3:59", "[0].and.and_sub_policy", "at least one sub-policy is needed"),
    ),
    (
        "policies: [{name: a, type: and, and: {and_sub_policy: [{name: b, type: and}]}}]",
        ("3:76", "[0].and.and_sub_policy[0].type", "an and within an and"),
    ),
    (
        "policies: [{name: a, type: and, and: {and_sub_policy: [{name: b, type: drop}]}}]",
        ("3:76", "[0].and.and_sub_policy[0].type", "policy type \"drop\" is not supported yet"),
    ),
    (
        "policies: [{name: a, type: and, and: {and_sub_policy: [{name: b, type: span_count, \
            span_count: {min_spans: -1}}]}}]",
        ("3:112", "[0].and.and_sub_policy[0].span_count.min_spans", "-1 is negative"),
    ),
    (
        "policies: [{name: a, type: always_sample}, {name: a, type: always_sample}]",
        ("3:55", "[1].name", "another policy has this name"),
    ),
];

/// Each of them, with what to write in its place.
#[test]
fn every_bad_pattern_is_named() {
    let block = "key: k, values: ['(?!a)', b, '[c'], enabled_regex_matching: true";
    let policy = format!("{{name: a, type: string_attribute, string_attribute: {{{block}}}}}");
    let errors = sampling(&format!("policies: [{policy}]")).expect_err("bad patterns");
    let values: Vec<&str> =
        heads(&errors).iter().filter_map(|h| h.split(".values").nth(1)?.get(..3)).collect();
    assert_eq!(values, ["[0]", "[2]"], "{errors}");
    assert!(errors.contains("invert_match keeps what does not match"), "{errors}");
}

/// Two in sequence keep what both keep.
#[test]
fn a_second_tail_sampling_is_named_in_its_place() {
    let text = "receivers: {otlp: {protocols: {grpc: }}}\nprocessors:\n  tail_sampling: &a \
        {policies: [{name: a, type: always_sample}]}\n  tail_sampling/2: *a\nexporters: {nop: }\n\
        service: {pipelines: {traces: {receivers: [otlp], processors: [tail_sampling, \
        tail_sampling/2], exporters: [nop]}}}\n";
    let errors = super::parse(text, &|_| None).expect_err("two of them");
    let head = "f.yaml:6:79: service.pipelines.traces.processors[1]: a second tail_sampling";
    assert!(heads(&errors).len() == 1 && errors.starts_with(head), "{errors}");
    assert!(errors.contains("as an `and` policy"), "{errors}");
}

#[test]
fn refused() {
    for (policies, want) in BAD {
        let (at, path, what) = want;
        let errors = sampling(policies).expect_err(policies);
        let start = format!("f.yaml:{at}: {PATH}{path}: {what}");
        let heads = heads(&errors);
        assert!(heads.len() == 1 && heads[0].starts_with(&start), "{start}\n{errors}");
    }
}

#[test]
fn what_is_hardly_meant_is_noted() {
    let of = |kind: &str, block: &str| {
        let text = format!("policies: [{{name: a, type: {kind}, {kind}: {{{block}}}}}]");
        sampling(&text).unwrap().1
    };
    let below = "processors.tail_sampling.policies[0]";
    for (kind, block, note) in [
        ("latency", "", "threshold_ms: is 0: every trace that takes time is kept"),
        ("span_count", "", "min_spans: every trace has as many spans: all are kept"),
        ("probabilistic", "sampling_percentage: 150", "sampling_percentage: keeps every trace"),
        ("probabilistic", "sampling_percentage: 0", "sampling_percentage: is 0: keeps no trace"),
        (
            "numeric_attribute",
            "key: k, min_value: 0, max_value: 9",
            "min_value: 0 is no bound, as in the collector",
        ),
        (
            "string_attribute",
            "key: k, values: [500, 501]",
            "values: are texts: an attribute that is a number takes numeric_attribute",
        ),
    ] {
        assert_eq!(of(kind, block), [format!("{below}.{kind}.{note}")], "{block}");
    }
    for (kind, block) in [
        ("latency", "upper_threshold_ms: 5"),
        ("span_count", "max_spans: 3"),
        ("probabilistic", "sampling_percentage: 99.9"),
        ("numeric_attribute", "key: k, min_value: 400"),
        ("string_attribute", "key: k, values: [a, 500]"),
    ] {
        assert_eq!(of(kind, block), [""; 0], "{kind}");
    }
}

#[test]
fn that_invert_match_overrules_nothing_is_noted_where_others_stand_beside_it() {
    let health = "{name: a, type: string_attribute, string_attribute: {key: path, values: [/health], \
                  invert_match: true}}";
    let others = |others: &str| {
        let text = format!("policies: [{health}{others}]");
        sampling(&text).unwrap().1
    };
    assert_eq!(others(""), [""; 0]);
    let notes = others(", {name: b, type: always_sample}");
    let start = "processors.tail_sampling.policies[0]: invert_match keeps all other traces and \
                 overrules no policy";
    assert!(matches!(&notes[..], [one] if one.starts_with(start)), "{notes:?}");
}
