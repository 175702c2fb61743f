//! Sampling policies, compiled: fold and finish.
//!
//! A [`Program`] reads each span once, when it arrives, and keeps what its policies need to know in
//! the trace's [`Facts`] (48 bytes, whatever the number of spans). When the trace is due,
//! [`Program::finish`] decides from the facts alone. Folding is order-independent, and
//! [`Facts::join`] is commutative and associative, so spans may come in any order, over any number
//! of requests and nodes, and the decision is the same.
//!
//! The policy language is that of the OpenTelemetry Collector's `tail_sampling` processor; where
//! this crate speaks of "the collector", it means version v0.161.0. It differs from it in these
//! points only:
//! - `latency` looks at the whole trace instead of every prefix of its spans, and ignores unset
//!   timestamps (see [`Rule::Latency`]);
//! - `numeric_attribute` also compares doubles by their value (see [`Rule::NumericAttribute`]);
//! - configurations that can't mean anything are errors (see [`Problem`]).
//!
//! Pure: no I/O, no clock, no randomness, no runtime. Nothing here panics on any input.

mod chance;
mod compile;
mod config;
mod error;
mod facts;
mod finish;
mod fold;
mod leaves;
mod program;
mod re2;
mod why;

pub use chance::{DEFAULT_SALT, hash, threshold};
pub use config::{Options, PolicyConfig, Rule};
pub use error::{PolicyError, Problem};
pub use facts::Facts;
pub use finish::{Decision, Outcome, Tally, Value, Votes};
pub use leaves::MAX_LEAVES;
pub use program::Program;
pub use why::Why;
