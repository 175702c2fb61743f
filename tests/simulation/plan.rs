//! What is on its way.

use tailgate_loadbalancer::core::{Delivery, Outcome, Target};
use tailgate_proto::{Scan, TraceId};
use tailgate_sampler::core::outbox::Batch;

use crate::spans::Key;

/// What will happen.
pub enum Plan {
    Send,
    Resend(usize),
    Deliver { request: usize, attempt: u32, target: Target, fragment: Vec<u8> },
    Result { request: usize, attempt: u32, from: usize, outcome: Outcome },
    Due { request: usize },
    GiveBack { from: usize, to: usize, shard: usize, offers: Vec<(TraceId, u64, Vec<u8>)> },
    Taken { from: usize, to: usize, shard: usize, traces: Vec<TraceId>, taken: usize },
    Settle { node: usize, batch: Batch },
    Fault { node: usize },
    Tick,
}

/// A request of a client.
pub struct Request {
    pub keys: Vec<Key>,
    pub bytes: Vec<u8>,
    pub scan: Scan,
    pub delivery: Delivery,
    pub resends: u32,
}
