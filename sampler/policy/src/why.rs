//! Why a trace is kept, and how many traces it stands for.

use tailgate_proto::TraceId;

use crate::facts::Facts;
use crate::program::{Check, Program};

/// Why a trace is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Why<'p> {
    /// The name of the first policy that samples it.
    pub policy: &'p str,
    /// Only chance kept it: with another trace id it could have been dropped.
    pub by_chance: bool,
    /// How many traces like this one were decided for each that was kept, on average.
    ///
    /// 1 over the probability to be kept, which is that of the likeliest policy: 1 if it asks for
    /// what the trace has, its percentage if it is `probabilistic`, the least of its parts if it is
    /// an `and`. Exact as long as all probabilistic policies have one salt, as by default: then
    /// they draw on the same number. With several salts it is too large, by at most the part that
    /// two policies share.
    pub adjusted_count: f64,
}

// === impl Program ===

impl Program {
    /// Why this trace is sampled. Nothing if it is not, or the facts are another program's.
    pub fn why(&self, id: &TraceId, facts: &Facts) -> Option<Why<'_>> {
        if !self.owns(facts) {
            return None;
        }
        let first = self.policies.iter().find(|policy| policy.check.samples(id, facts))?;
        let all = self.policies.iter().map(|policy| policy.check.probability(facts));
        let probability = all.fold(0.0, f64::max);
        let by_chance = probability < 1.0;
        Some(Why { policy: &first.name, by_chance, adjusted_count: 1.0 / probability })
    }
}

// === impl Check ===

impl Check {
    /// How likely a trace with these facts is sampled, over all trace ids.
    fn probability(&self, facts: &Facts) -> f64 {
        match self {
            Check::Chance(chance) => chance.probability(),
            Check::And(checks) => {
                checks.iter().map(|check| check.probability(facts)).fold(1.0, f64::min)
            }
            // No other check looks at the id.
            certain => f64::from(u8::from(certain.samples(&TraceId([0; 16]), facts))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Options, PolicyConfig, Rule, Tally};

    fn named(name: &str, rule: Rule) -> PolicyConfig {
        PolicyConfig { name: name.to_owned(), rule }
    }

    fn percent(sampling_percentage: f64) -> Rule {
        Rule::Probabilistic { hash_salt: String::new(), sampling_percentage }
    }

    fn slow() -> PolicyConfig {
        named("slow", Rule::SpanCount { min_spans: 2, max_spans: 0 })
    }

    /// Traces with facts as if they had this many spans; each stands for so many that the sum is
    /// about all of them.
    fn estimate(policies: &[PolicyConfig], spans: u32) -> (f64, Vec<(String, bool)>) {
        let program = Program::compile(policies, Options::default()).unwrap();
        let mut facts = program.new_facts();
        for _ in 0..spans {
            program.fold_span(tailgate_proto::view::SpanView::new(&[]), &mut facts);
        }
        let spread = |i: u128| i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let ids = (1..=20_000).map(|i| TraceId(spread(i).to_be_bytes()));
        let (mut sum, mut seen) = (0.0, Vec::new());
        for id in ids {
            let mut decisions = Vec::new();
            program.finish(&[(id, facts)], &mut Tally::default(), &mut decisions);
            let why = program.why(&id, &facts);
            assert_eq!(why.is_some(), decisions[0].policy.is_some());
            let Some(why) = why else { continue };
            sum += why.adjusted_count;
            let found = (why.policy.to_owned(), why.by_chance);
            if !seen.contains(&found) {
                seen.push(found);
            }
        }
        seen.sort();
        (sum / 20_000.0, seen)
    }

    #[test]
    fn counts_add_up_to_all_traces() {
        let half_of_slow =
            named("half", Rule::And { sub_policies: vec![slow(), named("p", percent(50.0))] });
        let base = named("base", percent(5.0));
        let policies = [half_of_slow, base];
        let (all, seen) = estimate(&policies, 1);
        assert!((0.9..1.1).contains(&all), "{all}");
        assert_eq!(seen, [("base".to_owned(), true)]);
        let (all, seen) = estimate(&policies, 3);
        assert!((0.97..1.03).contains(&all), "{all}");
        assert_eq!(seen, [("half".to_owned(), true)]);
    }

    #[test]
    fn what_is_kept_for_certain_stands_for_itself() {
        let (all, seen) = estimate(&[named("base", percent(5.0)), slow()], 3);
        assert_eq!(all, 1.0);
        assert_eq!(seen, [("base".to_owned(), false), ("slow".to_owned(), false)]);
    }
}
