//! What every long-running command needs: a runtime, signals, exit codes.

use std::fmt;
use std::process::ExitCode;

use anyhow::Context;
use tailgate_common::config::{ConfigErrors, Note};
use tailgate_common::ledger::Ledger;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The configuration has errors (`EX_CONFIG` of sysexits.h).
pub const EXIT_CONFIG: u8 = 78;
/// Acknowledged spans were lost since the signal to stop (`EX_TEMPFAIL`).
pub const EXIT_LOST: u8 = 75;

/// Why a command ended.
pub enum Failure {
    /// The configuration has errors; they say where.
    Config(ConfigErrors),
    /// Anything else.
    Other(anyhow::Error),
}

/// A runtime with a worker for each core that this process may use.
pub fn runtime() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start the runtime").map_err(Failure::Other)
}

/// SIGTERM and SIGINT, caught from when it is made.
pub struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

/// The process's environment, as the configuration reads it.
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Says what the configuration asks for and we do otherwise, a line each.
pub fn print_notes(notes: &[Note]) {
    for note in notes {
        eprintln!("note: {note}");
    }
}

/// Prints the final ledger; the exit code says whether anything was lost since the signal.
pub fn last_words(ledger: &Ledger, lost: u64) -> ExitCode {
    println!("{ledger}");
    if lost > 0 {
        eprintln!("{lost} acknowledged spans were lost at shutdown");
        return ExitCode::from(EXIT_LOST);
    }
    match ledger.is_balanced() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

// === impl StopSignal ===

impl StopSignal {
    /// From now on these signals do not end the process by themselves.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?,
        })
    }

    /// Waits for one of them; its name.
    pub async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

// === impl Failure ===

impl Failure {
    /// Prints it; the exit code.
    pub fn report(self) -> ExitCode {
        match self {
            Self::Config(errors) => {
                eprintln!("{errors}");
                ExitCode::from(EXIT_CONFIG)
            }
            Self::Other(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(errors) => write!(f, "{errors}"),
            Self::Other(error) => write!(f, "{error:#}"),
        }
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::Config(errors)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_signal_before_anybody_waits_is_not_lost() {
        let mut signal = StopSignal::new().unwrap();
        // Without the line above this would end the test process.
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)
            .unwrap();
        assert_eq!(signal.wait().await, "SIGTERM");
    }
}
