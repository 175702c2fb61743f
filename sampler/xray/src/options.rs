//! The options that change what documents say.

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
        }
    }
}

impl Options {
    /// The key is configured; the keys are sorted.
    pub(crate) fn is_indexed(&self, key: &[u8]) -> bool {
        self.indexed_attributes.binary_search_by(|text| text.as_bytes().cmp(key)).is_ok()
    }

    /// Spans have annotations without asking for them.
    pub(crate) fn has_indexed(&self) -> bool {
        self.index_all_attributes || !self.indexed_attributes.is_empty()
    }
}
