//! The command line.

use std::process::ExitCode;

use clap::Parser;
use tailgate::cli::Cli;

// Its statistics feed the memory metrics, and it gives memory back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    tailgate::run(Cli::parse())
}
