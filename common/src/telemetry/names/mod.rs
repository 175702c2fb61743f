//! Every metric, once: name, kind, unit, labels, help, and from which level on it is shown.
//!
//! Names, labels and buckets with the prefix `otelcol_`, `rpc_` and `http_` are the collector's (v0.161, default
//! reader; `rpc_*_duration` and the like are those of older ones, which dashboards still ask for): no `_total` and
//! no unit at the end. What is new is `tailgate_`. See [`super::form`] for the other naming.

mod collector;
mod detailed;
mod ours;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows; whole numbers.
    Counter,
    /// Only grows; with a fraction.
    FloatCounter,
    /// Goes up and down.
    Gauge,
    /// A distribution over these upper bounds.
    Histogram(&'static [f64]),
}

/// What the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
    /// Millionths of a second.
    Microseconds,
}

/// How much is shown: `service.telemetry.metrics.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The least.
    Basic,
    /// What most need.
    Normal,
    /// Everything.
    Detailed,
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Def {
    /// The whole name, as the collector's default reader has it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The unit of its values.
    pub unit: Unit,
    /// The names of its labels, beside those that all series have.
    pub labels: &'static [&'static str],
    /// The least level at which it is shown.
    pub level: Level,
    /// One sentence.
    pub help: &'static str,
}

macro_rules! define {
    ($($level:ident: { $($id:ident: $kind:expr, $unit:ident, $labels:expr, $name:literal, $help:literal;)* })*) => {
        $($(
            #[doc = $help]
            pub const $id: Def = Def {
                name: $name,
                kind: $kind,
                unit: Unit::$unit,
                labels: $labels,
                level: Level::$level,
                help: $help,
            };
        )*)*

        /// The definitions above.
        pub(super) const ALL: &[&Def] = &[$($(&$id),*),*];
    };
}
use define;

/// The definitions.
pub mod defs {
    pub use super::collector::*;
    pub use super::detailed::*;
    pub use super::ours::*;
}

/// All metrics.
pub fn all() -> impl Iterator<Item = &'static Def> {
    [collector::ALL, detailed::ALL, ours::ALL].into_iter().flatten().copied()
}

/// Sizes: powers of two from 128 bytes to 16 MiB, as the collector's batch sizes.
const BYTES: &[f64] = &[
    128.0,
    256.0,
    512.0,
    1024.0,
    2048.0,
    4096.0,
    8192.0,
    16384.0,
    32768.0,
    65536.0,
    131_072.0,
    262_144.0,
    524_288.0,
    1_048_576.0,
    2_097_152.0,
    4_194_304.0,
    8_388_608.0,
    16_777_216.0,
];
/// Items of a batch, as the collector's.
const ITEMS: &[f64] = &[
    10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0,
    6000.0, 7000.0, 8000.0, 9000.0, 10000.0, 20000.0, 30000.0, 50000.0, 100_000.0,
];

const NONE: &[&str] = &[];
const RECEIVER: &[&str] = &["receiver", "transport"];
const TRANSPORT: &[&str] = &["transport"];
const PROCESSOR: &[&str] = &["processor"];
const EXPORTER: &[&str] = &["exporter"];
const QUEUE: &[&str] = &["exporter", "data_type"];
