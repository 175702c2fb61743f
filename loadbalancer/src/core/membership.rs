//! Which members answer.
//!
//! ```text
//!          silent_after          eject_after
//!     Up ---------------> Silent ------------> Ejected
//!      ^                    |                     |
//!      +------- heard ------+------- heard -------+
//! ```
//!
//! The member heard last is never ejected; if it was when others were heard later and they left, it
//! is silent again.
//!
//! A silent member stays in the table; its slots' spans go to their deputies. An ejected one is
//! not in the table: the deputies are the owners then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tailgate_common::clock::Nanos;
use tailgate_common::ownership::Table;

use super::view::{MemberId, View};

/// When a member counts as what.
#[derive(Clone, Copy, Debug)]
pub struct MembershipOptions {
    /// Not heard for this long: silent.
    pub silent_after: Duration,
    /// Not heard for this long: ejected. Samplers count in the same way.
    pub eject_after: Duration,
    /// Whether deputies hold for silent owners; plain OTLP backends can't.
    pub deputies: bool,
}

/// State of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MembershipState {
    /// It answers.
    Up,
    /// It has not been heard for a while.
    Silent,
    /// It has been silent for long, and is not in the table.
    Ejected,
}

impl MembershipState {
    /// All of them, as labels.
    pub const LABELS: [&'static str; 3] = ["up", "silent", "ejected"];

    /// As a label.
    pub fn label(self) -> &'static str {
        Self::LABELS[self as usize]
    }
}

/// What happens to members.
#[derive(Clone, Debug)]
pub enum MembershipEvent {
    /// A member was last heard at this time.
    Heard(MemberId, Nanos),
    /// Time went by.
    Tick,
    /// These are the members now.
    Set(Vec<Arc<str>>),
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new member; it starts as up.
    Joined(MemberId, Arc<str>),
    /// Not a member any longer.
    Left(MemberId, Arc<str>),
    /// A member's state.
    State(MemberId, MembershipState, MembershipState),
}

/// All members and their states.
#[derive(Debug)]
pub struct Membership {
    options: MembershipOptions,
    members: BTreeMap<Arc<str>, Member>,
    next_id: u32,
    version: u64,
    tables: Tables,
}

/// Tables already computed: members that come and go need no new ones.
#[derive(Debug, Default)]
pub struct Tables(Vec<Arc<Table>>);

#[derive(Debug)]
struct Member {
    id: MemberId,
    heard: Nanos,
    state: MembershipState,
}

/// Tables kept; each has 256 KiB.
const MAX_TABLES: usize = 16;

// === impl Membership ===

impl Membership {
    /// Nobody yet.
    pub fn new(options: MembershipOptions, tables: Tables) -> Self {
        Self { options, members: BTreeMap::new(), next_id: 0, version: 0, tables }
    }

    /// Takes an event in; the answer says what changed, and so whether a new [`View`] is due.
    pub fn step(&mut self, now: Nanos, event: MembershipEvent) -> Vec<Change> {
        let mut changes = Vec::new();
        match event {
            MembershipEvent::Heard(id, at) => self.heard(now, id, at, &mut changes),
            MembershipEvent::Tick => self.tick(now, &mut changes),
            MembershipEvent::Set(names) => self.set(now, names, &mut changes),
        }
        changes
    }

    /// How things stand.
    pub fn view(&mut self) -> View {
        let counted = || self.members.iter().filter(|(_, m)| m.state != MembershipState::Ejected);
        let names: Vec<Arc<str>> = counted().map(|(name, _)| name.clone()).collect();
        let members = counted().map(|(_, m)| (m.id, m.state == MembershipState::Silent)).collect();
        self.version += 1;
        View::new(self.version, self.tables.table_of(&names), members, self.options.deputies)
    }

    /// All members, ejected ones too, sorted by name.
    pub fn members(&self) -> impl Iterator<Item = (&Arc<str>, MemberId, MembershipState)> + '_ {
        self.members.iter().map(|(name, member)| (name, member.id, member.state))
    }

    /// Whether this member is not in the table.
    pub fn is_ejected(&self, id: MemberId) -> bool {
        let mut members = self.members.values();
        members.any(|member| member.id == id && member.state == MembershipState::Ejected)
    }

    /// The tables computed so far, for another membership.
    pub fn into_tables(self) -> Tables {
        self.tables
    }

    fn heard(&mut self, now: Nanos, id: MemberId, at: Nanos, changes: &mut Vec<Change>) {
        let silent_after = self.options.silent_after;
        let Some(member) = self.members.values_mut().find(|member| member.id == id) else { return };
        member.heard = member.heard.max(at);
        if member.state != MembershipState::Up && now < member.heard + silent_after {
            member.enter(MembershipState::Up, changes);
        }
    }

    fn tick(&mut self, now: Nanos, changes: &mut Vec<Change>) {
        let MembershipOptions { silent_after, eject_after, .. } = self.options;
        let stays = self.stays();
        for member in self.members.values_mut() {
            if member.state == MembershipState::Up && now >= member.heard + silent_after {
                member.enter(MembershipState::Silent, changes);
            }
            let silent = member.state == MembershipState::Silent;
            if silent && now >= member.heard + eject_after && stays != Some(member.id) {
                member.enter(MembershipState::Ejected, changes);
            }
        }
    }

    /// The member heard last is never ejected: an empty table helps nobody.
    fn stays(&self) -> Option<MemberId> {
        self.members.values().max_by_key(|member| member.heard).map(|member| member.id)
    }

    fn set(&mut self, now: Nanos, names: Vec<Arc<str>>, changes: &mut Vec<Change>) {
        self.members.retain(|name, member| {
            let stays = names.contains(name);
            if !stays {
                changes.push(Change::Left(member.id, name.clone()));
            }
            stays
        });
        for name in names {
            if self.members.contains_key(&name) {
                continue;
            }
            let id = MemberId(self.next_id);
            self.next_id += 1;
            changes.push(Change::Joined(id, name.clone()));
            let state = MembershipState::Up;
            self.members.insert(name, Member { id, heard: now, state });
        }
        // The others may have left.
        let stays = self.stays();
        for member in self.members.values_mut() {
            if Some(member.id) == stays && member.state == MembershipState::Ejected {
                member.enter(MembershipState::Silent, changes);
            }
        }
    }
}

// === impl Member ===

impl Member {
    fn enter(&mut self, state: MembershipState, changes: &mut Vec<Change>) {
        changes.push(Change::State(self.id, self.state, state));
        self.state = state;
    }
}

// === impl Tables ===

impl Tables {
    fn table_of(&mut self, names: &[Arc<str>]) -> Arc<Table> {
        if let Some(known) = self.0.iter().find(|table| table.members() == names) {
            return known.clone();
        }
        if self.0.len() == MAX_TABLES {
            self.0.remove(0);
        }
        let table = Arc::new(Table::new(names));
        self.0.push(table.clone());
        table
    }
}
