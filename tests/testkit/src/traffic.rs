//! Deterministic traces: the same [`Shape`] gives the same bytes, request by request.
//!
//! A request is what the batch processor of one service's SDK sends: spans of one service from many
//! traces, interleaved. Traces come in blocks; a block is as many traces as fill one request of
//! each service. Ids are computed from the seed and the trace's number, so that a record of
//! request numbers is a record of spans.

mod template;

pub use template::SERVICES;

use crate::SpanKey;
use serde::{Deserialize, Serialize};
use template::{Patch, Template};

/// What is generated. Serialised at the head of every ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Everything random comes from here.
    pub seed: u64,
    /// How many traces.
    pub traces: u64,
    /// Spans of each trace, dealt to the services in turn.
    pub spans_per_trace: u32,
    /// How many services, at most [`SERVICES`]`.len()`.
    pub services: u32,
    /// Bytes of each encoded span.
    pub span_bytes: usize,
    /// Spans of a request, as nearly as whole traces allow.
    pub spans_per_request: u32,
    /// Traces of a thousand in which one span has status ERROR.
    pub errors_per_mille: u32,
    /// Traces of a thousand that last 6 s instead of 0.1 s.
    pub slow_per_mille: u32,
    /// Requests of a thousand that are sent once more after they were acked.
    pub duplicates_per_mille: u32,
    /// A service's spans of a trace are sent this many blocks after the service before it.
    pub lag_blocks: u64,
    /// Start of the first trace, in Unix nanoseconds; trace n starts n us later.
    pub base_unix_ns: u64,
}

/// A shape that cannot be generated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A count is zero or too large.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// The attributes alone need more bytes.
    #[error("a span of {0} bytes cannot hold its attributes")]
    Small(usize),
}

/// What the generator knows about one trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Its place in the run, from 0.
    pub number: u64,
    /// Its id.
    pub id: [u8; 16],
    /// The span with status ERROR.
    pub error: Option<u32>,
    /// Whether it lasts 6 s.
    pub slow: bool,
}

/// The generator of one shape.
#[derive(Debug)]
pub struct Traffic {
    shape: Shape,
    templates: Vec<Template>,
    resources: Vec<Vec<u8>>,
    traces_per_block: u64,
    /// Block and service of each request, in the order of sending.
    order: Vec<(u32, u8)>,
}

// === impl Shape ===

impl Default for Shape {
    fn default() -> Self {
        Shape {
            seed: 1,
            traces: 1_000,
            spans_per_trace: 12,
            services: 4,
            span_bytes: 416,
            spans_per_request: 60,
            errors_per_mille: 0,
            slow_per_mille: 0,
            duplicates_per_mille: 0,
            lag_blocks: 0,
            base_unix_ns: 1_767_225_600_000_000_000,
        }
    }
}

impl Shape {
    /// Spans in all, each counted once.
    pub fn spans(&self) -> u64 {
        self.traces * u64::from(self.spans_per_trace)
    }

    /// Sets the lag so that a trace's spans leave over `spread_secs` at `spans_per_sec`.
    #[must_use]
    pub fn spread(mut self, spread_secs: f64, spans_per_sec: f64) -> Self {
        let block = self.traces_per_block() * u64::from(self.spans_per_trace);
        let blocks = spread_secs * spans_per_sec / block as f64;
        let steps = self.services.saturating_sub(1).max(1);
        self.lag_blocks = (blocks / f64::from(steps)).round() as u64;
        self
    }

    fn traces_per_block(&self) -> u64 {
        let (request, services) = (u64::from(self.spans_per_request), u64::from(self.services));
        (request * services / u64::from(self.spans_per_trace).max(1)).max(1)
    }

    /// The trace of this number.
    pub fn trace(&self, number: u64) -> Trace {
        let draw = |salt: u64| mix(mix(self.seed ^ salt) ^ number);
        let per_mille = |salt, n: u32| draw(salt) % 1000 < u64::from(n);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&draw(1).to_be_bytes());
        id[8..].copy_from_slice(&draw(2).to_be_bytes());
        let error = per_mille(3, self.errors_per_mille)
            .then(|| (draw(4) % u64::from(self.spans_per_trace.max(1))) as u32);
        Trace { number, id, error, slow: per_mille(5, self.slow_per_mille) }
    }

    /// The key of span `index` of `trace`.
    pub fn key(&self, trace: &Trace, index: u32) -> SpanKey {
        SpanKey { trace: trace.id, span: self.span_id(trace.number, index) }
    }

    fn span_id(&self, number: u64, index: u32) -> [u8; 8] {
        // `mix` maps only one number to zero; an odd input never hits it by an even id.
        (mix(mix(self.seed ^ 6) ^ (number << 16 | u64::from(index))) | 1).to_be_bytes()
    }
}

// === impl Traffic ===

impl Traffic {
    /// Prepares the templates.
    ///
    /// # Errors
    /// When the shape cannot be generated.
    pub fn new(shape: Shape) -> Result<Self, ShapeError> {
        let range = |ok: bool, what| if ok { Ok(()) } else { Err(ShapeError::Range(what)) };
        range((1..=SERVICES.len() as u32).contains(&shape.services), "services")?;
        range((shape.services..=4096).contains(&shape.spans_per_trace), "spans_per_trace")?;
        range((1..=100_000).contains(&shape.spans_per_request), "spans_per_request")?;
        range((1..1 << 40).contains(&shape.traces), "traces")?;
        let traces_per_block = shape.traces_per_block();
        let blocks = u32::try_from(shape.traces.div_ceil(traces_per_block))
            .map_err(|_| ShapeError::Range("traces"))?;
        range(blocks < 1 << 26, "traces")?;
        let templates = (0..shape.spans_per_trace)
            .flat_map(|index| [false, true].map(|error| Template::new(&shape, index, error)))
            .collect::<Result<_, _>>()?;
        let resources = (0..shape.services as usize).map(template::resource).collect();
        let order = order(blocks, shape.services as u8, shape.lag_blocks);
        Ok(Traffic { shape, templates, resources, traces_per_block, order })
    }

    /// What is generated.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// How many requests there are; they are numbered from 0.
    pub fn requests(&self) -> u64 {
        self.order.len() as u64
    }

    /// Whether request `seq` is to be sent once more after its ack.
    pub fn duplicated(&self, seq: u64) -> bool {
        let draw = mix(mix(self.shape.seed ^ 7) ^ seq);
        draw % 1000 < u64::from(self.shape.duplicates_per_mille)
    }

    /// The spans of request `seq`: trace and index of the span in it, in the order of the wire.
    pub fn spans(&self, seq: u64) -> impl Iterator<Item = (Trace, u32)> + '_ {
        let (first, last, service) = self.place(seq);
        let indexes = (service..self.shape.spans_per_trace).step_by(self.shape.services as usize);
        indexes.flat_map(move |index| (first..last).map(move |n| (self.shape.trace(n), index)))
    }

    /// How many spans request `seq` has.
    pub fn span_count(&self, seq: u64) -> u64 {
        let (first, last, service) = self.place(seq);
        let per_trace = (self.shape.spans_per_trace - service).div_ceil(self.shape.services);
        (last - first) * u64::from(per_trace)
    }

    /// Appends request `seq`, an ExportTraceServiceRequest, to `out`.
    pub fn encode(&self, seq: u64, out: &mut Vec<u8>) {
        let (first, last, service) = self.place(seq);
        let traces: Vec<Trace> = (first..last).map(|n| self.shape.trace(n)).collect();
        let span = self.shape.span_bytes;
        let spans_len = self.span_count(seq) as usize * (1 + template::varint_len(span) + span);
        template::put_frame(out, &self.resources[service as usize], spans_len);
        for index in (service..self.shape.spans_per_trace).step_by(self.shape.services as usize) {
            for trace in &traces {
                let error = trace.error == Some(index);
                let start_ns = self.shape.base_unix_ns + trace.number * 1_000;
                self.templates[2 * index as usize + usize::from(error)].put(
                    out,
                    &Patch {
                        trace: &trace.id,
                        span: self.shape.span_id(trace.number, index),
                        parent: self.shape.span_id(trace.number, index.saturating_sub(1) / 2),
                        start_ns: start_ns + u64::from(index) * 1_000_000,
                        // The root (span 0) lasts as long as the trace.
                        end_ns: start_ns + if trace.slow { 6_000_000_000 } else { 100_000_000 },
                    },
                );
            }
        }
    }

    /// First and last (exclusive) trace and the service of a request.
    fn place(&self, seq: u64) -> (u64, u64, u32) {
        let (block, service) = self.order[seq as usize];
        let first = u64::from(block) * self.traces_per_block;
        let last = (first + self.traces_per_block).min(self.shape.traces);
        (first, last, u32::from(service))
    }
}

fn order(blocks: u32, services: u8, lag: u64) -> Vec<(u32, u8)> {
    let steps = u64::from(blocks) + u64::from(services - 1) * lag;
    (0..steps)
        .flat_map(|step| {
            (0..services).filter_map(move |service| {
                let block = step.checked_sub(u64::from(service) * lag)?;
                (block < u64::from(blocks)).then_some((block as u32, service))
            })
        })
        .collect()
}

/// SplitMix64: a bijection, so that different numbers give different ids.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
