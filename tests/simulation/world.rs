//! Clients, network, load balancer and samplers in one thread.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use tailgate_common::clock::Nanos;
use tailgate_loadbalancer::core::{
    Answer, Change, Delivery, Effect, Event, MemberId, Membership, MembershipEvent,
    MembershipOptions, MembershipState, Outcome, Tables, Target, Timing, Transitions, View,
};
use tailgate_proto::{Limits, Scan, TraceId, scan, splice};
use tailgate_sampler::core::shard::Role;

use crate::check::{Claims, check};
use crate::faults::Faults;
use crate::node::{Node, program};
use crate::plan::{Plan, Request};
use crate::random::Random;
use crate::seen::Seen;
use crate::spans::{Key, SPANS_PER_TRACE, request};

pub const EJECT_AFTER: Duration = Duration::from_millis(2_500);
const NODES: usize = 3;
const MS: u64 = 1_000_000;
/// Faults and arrivals end here; the rest settles after it.
const QUIET: Nanos = Nanos(8_000 * MS);

const GIVE_UP: Nanos = Nanos(18_000 * MS);
const END: Nanos = Nanos(100_000 * MS);

pub struct World {
    now: Nanos,
    random: Random,
    faults: Faults,
    plans: BinaryHeap<Reverse<(Nanos, u64)>>,
    planned: BTreeMap<u64, Plan>,
    next: u64,
    membership: Membership,
    view: View,
    nodes: Vec<Node>,
    requests: Vec<Request>,
    unsent: Vec<Key>,
    acked: BTreeSet<Key>,
    traces: u16,
    ejected: bool,
    seen: Seen,
}

impl World {
    pub fn new(seed: u64, faults: Faults, tables: Tables) -> Self {
        let mut random = Random::new(seed);
        let options = MembershipOptions {
            silent_after: Duration::from_millis(300),
            eject_after: EJECT_AFTER,
            deputies: true,
        };
        let mut membership = Membership::new(options, tables);
        let names = (0..NODES).map(|n| Arc::from(format!("sampler-{n}"))).collect();
        membership.step(Nanos::ZERO, MembershipEvent::Set(names));
        let view = membership.view();
        let program = program();
        let traces = 100;
        let mut unsent: Vec<Key> =
            (0..traces).flat_map(|t| (0..SPANS_PER_TRACE).map(move |s| (t, s))).collect();
        if !faults.prompt {
            for at in (1..unsent.len()).rev() {
                // Mostly neighbours, sometimes far apart: late spans.
                let reach = if random.percent(10) { at as u64 + 1 } else { 30.min(at as u64 + 1) };
                unsent.swap(at, at - random.below(reach) as usize);
            }
        }
        unsent.reverse();
        let node = |n| Node::new(n, NODES, &faults, &program);
        let mut world = Self {
            now: Nanos::ZERO,
            nodes: (0..NODES).map(node).collect(),
            random,
            faults,
            plans: BinaryHeap::new(),
            planned: BTreeMap::new(),
            next: 0,
            membership,
            view,
            requests: Vec::new(),
            unsent,
            acked: BTreeSet::new(),
            traces,
            ejected: false,
            seen: Seen::default(),
        };
        world.plan(1, Plan::Send);
        world.plan(10, Plan::Tick);
        for node in 0..NODES {
            let at = 300 + world.random.below(3_000);
            world.plan(at, Plan::Fault { node });
        }
        world
    }

    pub fn into_tables(self) -> Tables {
        self.membership.into_tables()
    }

    /// What happened; or what was promised and not kept.
    pub fn run(&mut self) -> Result<Seen, String> {
        while let Some(Reverse((at, number))) = self.plans.pop() {
            self.now = at;
            let plan = self.planned.remove(&number).unwrap();
            self.seen.events += 1;
            self.seen.digest = (self.seen.digest ^ at.0 ^ number).wrapping_mul(0x0100_0000_01b3);
            self.happen(plan);
            if self.seen.events.is_multiple_of(20) {
                self.nodes.iter().for_each(|node| {
                    node.check_ledger();
                });
            }
        }
        let claims = Claims { acked: &self.acked, traces: self.traces, ejected: self.ejected };
        check(&self.nodes, &claims, &self.faults)?;
        self.tally();
        Ok(std::mem::take(&mut self.seen))
    }

    fn plan(&mut self, in_ms: u64, plan: Plan) {
        let at = self.now + Duration::from_millis(in_ms);
        self.next += 1;
        self.plans.push(Reverse((at, self.next)));
        self.planned.insert(self.next, plan);
    }

    /// Time on the network; now and then so long that others overtake.
    fn delay(&mut self) -> u64 {
        if self.random.percent(5) { 50 + self.random.below(300) } else { 1 + self.random.below(8) }
    }

    fn happen(&mut self, plan: Plan) {
        match plan {
            Plan::Send => self.send(),
            Plan::Resend(request) => self.begin(request),
            Plan::Deliver { request, attempt, target, fragment } => {
                self.deliver(request, attempt, target, &fragment);
            }
            Plan::Result { request, attempt, from, outcome } => {
                if !self.nodes[from].silent {
                    self.heard(from);
                    self.step(request, Event::Outcome { attempt, outcome });
                }
            }
            Plan::Due { request } => self.step(request, Event::Tick),
            Plan::GiveBack { from, to, shard, offers } => self.give_back(from, to, shard, offers),
            Plan::Taken { from, to, shard, traces, taken } => {
                let mut shard = self.nodes[from].buffer.shard(shard);
                for (at, trace_id) in traces.into_iter().enumerate() {
                    match at < taken {
                        true => shard.offer_taken(to as u16, trace_id),
                        false => shard.offer_failed(to as u16, trace_id),
                    }
                }
            }
            Plan::Settle { node, batch } => {
                let (now, faults) = (self.now, self.faults);
                self.nodes[node].settle(now, batch, &mut self.random, &faults);
            }
            Plan::Fault { node } => self.fault(node),
            Plan::Tick => self.tick(),
        }
    }

    fn send(&mut self) {
        let count = (1 + self.random.below(12) as usize).min(self.unsent.len());
        let keys = self.unsent.split_off(self.unsent.len() - count);
        if keys.is_empty() {
            return;
        }
        let bytes = request(&keys);
        let mut found = Scan::default();
        scan(&bytes, &Limits::default(), &mut found).unwrap();
        let delivery = Delivery::default();
        self.requests.push(Request { keys, bytes, scan: found, delivery, resends: 0 });
        self.begin(self.requests.len() - 1);
        let pause = if self.faults.prompt { 5 } else { 20 + self.random.below(150) };
        self.plan(pause, Plan::Send);
    }

    fn begin(&mut self, request: usize) {
        let timing = Timing {
            attempt: Duration::from_millis(200),
            first_pause: Duration::from_millis(20),
            longest_pause: Duration::from_millis(100),
        };
        let deadline = self.now + Duration::from_millis(900);
        let seed = self.random.next();
        let Request { scan, delivery, .. } = &mut self.requests[request];
        let slots = scan.spans().iter().map(|span| span.trace_id.slot());
        delivery.begin(slots, timing, deadline, seed);
        self.step(request, Event::Start);
    }

    fn step(&mut self, at: usize, event: Event) {
        let mut effects = Vec::new();
        let delivery = &mut self.requests[at].delivery;
        delivery.step(self.now, &self.view, event, &mut effects);
        let due = delivery.next_due();
        for effect in effects {
            match effect {
                Effect::Send { part, attempt, target } => {
                    let request = &self.requests[at];
                    let mut fragment = Vec::new();
                    let spans = request.delivery.spans(part);
                    splice(&request.bytes, &request.scan, spans, &mut fragment);
                    let delay = self.delay();
                    let plan = Plan::Deliver { request: at, attempt, target, fragment };
                    self.plan(delay, plan);
                }
                Effect::Answer(answer) => self.answer(at, &answer),
            }
        }
        if let Some(due) = due {
            let wait = due.since(self.now).as_nanos().div_ceil(u128::from(MS)) as u64;
            self.plan(wait, Plan::Due { request: at });
        }
    }

    fn answer(&mut self, at: usize, answer: &Answer) {
        let transitions = self.requests[at].delivery.transitions();
        for transition in Transitions::ALL {
            let count = u64::from(transitions.of(transition));
            let name = format!("{transition:?}");
            *self.seen.part_transitions.entry(name).or_default() += count;
        }
        match answer {
            Answer::Held { rejected } => {
                assert_eq!(*rejected, 0);
                self.count("acknowledged");
                self.acked.extend(self.requests[at].keys.iter().copied());
                let again = self.requests[at].resends == 0 && self.random.percent(15);
                if again && self.now < QUIET {
                    self.requests[at].resends += 1;
                    self.count("sent again although acknowledged");
                    let delay = self.random.below(1_500);
                    self.plan(delay, Plan::Resend(at));
                }
            }
            Answer::Unavailable { .. } => {
                self.count("unavailable");
                self.requests[at].resends += 1;
                // A client gives up some time; by then all is well again.
                if self.now < GIVE_UP {
                    let delay = 100 + self.random.below(400);
                    self.plan(delay, Plan::Resend(at));
                }
            }
        }
    }

    fn deliver(&mut self, request: usize, attempt: u32, target: Target, fragment: &[u8]) {
        let to = target.to.0 as usize;
        let node = &self.nodes[to];
        if node.silent {
            return;
        }
        let role = match target.deputy_of {
            None => Role::Owner,
            Some(owner) => node.role_for(owner.0 as usize),
        };
        let arrived = node.take(self.now, role, fragment);
        let outcome = match arrived.refused {
            0 => Outcome::Held { rejected: 0 },
            _ => Outcome::Refused { retry_after: None },
        };
        if arrived.refused > 0 {
            self.count("refused");
        }
        if self.faults.silence && self.random.percent(4) {
            self.count("answer lost");
            return;
        }
        let delay = self.delay();
        self.plan(delay, Plan::Result { request, attempt, from: to, outcome });
    }

    fn give_back(
        &mut self,
        from: usize,
        to: usize,
        shard: usize,
        offers: Vec<(TraceId, u64, Vec<u8>)>,
    ) {
        let traces: Vec<TraceId> = offers.iter().map(|(trace_id, ..)| *trace_id).collect();
        let mut taken = 0;
        if !self.nodes[to].silent {
            for (_, age_ms, fragment) in &offers {
                let role = Role::HandedBack { age: Duration::from_millis(*age_ms) };
                if self.nodes[to].take(self.now, role, fragment).refused > 0 {
                    break;
                }
                taken += 1;
            }
        }
        if self.faults.silence && self.random.percent(20) {
            // The owner holds them, and the deputy does not know.
            self.count("hand-back answer lost");
            taken = 0;
        }
        let delay = self.delay();
        self.plan(delay, Plan::Taken { from, to, shard, traces, taken });
    }

    fn fault(&mut self, node: usize) {
        let silent = self.nodes[node].silent;
        if !silent && (!self.faults.silence || self.now >= QUIET) {
            return;
        }
        self.nodes[node].silent = !silent;
        let longest = if self.faults.long_silence { 5_000 } else { 1_500 };
        let next =
            if silent { 500 + self.random.below(4_000) } else { 50 + self.random.below(longest) };
        self.plan(next, Plan::Fault { node });
    }

    fn heard(&mut self, node: usize) {
        let id = MemberId(node as u32);
        let changes = self.membership.step(self.now, MembershipEvent::Heard(id, self.now));
        self.changed(&changes);
    }

    fn changed(&mut self, changes: &[Change]) {
        for change in changes {
            if let Change::State(_, _, to) = change {
                self.ejected |= *to == MembershipState::Ejected;
            }
        }
        if !changes.is_empty() {
            self.view = self.membership.view();
        }
    }

    fn tick(&mut self) {
        let talk: Vec<usize> = (0..NODES).filter(|n| !self.nodes[*n].silent).collect();
        for node in &talk {
            self.heard(*node);
            for other in talk.iter().filter(|other| *other != node) {
                self.nodes[*node].heard(self.now, *other);
            }
        }
        let changes = self.membership.step(self.now, MembershipEvent::Tick);
        self.changed(&changes);
        for node in 0..NODES {
            let offers = self.nodes[node].tick(self.now);
            self.ejected |= self.nodes[node].watches.iter().flatten().any(|w| w.0.is_removed());
            for (to, shard, offers) in offers {
                let offers = offers
                    .into_iter()
                    .map(|o| (o.trace_id, o.age.as_millis() as u64, o.fragment.to_vec()))
                    .collect();
                let delay = self.delay();
                self.plan(delay, Plan::GiveBack { from: node, to, shard, offers });
            }
            while let Some(batch) = self.nodes[node].next_batch(self.now) {
                let delay = self.delay();
                self.plan(delay, Plan::Settle { node, batch });
            }
        }
        // When all is quiet, time jumps: nothing is left but to forget.
        match self.now {
            now if now < Nanos(25_000 * MS) => self.plan(50, Plan::Tick),
            now if now < END => self.plan(5_000, Plan::Tick),
            _ => {}
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.seen.outcomes.entry(what).or_default() += 1;
    }

    fn tally(&mut self) {
        self.seen.least_events = self.seen.events;
        for node in &self.nodes {
            for (name, count) in node.transitions() {
                *self.seen.trace_transitions.entry(name).or_default() += count;
            }
            let counts = node.counts();
            let outcomes = &mut self.seen.outcomes;
            *outcomes.entry("deduplicated").or_default() += counts.deduplicated;
            *outcomes.entry("late").or_default() += counts.late;
            *outcomes.entry("decided early: memory").or_default() += counts.decided_early[0];
            *outcomes.entry("decided early: num_traces").or_default() += counts.decided_early[1];
        }
    }
}
