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

use super::call::{
    Document, MAX_CALL_BYTES, MAX_CALL_DOCUMENTS, NOT_TAKEN, Unprocessed, Vain, body, is_throttle,
};
use super::stats::XrayStats;
use super::told::{Told, told};
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
    calls: VecDeque<Call>,
    /// Calls that failed often, behind all others.
    late: VecDeque<Call>,
    /// For the next round.
    again: Vec<Document>,
    again_because: String,
    /// Some of those failed for a reason that is not load: they need time of their own.
    again_later: bool,
    losses: Vec<Loss>,
    stats: Arc<XrayStats>,
}

/// A call to be made.
#[derive(Debug, Default)]
struct Call {
    documents: Vec<Document>,
    failures: u32,
    /// Those of them that are not known to be another's fault.
    vain: Vain,
    /// To be waited for before it is tried again.
    wait: Option<Duration>,
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
    /// Refused for good, or sent too often in vain.
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

// === impl Call ===

impl Call {
    fn of(documents: Vec<Document>) -> Self {
        Self { documents, ..Self::default() }
    }
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
            late: VecDeque::new(),
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
        let late = self.late.iter().flat_map(|call| &call.documents);
        if self.calls.is_empty() && bytes(self.again.iter().chain(late)) < AHEAD_BYTES {
            self.refill(translator);
        }
        // What is to be sent again for another reason does not wait for them.
        if self.calls.is_empty() && self.again.is_empty() {
            self.calls.extend(self.late.pop_front());
        }
        self.calls.front().map(|call| call.documents.len())
    }

    /// How many documents the current call has.
    pub(super) fn call_len(&self) -> usize {
        self.calls.front().map_or(0, |call| call.documents.len())
    }

    /// The body of the current call.
    pub(super) fn body(&self) -> Bytes {
        body(self.calls.front().map_or(&[][..], |call| call.documents.as_slice()))
    }

    /// The current call failed and stays; how often it has by now. `own`: perhaps it is its own
    /// fault. `accepted`: documents, of all batches, until now.
    pub(super) fn failed(&mut self, own: bool, accepted: u64) -> u32 {
        let Some(call) = self.calls.front_mut() else { return 0 };
        call.failures = call.failures.saturating_add(1);
        if own {
            call.vain.again(accepted);
        }
        call.failures
    }

    /// The current call is not to be tried again before this time has passed.
    pub(super) fn rest(&mut self, wait: Option<Duration>) {
        if let Some(call) = self.calls.front_mut() {
            call.wait = wait;
        }
    }

    /// What was set by [`XrayJob::rest`], once.
    pub(super) fn take_wait(&mut self) -> Option<Duration> {
        self.calls.front_mut()?.wait.take()
    }

    /// The current call has failed often, perhaps by its own fault: the others come first. The
    /// culprit is found in halves; true if it was a single document, and is lost.
    pub(super) fn set_back(&mut self) -> bool {
        let Some(call) = self.calls.pop_front() else { return false };
        let Call { documents, failures, vain, wait } = call;
        if let ([document], true) = (&documents[..], vain.is_hopeless()) {
            self.losses.push(loss(document, NOT_TAKEN));
            return true;
        }
        let mut documents: Vec<_> = documents.into_iter().map(Document::apart).collect();
        if documents.len() > 1 && vain.is_suspect() {
            let half = documents.split_off(documents.len() / 2);
            for documents in [documents, half] {
                self.late.push_back(Call { wait, ..Call::of(documents) });
            }
        } else {
            self.late.push_back(Call { documents, failures, vain, wait });
        }
        false
    }

    /// All that was translated was tried once.
    pub(super) fn end_of_round(&mut self) -> Attempt {
        if self.again.is_empty() {
            return Attempt::Done;
        }
        let mut again = std::mem::take(&mut self.again);
        while !again.is_empty() {
            self.calls.push_back(Call::of(again.drain(..cut(again.iter())).collect()));
        }
        let why = std::mem::take(&mut self.again_because);
        let paced = !std::mem::take(&mut self.again_later);
        Attempt::Again { retry_after: None, why, paced }
    }

    /// The current call was taken, but for these. `accepted`: documents, of all batches, before.
    pub(super) fn taken<'u>(
        &mut self,
        unprocessed: &'u [Unprocessed],
        accepted: u64,
    ) -> Sorted<'u> {
        let mut sorted = Sorted::default();
        let Some(Call { documents, .. }) = self.calls.pop_front() else { return sorted };
        sorted.throttled = unprocessed.iter().any(|why| is_throttle(&why.code));
        let mut unclear = Vec::new();
        for (told, document) in told(&documents, unprocessed).into_iter().zip(documents) {
            match told {
                Told::Accepted => sorted.accepted += 1,
                Told::Unclear => unclear.push(document),
                Told::Unprocessed(entry) => {
                    self.unprocessed(document, &unprocessed[entry], accepted, &mut sorted);
                }
            }
        }
        // Smaller calls will tell which it was. Sending a document twice does no harm, its id is
        // the same.
        sorted.retried += unclear.len();
        self.halve(unclear);
        sorted
    }

    fn unprocessed<'u>(
        &mut self,
        mut document: Document,
        why: &'u Unprocessed,
        accepted: u64,
        sorted: &mut Sorted<'u>,
    ) {
        let throttled = is_throttle(&why.code);
        if why.is_retryable() && !throttled {
            document.vain.again(accepted);
        }
        if !why.is_retryable() || document.vain.is_hopeless() {
            let reason = if why.is_retryable() { NOT_TAKEN } else { why.reason() };
            self.losses.push(loss(&document, reason));
            sorted.lost.push(why);
            return;
        }
        sorted.retried += 1;
        self.again_later |= !throttled;
        self.again_because = format!("unprocessed: {} {}", why.code, why.message);
        // A copy, as it may wait.
        self.again.push(document.apart());
    }

    /// The current call was refused for good: the culprit is found in halves. True if it was a
    /// single document, which is lost.
    pub(super) fn refused(&mut self, reason: Reason) -> bool {
        let Some(call) = self.calls.pop_front() else { return false };
        match &call.documents[..] {
            [document] => {
                self.losses.push(loss(document, reason));
                true
            }
            _ => {
                self.halve(call.documents);
                false
            }
        }
    }

    fn halve(&mut self, mut documents: Vec<Document>) {
        let right = documents.split_off(documents.len() / 2);
        for half in [right, documents] {
            if !half.is_empty() {
                self.calls.push_front(Call::of(half));
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
            self.calls.push_back(Call::of(self.ready.drain(..next).collect()));
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
            Document { item, span, escaped, vain: Vain::default() }
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
        let calls = self.calls.iter().chain(&self.late).flat_map(|call| &call.documents);
        let waiting = calls.chain(&self.again).chain(&self.ready);
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
