//! From configured policies to a program, strictly: what can't mean anything is an error.

use std::collections::HashSet;

use crate::chance::Chance;
use crate::config::{Options, PolicyConfig, Rule};
use crate::error::{PolicyError, Problem};
use crate::facts;
use crate::leaves::{LeafSpec, Leaves};
use crate::program::{Check, Policy, Program};
use crate::re2;

/// What is wrong, and the key of it below the policy.
struct Fault {
    path: String,
    problem: Problem,
}

pub(crate) fn compile(policies: &[PolicyConfig], options: Options) -> Result<Program, PolicyError> {
    let list = |problem| PolicyError { path: "policies".into(), policy: String::new(), problem };
    if policies.is_empty() {
        return Err(list(Problem::NoPolicies));
    }
    if policies.len() > usize::from(u16::MAX) {
        return Err(list(Problem::TooManyPolicies));
    }
    let mut leaves = Leaves::default();
    let mut names = HashSet::new();
    let mut compiled = Vec::with_capacity(policies.len());
    for (n, policy) in policies.iter().enumerate() {
        let check = named(policy, &mut names).and_then(|()| check(&policy.rule, true, &mut leaves));
        let check = check.map_err(|fault| PolicyError {
            path: format!("policies[{n}].{}", fault.path),
            policy: policy.name.clone(),
            problem: fault.problem,
        })?;
        compiled.push(Policy { name: policy.name.clone(), check });
    }
    Ok(Program { policies: compiled, leaves, options })
}

fn named<'p>(policy: &'p PolicyConfig, names: &mut HashSet<&'p str>) -> Result<(), Fault> {
    if policy.name.is_empty() {
        return fault("name", Problem::EmptyName);
    }
    if !names.insert(&policy.name) {
        return fault("name", Problem::DuplicateName);
    }
    Ok(())
}

fn fault<T>(path: impl Into<String>, problem: Problem) -> Result<T, Fault> {
    Err(Fault { path: path.into(), problem })
}

fn check(rule: &Rule, top: bool, leaves: &mut Leaves) -> Result<Check, Fault> {
    match rule {
        Rule::AlwaysSample => Ok(Check::Always),
        Rule::Latency { threshold_ms, upper_threshold_ms } => {
            latency(*threshold_ms, *upper_threshold_ms)
        }
        Rule::NumericAttribute { key, min_value, max_value, invert_match } => {
            let spec = number(key, *min_value, *max_value)?;
            let bit = leaf("numeric_attribute", leaves.bit(key, spec, Vec::new()))?;
            Ok(Check::Matched { bit, invert: *invert_match })
        }
        Rule::StringAttribute { key, values, enabled_regex_matching, invert_match, .. } => {
            if key.is_empty() {
                return fault("string_attribute.key", Problem::NoKey);
            }
            let (spec, regexes) = if *enabled_regex_matching {
                patterns(values)?
            } else {
                (exact(values), Vec::new())
            };
            let bit = leaf("string_attribute", leaves.bit(key, spec, regexes))?;
            Ok(Check::Matched { bit, invert: *invert_match })
        }
        Rule::StatusCode { status_codes } => status(status_codes),
        Rule::Probabilistic { hash_salt, sampling_percentage } => {
            if !sampling_percentage.is_finite() || *sampling_percentage < 0.0 {
                let problem = Problem::Percentage(*sampling_percentage);
                return fault("probabilistic.sampling_percentage", problem);
            }
            Ok(Check::Chance(Chance::new(hash_salt, *sampling_percentage)))
        }
        Rule::SpanCount { min_spans, max_spans } => span_count(*min_spans, *max_spans),
        Rule::And { .. } if !top => fault("type", Problem::NestedAnd),
        Rule::And { sub_policies } => and(sub_policies, leaves),
    }
}

fn latency(threshold_ms: i64, upper_threshold_ms: i64) -> Result<Check, Fault> {
    const UPPER: &str = "latency.upper_threshold_ms";
    let Ok(above_ms) = u64::try_from(threshold_ms) else {
        return fault("latency.threshold_ms", Problem::Negative(threshold_ms));
    };
    let Ok(upper) = u64::try_from(upper_threshold_ms) else {
        return fault(UPPER, Problem::Negative(upper_threshold_ms));
    };
    if upper != 0 && upper < above_ms {
        let problem = Problem::NeverMatches { min: threshold_ms, max: upper_threshold_ms };
        return fault(UPPER, problem);
    }
    Ok(Check::Latency { above_ms, up_to_ms: if upper == 0 { u64::MAX } else { upper } })
}

fn number(key: &str, min_value: i64, max_value: i64) -> Result<LeafSpec, Fault> {
    if key.is_empty() {
        return fault("numeric_attribute.key", Problem::NoKey);
    }
    let bound = |value: i64| (value != 0).then_some(value);
    let (min, max) = (bound(min_value), bound(max_value));
    match (min, max) {
        (None, None) => fault("numeric_attribute", Problem::NoBounds),
        (Some(min), Some(max)) if min > max => {
            fault("numeric_attribute.min_value", Problem::NeverMatches { min, max })
        }
        _ => Ok(LeafSpec::Number { min, max }),
    }
}

fn exact(values: &[String]) -> LeafSpec {
    let mut values: Vec<String> = values.iter().filter(|v| !v.is_empty()).cloned().collect();
    values.sort_unstable();
    values.dedup();
    LeafSpec::Exact(values)
}

fn patterns(values: &[String]) -> Result<(LeafSpec, Vec<regex::bytes::Regex>), Fault> {
    let compiled = values.iter().enumerate().map(|(n, pattern)| {
        re2::compile(pattern).or_else(|reason| {
            fault(format!("string_attribute.values[{n}]"), Problem::Regex(reason))
        })
    });
    Ok((LeafSpec::Regex(values.to_vec()), compiled.collect::<Result<_, _>>()?))
}

fn leaf(block: &str, bit: Option<u128>) -> Result<u128, Fault> {
    bit.map_or_else(|| fault(block, Problem::TooManyConditions), Ok)
}

fn status(codes: &[String]) -> Result<Check, Fault> {
    if codes.is_empty() {
        return fault("status_code.status_codes", Problem::NoStatusCodes);
    }
    let mut mask = 0;
    for (n, code) in codes.iter().enumerate() {
        mask |= match code.as_str() {
            "UNSET" => facts::UNSET,
            "OK" => facts::OK,
            "ERROR" => facts::ERROR,
            _ => {
                let problem = Problem::UnknownStatusCode(code.clone());
                return fault(format!("status_code.status_codes[{n}]"), problem);
            }
        };
    }
    Ok(Check::Status(mask))
}

fn span_count(min_spans: i64, max_spans: i64) -> Result<Check, Fault> {
    for (path, value) in [("span_count.min_spans", min_spans), ("span_count.max_spans", max_spans)]
    {
        if value < 0 {
            return fault(path, Problem::Negative(value));
        }
        if i32::try_from(value).is_err() {
            return fault(path, Problem::TooLarge(value));
        }
    }
    if max_spans != 0 && min_spans > max_spans {
        let problem = Problem::NeverMatches { min: min_spans, max: max_spans };
        return fault("span_count.min_spans", problem);
    }
    // Both fit: checked above.
    let max = if max_spans == 0 { u32::MAX } else { max_spans as u32 };
    Ok(Check::Spans { min: min_spans as u32, max })
}

fn and(sub_policies: &[PolicyConfig], leaves: &mut Leaves) -> Result<Check, Fault> {
    if sub_policies.is_empty() {
        return fault("and.and_sub_policy", Problem::EmptyAnd);
    }
    let checks = sub_policies.iter().enumerate().map(|(n, sub)| {
        check(&sub.rule, false, leaves).map_err(|fault| Fault {
            path: format!("and.and_sub_policy[{n}].{}", fault.path),
            problem: fault.problem,
        })
    });
    Ok(Check::And(checks.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::leaves::MAX_LEAVES;

    fn text(n: usize, value: &str) -> PolicyConfig {
        let rule = Rule::StringAttribute {
            key: format!("key{}", n % 100),
            values: vec![value.into()],
            enabled_regex_matching: false,
            cache_max_size: 0,
            invert_match: n % 2 == 1,
        };
        PolicyConfig { name: n.to_string(), rule }
    }

    #[test]
    fn there_is_room_for_so_many_conditions() {
        let mut policies: Vec<_> =
            (0..MAX_LEAVES).map(|n| text(n, &format!("v{}", n / 100))).collect();
        // These ask again what the first ones ask.
        policies
            .extend((0..100).map(|n| PolicyConfig { name: format!("again {n}"), ..text(n, "v0") }));
        let program = compile(&policies, Options::default()).unwrap();
        let bits = program.policies.iter().map(|policy| match policy.check {
            Check::Matched { bit, .. } => bit,
            _ => 0,
        });
        let bits: Vec<u128> = bits.collect();
        assert_eq!(bits[..100], bits[MAX_LEAVES..]);
        assert_eq!(bits.iter().fold(0, |all, bit| all | bit), u128::MAX);

        policies.push(PolicyConfig { name: "more".into(), ..text(0, "v2") });
        let error = compile(&policies, Options::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "policies[228].string_attribute: more than 128 different attribute conditions in all \
             policies (policy \"more\")"
        );
    }

    #[test]
    fn what_only_looks_different_shares_a_bit() {
        let numeric = |min_value, max_value| Rule::NumericAttribute {
            key: "k".into(),
            min_value,
            max_value,
            invert_match: false,
        };
        let string = |values: &[&str], regex| Rule::StringAttribute {
            key: "k".into(),
            values: values.iter().copied().map(str::to_owned).collect(),
            enabled_regex_matching: regex,
            cache_max_size: 0,
            invert_match: false,
        };
        let rules = [
            numeric(1, 0),
            numeric(0, 1),
            numeric(1, 0),
            string(&["a", "b"], false),
            string(&["b", "", "a", "b"], false),
            string(&["a", "b"], true),
        ];
        let mut leaves = Leaves::default();
        let bits = rules.iter().map(|rule| match check(rule, true, &mut leaves) {
            Ok(Check::Matched { bit, .. }) => bit.trailing_zeros(),
            _ => u32::MAX,
        });
        assert_eq!(bits.collect::<Vec<_>>(), [0, 1, 0, 2, 2, 3]);
    }
}
