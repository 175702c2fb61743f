//! What is held, by service: for people who look, so with bounds and not all at one moment.

use std::time::Duration;

use hashbrown::HashMap;
use tailgate_proto::view::{Value, resource_spans};

use super::Sampler;
use crate::core::buffer::SHARDS;

/// What is held of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldService {
    /// Its `service.name`, cut to 128 bytes.
    pub name: String,
    /// Traces with spans of it.
    pub traces: u64,
    /// Spans of requests that began with it.
    pub spans: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Since the oldest of the traces began.
    pub oldest: Duration,
    /// The last trace that was counted.
    last: u64,
}

/// What is held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldTraces {
    /// The largest by spans.
    pub services: Vec<HeldService>,
    /// All others together.
    pub other: HeldService,
    /// Traces that were looked at, and traces that are held.
    pub looked_at: (u64, u64),
}

/// Records looked at under one lock.
const RECORDS: usize = 8_192;
/// Services told apart; the rest are among the others.
const MAX_SERVICES: usize = 1_024;
/// Services shown.
const SHOWN: usize = 50;
const MAX_NAME: usize = 128;

#[derive(Default)]
struct Services {
    by_name: HashMap<Vec<u8>, HeldService>,
    other: HeldService,
}

// === impl Sampler ===

impl Sampler {
    /// What is held, by service. Each shard is locked for as long as it takes to look at some thousand records.
    pub fn held_traces(&self) -> HeldTraces {
        let (mut services, mut looked_at, mut traces) = (Services::default(), 0, 0);
        let now = self.now();
        let Some(buffer) = self.buffer() else { return HeldTraces::default() };
        for index in 0..SHARDS {
            let shard = buffer.shard(index);
            traces += (shard.undecided() + shard.waiting()) as u64;
            let mut last = None;
            shard.look(RECORDS, |trace_id, first_seen, spans, fragment| {
                if last != Some(trace_id) {
                    looked_at += 1;
                    last = Some(trace_id);
                }
                services.add(looked_at, now.since(first_seen), spans, fragment);
            });
        }
        HeldTraces { looked_at: (looked_at, traces), ..services.top() }
    }
}

// === impl Services ===

impl Services {
    fn add(&mut self, trace: u64, age: Duration, spans: u32, fragment: &[u8]) {
        let resource = resource_spans(fragment).next();
        let name = resource.and_then(|group| group.resource().attributes().get("service.name"));
        let name = match name {
            Some(Value::Str(name)) => &name[..name.len().min(MAX_NAME)],
            _ => &[],
        };
        let full = self.by_name.len() >= MAX_SERVICES;
        let sum = match self.by_name.get_mut(name) {
            Some(sum) => sum,
            None if full => &mut self.other,
            None => self.by_name.entry(name.to_vec()).or_default(),
        };
        sum.traces += u64::from(sum.last != trace);
        sum.last = trace;
        sum.spans += u64::from(spans);
        sum.bytes += fragment.len() as u64;
        sum.oldest = sum.oldest.max(age);
    }

    fn top(self) -> HeldTraces {
        let Self { by_name, mut other } = self;
        let named = |(name, sum): (Vec<u8>, HeldService)| HeldService {
            name: String::from_utf8_lossy(&name).into_owned(),
            ..sum
        };
        let mut services: Vec<HeldService> = by_name.into_iter().map(named).collect();
        services.sort_by(|a, b| b.spans.cmp(&a.spans).then_with(|| a.name.cmp(&b.name)));
        for sum in services.drain(services.len().min(SHOWN)..) {
            other.traces += sum.traces;
            other.spans += sum.spans;
            other.bytes += sum.bytes;
            other.oldest = other.oldest.max(sum.oldest);
        }
        HeldTraces { services, other, looked_at: (0, 0) }
    }
}
