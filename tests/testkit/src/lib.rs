//! What every end-to-end test and bench shares: one load generator with a fsynced record of what
//! was acked, one sink, one fault proxy, one runner of processes, and one checker.
//!
//! Nothing here uses the code under test: the checker reads the wire by itself, so that a fault in
//! a parser of ours cannot hide from it.

pub mod balance;
pub mod checker;
pub mod http;
pub mod ledger;
pub mod load;
pub mod ports;
pub mod process;
pub mod prom;
pub mod proxy;
pub mod sink;
pub mod traffic;
pub mod wait;
pub mod wire;

/// The gRPC method that OTLP traces go to.
pub const EXPORT_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A span's name in every record: trace id, then span id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanKey {
    /// The 16 bytes of the trace id.
    pub trace: [u8; 16],
    /// The 8 bytes of the span id.
    pub span: [u8; 8],
}

// === impl SpanKey ===

impl std::fmt::Display for SpanKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", hex(&self.trace), hex(&self.span))
    }
}

/// Lower-case hexadecimal, as ids are written in logs.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
