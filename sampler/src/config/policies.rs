//! `tail_sampling.policies`, into what the policy crate compiles. Whether a policy makes sense is
//! for that crate to say; here its answer gets its place in the file.

use tailgate_common::config::{Item, Reader, nearest};
use tailgate_policy::{Options, PolicyConfig, PolicyError, Problem, Program, Rule};

/// Types that can be used.
const TYPES: [&str; 8] = [
    "always_sample",
    "and",
    "latency",
    "numeric_attribute",
    "probabilistic",
    "span_count",
    "status_code",
    "string_attribute",
];

/// Types that a collector has besides, and what to do for each.
const NOT_YET: [(&str, &str); 9] = [
    ("boolean_attribute", "have the agent write true as the text \"true\": string_attribute"),
    ("bytes_limiting", CAPS),
    (
        "composite",
        "list its sub-policies as policies; for a share of one, an `and` of it and probabilistic; \
         a rate over all has no counterpart",
    ),
    (
        "drop",
        "put each policy that keeps into an `and` with what is not to be dropped: \
         string_attribute with invert_match",
    ),
    ("not", "string_attribute and numeric_attribute have invert_match"),
    (
        "ottl_condition",
        "write attributes[\"x\"] >= 500 as numeric_attribute, == \"y\" or IsMatch as \
         string_attribute, a span's status as status_code, `and` as `and`",
    ),
    ("rate_limiting", CAPS),
    ("trace_flags", "have the agent copy the flag to an attribute: string_attribute"),
    ("trace_state", "have the agent copy the entry to an attribute: string_attribute"),
];
const CAPS: &str = "nothing here caps what is kept: use probabilistic for a share of it, size the \
    backend for it, or put a collector with this policy behind";

/// Policies of one list.
const MAX_POLICIES: usize = 1000;

/// The policies of the block; errors have been reported if there are fewer than listed.
pub(super) fn read(r: &Reader<'_>) -> Vec<PolicyConfig> {
    if let Some(item) = r.take("policies")
        && !item.is_list()
    {
        item.error("is not a list", "begin each policy with `- name: ...`");
        return Vec::new();
    }
    let items = r.list("policies");
    if items.len() > MAX_POLICIES {
        let help = "put conditions together: string_attribute takes many values";
        r.error("policies", &format!("more than {MAX_POLICIES} policies"), help);
        return Vec::new();
    }
    let policies: Vec<PolicyConfig> = items.iter().filter_map(|i| policy(i, true)).collect();
    if policies.len() < items.len() {
        return policies;
    }
    note_vetoes(r, &items, &policies);
    // Each policy is right by itself: what is left is names, and limits of the whole list.
    if let Err(error) = Program::compile(&policies, Options::default()) {
        let index = error.path.strip_prefix("policies[").and_then(|p| p.split_once(']'));
        let policy = index.and_then(|(n, rest)| Some((items.get(n.parse::<usize>().ok()?)?, rest)));
        match policy {
            Some((item, rest)) => report(item, rest, &error),
            None => {
                let help = "list what to keep, such as - {name: all, type: always_sample}";
                r.error("policies", &error.problem.to_string(), help);
            }
        }
    }
    policies
}

/// Collectors of old let `invert_match` overrule other policies, and their README still says so.
fn note_vetoes(r: &Reader<'_>, items: &[Item<'_>], policies: &[PolicyConfig]) {
    let inverts = |policy: &PolicyConfig| {
        matches!(
            policy.rule,
            Rule::NumericAttribute { invert_match: true, .. }
                | Rule::StringAttribute { invert_match: true, .. }
        )
    };
    for (item, policy) in items.iter().zip(policies) {
        if policies.len() > 1 && inverts(policy) {
            let text = "invert_match keeps all other traces and overrules no policy: what it does \
                        not keep is kept if another policy does; for both conditions use `and`";
            r.diag().note(item.path.clone(), text);
        }
    }
}

/// One policy, or one sub-policy of an `and`. `None` after an error.
fn policy(item: &Item<'_>, top: bool) -> Option<PolicyConfig> {
    let r = item.map()?;
    let name = r.string_or("name", "");
    let kind = r.string_or("type", "");
    let known = |t: &&str| *t == kind;
    let Some(kind) = TYPES.into_iter().find(|t| known(t)) else {
        r.ignore_rest();
        unknown_type(&r, &kind);
        return None;
    };
    let others: Vec<&str> = TYPES.into_iter().chain(not_yet()).filter(|t| !known(t)).collect();
    let what = format!("does not belong to a policy of type {kind}");
    r.reject(&others, &what, "remove it, or change the type");
    if name.is_empty() && top {
        r.error("name", "a policy needs a name", "write name: ... beside type");
    }
    let before = r.diag().count();
    let rule = if kind == "and" { and(&r, top)? } else { leaf(&r, kind) };
    if r.diag().count() > before {
        return None;
    }
    // The name is checked above and among all policies.
    let mut alone = [PolicyConfig { name: "-".to_owned(), rule }];
    while let Err(error) = Program::compile(&alone, Options::default()) {
        report(item, error.path.strip_prefix("policies[0]").unwrap_or(""), &error);
        if !take_pattern(&mut alone[0].rule, &error) {
            break;
        }
    }
    if r.diag().count() > before {
        return None;
    }
    let [PolicyConfig { rule, .. }] = alone;
    (!name.is_empty() || !top).then_some(PolicyConfig { name, rule })
}

fn not_yet() -> impl Iterator<Item = &'static str> {
    NOT_YET.iter().map(|(name, _)| *name)
}

fn unknown_type(r: &Reader<'_>, kind: &str) {
    let all = TYPES.join(", ");
    if kind.is_empty() {
        r.error("type", "is missing", &format!("use one of: {all}"));
    } else if let Some((_, help)) = NOT_YET.iter().find(|(name, _)| *name == kind) {
        r.error("type", &format!("policy type {kind:?} is not supported yet"), help);
    } else {
        let help = match nearest(kind, TYPES.into_iter().chain(not_yet())) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("use one of: {all}"),
        };
        r.error("type", &format!("{kind:?} is no policy type"), &help);
    }
}

/// `and`: sub-policies of any type but `and`.
fn and(r: &Reader<'_>, top: bool) -> Option<Rule> {
    if !top {
        r.ignore_rest();
        let help = "list its sub-policies in the outer one: it means the same";
        r.error("type", "an and within an and", help);
        return None;
    }
    let block = r.map_or_empty("and");
    let items = block.list("and_sub_policy");
    if items.is_empty() {
        let help = "write and: {and_sub_policy: [...]}; an empty one would keep every trace";
        block.error("and_sub_policy", "at least one sub-policy is needed", help);
        return None;
    }
    let sub_policies: Vec<PolicyConfig> = items.iter().filter_map(|i| policy(i, false)).collect();
    (sub_policies.len() == items.len()).then_some(Rule::And { sub_policies })
}

/// Every other type; its block may be missing where all of its keys have defaults.
fn leaf(r: &Reader<'_>, kind: &'static str) -> Rule {
    let b = r.map_or_empty(kind);
    let int = |key| b.int_or(key, 0, i64::MIN);
    let rule = match kind {
        "latency" => Rule::Latency {
            threshold_ms: int("threshold_ms"),
            upper_threshold_ms: int("upper_threshold_ms"),
        },
        "numeric_attribute" => Rule::NumericAttribute {
            key: b.string_or("key", ""),
            min_value: bound(&b, "min_value"),
            max_value: bound(&b, "max_value"),
            invert_match: b.bool_or("invert_match", false),
        },
        "string_attribute" => Rule::StringAttribute {
            key: b.string_or("key", ""),
            values: b.strings("values"),
            enabled_regex_matching: b.bool_or("enabled_regex_matching", false),
            cache_max_size: int("cache_max_size"),
            invert_match: b.bool_or("invert_match", false),
        },
        "status_code" => Rule::StatusCode { status_codes: b.strings("status_codes") },
        "probabilistic" => Rule::Probabilistic {
            hash_salt: b.string_or("hash_salt", ""),
            sampling_percentage: percentage(&b),
        },
        "span_count" => {
            Rule::SpanCount { min_spans: int("min_spans"), max_spans: int("max_spans") }
        }
        _ => Rule::AlwaysSample,
    };
    if let Some((key, text)) = all_or_nothing(&rule) {
        b.note(key, text);
    }
    rule
}

fn bound(b: &Reader<'_>, key: &'static str) -> i64 {
    let value = b.int_or(key, 0, i64::MIN);
    if value == 0 && b.has(key) {
        b.note(key, "0 is no bound, as in the collector");
    }
    value
}

/// What is allowed and hardly meant: the key and what it does.
fn all_or_nothing(rule: &Rule) -> Option<(&'static str, &'static str)> {
    Some(match rule {
        Rule::Latency { threshold_ms: 0, upper_threshold_ms: 0 } => {
            ("threshold_ms", "is 0: every trace that takes time is kept")
        }
        Rule::SpanCount { min_spans: 0 | 1, max_spans: 0 } => {
            ("min_spans", "every trace has as many spans: all are kept")
        }
        Rule::Probabilistic { sampling_percentage, .. } if *sampling_percentage >= 100.0 => {
            ("sampling_percentage", "keeps every trace")
        }
        Rule::Probabilistic { sampling_percentage, .. } if *sampling_percentage == 0.0 => {
            ("sampling_percentage", "is 0: keeps no trace")
        }
        Rule::StringAttribute { values, .. }
            if !values.is_empty() && values.iter().all(|value| value.parse::<i64>().is_ok()) =>
        {
            ("values", "are texts: an attribute that is a number takes numeric_attribute")
        }
        _ => return None,
    })
}

fn percentage(b: &Reader<'_>) -> f64 {
    let item = b.typed("sampling_percentage");
    if item.is_none() {
        let help = "write sampling_percentage: 10; 0 keeps nothing";
        b.error("sampling_percentage", "is missing", help);
    }
    item.and_then(|i| i.number(0.0, f64::MAX)).unwrap_or(0.0)
}

/// Takes out a pattern that is none, so that the next such one is found.
fn take_pattern(rule: &mut Rule, error: &PolicyError) -> bool {
    let Rule::StringAttribute { values, .. } = rule else { return false };
    let index = error.path.rsplit_once("values[").and_then(|(_, n)| n.strip_suffix(']'));
    let value = index.and_then(|n| values.get_mut(n.parse::<usize>().ok()?));
    value.map(String::clear).is_some()
}

/// An error of the policy crate at its place: `rest` begins with `.` or is empty.
fn report(item: &Item<'_>, rest: &str, error: &PolicyError) {
    let what = error.problem.to_string();
    let help = match error.problem {
        Problem::Regex(_) => {
            "write RE2, as Go has it: without (?!...), (?=...), a*+ and \\1; invert_match keeps \
             what does not match"
        }
        _ => "",
    };
    match rest.strip_prefix('.') {
        Some(path) => item.error_below(path, &what, help),
        None => item.error(&what, help),
    }
}
