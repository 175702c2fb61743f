//! Logs on standard error, as `service.telemetry.logs` says.

use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How to log.
#[derive(Debug, Clone, Copy)]
pub struct LogSettings {
    /// The least level that is logged.
    pub level: LevelFilter,
    /// One JSON object a line.
    pub json: bool,
}

/// Logs could not be set up.
#[derive(Debug, Error)]
#[error("cannot set up logs: {0}")]
pub struct LogError(String);

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

/// Sets the process' logs up, once.
pub fn init_logs(settings: &LogSettings) -> Result<(), LogError> {
    let fail = |error: Box<dyn std::error::Error + Send + Sync>| LogError(error.to_string());
    let log = tracing_subscriber::fmt().with_env_filter(filter(settings.level));
    let log = log.with_writer(std::io::stderr).with_target(false);
    if settings.json {
        log.json().flatten_event(true).try_init().map_err(fail)
    } else {
        log.with_ansi(false).try_init().map_err(fail)
    }
}

fn filter(level: LevelFilter) -> EnvFilter {
    let quiet = level.min(LevelFilter::WARN);
    let directives = QUIET.iter().filter_map(|name| format!("{name}={quiet}").parse().ok());
    let base = EnvFilter::default().add_directive(level.into());
    directives.fold(base, EnvFilter::add_directive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_quieter() {
        let filter = filter(LevelFilter::DEBUG).to_string();
        assert!(filter.contains("h2=warn") && filter.contains("debug"), "{filter}");
        assert!(super::filter(LevelFilter::ERROR).to_string().contains("h2=error"));
    }
}
