//! `service.telemetry`: the program's own logs and metrics.

use super::endpoint;
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

/// `service.telemetry.logs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// Least level logged; default info.
    pub level: LogLevel,
    /// Form of a line; default console.
    pub encoding: LogEncoding,
}

/// Level of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What happens once in a while.
    Info,
    /// What someone should look at.
    Warn,
    /// What went wrong. The collector's `dpanic`, `panic` and `fatal` count as this.
    Error,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEncoding {
    /// For people.
    Console,
    /// One JSON object a line.
    Json,
}

/// `service.telemetry.metrics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// How much; `None` turns the endpoint off. Default normal.
    pub level: MetricsLevel,
    /// Where Prometheus scrapes, from `address` or the first pull reader; default
    /// `localhost:8888`.
    pub address: String,
}

/// `metrics.level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricsLevel {
    /// No endpoint.
    None,
    /// The collector's basic.
    Basic,
    /// The collector's normal.
    Normal,
    /// The collector's detailed.
    Detailed,
}

const DEFAULT_ADDRESS: &str = "localhost:8888";

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

// === impl Logs ===

impl Logs {
    fn read(r: &Reader<'_>) -> Self {
        let inert = [
            "development",
            "disable_caller",
            "disable_stacktrace",
            "sampling",
            "output_paths",
            "error_output_paths",
            "initial_fields",
            "disable_zap_resource",
        ];
        r.accept(&inert, "has no effect: logs go to standard error");
        r.accept(&["processors"], "has no effect: logs are not exported");
        let encoding = r.typed("encoding").and_then(|i| i.choice(&["console", "json"]));
        Self {
            level: r.typed("level").and_then(|i| log_level(&i)).unwrap_or(LogLevel::Info),
            encoding: if encoding == Some(1) { LogEncoding::Json } else { LogEncoding::Console },
        }
    }
}

fn log_level(item: &Item<'_>) -> Option<LogLevel> {
    let text = item.string()?;
    match text.to_ascii_lowercase().as_str() {
        "debug" => Some(LogLevel::Debug),
        "info" => Some(LogLevel::Info),
        "warn" => Some(LogLevel::Warn),
        "error" | "dpanic" | "panic" | "fatal" => Some(LogLevel::Error),
        _ => {
            item.error(&format!("{text:?} is no level"), "use debug, info, warn or error");
            None
        }
    }
}

// === impl Metrics ===

impl Metrics {
    fn read(r: &Reader<'_>) -> Self {
        r.accept(&["views"], "has no effect");
        let level = r.typed("level").and_then(|i| metrics_level(&i));
        let address = r.typed("address").and_then(|i| endpoint::listen(&i));
        let mut pulls = Vec::new();
        for reader in r.list("readers").iter().filter_map(Item::map) {
            reader.accept(&["periodic"], "has no effect: metrics are scraped, not sent");
            if let Some(pull) = reader.map("pull") {
                pulls.extend(pull_address(&pull));
            }
        }
        if pulls.len() > 1 {
            r.note("readers", "only the first pull reader is served");
        }
        let address = address.or_else(|| pulls.into_iter().next());
        Self {
            level: level.unwrap_or(MetricsLevel::Normal),
            address: address.unwrap_or_else(|| DEFAULT_ADDRESS.to_owned()),
        }
    }
}

fn metrics_level(item: &Item<'_>) -> Option<MetricsLevel> {
    let text = item.string()?;
    match text.to_ascii_lowercase().as_str() {
        "none" => Some(MetricsLevel::None),
        "basic" => Some(MetricsLevel::Basic),
        "normal" | "" => Some(MetricsLevel::Normal),
        "detailed" => Some(MetricsLevel::Detailed),
        _ => {
            let help = "use none, basic, normal or detailed";
            item.error(&format!("{text:?} is no level"), help);
            None
        }
    }
}

/// The address of one pull reader.
fn pull_address(r: &Reader<'_>) -> Option<String> {
    r.accept(&["producers", "cardinality_limits"], "has no effect");
    let exporter = r.map_or_empty("exporter");
    let prometheus = exporter.map("prometheus");
    let Some(r) = prometheus else {
        exporter.error("prometheus", "is missing", "write prometheus: {host: ..., port: ...}");
        return None;
    };
    let inert = [
        "without_scope_info",
        "without_units",
        "without_type_suffix",
        "with_resource_constant_labels",
        "translation_strategy",
    ];
    r.accept(&inert, "has no effect");
    let host = r.string_or("host", "localhost");
    let port = r.typed("port").and_then(|i| i.integer(0, 65_535)).unwrap_or(8888);
    // An IPv6 address needs its brackets between here and the socket.
    let bare_v6 = host.contains(':') && !host.starts_with('[');
    let address = if bare_v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    if !endpoint::is_host_port(&address) {
        r.error("host", &format!("{host:?} is no host"), "write a name or an address");
        return None;
    }
    Some(address)
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
