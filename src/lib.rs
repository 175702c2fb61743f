//! The library behind the `tailgate` binary: the command line, and the wiring of the rooms.

mod auth;
pub mod cli;
mod clients;
pub mod demo;

mod exporters;
mod loadbalancer;
mod members;
mod observe;
mod process;
mod receivers;
mod sampler;
mod validate;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::process::Failure;

/// Does what the command line says.
pub fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Sampler(config) => sampler::run(&config),
        Command::Loadbalancer(config) => loadbalancer::run(&config),
        Command::Validate(config) => validate::run(&config),
        Command::Demo(options) => demo_command(options),
    };
    result.unwrap_or_else(|failure| failure.report())
}

fn demo_command(options: demo::Options) -> Result<ExitCode, Failure> {
    let runtime = process::runtime()?;
    Ok(runtime.block_on(demo::run(options))?)
}
