//! Tier 2: receive, hold, decide, export.
//!
//! [`core`] is sans-IO; [`hold`], [`members`] and [`life`] put it between the receivers, the other samplers and the
//! exporters; [`export`] are the ways out.

pub mod config;
pub mod core;
pub mod export;
pub mod hold;
pub mod life;
pub mod members;
