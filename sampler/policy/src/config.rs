//! What a program is compiled from: the policies as they are configured.

/// One policy of the list, or one sub-policy of an `and`.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyConfig {
    /// Its name. Unique and not empty in the list; free in an `and`.
    pub name: String,
    /// What it asks for.
    pub rule: Rule,
}

/// The policy types. Fields are named as in the configuration and mean the same as in the
/// collector.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Every trace.
    AlwaysSample,
    /// `threshold_ms < duration`, and `duration <= upper_threshold_ms` if that is not 0.
    ///
    /// The duration is from the earliest start to the latest end of all spans of the trace, in
    /// whole milliseconds (cut off). A timestamp of 0 is unset and is ignored on its own: a span
    /// without a start still counts with its end. Without any start or any end the duration is 0.
    /// The collector differs in two points, where its answer depends on the order of spans: it
    /// tests the bounds after each span, and lets a 0 reset the earliest start.
    Latency {
        /// Exclusive lower bound, in milliseconds.
        threshold_ms: i64,
        /// Inclusive upper bound, in milliseconds; 0 is none.
        upper_threshold_ms: i64,
    },
    /// The resource's or a span's first attribute `key` is an integer within the bounds.
    ///
    /// As in the collector, a value of any other type reads as 0. A double is compared by its
    /// value, too: the collector documents numbers and has no way to match a double.
    NumericAttribute {
        /// The attribute's key.
        key: String,
        /// Inclusive lower bound; 0 is none.
        min_value: i64,
        /// Inclusive upper bound; 0 is none.
        max_value: i64,
        /// Sample the traces in which nothing matches.
        invert_match: bool,
    },
    /// The resource's or a span's first attribute `key` is a string that equals, or matches, one of
    /// the values.
    ///
    /// Empty strings never match, except that a regular expression is tried on a resource's empty
    /// string, and there a value that is not a string reads as the empty string.
    StringAttribute {
        /// The attribute's key.
        key: String,
        /// Exact values (empty ones are ignored), or unanchored regular expressions in RE2's
        /// syntax.
        values: Vec<String>,
        /// The values are regular expressions.
        enabled_regex_matching: bool,
        /// Accepted and not needed: no result is cached.
        cache_max_size: i64,
        /// Sample the traces in which nothing matches.
        invert_match: bool,
    },
    /// A span has one of these status codes.
    StatusCode {
        /// Of `OK`, `ERROR`, `UNSET`.
        status_codes: Vec<String>,
    },
    /// A share of all traces, by a hash of the trace id (see [`crate::hash`]).
    Probabilistic {
        /// Salt of the hash; empty is [`crate::DEFAULT_SALT`].
        hash_salt: String,
        /// Share in percent; above 100 is 100.
        sampling_percentage: f64,
    },
    /// The number of spans is within the bounds.
    SpanCount {
        /// Inclusive lower bound.
        min_spans: i64,
        /// Inclusive upper bound; 0 is none.
        max_spans: i64,
    },
    /// All sub-policies sample. They may look at different spans.
    And {
        /// The sub-policies: any type but `and`.
        sub_policies: Vec<PolicyConfig>,
    },
}

/// What holds for all policies of a program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Stop at the first policy that samples; those after it have no vote.
    pub sample_on_first_match: bool,
    /// Tags the facts; each configuration that a process loads has its own.
    pub version: u32,
}
