//! Logs, as `service.telemetry.logs` says.
//!
//! A line is one line whatever is in it: control characters are escaped and long values cut, so that nobody who sends
//! spans can write lines of their own. Of the same message (a place in the source) only so many are written in a while;
//! the next one that is says how many were not, as `suppressed`.

mod layer;
mod line;
mod recent;

pub use self::recent::{Logged, RecentEvent};

use std::fs::OpenOptions;
use std::io::{self, Write};

use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::layer::LogLayer;
use super::defs;
use super::metrics::Metrics;
use crate::config::{LogLevel, LogOutput, Logs};

/// Logs could not be set up.
#[derive(Debug, Error)]
pub enum LogError {
    /// A file of `output_paths` can't be opened.
    #[error("service.telemetry.logs.output_paths: cannot open {path}: {source}")]
    Open {
        /// The path.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else has done so already.
    #[error("cannot set up logs: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Where lines go; each is written with one call.
type Outputs = Vec<Box<dyn Write + Send>>;

/// Libraries speak of each connection and frame at debug, which is nobody's wish.
const QUIET: [&str; 9] = [
    "aws",
    "aws_config",
    "aws_smithy_runtime",
    "h2",
    "hyper",
    "hyper_util",
    "rustls",
    "tonic",
    "tower",
];

/// Sets the process' logs up, once; what was logged can be asked for from then on.
pub fn init_logs(settings: &Logs) -> Result<Logged, LogError> {
    let logged = Logged::default();
    let layer = LogLayer::new(settings, open(&settings.outputs)?, logged.clone());
    tracing_subscriber::registry().with(filter(level(settings.level))).with(layer).try_init()?;
    Ok(logged)
}

/// Shows how much was logged.
pub fn watch_logs(metrics: &Metrics, logged: Logged) {
    let events = ["warn", "error"].map(|level| metrics.counter(&defs::LOG_EVENTS, &[level]));
    let suppressed = metrics.counter(&defs::LOG_LINES_SUPPRESSED, &[]);
    metrics.on_scrape(move || {
        let (warnings, errors) = logged.counts();
        events[0].absolute(warnings);
        events[1].absolute(errors);
        suppressed.absolute(logged.suppressed_lines());
    });
}

fn open(outputs: &[LogOutput]) -> Result<Outputs, LogError> {
    let open = |output: &LogOutput| -> Result<Box<dyn Write + Send>, LogError> {
        Ok(match output {
            LogOutput::Stderr => Box::new(io::stderr()),
            LogOutput::Stdout => Box::new(io::stdout()),
            LogOutput::File(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                let path = path.display().to_string();
                Box::new(file.map_err(|source| LogError::Open { path, source })?)
            }
        })
    };
    outputs.iter().map(open).collect()
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    }
}

fn filter(level: LevelFilter) -> EnvFilter {
    let quiet = level.min(LevelFilter::WARN);
    let directives = QUIET.iter().filter_map(|name| format!("{name}={quiet}").parse().ok());
    let base = EnvFilter::default().add_directive(level.into());
    directives.fold(base, EnvFilter::add_directive)
}

#[cfg(test)]
mod tests;
