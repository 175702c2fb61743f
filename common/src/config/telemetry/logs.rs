//! `service.telemetry.logs`: the keys of zap, the collector's logger.

use std::path::PathBuf;
use std::time::Duration;

use super::super::item::Item;
use super::super::reader::Reader;

/// `service.telemetry.logs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// Least level logged; default info.
    pub level: LogLevel,
    /// Form of a line; default console.
    pub encoding: LogEncoding,
    /// How much of the same is logged; default on.
    pub sampling: Option<LogSampling>,
    /// Where lines go; default standard error.
    pub outputs: Vec<LogOutput>,
    /// On every line.
    pub initial_fields: Vec<(String, String)>,
    /// Lines say where in the source they come from; default yes.
    pub caller: bool,
}

/// `logs.sampling`: of the same message, the first `initial` in each `tick` are logged, and then one of each
/// `thereafter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSampling {
    /// Default 10 s.
    pub tick: Duration,
    /// Default 10.
    pub initial: u64,
    /// Default 100; 0: none.
    pub thereafter: u64,
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// The end of a file.
    File(PathBuf),
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

/// Most entries of `output_paths` and `initial_fields`.
const MAX_ENTRIES: usize = 32;

// === impl Logs ===

impl Logs {
    pub(super) fn read(r: &Reader<'_>) -> Self {
        r.accept(
            &["development", "disable_stacktrace"],
            "has no effect: lines have no stack trace",
        );
        r.accept(&["error_output_paths"], "has no effect: the log has no errors of its own");
        r.accept(&["disable_zap_resource"], "has no effect: lines do not carry the resource");
        r.accept(&["processors"], "has no effect: logs are not exported");
        let encoding = r.typed("encoding").and_then(|i| i.choice(&["console", "json"]));
        Self {
            level: r.typed("level").and_then(|i| log_level(&i)).unwrap_or(LogLevel::Info),
            encoding: if encoding == Some(1) { LogEncoding::Json } else { LogEncoding::Console },
            sampling: LogSampling::read(&r.map_or_empty("sampling")),
            outputs: outputs(r),
            initial_fields: initial_fields(&r.map_or_empty("initial_fields")),
            caller: !r.bool_or("disable_caller", false),
        }
    }
}

fn outputs(r: &Reader<'_>) -> Vec<LogOutput> {
    if !r.has("output_paths") {
        return vec![LogOutput::Stderr];
    }
    let items = r.list("output_paths");
    if items.len() > MAX_ENTRIES {
        r.error("output_paths", &format!("more than {MAX_ENTRIES} paths"), "remove some");
    }
    let read = |item: &Item<'_>| {
        let text = item.string()?;
        let path = text.strip_prefix("file://").unwrap_or(&text);
        match path {
            "stderr" => Some(LogOutput::Stderr),
            "stdout" => Some(LogOutput::Stdout),
            path if path.is_empty() || path.contains("://") => {
                item.error(&format!("{text:?} is no path"), "write stderr, stdout or a path");
                None
            }
            path => Some(LogOutput::File(path.into())),
        }
    };
    items.iter().take(MAX_ENTRIES).filter_map(read).collect()
}

fn initial_fields(r: &Reader<'_>) -> Vec<(String, String)> {
    let entries = r.entries();
    if entries.len() > MAX_ENTRIES {
        r.note("", &format!("only the first {MAX_ENTRIES} fields are on the lines"));
    }
    let read = |(key, _, value): (&str, _, Item<'_>)| Some((key.to_owned(), value.string()?));
    entries.into_iter().take(MAX_ENTRIES).filter_map(read).collect()
}

// === impl LogSampling ===

impl LogSampling {
    fn read(r: &Reader<'_>) -> Option<Self> {
        let enabled = r.bool_or("enabled", true);
        let tick = r.duration_or("tick", Duration::from_secs(10));
        if tick.is_zero() {
            r.error("tick", "is zero", "write a time such as 10s, or enabled: false");
        }
        let sampling = Self {
            tick,
            initial: r.count_or("initial", 10),
            thereafter: r.count_or("thereafter", 100),
        };
        enabled.then_some(sampling)
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
