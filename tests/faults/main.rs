//! Real processes, killed, stopped, cut off and starved under load. The record of the load generator is the judge: what
//! was acknowledged has to come out, or to be accounted for.
//!
//! The tests run one after another: each wants the machine for itself. The figures of each are printed; see them with
//! `--nocapture`.
#![allow(clippy::unwrap_used)]

mod answers;
mod backends;
mod canary;
mod config;
mod fleet;
mod killed;
mod memory;
mod node;
mod run;
mod shutdown;
mod silent;
mod watch;
