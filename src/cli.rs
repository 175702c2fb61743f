//! What can be typed.

use clap::{Args, Parser, Subcommand};

use tailgate_common::config::{ConfigErrors, Input};

use crate::{demo, process};

/// Two-tier tail-sampling gateway for OpenTelemetry traces.
#[derive(Debug, Parser)]
#[command(name = "tailgate", version, about, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything on this machine: a shop's traffic, a load balancer, two samplers and an X-Ray endpoint.
    Demo(demo::Options),
    /// Run the first tier: receive spans and route each trace to one sampler.
    Loadbalancer(Config),
    /// Run the second tier: hold traces, decide which to keep, export those.
    Sampler(Config),
    /// Check a configuration file and say what it means; exit code 78 if it has errors.
    Validate(Config),
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub struct Config {
    /// A configuration in the OpenTelemetry Collector's language: a path, file:PATH, env:VARIABLE or yaml:TEXT. Later
    /// ones are merged over earlier ones.
    #[arg(long, value_name = "FILE", required = true)]
    pub config: Vec<String>,
    /// Sets a single value over all of them, such as processors.tail_sampling.decision_wait=5s.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

// === impl Config ===

impl Config {
    /// Reads and merges it.
    pub fn input(&self) -> Result<Input, ConfigErrors> {
        Input::load(&self.config, &self.set, &process::env)
    }
}

const EXIT_CODES: &str = "Exit codes: 0 all went well; 75 acknowledged spans were lost at shutdown; \
78 the configuration has errors; 2 the command line has; 1 anything else.";
