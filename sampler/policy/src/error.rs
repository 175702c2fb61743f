//! Why policies do not compile.

use thiserror::Error;

use crate::leaves::MAX_LEAVES;

/// A policy that can't be compiled.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{path}: {problem}{}", in_policy(policy))]
pub struct PolicyError {
    /// The configuration key, counted from the block of the policies, such as
    /// `policies[2].and.and_sub_policy[0].status_code.status_codes[1]`.
    pub path: String,
    /// The name of the policy in the list; empty if it has none or the list itself is wrong.
    pub policy: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a policy. The collector refuses only some of these.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Problem {
    /// The list is empty.
    #[error("no policies: nothing would ever be sampled")]
    NoPolicies,
    /// More policies than a decision can name.
    #[error("more than {max} policies", max = u16::MAX)]
    TooManyPolicies,
    /// A policy without a name.
    #[error("a policy needs a name")]
    EmptyName,
    /// Two policies have this name.
    #[error("another policy has this name")]
    DuplicateName,
    /// An attribute policy without a key.
    #[error("an attribute key is needed")]
    NoKey,
    /// A `numeric_attribute` without bounds.
    #[error("min_value or max_value is needed (0 is no bound)")]
    NoBounds,
    /// Nothing is within these bounds.
    #[error("nothing is at least {min} and at most {max}")]
    NeverMatches {
        /// The lower bound.
        min: i64,
        /// The upper bound.
        max: i64,
    },
    /// A number that can't be negative.
    #[error("{0} is negative")]
    Negative(i64),
    /// A number of spans over the collector's 32 bits.
    #[error("{0} does not fit into 32 bits")]
    TooLarge(i64),
    /// A `status_code` without codes.
    #[error("at least one of OK, ERROR, UNSET is needed")]
    NoStatusCodes,
    /// A code that is none.
    #[error("unknown status code {0:?}: it is OK, ERROR or UNSET")]
    UnknownStatusCode(String),
    /// Not a regular expression of RE2's syntax, or too large a one.
    #[error("not a regular expression: {0}")]
    Regex(String),
    /// A percentage that is negative or not a finite number.
    #[error("{0} is not a percentage")]
    Percentage(f64),
    /// An `and` of nothing would sample every trace.
    #[error("an `and` needs at least one sub-policy")]
    EmptyAnd,
    /// An `and` in an `and`.
    #[error("an `and` can't be within an `and`")]
    NestedAnd,
    /// More different attribute conditions than the facts have room for.
    #[error("more than {MAX_LEAVES} different attribute conditions in all policies")]
    TooManyConditions,
}

fn in_policy(policy: &str) -> String {
    if policy.is_empty() { String::new() } else { format!(" (policy {policy:?})") }
}
