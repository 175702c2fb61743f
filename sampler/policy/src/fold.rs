//! Fold: a span's bytes into its trace's facts, once, when it arrives.

use tailgate_proto::view::{Attributes, SpanView};
use tailgate_proto::wire::{Fields, Wire};

use crate::facts::{Facts, SpanFacts};
use crate::leaves::Place;
use crate::program::Program;

// === impl Program ===

impl Program {
    /// Adds a resource's attributes: once for each resource with spans of the trace. Does nothing
    /// if no policy asks for attributes.
    pub fn fold_resource(&self, resource: Attributes<'_>, facts: &mut Facts) {
        let mut open = self.leaves.open(facts.matched);
        if open.is_empty() {
            return;
        }
        for pair in resource.pairs() {
            self.leaves.look_at(pair, Place::Resource, &mut open, &mut facts.matched);
            if open.is_empty() {
                return;
            }
        }
    }

    /// Adds a span: one pass over its bytes, without allocation. What follows malformed bytes is
    /// not seen.
    // A pass of its own, since the view's accessors would each make one.
    // Field numbers: opentelemetry-proto `trace.proto`.
    pub fn fold_span(&self, span: SpanView<'_>, facts: &mut Facts) {
        let mut open = self.leaves.open(facts.matched);
        let mut seen = SpanFacts { root: true, ..SpanFacts::default() };
        for field in Fields::new(span.bytes()).sound() {
            match (field.number, field.value) {
                (9, Wire::Len(pair)) if !open.is_empty() => {
                    self.leaves.look_at(pair, Place::Span, &mut open, &mut facts.matched);
                }
                (4, Wire::Len(parent)) => seen.root = parent.iter().all(|byte| *byte == 0),
                (7, Wire::Fixed64(ns)) => seen.start_ns = ns,
                (8, Wire::Fixed64(ns)) => seen.end_ns = ns,
                (15, Wire::Len(status)) => read_status(status, &mut seen.status),
                _ => {}
            }
        }
        facts.add(seen);
    }
}

fn read_status(status: &[u8], code: &mut u64) {
    for field in Fields::new(status).sound() {
        if let (3, Wire::Varint(value)) = (field.number, field.value) {
            *code = value;
        }
    }
}
