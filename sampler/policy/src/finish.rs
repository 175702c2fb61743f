//! Finish: decisions from facts.

use tailgate_proto::TraceId;

use crate::facts::Facts;
use crate::program::{Check, Program};

/// What becomes of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Sampled or not.
    pub outcome: Outcome,
    /// The first policy that sampled, counted from 0 in the program's order.
    pub policy: Option<u16>,
    /// What the trace is worth, if it is sampled.
    pub value: Value,
}

/// What a sampled trace is worth when not all can be kept: the least is given up first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Only chance wants it, or a policy that wants everything.
    #[default]
    Chance,
    /// A policy that looks at it wants it.
    Policy,
    /// It is slow.
    Slow,
    /// A span of it failed.
    Error,
}

/// The outcome of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Some policy wants the trace.
    Sampled,
    /// No policy wants it.
    NotSampled,
    /// No decision: the facts are another program's. Fold the spans with this one and ask again.
    Stale,
}

/// Counts the policies' votes; in the program's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(Vec<Votes>);

/// The votes of one policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Votes {
    /// Traces it wanted.
    pub sampled: u64,
    /// Traces it was asked about and did not want.
    pub not_sampled: u64,
    /// Spans of the traces it wanted.
    pub spans_sampled: u64,
    /// Spans of the others.
    pub spans_not_sampled: u64,
}

// === impl Program ===

impl Program {
    /// Decides traces, one decision per trace, in order, appended to `out`; adds the votes to
    /// `tally`.
    ///
    /// A trace is sampled if any policy samples it. Every policy votes, unless
    /// `sample_on_first_match` ends the vote. An inverted policy votes like any other and vetoes
    /// nothing.
    pub fn finish(&self, batch: &[(TraceId, Facts)], tally: &mut Tally, out: &mut Vec<Decision>) {
        tally.0.resize(self.policies.len().max(tally.0.len()), Votes::default());
        out.extend(batch.iter().map(|(id, facts)| self.decide(id, facts, tally)));
    }

    fn decide(&self, id: &TraceId, facts: &Facts, tally: &mut Tally) -> Decision {
        if !self.owns(facts) {
            return Decision { outcome: Outcome::Stale, policy: None, value: Value::default() };
        }
        let mut first = None;
        let mut value = if facts.has_error() { Value::Error } else { Value::Chance };
        for (n, (policy, votes)) in self.policies.iter().zip(&mut tally.0).enumerate() {
            if !policy.check.samples(id, facts) {
                votes.not_sampled += 1;
                votes.spans_not_sampled += u64::from(facts.spans());
                continue;
            }
            votes.sampled += 1;
            votes.spans_sampled += u64::from(facts.spans());
            first = first.or(u16::try_from(n).ok());
            value = value.max(policy.check.value());
            if self.options.sample_on_first_match {
                break;
            }
        }
        let outcome = if first.is_some() { Outcome::Sampled } else { Outcome::NotSampled };
        Decision { outcome, policy: first, value }
    }
}

// === impl Check ===

impl Check {
    pub(crate) fn samples(&self, id: &TraceId, facts: &Facts) -> bool {
        match self {
            Check::Always => true,
            Check::Latency { above_ms, up_to_ms } => {
                let ms = facts.duration_ns() / 1_000_000;
                *above_ms < ms && ms <= *up_to_ms
            }
            Check::Matched { bit, invert } => (facts.matched & bit != 0) != *invert,
            Check::Status(mask) => facts.has_status(*mask),
            Check::Chance(chance) => chance.samples(id),
            Check::Spans { min, max } => (*min..=*max).contains(&facts.spans()),
            Check::And(checks) => checks.iter().all(|check| check.samples(id, facts)),
        }
    }

    /// What a trace is worth that this samples.
    fn value(&self) -> Value {
        match self {
            Check::Always | Check::Chance(_) => Value::Chance,
            Check::Latency { .. } => Value::Slow,
            // Errors are known from the facts.
            Check::Matched { .. } | Check::Status(_) | Check::Spans { .. } => Value::Policy,
            Check::And(checks) => checks.iter().map(Check::value).max().unwrap_or_default(),
        }
    }
}

// === impl Value ===

impl Value {
    /// All of them, the least first.
    pub const ALL: [Value; 4] = [Value::Chance, Value::Policy, Value::Slow, Value::Error];
}

// === impl Tally ===

impl Tally {
    /// The votes of each policy; empty before the first [`Program::finish`].
    pub fn votes(&self) -> &[Votes] {
        &self.0
    }
}

// === impl Votes ===

impl Votes {
    /// How often the policy was asked.
    pub fn executions(&self) -> u64 {
        self.sampled + self.not_sampled
    }
}
