//! `service.telemetry`: the program's own logs and metrics.

mod logs;
mod metrics;

pub use self::logs::{LogEncoding, LogLevel, LogOutput, LogSampling, Logs};
pub use self::metrics::{Metrics, MetricsLevel, PullReader, Select};

use super::item::Item;
use super::reader::Reader;

/// `service.telemetry`.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    /// `logs`.
    pub logs: Logs,
    /// `metrics`.
    pub metrics: Metrics,
    /// `resource`: attributes that describe this process, in the order of the file.
    pub resource: Vec<(String, String)>,
}

// === impl Telemetry ===

impl Telemetry {
    pub(super) fn read(r: &Reader<'_>) -> Self {
        r.accept(&["traces"], "has no effect: there are no traces of the program itself");
        Self {
            logs: Logs::read(&r.map_or_empty("logs")),
            metrics: Metrics::read(&r.map_or_empty("metrics")),
            resource: resource(&r.map_or_empty("resource")),
        }
    }
}

/// `resource`: a mapping of attributes, or the declarative form `attributes: [{name, value}]`.
fn resource(r: &Reader<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (key, _, value) in r.entries() {
        match key {
            "schema_url" | "detectors" | "attributes_list" => {}
            "attributes" if value.is_list() => {
                for pair in value.list().iter().filter_map(Item::map) {
                    pair.accept(&["type"], "has no effect: values are text");
                    let name = pair.required("name", "write {name: ..., value: ...}");
                    found.push((name, pair.string_or("value", "")));
                }
            }
            // Nothing as the value takes a default attribute away, as in the collector.
            _ if value.is_null() => found.push((key.to_owned(), String::new())),
            _ => found.extend(value.string().map(|text| (key.to_owned(), text))),
        }
    }
    found
}
