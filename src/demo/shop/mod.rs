//! The traffic of a small shop, made up: a customer browses, fills a cart or checks out, and some
//! of it fails, is slow or needs a second try. The same seed tells the same stories.
//!
//! Ids are random but for the seed; times are relative to the `now` that the caller gives.

mod builder;
mod random;
mod stories;

#[cfg(test)]
mod tests;

use builder::Builder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use random::Random;

/// What happened in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Nothing worth keeping.
    Plain,
    /// The customer saw an error; several spans have status ERROR.
    Error,
    /// Longer than [`SLOW_MS`].
    Slow,
    /// The first attempt to pay failed (two spans with status ERROR), the second went well.
    Retry,
}

/// A trace of [`Fate::Slow`] takes longer than this, any other trace less.
pub const SLOW_MS: u64 = 1_000;

/// A service of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Takes the customers' requests.
    Frontend,
    /// What the customer wants to buy, in Redis.
    Cart,
    /// Runs an order.
    Checkout,
    /// Charges cards at a bank outside.
    Payment,
    /// Knows the stock, in PostgreSQL.
    Inventory,
    /// Books parcels.
    Shipping,
    /// What others bought, in Redis.
    Recommendation,
}

/// One generated trace, as its services would report it.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Its id.
    pub trace_id: [u8; 16],
    /// What happened in it.
    pub fate: Fate,
    /// One request for each service that took part, in no particular order.
    pub requests: Vec<ExportTraceServiceRequest>,
}

/// Makes traces, endlessly.
#[derive(Clone, Debug)]
pub struct Shop {
    random: Random,
}

// === impl Shop ===

impl Shop {
    /// A shop whose stories follow from `seed`.
    pub fn new(seed: u64) -> Shop {
        Shop { random: Random::new(seed) }
    }

    /// The next trace; its last span ends at `now` (nanoseconds since 1970).
    pub fn next_trace(&mut self, now: u64) -> Trace {
        let fate = match self.random.below(100) {
            0..3 => Fate::Error,
            3..5 => Fate::Slow,
            5..7 => Fate::Retry,
            _ => Fate::Plain,
        };
        let mut builder = Builder::new(&mut self.random);
        stories::tell(&mut builder, fate);
        let (trace_id, requests) = builder.finish(now);
        Trace { trace_id, fate, requests }
    }
}

// === impl Trace ===

impl Trace {
    /// Spans in all its requests.
    pub fn spans(&self) -> u64 {
        self.requests.iter().map(spans_of).sum()
    }
}

/// Spans in a request.
pub fn spans_of(request: &ExportTraceServiceRequest) -> u64 {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.map(|scope| scope.spans.len() as u64).sum()
}

// === impl Service ===

impl Service {
    /// All of them.
    pub const ALL: [Service; 7] = [
        Service::Frontend,
        Service::Cart,
        Service::Checkout,
        Service::Payment,
        Service::Inventory,
        Service::Shipping,
        Service::Recommendation,
    ];

    /// Its `service.name`.
    pub fn name(self) -> &'static str {
        match self {
            Service::Frontend => "frontend",
            Service::Cart => "cart",
            Service::Checkout => "checkout",
            Service::Payment => "payment",
            Service::Inventory => "inventory",
            Service::Shipping => "shipping",
            Service::Recommendation => "recommendation",
        }
    }
}
