//! The other samplers: what they deliver is held, and what is held for them is given back.
//!
//! This sampler is the deputy of others for some slots. While one of them is silent, load balancers send its spans
//! here. When it is heard again it gets them back; when it has been silent for `eject_after`, it counts as removed
//! and they are ours. The load balancers come to the same conclusion by the same rule.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tailgate_common::clock::{Clock, Nanos};
use tailgate_common::peer::{
    Deliver, DeliverResult, Entry, GiveBackResult, Mode, PeerClient, PeerInfo, PeerService,
};
use tailgate_proto::Limits;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::core::buffer::{Buffer, Outcome, SHARDS};
use crate::core::deputy::Offer;
use crate::core::shard::Role;
use crate::core::trace::MemberId;
use crate::core::watch::{Verdict, Watch};
use crate::hold::{RETRY_AFTER, Sampler};

/// How often members are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// So long between two looks, and it was this process that stood still.
const STOOD_STILL: Duration = Duration::from_secs(1);
/// Bytes of one `GiveBack`.
const OFFER_BYTES: usize = 1 << 20;
/// How long a member may take to answer an offer.
const OFFER_TIMEOUT: Duration = Duration::from_secs(5);

/// The members beside this one.
pub struct Members {
    others: Vec<Member>,
}

/// A member as another one sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its name.
    pub name: Arc<str>,
    /// One of [`STATES`].
    pub state: &'static str,
    /// It was given other members than this one.
    pub disagrees: bool,
    /// When it was last heard.
    pub heard_ago: Option<Duration>,
    /// Why it can't be reached, if it can't.
    pub last_error: Option<String>,
}

/// What a member can be.
pub const STATES: [&str; 3] = ["up", "silent", "removed"];

struct Member {
    name: Arc<str>,
    client: PeerClient,
    watch: Mutex<Watch>,
}

/// A sampler among its members, as the internal protocol's service.
#[derive(Clone)]
pub struct Node {
    /// What holds the spans.
    pub sampler: Arc<Sampler>,
    /// The others.
    pub members: Arc<Members>,
}

// === impl Members ===

impl Members {
    /// The clients' names are the members' names.
    pub fn new(clients: Vec<PeerClient>, eject_after: Duration, clock: &dyn Clock) -> Self {
        let member = |client: PeerClient| Member {
            name: client.peer().clone(),
            client,
            watch: Mutex::new(Watch::new(clock.now(), eject_after)),
        };
        Self { others: clients.into_iter().map(member).collect() }
    }

    /// All members but this one, as they are seen from here.
    pub fn seen(&self, now: Nanos) -> Vec<Seen> {
        let seen = |member: &Member| Seen {
            name: member.name.clone(),
            state: match (member.watch.lock().is_removed(), member.client.is_connected()) {
                (true, _) => "removed",
                (false, true) => "up",
                (false, false) => "silent",
            },
            disagrees: member.client.disagrees(),
            heard_ago: member.client.last_heard().map(|at| now.since(at)),
            last_error: member.client.last_error(),
        };
        self.others.iter().map(seen).collect()
    }

    /// The names of the members that count as removed.
    pub fn ejected(&self) -> Vec<&str> {
        let ejected = self.others.iter().filter(|member| member.watch.lock().is_removed());
        ejected.map(|member| member.name.as_ref()).collect()
    }

    /// The names of the members that were given other members than this one.
    pub fn disagreeing(&self) -> Vec<&str> {
        let disagree = self.others.iter().filter(|member| member.client.disagrees());
        disagree.map(|member| member.name.as_ref()).collect()
    }

    /// In which role spans are held that were sent for `owner`.
    fn role_for(&self, owner: &str) -> Role {
        let found = self.others.iter().enumerate().find(|(_, member)| *member.name == *owner);
        match found {
            Some((id, member)) if !member.watch.lock().is_removed() => {
                Role::DeputyFor(id as MemberId)
            }
            // Not a member, as far as is known here: nobody else decides these.
            _ => Role::Owner,
        }
    }
}

// === impl Node ===

impl Node {
    /// Watches the members until `stop`, each by itself: a slow one holds up none of the others.
    pub async fn watch(self, stop: CancellationToken) {
        let watches = self.numbered().map(|(id, member)| self.watch_one(id, member, &stop));
        join_all(watches).await;
        stop.cancelled().await;
    }

    /// Gives back what is held for members that answer, for at most `time`; the rest is ours.
    pub async fn leave(&self, time: Duration) {
        let Some(buffer) = self.sampler.buffer() else { return };
        let looks = join_all(self.numbered().map(|(id, member)| self.look(id, member)));
        let _ = tokio::time::timeout(time, looks).await;
        self.numbered().for_each(|(id, _)| own(buffer, self.sampler.now(), id));
    }

    fn numbered(&self) -> impl Iterator<Item = (MemberId, &Member)> {
        (0..).zip(&self.members.others)
    }

    async fn watch_one(&self, id: MemberId, member: &Member, stop: &CancellationToken) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut looked = self.sampler.now();
        loop {
            tokio::select! {
                _ = look.tick() => {}
                () = stop.cancelled() => return,
            }
            let now = self.sampler.now();
            if now.since(looked) >= STOOD_STILL {
                member.watch.lock().stood_still(now);
            }
            stop.run_until_cancelled(self.look(id, member)).await;
            looked = self.sampler.now();
        }
    }

    async fn look(&self, id: MemberId, member: &Member) {
        let Some(buffer) = self.sampler.buffer() else { return };
        let now = self.sampler.now();
        match member.look(now) {
            Verdict::Hold => {}
            Verdict::GiveBack => self.give_back(buffer, id, member).await,
            Verdict::Own => own(buffer, now, id),
        }
    }

    async fn give_back(&self, buffer: &Buffer, id: MemberId, member: &Member) {
        for index in 0..SHARDS {
            loop {
                let offers = buffer.shard(index).offer_back(self.sampler.now(), id, OFFER_BYTES);
                if offers.is_empty() {
                    break;
                }
                let pending = Pending { buffer, index, id, offers };
                match pending.settle(member).await {
                    Settled::All => {}
                    // The other shards get their turn too.
                    Settled::Some => break,
                    Settled::Unanswered => return,
                }
            }
        }
    }
}

// === impl Member ===

impl Member {
    fn look(&self, now: Nanos) -> Verdict {
        let mut watch = self.watch.lock();
        let was_removed = watch.is_removed();
        let verdict = watch.look(now, self.client.last_heard(), self.client.is_connected());
        match (was_removed, watch.is_removed()) {
            (false, true) => warn!(member = %self.name, "silent for too long: counts as removed"),
            (true, false) => info!(member = %self.name, "heard again"),
            _ => {}
        }
        verdict
    }
}

/// Offers without an answer. Whatever happens to the task, they are held again.
struct Pending<'a> {
    buffer: &'a Buffer,
    index: usize,
    id: MemberId,
    offers: Vec<Offer>,
}

/// How an offer ended.
enum Settled {
    All,
    Some,
    Unanswered,
}

impl Pending<'_> {
    async fn settle(mut self, member: &Member) -> Settled {
        let entries = self.offers.iter().map(entry).collect();
        let taken = match member.client.give_back(entries, OFFER_TIMEOUT).await {
            Ok(GiveBackResult { taken, .. }) => taken as usize,
            Err(error) => {
                warn!(member = %member.name, %error, "held traces could not be given back");
                return Settled::Unanswered;
            }
        };
        let mut shard = self.buffer.shard(self.index);
        let all = taken >= self.offers.len();
        for offer in self.offers.drain(..taken.min(self.offers.len())) {
            shard.offer_taken(self.id, offer.trace_id);
        }
        if all { Settled::All } else { Settled::Some }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let mut shard = self.buffer.shard(self.index);
        for offer in &self.offers {
            shard.offer_failed(self.id, offer.trace_id);
        }
    }
}

fn entry(offer: &Offer) -> Entry {
    Entry {
        trace_id: offer.trace_id,
        age_ms: offer.age.as_millis().try_into().unwrap_or(u64::MAX),
        spans: offer.spans,
        fragment: offer.fragment.clone(),
    }
}

/// What was held for this member is decided here.
fn own(buffer: &Buffer, now: Nanos, member: MemberId) {
    for index in 0..SHARDS {
        buffer.shard(index).owner_removed(now, member);
    }
}

impl PeerService for Node {
    async fn deliver(&self, _peer: &PeerInfo, deliver: Deliver) -> DeliverResult {
        let role = match &deliver.mode {
            Mode::Owner => Role::Owner,
            Mode::Deputy { owner } => self.members.role_for(owner),
        };
        self.hold(role, &deliver.fragment, deliver.spans, &Limits::trusted())
    }

    async fn give_back(&self, _peer: &PeerInfo, entries: Vec<Entry>) -> GiveBackResult {
        let mut result = GiveBackResult::default();
        for entry in entries {
            let role = Role::HandedBack { age: Duration::from_millis(entry.age_ms) };
            let held = self.hold(role, &entry.fragment, entry.spans, &Limits::held());
            if held.held != entry.spans {
                result.retry_after_ms = held.retry_after_ms;
                result.reason = held.reason;
                break;
            }
            result.taken += 1;
        }
        result
    }
}

impl Node {
    fn hold(&self, role: Role, fragment: &Bytes, spans: u32, limits: &Limits) -> DeliverResult {
        let refuse = |refused, reason: String| DeliverResult {
            refused,
            retry_after_ms: RETRY_AFTER.as_millis() as u32,
            reason,
            ..DeliverResult::default()
        };
        if self.sampler.is_stopping() {
            return refuse(spans, "the sampler is shutting down".to_owned());
        }
        match self.sampler.take(role, fragment, limits) {
            Err(error) => DeliverResult {
                rejected: spans,
                reason: error.to_string(),
                ..DeliverResult::default()
            },
            Ok(Outcome { arrived, rejected, reason }) if arrived.refused == 0 => DeliverResult {
                held: arrived.accepted,
                rejected: rejected as u32,
                reason: reason.unwrap_or_default(),
                ..DeliverResult::default()
            },
            Ok(Outcome { arrived, rejected, .. }) => DeliverResult {
                held: arrived.accepted,
                rejected: rejected as u32,
                ..refuse(
                    arrived.refused,
                    "no room: memory or the queues of exporters are full".to_owned(),
                )
            },
        }
    }
}
