//! Seen from outside: metrics on `:8888/metrics`, health on `:13133`, debug pages on `:55679`, logs.
//!
//! The data path counts in atomics of its own and touches nothing here. [`Metrics`] runs a list of
//! hooks at each scrape, which copy those counters into series that were resolved, and shown as 0,
//! from the start.

mod admin;
mod distribution;
mod form;
mod guards;
mod health;
mod http;
mod logs;
mod metrics;
mod names;
mod process;
mod series;

pub use self::admin::{DebugPages, serve_debug};
pub use self::distribution::{Distribution, Reading};
pub use self::form::{COLLECTOR, Form, Naming, PROMETHEUS, label_name};
pub use self::guards::{watch_files, watch_refused};
pub use self::health::{Health, Latch, rfc3339, serve_health};
pub use self::http::{BindError, Server};
pub use self::logs::{LogError, Logged, RecentEvent, init_logs, watch_logs};
pub use self::metrics::{Counter, DistributionSeries, Gauge, Metrics, serve_metrics};
pub use self::names::{Def, Kind, Level, Unit, all};
pub use self::process::{Allocator, watch_process};
pub use self::series::{
    BackendSeries, BatchSeries, BufferSeries, ClientSeries, ExporterSeries, LedgerSeries,
    LoadBalancerSeries, MemberSeries, MemoryLimiterSeries, PolicySeries, ProcessorSeries, Protocol,
    QueueReadings, ReceiverSeries, ServerSeries, TailSamplingSeries, XraySeries,
};

/// The definitions of all metrics.
pub mod defs {
    pub use super::names::defs::*;
}

#[cfg(test)]
mod tests;
