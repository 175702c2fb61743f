//! Compiled policies.

use crate::chance::Chance;
use crate::config::{Options, PolicyConfig};
use crate::error::PolicyError;
use crate::facts::Facts;
use crate::leaves::Leaves;

/// Compiled policies: immutable, shared by all who fold and decide.
#[derive(Debug)]
pub struct Program {
    pub(crate) policies: Vec<Policy>,
    pub(crate) leaves: Leaves,
    pub(crate) options: Options,
}

#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) check: Check,
}

/// A rule, as a question to a trace's facts.
#[derive(Debug)]
pub(crate) enum Check {
    Always,
    /// `above_ms < duration <= up_to_ms`, in whole milliseconds.
    Latency {
        above_ms: u64,
        up_to_ms: u64,
    },
    /// An attribute condition, by its bit.
    Matched {
        bit: u128,
        invert: bool,
    },
    /// Status codes, by their bits in the facts' flags.
    Status(u8),
    Chance(Chance),
    /// Inclusive.
    Spans {
        min: u32,
        max: u32,
    },
    And(Vec<Check>),
}

// === impl Program ===

impl Program {
    /// Compiles policies, all or none.
    ///
    /// # Errors
    /// The first policy that can't be compiled, with its configuration key and what is wrong there.
    pub fn compile(policies: &[PolicyConfig], options: Options) -> Result<Program, PolicyError> {
        crate::compile::compile(policies, options)
    }

    /// The policies' names, in order. A [`Decision`](crate::Decision) and a [`Tally`](crate::Tally)
    /// count from here.
    pub fn policies(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(|policy| policy.name.as_str())
    }

    /// The facts of a trace without spans.
    pub fn new_facts(&self) -> Facts {
        Facts::new(self.options.version)
    }

    /// These facts were folded by this program. Others must be folded anew before they can decide.
    pub fn owns(&self, facts: &Facts) -> bool {
        facts.version() == Some(self.options.version)
    }
}
