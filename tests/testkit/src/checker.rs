//! The oracle: what was acked, against what the policies keep, against what arrived.

use crate::SpanKey;
use crate::ledger::{Ledger, Outcome};
use crate::sink::Received;
use crate::traffic::{Trace, Traffic};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What the policies do with a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Every acked span has to arrive.
    Yes,
    /// No span may arrive.
    No,
    /// It is up to chance, but the same for all spans of the trace.
    Either,
}

/// The checker's findings. The lists are whole, in no order.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Spans of acked requests.
    pub acked: u64,
    /// Spans that a `partial_success` refused (which of the request's, nobody knows).
    pub rejected_in_part: u64,
    /// Spans of requests refused.
    pub rejected: u64,
    /// Spans of requests with unknown outcome.
    pub unknown: u64,
    /// Different spans received.
    pub received: u64,
    /// L: acked and kept by policy, yet not received. For a trace up to chance, spans missing
    /// beside others that came.
    pub lost: Vec<SpanKey>,
    /// S: traces with acked spans of which some came and some did not, or that came to more than
    /// one sink.
    pub split: Vec<[u8; 16]>,
    /// D: spans received more than once.
    pub duplicated: Vec<SpanKey>,
    /// U: spans received although the policies drop their trace.
    pub unwanted: Vec<SpanKey>,
    /// Spans received that were never sent.
    pub foreign: Vec<SpanKey>,
}

/// What is wrong, in numbers and one example each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

/// One trace, as far as the ledger and the sinks know it.
#[derive(Default)]
struct Seen {
    /// Acked spans that no sink has.
    missing: Vec<SpanKey>,
    /// The sinks that have any.
    sinks: BTreeSet<usize>,
}

// === impl Verdict ===

impl Verdict {
    /// Whether nothing at all is wrong.
    ///
    /// # Errors
    /// Everything that is.
    pub fn clean(&self) -> Result<(), Violation> {
        self.except(&[])
    }

    /// Whether nothing is wrong but what a test allows: `"L"`, `"S"`, `"D"`, `"U"`.
    ///
    /// # Errors
    /// Everything else that is.
    pub fn except(&self, allowed: &[&str]) -> Result<(), Violation> {
        let first = |keys: &[SpanKey]| keys.first().map(SpanKey::to_string).unwrap_or_default();
        let split = self.split.first().map(|id| crate::hex(id)).unwrap_or_default();
        let findings = [
            ("L", self.lost.len(), "acked spans lost", first(&self.lost)),
            ("S", self.split.len(), "traces split", split),
            ("D", self.duplicated.len(), "spans duplicated", first(&self.duplicated)),
            ("U", self.unwanted.len(), "spans received against policy", first(&self.unwanted)),
            ("F", self.foreign.len(), "spans received but never sent", first(&self.foreign)),
        ];
        let wrong: Vec<String> = findings
            .into_iter()
            .filter(|(letter, count, ..)| *count > 0 && !allowed.contains(letter))
            .map(|(letter, count, what, example)| {
                format!("{letter} = {count} {what}, e.g. {example}")
            })
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(Violation(wrong.join("; "))) }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "acked {} rejected {} unknown {} received {}: L {} S {} D {} U {} foreign {}",
            self.acked,
            self.rejected + self.rejected_in_part,
            self.unknown,
            self.received,
            self.lost.len(),
            self.split.len(),
            self.duplicated.len(),
            self.unwanted.len(),
            self.foreign.len()
        )
    }
}

/// Judges a run: `ledger` of the load, `sinks` after everything was flushed, and what the policies
/// under test do with each trace.
///
/// # Errors
/// When the ledger's shape is impossible.
pub fn check(
    ledger: &Ledger,
    sinks: &[Received],
    keep: impl Fn(&Trace) -> Keep,
) -> anyhow::Result<Verdict> {
    let traffic = Traffic::new(ledger.shape.clone())?;
    let outcomes: HashMap<u64, &Outcome> =
        ledger.records.iter().map(|r| (r.seq, &r.outcome)).collect();
    let mut verdict = Verdict::default();
    let mut traces: HashMap<u64, (Trace, Seen)> = HashMap::new();
    let mut known: HashSet<SpanKey> = HashSet::new();
    for seq in 0..traffic.requests().min(ledger.begun) {
        let outcome = outcomes.get(&seq).copied();
        count(&mut verdict, outcome, traffic.span_count(seq));
        for (trace, index) in traffic.spans(seq) {
            let key = traffic.shape().key(&trace, index);
            let (_, seen) = traces.entry(trace.number).or_insert((trace, Seen::default()));
            let copies = seen.look_for(key, sinks, outcome == Some(&Outcome::Acked));
            if copies > 0 {
                known.insert(key);
            }
            if copies > 1 {
                verdict.duplicated.push(key);
            }
            if copies > 0 && keep(&trace) == Keep::No {
                verdict.unwanted.push(key);
            }
        }
    }
    verdict.received = known.len() as u64;
    for (trace, seen) in traces.into_values() {
        let received = !seen.sinks.is_empty();
        if (received && !seen.missing.is_empty()) || seen.sinks.len() > 1 {
            verdict.split.push(trace.id);
        }
        let due = keep(&trace);
        if due == Keep::Yes || (due == Keep::Either && received) {
            verdict.lost.extend(seen.missing);
        }
    }
    let all = sinks.iter().flat_map(Received::iter).map(|(key, _)| *key);
    verdict.foreign.extend(all.filter(|key| !known.contains(key)));
    Ok(verdict)
}

// === impl Seen ===

impl Seen {
    /// Looks for a span of the trace in all sinks; how often it is there.
    fn look_for(&mut self, key: SpanKey, sinks: &[Received], acked: bool) -> u32 {
        let mut copies = 0;
        for (number, sink) in sinks.iter().enumerate() {
            let here = sink.count(&key);
            copies += here;
            if here > 0 {
                self.sinks.insert(number);
            }
        }
        if copies == 0 && acked {
            self.missing.push(key);
        }
        copies
    }
}

fn count(verdict: &mut Verdict, outcome: Option<&Outcome>, spans: u64) {
    match outcome {
        Some(Outcome::Acked) => verdict.acked += spans,
        Some(Outcome::Partial(n)) => {
            verdict.rejected_in_part += n;
            // The others were acked, but cannot be named.
            verdict.unknown += spans.saturating_sub(*n);
        }
        Some(Outcome::Rejected(_)) => verdict.rejected += spans,
        Some(Outcome::Unknown(_)) | None => verdict.unknown += spans,
    }
}

#[cfg(test)]
mod tests;
