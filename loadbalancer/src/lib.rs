//! Tier 1: receive, route, deliver.
//!
//! [`LoadBalancer`] scans a request, finds each span's owner in the table, splices one fragment
//! for each owner and sends it there. It answers when all spans are held, and holds nothing
//! itself. The decisions are in [`core`], without I/O; the rest is the shell around it.

mod backend;
mod balancer;
mod buffer;
pub mod config;
pub mod core;
mod members;
mod request;
mod resolver;
mod stats;
#[cfg(test)]
mod tests;

pub use self::backend::{Backend, Link};
pub use self::balancer::{LoadBalancer, Options, Routing};
pub use self::members::{Backends, Connect, ConnectError};
pub use self::resolver::{Member, Resolver, StaticResolver};
pub use self::stats::{BackendStats, Reason, Stats};
