//! Keeps the view of the members up to date: who there is, who is silent, who is ejected.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tailgate_common::clock::{Clock, Nanos};
use tailgate_common::ownership::digest_of;
use tailgate_common::peer::{ClientOptions, Identity, PeerClient, Plain, SharedDigest};
use tokio::sync::watch;

use crate::backend::{Backend, Link};
use crate::core::{Change, MemberId, Membership, MembershipEvent, MembershipOptions, Tables, View};
use crate::resolver::{Member, Resolver};
use crate::stats::{BackendStats, Stats};

/// The backends' kind: how they are reached, and whether they answer for each other.
pub struct Backends {
    connect: Connect,
    peers: bool,
    digest: SharedDigest,
}

/// Opens the way to a member, without waiting for it.
pub type Connect = Box<dyn Fn(&Member) -> Result<Link, ConnectError> + Send + Sync>;

/// A member that can never be reached as it is configured.
pub type ConnectError = Box<dyn std::error::Error + Send + Sync>;

/// What requests see of the members.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) view: View,
    /// All members, ejected ones too.
    pub(crate) backends: Vec<Arc<Backend>>,
}

/// Owns the membership; requests see its snapshots.
pub(crate) struct Keeper {
    membership: Membership,
    backends: Vec<Arc<Backend>>,
    kind: Backends,
    clock: Arc<dyn Clock>,
    stats: Arc<Stats>,
    updates: watch::Receiver<Arc<[Member]>>,
    looked: Nanos,
}

/// How often members are looked at; far below `silent_after`.
const LOOK: Duration = Duration::from_millis(50);
/// So long between two looks, and it was this process that stood still: that it has heard nobody
/// says nothing about the members.
const STOOD_STILL: Duration = Duration::from_secs(1);

// === impl Backends ===

impl Backends {
    /// Tailgate samplers: with deputies, and ejected when they are silent. `digest` is set to that
    /// of the resolver's set; give the same to the clients' [`Identity`].
    pub fn peers(connect: Connect, digest: SharedDigest) -> Self {
        Self { connect, peers: true, digest }
    }

    /// Tailgate samplers over plain TCP.
    pub fn plain_peers(identity: Identity, clock: Arc<dyn Clock>) -> Self {
        let digest = identity.digest.clone();
        let connect: Connect = Box::new(move |member| {
            let options = ClientOptions::new(
                identity.clone(),
                member.name.clone(),
                member.endpoint.clone(),
                clock.clone(),
            );
            Ok(Link::Peer(PeerClient::spawn(options, Plain)))
        });
        Self::peers(connect, digest)
    }

    /// Anything that takes OTLP: each backend answers for itself, and stays in the table whatever
    /// happens to it.
    pub fn otlp(connect: Connect) -> Self {
        Self { connect, peers: false, digest: SharedDigest::default() }
    }
}

// === impl Snapshot ===

impl Snapshot {
    pub(crate) fn backend(&self, id: MemberId) -> Option<&Arc<Backend>> {
        self.backends.iter().find(|backend| backend.id == id)
    }
}

// === impl Keeper ===

impl Keeper {
    /// Starts with the members that the resolver knows now.
    pub(crate) fn new(
        resolver: &dyn Resolver,
        kind: Backends,
        silent_after: Duration,
        eject_after: Duration,
        clock: Arc<dyn Clock>,
        stats: Arc<Stats>,
    ) -> (Self, Arc<ArcSwap<Snapshot>>) {
        let limits = match kind.peers {
            true => (silent_after, eject_after),
            false => (Duration::MAX, Duration::MAX),
        };
        let options = MembershipOptions {
            silent_after: limits.0,
            eject_after: limits.1,
            deputies: kind.peers,
        };
        let membership = Membership::new(options, Tables::default());
        let updates = resolver.watch();
        let (backends, looked) = (Vec::new(), clock.now());
        let mut keeper = Self { membership, backends, kind, clock, stats, updates, looked };
        keeper.resolve();
        let snapshot = Arc::new(ArcSwap::from_pointee(keeper.snapshot()));
        (keeper, snapshot)
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self, snapshot: Arc<ArcSwap<Snapshot>>) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut resolving = true;
        loop {
            let changed = tokio::select! {
                update = self.updates.changed(), if resolving => {
                    // A resolver that is gone leaves its last set.
                    resolving = update.is_ok();
                    resolving && self.resolve()
                }
                _ = look.tick() => self.look(),
            };
            if changed {
                snapshot.store(Arc::new(self.snapshot()));
            }
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        let view = self.membership.view();
        self.stats.table_changed(view.members().count());
        Snapshot { view, backends: self.backends.clone() }
    }

    /// Takes in the resolver's set. One that is empty is refused: it would stop all traffic.
    fn resolve(&mut self) -> bool {
        let mut members = self.updates.borrow_and_update().to_vec();
        self.stats.resolved();
        if members.is_empty() && !self.backends.is_empty() {
            tracing::warn!("the resolver found no members; keeping the last ones");
            return false;
        }
        // Of all, as samplers have it: who is silent is seen by each side at its own time.
        let names: Vec<&str> = members.iter().map(|member| &*member.name).collect();
        self.kind.digest.set(digest_of(&names));
        let now = self.clock.now();
        self.drop_moved(now, &members);
        let mut links = self.connect(&mut members);
        let names = members.iter().map(|member| member.name.clone()).collect();
        let changes = self.membership.step(now, MembershipEvent::Set(names));
        for change in &changes {
            self.log(change);
            match change {
                Change::Joined(id, name) => self.join(*id, &members, links.remove_entry(name)),
                Change::Left(id, _) => self.backends.retain(|backend| backend.id != *id),
                Change::State(..) => {}
            }
        }
        !changes.is_empty()
    }

    /// Members whose address changed leave, to join again: they may be new processes.
    fn drop_moved(&mut self, now: Nanos, members: &[Member]) {
        let moved = |b: &Arc<Backend>| {
            members.iter().any(|m| m.name == b.member.name && m.endpoint != b.member.endpoint)
        };
        if !self.backends.iter().any(moved) {
            return;
        }
        self.backends.retain(|backend| !moved(backend));
        let stay = self.backends.iter().map(|backend| backend.member.name.clone()).collect();
        self.membership.step(now, MembershipEvent::Set(stay));
    }

    /// Opens the ways to new members. One that can't be reached as configured must not own
    /// anything.
    fn connect(&self, members: &mut Vec<Member>) -> HashMap<Arc<str>, Link> {
        let mut links = HashMap::new();
        members.retain(|member| {
            if self.backends.iter().any(|backend| backend.member.name == member.name) {
                return true;
            }
            match (self.kind.connect)(member) {
                Ok(link) => {
                    links.insert(member.name.clone(), link);
                    true
                }
                Err(error) => {
                    let Member { name, endpoint } = member;
                    tracing::error!(member = %name, %endpoint, %error, "member can't be used");
                    false
                }
            }
        });
        links
    }

    fn join(&mut self, id: MemberId, members: &[Member], link: Option<(Arc<str>, Link)>) {
        let Some((name, link)) = link else { return };
        let Some(member) = members.iter().find(|member| member.name == name) else { return };
        let (member, stats) = (member.clone(), BackendStats::default());
        self.backends.push(Arc::new(Backend::new(id, member, link, stats)));
    }

    fn look(&mut self) -> bool {
        let now = self.clock.now();
        let stood_still = now.since(self.looked) >= STOOD_STILL;
        self.looked = now;
        let mut changes = Vec::new();
        for backend in &self.backends {
            let Link::Peer(client) = &backend.link else { continue };
            let presumed = stood_still && !self.membership.is_ejected(backend.id);
            let heard = if presumed { Some(now) } else { client.last_heard() };
            if let Some(at) = heard {
                changes.extend(self.membership.step(now, MembershipEvent::Heard(backend.id, at)));
            }
        }
        changes.extend(self.membership.step(now, MembershipEvent::Tick));
        changes.iter().for_each(|change| self.log(change));
        !changes.is_empty()
    }

    fn log(&self, change: &Change) {
        match change {
            Change::Joined(_, name) => tracing::info!(member = %name, "member joined"),
            Change::Left(_, name) => tracing::info!(member = %name, "member left"),
            Change::State(id, from, to) => {
                let backend = self.backends.iter().find(|backend| backend.id == *id);
                let name = backend.map_or("?", |backend| &*backend.member.name);
                tracing::warn!(member = %name, ?from, ?to, "member changed state");
            }
        }
    }
}
