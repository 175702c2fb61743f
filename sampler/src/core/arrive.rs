//! Arrival: spans are held, follow a decision, or are refused.

use bytes::Bytes;
use tailgate_common::clock::Nanos;
use tailgate_policy::{Facts, Program, Value};
use tailgate_proto::view::SpanView;
use tailgate_proto::{TraceId, splice, spliced_len};

use super::counts::{Early, Transition};
use super::outbox::Kept;
use super::seen::BYTES_PER_HASH;
use super::shard::{Arrived, Outlet, Request, Role, Shard, TRACE_OVERHEAD, charge, uncharge};
use super::trace::{State, Trace};
use super::wheel::tick_at;

/// What the spans of a trace are worth whose value is forgotten: more than what chance keeps, as most of it is out.
const FORGOTTEN: Value = Value::Policy;

impl Shard {
    /// Takes the spans of one trace of a request: the ones at `indexes` of its scan, ascending.
    pub fn arrive(
        &mut self,
        now: Nanos,
        role: Role,
        trace_id: TraceId,
        request: &Request<'_>,
        indexes: &[u32],
        out: &impl Outlet,
    ) -> Arrived {
        let spans = indexes.len() as u32;
        let before = self.counts;
        let refused = match self.index.get(&trace_id).map(|trace| trace.state) {
            _ if self.closed => {
                self.counts.rejected_stopped += u64::from(spans);
                spans
            }
            Some(State::Decided { sampled: true }) if !out.has_room() => {
                self.hold_late(now, role, trace_id, request, indexes)
            }
            Some(State::Decided { sampled }) => {
                self.late(now, trace_id, sampled, request, indexes, out)
            }
            // Frozen until the owner has answered; a resend finds it or its owner.
            Some(State::Offered(_)) => {
                self.counts.rejected_offered += u64::from(spans);
                spans
            }
            // Nobody decides it here, so nothing but this keeps it from growing.
            Some(State::HeldFor(_)) if self.is_large(trace_id) => {
                self.counts.rejected_memory += u64::from(spans);
                spans
            }
            Some(_) => self.hold(now, role, trace_id, request, indexes),
            None => match self.cache.get(&trace_id) {
                Some(sampled) => self.follow(now, trace_id, sampled, request, indexes, out),
                None => self.begin(now, role, trace_id, request, indexes, out),
            },
        };
        match role {
            Role::Owner | Role::DeputyFor(_) => self.counts.received += u64::from(spans),
            Role::HandedBack { .. } => {
                // What is refused never came here: the deputy goes on holding it.
                self.counts.received_handoff += u64::from(spans - refused);
                self.counts.rejected_memory = before.rejected_memory;
                self.counts.rejected_export_queue = before.rejected_export_queue;
                self.counts.rejected_offered = before.rejected_offered;
                self.counts.rejected_stopped = before.rejected_stopped;
            }
        }
        self.check_size(now, trace_id, out);
        Arrived { accepted: spans - refused, refused }
    }

    /// ## (new) => Pending | HeldFor
    fn begin(
        &mut self,
        now: Nanos,
        role: Role,
        trace_id: TraceId,
        request: &Request<'_>,
        indexes: &[u32],
        out: &impl Outlet,
    ) -> u32 {
        // The last tenth of the memory is for spans that are held already, here or by a deputy.
        let new = !matches!(role, Role::HandedBack { .. });
        let full = new && self.budget.used() > self.budget.limit() / 10 * 9;
        if full || !self.charge(TRACE_OVERHEAD) {
            self.counts.rejected_memory += indexes.len() as u64;
            return indexes.len() as u32;
        }
        if self.undecided >= self.settings.max_traces {
            self.decide_oldest(now, Early::NumTraces, out);
        }
        let state = match role {
            Role::DeputyFor(member) => State::HeldFor(member),
            Role::Owner | Role::HandedBack { .. } => State::Pending,
        };
        let trace = Trace {
            state,
            value: Value::default(),
            first_seen: now,
            timer: 0,
            last: None,
            spans: 0,
            bytes: 0,
            facts: self.program.new_facts(),
            seen: Default::default(),
        };
        self.index.insert(trace_id, trace);
        self.undecided += 1;
        let refused = self.hold(now, role, trace_id, request, indexes);
        if refused == 0 {
            self.counts.new_traces += 1;
            match state {
                State::HeldFor(member) => {
                    self.held.push(member, trace_id);
                    self.counts.went(Transition::BeginAsDeputy);
                }
                _ => self.counts.went(Transition::Begin),
            }
        } else {
            self.index.remove(&trace_id);
            self.undecided -= 1;
            self.uncharge(TRACE_OVERHEAD);
        }
        refused
    }

    /// Adds spans to a trace that is held. All of them or none; how many were refused.
    fn hold(
        &mut self,
        now: Nanos,
        role: Role,
        trace_id: TraceId,
        request: &Request<'_>,
        indexes: &[u32],
    ) -> u32 {
        let Some(trace) = self.index.get_mut(&trace_id) else { return indexes.len() as u32 };
        let fresh = &mut self.fresh;
        select_fresh(trace, request, indexes, self.settings.deduplicate, fresh);
        let duplicates = (indexes.len() - fresh.len()) as u64;
        if !fresh.is_empty() {
            let hashes = fresh.len() as u64 * BYTES_PER_HASH as u64;
            let charged = charge(&mut self.overhead, &mut self.overhead_used, hashes);
            let len = spliced_len(request.scan, fresh);
            let record = charged.then(|| {
                let write = |out: &mut Vec<u8>| splice(request.bytes, request.scan, fresh, out);
                self.log.append(trace_id, fresh.len() as u32, trace.last, len, write)
            });
            match record {
                Some(Ok(record)) => {
                    trace.last = Some(record);
                    trace.spans += fresh.len() as u32;
                    trace.bytes = trace.bytes.saturating_add(len as u32);
                    fold(&self.program, request, fresh, &mut trace.facts);
                }
                Some(Err(_)) | None => {
                    fresh.iter().for_each(|i| trace.seen.remove(request.hashes[*i as usize]));
                    if charged {
                        uncharge(&mut self.overhead, &mut self.overhead_used, hashes);
                    }
                    self.counts.rejected_memory += indexes.len() as u64;
                    return indexes.len() as u32;
                }
            }
        }
        self.counts.deduplicated += duplicates;
        if trace.state == State::Waiting && !self.fresh.is_empty() {
            self.counts.late += self.fresh.len() as u64;
            self.ages.late.record(trace.decided_for(now).as_secs_f64());
        }
        self.set_timer(now, role, trace_id, request, indexes);
        0
    }

    /// ## Decided => Waiting
    /// Spans of a trace that was kept a moment ago, and the exporters have no room: they wait for it.
    fn hold_late(
        &mut self,
        now: Nanos,
        role: Role,
        trace_id: TraceId,
        request: &Request<'_>,
        indexes: &[u32],
    ) -> u32 {
        let Some(trace) = self.index.get_mut(&trace_id) else { return indexes.len() as u32 };
        trace.state = State::Waiting;
        let refused = self.hold(now, role, trace_id, request, indexes);
        let Some(trace) = self.index.get_mut(&trace_id) else { return refused };
        if trace.spans == 0 {
            trace.state = State::Decided { sampled: true };
        } else {
            self.counts.followed_decision[0] += u64::from(trace.spans);
            self.waiting.push(trace.value, trace_id);
            self.counts.went(Transition::WaitAgain);
        }
        refused
    }

    /// The earliest of what the trace's age and its root ask for.
    fn set_timer(
        &mut self,
        now: Nanos,
        role: Role,
        trace_id: TraceId,
        request: &Request<'_>,
        indexes: &[u32],
    ) {
        let Some(trace) = self.index.get_mut(&trace_id) else { return };
        if let Role::HandedBack { age } = role {
            trace.first_seen = trace.first_seen.min(now - age);
        }
        if trace.state != State::Pending {
            return;
        }
        let mut due = trace.first_seen + self.settings.decision_wait;
        if let Some(wait) = self.settings.wait_after_root
            && indexes.iter().any(|i| request.scan.spans()[*i as usize].root)
        {
            due = due.min(now + wait);
        }
        // Tick 0 means that no timer is set.
        let tick = tick_at(due).max(1);
        if trace.timer == 0 || tick < trace.timer {
            trace.timer = tick;
            self.wheel.set(tick, trace_id);
        }
    }

    /// Spans of a trace that was decided a moment ago: duplicates are known, the rest follows the decision.
    fn late(
        &mut self,
        now: Nanos,
        trace_id: TraceId,
        sampled: bool,
        request: &Request<'_>,
        indexes: &[u32],
        out: &impl Outlet,
    ) -> u32 {
        let mut fresh = std::mem::take(&mut self.fresh);
        if let Some(trace) = self.index.get_mut(&trace_id) {
            select_fresh(trace, request, indexes, self.settings.deduplicate, &mut fresh);
        }
        if let Some(trace) = self.index.get(&trace_id).filter(|_| !fresh.is_empty()) {
            self.ages.late.record(trace.decided_for(now).as_secs_f64());
        }
        let hashes = fresh.len() as u64 * BYTES_PER_HASH as u64;
        let charged = self.charge(hashes);
        let refused = match charged {
            true => self.follow(now, trace_id, sampled, request, &fresh, out),
            false => {
                self.counts.rejected_memory += fresh.len() as u64;
                fresh.len() as u32
            }
        };
        if refused > 0 {
            if let Some(trace) = self.index.get_mut(&trace_id) {
                fresh.iter().for_each(|i| trace.seen.remove(request.hashes[*i as usize]));
            }
            if charged {
                self.uncharge(hashes);
            }
        }
        self.counts.deduplicated += (indexes.len() - fresh.len()) as u64;
        self.fresh = fresh;
        refused
    }

    /// Spans of a trace whose decision is remembered.
    fn follow(
        &mut self,
        now: Nanos,
        trace_id: TraceId,
        sampled: bool,
        request: &Request<'_>,
        indexes: &[u32],
        out: &impl Outlet,
    ) -> u32 {
        let spans = indexes.len() as u64;
        if indexes.is_empty() {
            return 0;
        }
        if !sampled {
            self.counts.sampled_out += spans;
        } else {
            let mut fragment = Vec::with_capacity(spliced_len(request.scan, indexes));
            splice(request.bytes, request.scan, indexes, &mut fragment);
            let fragment = Bytes::from(fragment);
            let value = self.index.get(&trace_id).map_or(FORGOTTEN, |trace| trace.value);
            let why = self.why(trace_id);
            let kept = Kept { trace_id, spans: spans as u32, fragment, value, why };
            // Where what is worth less can go, it makes room.
            let less = |other: Value| other < value && out.shed(other) > 0;
            let offered = out.offer(now, kept).or_else(|kept| {
                let room = self.gives_up(out) && Value::ALL.into_iter().any(less);
                if room { out.offer(now, kept) } else { Err(kept) }
            });
            match offered {
                Ok(()) => self.counts.passed_on += spans,
                Err(_) if self.gives_up(out) => self.counts.lost_queue_full += spans,
                Err(_) => {
                    self.counts.rejected_export_queue += spans;
                    return spans as u32;
                }
            }
        }
        self.counts.late += spans;
        self.counts.followed_decision[usize::from(!sampled)] += spans;
        0
    }
}

/// The spans at `indexes` whose hash is new to the trace; they are marked as seen.
fn select_fresh(
    trace: &mut Trace,
    request: &Request<'_>,
    indexes: &[u32],
    deduplicate: bool,
    fresh: &mut Vec<u32>,
) {
    fresh.clear();
    let new = |i: &&u32| trace.seen.insert(request.hashes[**i as usize]) || !deduplicate;
    fresh.extend(indexes.iter().filter(new));
}

fn fold(program: &Program, request: &Request<'_>, indexes: &[u32], facts: &mut Facts) {
    let mut last = None;
    for index in indexes {
        let span = &request.scan.spans()[*index as usize];
        let resource = request.scan.resource_of(span.scope);
        if last.replace(resource) != Some(resource) {
            facts.join(&request.resources[resource as usize]);
        }
        let bytes = &request.bytes[span.start as usize..span.end as usize];
        program.fold_span(SpanView::new(bytes), facts);
    }
}
