//! Prometheus' text format, in the form that a reader asks for.
//!
//! The collector's default reader shows the names as they are in [`super::names`]; others add the unit and, to
//! counters, `_total`, as Prometheus recommends. Dashboards in the field ask for one or the other.

use std::borrow::Cow;
use std::fmt::Write;

use super::distribution::Reading;
use super::names::{Def, Kind, Unit};

/// How a reader sees the metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Form {
    /// How metrics are called.
    pub naming: Naming,
    /// Attributes of the resource that every series has as labels.
    pub constants: Vec<(String, String)>,
    /// Every series has the labels `otel_scope_name`, `otel_scope_version` and `otel_scope_schema_url`.
    pub scope: bool,
}

/// How metrics are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// By one name each.
    One {
        /// With the unit.
        unit: bool,
        /// Counters with `_total`.
        total: bool,
    },
    /// By the collector's and by Prometheus' name, where these differ.
    Both,
}

/// The collector's default.
pub const COLLECTOR: Naming = Naming::One { unit: false, total: false };
/// As Prometheus recommends.
pub const PROMETHEUS: Naming = Naming::One { unit: true, total: true };

const SCOPE: [(&str, &str); 3] = [
    ("otel_scope_name", "tailgate"),
    ("otel_scope_version", env!("CARGO_PKG_VERSION")),
    ("otel_scope_schema_url", ""),
];

/// One sample's value.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    /// A counter.
    Whole(u64),
    /// A gauge, or a counter with a fraction.
    Float(f64),
    /// A histogram.
    Histogram(Reading),
}

/// A name that Prometheus takes for a label.
pub fn label_name(attribute: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = attribute.chars().map(plain).collect();
    match name.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("key_{name}"),
        false => name,
    }
}

fn escape(value: &str) -> Cow<'_, str> {
    match value.contains(['\\', '"', '\n']) {
        true => value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").into(),
        false => value.into(),
    }
}

// === impl Naming ===

impl Default for Naming {
    fn default() -> Self {
        COLLECTOR
    }
}

impl Naming {
    /// What `def` is called: one name, or two.
    pub fn names(self, def: &Def) -> Vec<String> {
        match self {
            Self::One { unit, total } => vec![one_name(def, unit, total)],
            Self::Both => {
                let mut names = [COLLECTOR, PROMETHEUS].map(|naming| naming.names(def)).concat();
                names.dedup();
                names
            }
        }
    }
}

fn one_name(def: &Def, unit: bool, total: bool) -> String {
    let mut name = def.name.to_owned();
    let suffix = def.unit.suffix();
    if unit && !suffix.is_empty() && !name.ends_with(suffix) {
        name.push_str(suffix);
    }
    if total && matches!(def.kind, Kind::Counter | Kind::FloatCounter) {
        name.push_str("_total");
    }
    name
}

// === impl Unit ===

impl Unit {
    fn suffix(self) -> &'static str {
        match self {
            Self::Count => "",
            Self::Bytes => "_bytes",
            Self::Seconds => "_seconds",
            Self::Milliseconds => "_milliseconds",
            Self::Microseconds => "_microseconds",
        }
    }
}

// === impl Form ===

impl Form {
    /// Writes a metric and its series, by all of its names. `own` are the labels that belong to a series alone.
    pub(super) fn write<'s>(
        &self,
        def: &Def,
        series: impl Iterator<Item = (&'s [(String, String)], Shown)> + Clone,
        out: &mut String,
    ) {
        let kind = match def.kind {
            Kind::Counter | Kind::FloatCounter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let help = def.help.replace('\\', "\\\\").replace('\n', "\\n");
        for name in self.naming.names(def) {
            // Writing to a string does not fail, here and below.
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (own, shown) in series.clone() {
                sample(&name, &self.labels(own), &shown, out);
            }
        }
    }

    /// What stands between the braces.
    fn labels(&self, own: &[(String, String)]) -> String {
        let is_own = |name: &str| name == "le" || own.iter().any(|(key, _)| key == name);
        let constants = self.constants.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let scope = SCOPE.into_iter().filter(|_| self.scope);
        let before = constants.chain(scope).filter(|(key, _)| !is_own(key));
        let own = own.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut text = String::new();
        for (key, value) in before.chain(own) {
            let comma = if text.is_empty() { "" } else { "," };
            let _ = write!(text, "{comma}{key}=\"{}\"", escape(value));
        }
        text
    }
}

fn sample(name: &str, labels: &str, shown: &Shown, out: &mut String) {
    let braced = match labels {
        "" => String::new(),
        labels => format!("{{{labels}}}"),
    };
    let Reading { bounds, cumulative, sum } = match shown {
        Shown::Whole(value) => {
            let _ = writeln!(out, "{name}{braced} {value}");
            return;
        }
        Shown::Float(value) => {
            let _ = writeln!(out, "{name}{braced} {value}");
            return;
        }
        Shown::Histogram(reading) => reading,
    };
    let comma = if labels.is_empty() { "" } else { "," };
    let mut count = 0;
    let bounds = bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
    for (bound, upto) in bounds.zip(cumulative) {
        let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {upto}");
        count = *upto;
    }
    let _ = writeln!(out, "{name}_sum{braced} {sum}\n{name}_count{braced} {count}");
}

#[cfg(test)]
mod tests {
    use super::super::names::{all, defs};
    use super::*;

    #[test]
    fn names_of_both_kinds() {
        let names = |naming: Naming, def| naming.names(def).join(" ");
        for (def, collector, prometheus) in [
            (
                &defs::PROCESS_UPTIME,
                "otelcol_process_uptime",
                "otelcol_process_uptime_seconds_total",
            ),
            (
                &defs::PROCESS_CPU_SECONDS,
                "otelcol_process_cpu_seconds",
                "otelcol_process_cpu_seconds_total",
            ),
            (
                &defs::PROCESS_MEMORY_RSS,
                "otelcol_process_memory_rss",
                "otelcol_process_memory_rss_bytes",
            ),
            (
                &defs::LB_BACKEND_LATENCY,
                "otelcol_loadbalancer_backend_latency",
                "otelcol_loadbalancer_backend_latency_milliseconds",
            ),
            (
                &defs::RECEIVER_ACCEPTED_SPANS,
                "otelcol_receiver_accepted_spans",
                "otelcol_receiver_accepted_spans_total",
            ),
        ] {
            assert_eq!(names(COLLECTOR, def), collector);
            assert_eq!(names(PROMETHEUS, def), prometheus);
            assert_eq!(names(Naming::Both, def), format!("{collector} {prometheus}"));
        }
        assert_eq!(
            names(Naming::Both, &defs::LB_NUM_BACKENDS),
            "otelcol_loadbalancer_num_backends"
        );
        assert_eq!(names(Naming::Both, &defs::TARGET_INFO), "target_info");
        let unit_only = Naming::One { unit: true, total: false };
        assert_eq!(names(unit_only, &defs::PROCESS_UPTIME), "otelcol_process_uptime_seconds");
    }

    #[test]
    fn no_name_is_used_twice() {
        let mut names: Vec<String> = all().flat_map(|def| Naming::Both.names(def)).collect();
        let before = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), before);
        assert!(all().all(|def| !def.name.ends_with("_total")));
    }

    #[test]
    fn labels_are_escaped_and_never_there_twice() {
        let form = Form {
            naming: COLLECTOR,
            constants: vec![("exporter".into(), "no".into()), ("a".into(), "q\"\\\n".into())],
            scope: true,
        };
        let own = [("exporter".to_owned(), "otlp".to_owned())];
        let mut out = String::new();
        let series = [(&own[..], Shown::Whole(3))];
        form.write(&defs::EXPORTER_SENT_SPANS, series.into_iter(), &mut out);
        let line = out.lines().last().unwrap_or_default();
        assert_eq!(
            line,
            format!(
                "otelcol_exporter_sent_spans{{a=\"q\\\"\\\\\\n\",otel_scope_name=\"tailgate\",\
                 otel_scope_version=\"{}\",otel_scope_schema_url=\"\",exporter=\"otlp\"}} 3",
                env!("CARGO_PKG_VERSION")
            )
        );
    }

    #[test]
    fn names_of_labels() {
        assert_eq!(label_name("service.instance.id"), "service_instance_id");
        assert_eq!(label_name("1-a"), "key_1_a");
    }
}
