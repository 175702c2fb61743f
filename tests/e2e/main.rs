//! End to end: the binary as processes, clients as applications have them, backends that answer.
//!
//! Every test starts its own processes on free ports and ends them by their ids. `tests/setup.sh`
//! installs what the tests with Python need.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod config;
mod debug;
mod demo;
mod fleet;
mod gateway;
mod otlp_http;
mod prometheus;
mod python;
mod raw;
mod receive;
mod sdk;
mod secrets;
mod seen;
mod spans;
mod tls;
mod xray;

use std::time::Duration;

/// For whatever takes a moment: generous, as the machine may be busy.
const SOON: Duration = Duration::from_secs(30);
