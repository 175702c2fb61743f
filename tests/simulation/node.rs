//! A simulated sampler: the real buffer and outbox, and what the shell does around them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tailgate_common::clock::Nanos;
use tailgate_common::limit::ByteBudget;
use tailgate_policy::{Options, PolicyConfig, Program, Rule};
use tailgate_proto::Limits;
use tailgate_sampler::core::buffer::{Buffer, SHARDS, totals};
use tailgate_sampler::core::counts::TRANSITIONS;
use tailgate_sampler::core::deputy::Offer;
use tailgate_sampler::core::outbox::{Batch, BatchLimits, Loss, Outbox, QueueLimits, Reason};
use tailgate_sampler::core::shard::{Arrived, Role, Settings};
use tailgate_sampler::core::watch::{Verdict, Watch};

use crate::faults::Faults;
use crate::random::Random;
use crate::spans::{Key, keys};
use crate::world::EJECT_AFTER;

pub struct Node {
    pub buffer: Buffer,
    pub out: RefCell<Outbox>,
    /// Cut off from everybody else.
    pub silent: bool,
    /// The others, by number; what this one thinks of them.
    pub watches: Vec<Option<(Watch, Nanos)>>,
    /// How often the backend accepted each span.
    pub exported: BTreeMap<Key, u32>,
    budget: ByteBudget,
}

const BATCH: BatchLimits = BatchLimits {
    bytes: 10_000,
    spans: 40,
    traces: 8,
    enough_spans: 20,
    enough_bytes: usize::MAX,
    linger: Duration::from_millis(50),
};

pub fn program() -> Arc<Program> {
    let errors = Rule::StatusCode { status_codes: vec!["ERROR".to_owned()] };
    let some = Rule::Probabilistic { hash_salt: String::new(), sampling_percentage: 30.0 };
    let named = |name: &str, rule| PolicyConfig { name: name.to_owned(), rule };
    let policies = [named("errors", errors), named("some", some)];
    Arc::new(Program::compile(&policies, Options::default()).unwrap())
}

impl Node {
    pub fn new(number: usize, nodes: usize, faults: &Faults, program: &Arc<Program>) -> Self {
        let settings = Settings {
            decision_wait: Duration::from_millis(1_000),
            wait_after_root: faults.root_wait.then(|| Duration::from_millis(400)),
            max_traces: if faults.few_traces { 2 } else { 1_000 },
            deduplicate: faults.deduplicate,
            remember_spans: Duration::from_secs(60),
            ..Settings::default()
        };
        let budget = ByteBudget::new(if faults.little_memory { 3 << 20 } else { 64 << 20 });
        let queue = if faults.small_queue { 2_000 } else { 1 << 20 };
        let outbox = Outbox::new(&[QueueLimits {
            bytes: queue,
            size: None,
            batches: 2,
            sheds: faults.sheds,
        }]);
        let watch =
            |other| (other != number).then(|| (Watch::new(Nanos::ZERO, EJECT_AFTER), Nanos::ZERO));
        Self {
            buffer: Buffer::new(&settings, program, &budget),
            out: RefCell::new(outbox),
            silent: false,
            watches: (0..nodes).map(watch).collect(),
            exported: BTreeMap::new(),
            budget,
        }
    }

    /// As what spans are held that came for a silent owner.
    pub fn role_for(&self, owner: usize) -> Role {
        match &self.watches[owner] {
            Some((watch, _)) if !watch.is_removed() => Role::DeputyFor(owner as u16),
            _ => Role::Owner,
        }
    }

    pub fn take(&self, now: Nanos, role: Role, fragment: &[u8]) -> Arrived {
        let limits = Limits::trusted();
        let outcome = self.buffer.arrive(now, role, fragment, &limits, &self.out).unwrap();
        assert_eq!(outcome.rejected, 0, "simulated spans are good");
        outcome.arrived
    }

    pub fn heard(&mut self, now: Nanos, other: usize) {
        if let Some((_, heard)) = &mut self.watches[other] {
            *heard = now;
        }
    }

    /// Ticks, and gives what has to be offered to others: owner, shard, offers.
    pub fn tick(&mut self, now: Nanos) -> Vec<(usize, usize, Vec<Offer>)> {
        let mut offers = Vec::new();
        for (other, watch) in self.watches.iter_mut().enumerate() {
            let Some((watch, heard)) = watch else { continue };
            let reachable = now.since(*heard) < Duration::from_millis(150);
            let verdict = watch.look(now, Some(*heard), reachable);
            for index in 0..SHARDS {
                let mut shard = self.buffer.shard(index);
                match verdict {
                    Verdict::Hold => {}
                    Verdict::Own => shard.owner_removed(now, other as u16),
                    Verdict::GiveBack => {
                        let offer = shard.offer_back(now, other as u16, 500);
                        if !offer.is_empty() {
                            offers.push((other, index, offer));
                        }
                    }
                }
            }
        }
        for index in 0..SHARDS {
            let mut shard = self.buffer.shard(index);
            shard.tick(now, &self.out);
        }
        self.buffer.relieve(now, &self.out);
        offers
    }

    pub fn next_batch(&self, now: Nanos) -> Option<Batch> {
        self.out.borrow_mut().take(0, now, &BATCH)
    }

    /// The backend's answer to a batch.
    pub fn settle(&mut self, now: Nanos, batch: Batch, random: &mut Random, faults: &Faults) {
        let mut outbox = self.out.borrow_mut();
        if faults.backend_fails && random.percent(30) {
            return outbox.retry(batch, now + Duration::from_millis(random.below(300)));
        }
        let mut losses = Vec::new();
        for (item, kept) in batch.items().iter().enumerate() {
            if faults.backend_rejects && random.percent(10) {
                let reason = Reason::REJECTED_BY_BACKEND;
                losses.push(Loss { item, first: 0, spans: kept.spans, reason });
                continue;
            }
            for key in keys(&kept.fragment) {
                *self.exported.entry(key).or_default() += 1;
            }
        }
        outbox.settle(batch, &losses);
    }

    /// Every span that came in is accounted for; the spans held and on their way out.
    pub fn check_ledger(&self) -> u64 {
        let shards = self.buffer.lock_all();
        let (counts, held) = totals(&shards);
        assert_eq!(counts.incoming(), counts.outgoing() + held, "shards: {counts:?}");
        let outbox = self.out.borrow().counts();
        let lost: u64 = outbox.lost.values().sum();
        assert_eq!(
            counts.passed_on,
            outbox.exported + lost + outbox.in_flight,
            "outbox: {outbox:?}"
        );
        let undecided: usize = shards.iter().map(|shard| shard.undecided()).sum();
        assert!(undecided > 0 || held == 0 || shards.iter().any(|s| s.waiting() > 0));
        assert!(self.budget.used() <= self.budget.limit());
        held + outbox.in_flight
    }

    pub fn transitions(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let (counts, _) = totals(&self.buffer.lock_all());
        TRANSITIONS.into_iter().map(move |(at, name)| (name, counts.transitions[at as usize]))
    }

    /// Some of what was kept was given up, for lack of memory.
    pub fn gave_up(&self) -> bool {
        let outbox = self.out.borrow().counts();
        self.counts().lost_queue_full > 0 || outbox.lost.contains_key(&Reason::QUEUE_FULL)
    }

    pub fn counts(&self) -> tailgate_sampler::core::counts::Counts {
        totals(&self.buffer.lock_all()).0
    }
}
