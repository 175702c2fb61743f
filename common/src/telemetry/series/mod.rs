//! The series of a component, resolved together, so that all of them are there from the start.

mod export;
mod fleet;
mod receive;
mod sampling;
mod xray;

pub use self::export::{BatchSeries, ClientSeries, ExporterSeries, Protocol, QueueReadings};
pub use self::fleet::{BackendSeries, LedgerSeries, LoadBalancerSeries, MemberSeries};
pub use self::receive::{ReceiverSeries, ServerSeries};
pub use self::sampling::{
    BufferSeries, MemoryLimiterSeries, PolicySeries, ProcessorSeries, TailSamplingSeries,
};
pub use self::xray::XraySeries;
