//! What a sink remembers.

use super::{Keep, Stats};
use crate::{SpanKey, wire};
use anyhow::Context as _;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

const KEY: usize = 24;

/// How often each span was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received(HashMap<SpanKey, u32>);

#[derive(Debug)]
pub(super) struct Store {
    stats: Stats,
    received: Received,
    file: Option<File>,
    counts_only: bool,
    bodies: Option<Vec<Vec<u8>>>,
}

// === impl Received ===

impl Received {
    /// Reads the file of a `testkit sink`; a key cut short at the end is left out.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        std::io::BufReader::new(file).read_to_end(&mut bytes)?;
        let mut received = Received::default();
        for key in bytes.chunks_exact(KEY) {
            let (trace, span) = key.split_at(16);
            let (Ok(trace), Ok(span)) = (trace.try_into(), span.try_into()) else { continue };
            received.add(SpanKey { trace, span });
        }
        Ok(received)
    }

    /// Counts one more.
    pub fn add(&mut self, key: SpanKey) {
        *self.0.entry(key).or_default() += 1;
    }

    /// Forgets a span; how a test of the checker makes a loss.
    pub fn remove(&mut self, key: &SpanKey) -> Option<u32> {
        self.0.remove(key)
    }

    /// How often this span came.
    pub fn count(&self, key: &SpanKey) -> u32 {
        self.0.get(key).copied().unwrap_or(0)
    }

    /// Every span with its count, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&SpanKey, u32)> {
        self.0.iter().map(|(key, count)| (key, *count))
    }

    /// Different spans.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing came.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Extend<SpanKey> for Received {
    fn extend<I: IntoIterator<Item = SpanKey>>(&mut self, keys: I) {
        keys.into_iter().for_each(|key| self.add(key));
    }
}

// === impl Store ===

impl Store {
    pub(super) fn new(keep: Keep) -> anyhow::Result<Self> {
        let file = match &keep {
            Keep::File(path) => {
                Some(File::create(path).with_context(|| format!("create {}", path.display()))?)
            }
            _ => None,
        };
        let counts_only = matches!(keep, Keep::Counts);
        let bodies = matches!(keep, Keep::Bodies).then(Vec::new);
        let (stats, received) = (Stats::default(), Received::default());
        Ok(Store { stats, received, file, counts_only, bodies })
    }

    pub(super) fn stats(&self) -> Stats {
        self.stats
    }

    pub(super) fn received(&self) -> Received {
        self.received.clone()
    }

    pub(super) fn bodies(&self) -> Vec<Vec<u8>> {
        self.bodies.clone().unwrap_or_default()
    }

    /// Records a request; all of it or, when it is malformed, nothing.
    pub(super) fn record(&mut self, request: &[u8]) -> anyhow::Result<()> {
        let mut keys = Vec::new();
        let mut spans = 0;
        wire::span_keys(request, |key| {
            spans += 1;
            if !self.counts_only {
                keys.push(key);
            }
        })?;
        if let Some(file) = &mut self.file {
            let bytes: Vec<u8> =
                keys.iter().flat_map(|k| k.trace.into_iter().chain(k.span)).collect();
            file.write_all(&bytes)?;
        }
        self.received.extend(keys);
        if let Some(bodies) = &mut self.bodies {
            bodies.push(request.to_vec());
        }
        self.stats.requests += 1;
        self.stats.spans += spans;
        self.stats.bytes += request.len() as u64;
        Ok(())
    }
}
