//! The sans-IO core of the sampler: what is held, what is decided, what is passed on.
//!
//! No network, no tasks, no clock: time comes in as an argument. The shell around it (the crate's other modules) and
//! the simulation call the same code.

mod arrive;
pub mod buffer;
mod by_value;
pub mod cache;
pub mod counts;
pub mod decide;
pub mod deputy;
pub mod log;
pub mod outbox;
pub mod relief;
pub mod seen;
pub mod shard;
pub mod trace;
pub mod watch;
pub mod wheel;

#[cfg(test)]
mod tests;
