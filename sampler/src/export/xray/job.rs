//! A batch on its way to X-Ray: translated piece by piece, cut into calls, answered document by
//! document.
//!
//! Documents can take many times the room of their fragment, so only a few calls' worth exist at a
//! time.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tailgate_common::chance::Chance;
use tailgate_xray::{Decision, Documents, Part, Translator};

use super::call::{Document, MAX_CALL_BYTES, MAX_CALL_DOCUMENTS, Unprocessed, body, is_throttle};
use super::stats::XrayStats;
use crate::core::outbox::{Item, Loss, Reason};
use crate::export::{Attempt, Job};

/// See the module.
pub struct XrayJob {
    items: Vec<Item>,
    /// Translated up to here: an item and a span of it.
    at: (usize, u32),
    now_s: u64,
    chance: Chance,
    /// Translated, not yet in a call; in order, so traces stay together.
    ready: VecDeque<Document>,
    /// Calls to be made in this round, the first one next.
    calls: VecDeque<Vec<Document>>,
    /// How often the first of them has failed.
    failures: u32,
    /// To be waited for before it is tried again.
    wait: Option<Duration>,
    /// For the next round.
    again: Vec<Document>,
    again_because: String,
    /// Some of those failed for a reason that is not load: they need time of their own.
    again_later: bool,
    losses: Vec<Loss>,
    stats: Arc<XrayStats>,
}

/// What became of the documents of a call.
#[derive(Debug, Default)]
pub(super) struct Sorted<'u> {
    /// Accepted, as far as X-Ray says.
    pub(super) accepted: usize,
    /// To be sent again.
    pub(super) retried: usize,
    /// Some of those because of load.
    pub(super) throttled: bool,
    /// Refused for good.
    pub(super) lost: Vec<&'u Unprocessed>,
}

/// Translate until this many bytes of documents are there.
const AHEAD_BYTES: usize = 2 * MAX_CALL_BYTES;
/// How many times the room of their fragment documents commonly take at most.
const GROWTH: usize = 3;

fn loss(document: &Document, reason: Reason) -> Loss {
    Loss { item: document.item, first: document.span, spans: 1, reason }
}

fn bytes<'d>(documents: impl IntoIterator<Item = &'d Document>) -> usize {
    documents.into_iter().map(|document| document.escaped.len()).sum()
}

/// How many of these go into the next call.
fn cut<'d>(documents: impl Iterator<Item = &'d Document>) -> usize {
    let mut bytes = 0;
    let fits = |document: &&Document| {
        bytes += document.escaped.len();
        bytes <= MAX_CALL_BYTES
    };
    documents.take(MAX_CALL_DOCUMENTS).take_while(fits).count().max(1)
}

// === impl XrayJob ===

impl XrayJob {
    pub(super) fn new(items: Vec<Item>, now_s: u64, seed: u64, stats: Arc<XrayStats>) -> Self {
        Self {
            items,
            at: (0, 0),
            now_s,
            chance: Chance::new(seed),
            ready: VecDeque::new(),
            calls: VecDeque::new(),
            failures: 0,
            wait: None,
            again: Vec::new(),
            again_because: String::new(),
            again_later: false,
            losses: Vec::new(),
            stats,
        }
    }

    /// Makes the next call of this round ready; how many documents it has, none if the round is
    /// over. That is when all is translated, or too much has to be sent again first.
    pub(super) fn next_call(&mut self, translator: &Translator) -> Option<usize> {
        if self.calls.is_empty() && bytes(&self.again) < AHEAD_BYTES {
            self.refill(translator);
        }
        self.calls.front().map(Vec::len)
    }

    /// How many documents the current call has.
    pub(super) fn call_len(&self) -> usize {
        self.calls.front().map_or(0, Vec::len)
    }

    /// The body of the current call.
    pub(super) fn body(&self) -> Bytes {
        body(self.calls.front().map_or(&[][..], Vec::as_slice))
    }

    /// The current call failed and stays; how often it has by now.
    pub(super) fn failed(&mut self) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// The current call is not to be tried again before this time has passed.
    pub(super) fn rest(&mut self, wait: Option<Duration>) {
        self.wait = wait;
    }

    /// What was set by [`XrayJob::rest`], once.
    pub(super) fn take_wait(&mut self) -> Option<Duration> {
        self.wait.take()
    }

    /// All that was translated was tried once.
    pub(super) fn end_of_round(&mut self) -> Attempt {
        if self.again.is_empty() {
            return Attempt::Done;
        }
        let mut again = std::mem::take(&mut self.again);
        while !again.is_empty() {
            self.calls.push_back(again.drain(..cut(again.iter())).collect());
        }
        let why = std::mem::take(&mut self.again_because);
        let paced = !std::mem::take(&mut self.again_later);
        Attempt::Again { retry_after: None, why, paced }
    }

    /// The current call was taken, but for these.
    pub(super) fn taken<'u>(&mut self, unprocessed: &'u [Unprocessed]) -> Sorted<'u> {
        let mut sorted = Sorted::default();
        let Some(call) = self.calls.pop_front() else { return sorted };
        self.failures = 0;
        if unprocessed.is_empty() {
            sorted.accepted = call.len();
            return sorted;
        }
        let mut matched = vec![false; unprocessed.len()];
        let alone = call.len() == 1;
        let mut rest = Vec::new();
        for document in call {
            let found = unprocessed.iter().zip(&matched).position(|(u, done)| {
                let id = u.id.as_ref().map(String::as_bytes);
                !done && (alone || (id.is_some() && id == document.id()))
            });
            let Some(found) = found else {
                rest.push(document);
                continue;
            };
            matched[found] = true;
            let why = &unprocessed[found];
            if why.is_retryable() {
                let throttled = is_throttle(&why.code);
                sorted.throttled |= throttled;
                sorted.retried += 1;
                self.again_later |= !throttled;
                self.again_because = format!("unprocessed: {} {}", why.code, why.message);
                // A copy, as it may wait: not to hold all that was translated along with it.
                let escaped = Bytes::copy_from_slice(&document.escaped);
                self.again.push(Document { escaped, ..document });
            } else {
                self.losses.push(loss(&document, why.reason()));
                sorted.lost.push(why);
            }
        }
        // Something was not processed and X-Ray doesn't say what: smaller calls will tell. Sending
        // a document twice does no harm, its id is the same.
        if !alone && matched.iter().any(|done| !done) {
            sorted.retried += rest.len();
            self.halve(rest);
        } else {
            sorted.accepted = rest.len();
        }
        sorted
    }

    /// The current call was refused for good: the culprit is found in halves. True if it was a
    /// single document, which is lost.
    pub(super) fn refused(&mut self, reason: Reason) -> bool {
        let Some(call) = self.calls.pop_front() else { return false };
        self.failures = 0;
        match &call[..] {
            [document] => {
                self.losses.push(loss(document, reason));
                true
            }
            _ => {
                self.halve(call);
                false
            }
        }
    }

    fn halve(&mut self, mut documents: Vec<Document>) {
        let right = documents.split_off(documents.len() / 2);
        for half in [right, documents] {
            if !half.is_empty() {
                self.calls.push_front(half);
            }
        }
    }

    /// Translates on and cuts full calls; what is left over waits for more, or makes the last call.
    fn refill(&mut self, translator: &Translator) {
        self.translate(translator, AHEAD_BYTES.saturating_sub(bytes(&self.ready)));
        let all = self.at.0 >= self.items.len();
        loop {
            let next = if self.ready.is_empty() { 0 } else { cut(self.ready.iter()) };
            // It is full if a document was left outside.
            if next == 0 || (next == self.ready.len() && next < MAX_CALL_DOCUMENTS && !all) {
                break;
            }
            self.calls.push_back(self.ready.drain(..next).collect());
        }
    }

    /// Translates on, until there are `most` bytes of documents or all is translated.
    fn translate(&mut self, translator: &Translator, most: usize) {
        let items = self.items.iter().skip(self.at.0);
        let fragments: usize = items.map(|item| item.fragment.len()).sum();
        let mut documents = Documents::with_capacity(most.min(GROWTH * fragments));
        let mut made = Vec::new();
        while documents.bytes() < most && self.at.0 < self.items.len() {
            self.translate_item(translator, most, &mut documents, &mut made);
        }
        let all = Bytes::from(documents.into_escaped());
        self.ready.extend(made.into_iter().map(|(item, span, range)| {
            let escaped = all.slice(range);
            Document { item, span, escaped }
        }));
    }

    /// Translates some of the current item.
    fn translate_item(
        &mut self,
        translator: &Translator,
        most: usize,
        documents: &mut Documents,
        made: &mut Vec<(usize, u32, Range<usize>)>,
    ) {
        let (item, from) = self.at;
        let Some(Item { fragment, spans, why, .. }) = self.items.get(item) else { return };
        let decision = why.as_deref().map(|why| Decision {
            adjusted_count: why.adjusted_count,
            keep_reason: if why.by_chance { "chance" } else { "policy" },
            policy: &why.policy,
        });
        let part = Part { fragment, from, max_bytes: most, decision };
        let chance = &mut self.chance;
        let (known, spans_before) = (documents.len(), documents.spans());
        let next = translator.translate_part(part, &mut || chance.number(), self.now_s, documents);
        for document in documents.iter().skip(known) {
            self.stats.made(document.changes);
            made.push((item, from + document.span - spans_before, document.range));
        }
        let reached = from + documents.spans() - spans_before;
        if next.is_none() && reached < *spans {
            // Spans the translator did not see: none may vanish without an outcome.
            let reason = Reason("xray_no_document");
            self.losses.push(Loss { item, first: reached, spans: spans - reached, reason });
        }
        self.at = next.map_or((item + 1, 0), |next| (item, next));
    }
}

impl Job for XrayJob {
    fn losses(mut self, rest: Reason) -> Vec<Loss> {
        let waiting = self.calls.iter().flatten().chain(&self.again).chain(&self.ready);
        let mut losses: Vec<_> = waiting.map(|document| loss(document, rest)).collect();
        let (current, from) = self.at;
        for (item, Item { spans, .. }) in self.items.iter().enumerate().skip(current) {
            let first = if item == current { from } else { 0 };
            losses.push(Loss { item, first, spans: spans.saturating_sub(first), reason: rest });
        }
        self.losses.append(&mut losses);
        self.losses
    }
}
