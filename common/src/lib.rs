//! Placeholder.

pub mod client;
pub mod clock;
pub mod config;
pub mod ledger;
pub mod limit;
pub mod net;
pub mod ownership;
pub mod peer;
pub mod receive;
pub mod telemetry;
