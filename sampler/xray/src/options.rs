//! The options that change what documents say.

use tailgate_proto::view::Value;

/// As in the collector's `awsxray` exporter, its feature gates included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Attributes that become annotations, even if another block took them; `otel.resource.X` names
    /// the attribute `X` of the resource.
    pub indexed_attributes: Vec<String>,
    /// Every attribute that no block took becomes an annotation, if its type allows.
    pub index_all_attributes: bool,
    /// CloudWatch log groups, for resources that name none.
    pub aws_log_groups: Vec<String>,
    /// Trace ids need not begin with a recent time. On by default; X-Ray takes W3C trace ids now.
    pub skip_timestamp_validation: bool,
    /// Dots stay in annotation keys. On by default.
    pub allow_dot: bool,
    /// Which attributes are read, and how.
    pub conventions: Conventions,
    /// What segments say about the decision on their trace, as annotations. Nothing by default.
    pub told: Told,
}

/// What segments say about the decision on their trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// `tailgate.adjusted_count`: how many traces this one stands for.
    pub adjusted_count: bool,
    /// `tailgate.keep_reason`: `policy` or `chance`.
    pub keep_reason: bool,
    /// `tailgate.policy`: the first policy that wanted it.
    pub policy: bool,
}

/// The decision on a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision<'d> {
    /// How many traces this one stands for.
    pub adjusted_count: f64,
    /// Why it was kept.
    pub keep_reason: &'d str,
    /// The first policy that wanted it.
    pub policy: &'d str,
}

/// A generation of OpenTelemetry's semantic conventions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Conventions {
    /// Those that the collector's exporter knows.
    #[default]
    Collector,
    /// Those in force today too (1.45): HTTP, database, messaging and RPC. What differs then is in
    /// docs/XRAY.md.
    Stable,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            indexed_attributes: Vec::new(),
            index_all_attributes: false,
            aws_log_groups: Vec::new(),
            skip_timestamp_validation: true,
            allow_dot: true,
            conventions: Conventions::Collector,
            told: Told::default(),
        }
    }
}

impl Options {
    /// The key is configured; the keys are sorted.
    pub(crate) fn is_indexed(&self, key: &[u8]) -> bool {
        self.indexed_attributes.binary_search_by(|text| text.as_bytes().cmp(key)).is_ok()
    }

    /// What is told of a decision: keys and values of annotations.
    pub(crate) fn told<'d>(
        &self,
        decision: Decision<'d>,
    ) -> impl Iterator<Item = (&'static str, Value<'d>)> {
        let Told { adjusted_count, keep_reason, policy } = self.told;
        let all = [
            (adjusted_count, "tailgate.adjusted_count", Value::Double(decision.adjusted_count)),
            (keep_reason, "tailgate.keep_reason", Value::Str(decision.keep_reason.as_bytes())),
            (policy, "tailgate.policy", Value::Str(decision.policy.as_bytes())),
        ];
        all.into_iter().filter(|(told, ..)| *told).map(|(_, key, value)| (key, value))
    }

    /// Spans have annotations without asking for them.
    pub(crate) fn has_indexed(&self) -> bool {
        self.index_all_attributes || !self.indexed_attributes.is_empty()
    }
}
