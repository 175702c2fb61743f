//! Hostile clients: each row of docs/THREATS.md from outside, and all of them at once for
//! `TAILGATE_HOSTILE_SECONDS` (45 by default) with a good client beside them.
//!
//! The tests run one after another, as each measures the machine it runs on. Their figures are
//! printed; see them with `--nocapture`.
#![allow(clippy::unwrap_used)]

mod attacks;
#[allow(dead_code)]
#[path = "../e2e/fleet.rs"]
mod fleet;
mod frames;
mod mix;
#[allow(dead_code)]
#[path = "../e2e/raw.rs"]
mod raw;
mod rig;
mod rows;
#[allow(dead_code)]
#[path = "../e2e/spans.rs"]
mod spans;

use std::time::Duration;

/// For whatever takes a moment: generous, as the machine is busy.
const SOON: Duration = Duration::from_secs(60);
