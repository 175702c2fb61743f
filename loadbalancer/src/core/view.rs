//! Where spans go at one moment.

use std::sync::Arc;

use tailgate_common::ownership::Table;
use tailgate_proto::Slot;

use super::membership::MembershipState;

/// A member, for as long as the process lives: a name that comes back gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u32);

/// Who gets the spans of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The receiver.
    pub to: MemberId,
    /// The silent owner that it holds them for, as deputy; none if it is the owner itself.
    pub deputy_of: Option<MemberId>,
}

/// The table of the members that are not ejected, and which of them are silent.
#[derive(Clone, Debug)]
pub struct View {
    version: u64,
    table: Arc<Table>,
    /// By the table's indexes.
    members: Vec<(MemberId, Silence)>,
    deputies: bool,
}

/// Whether a member is silent.
pub(super) type Silence = bool;

// === impl View ===

impl View {
    /// `version` tells views apart; `members` are in the table's order. Without
    /// `deputies` only owners get spans.
    pub(super) fn new(
        version: u64,
        table: Arc<Table>,
        members: Vec<(MemberId, Silence)>,
        deputies: bool,
    ) -> Self {
        assert_eq!(table.members().len(), members.len(), "one entry for each member of the table");
        Self { version, table, members, deputies }
    }

    /// The table of the members that are not ejected.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Differs from that of every other view of the same membership. A table's digest does not:
    /// a member that left and came back has the same name, but holds nothing.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The members of the table.
    pub fn members(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.members.iter().map(|(id, _)| *id)
    }

    /// The state of a member; one that is not in the table has been ejected.
    pub fn state_of(&self, member: MemberId) -> MembershipState {
        match self.members.iter().find(|(id, _)| *id == member) {
            None => MembershipState::Ejected,
            Some((_, true)) => MembershipState::Silent,
            Some((_, false)) => MembershipState::Up,
        }
    }

    /// Nobody is there to hold anything.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Who gets the spans of this slot: the owner; or the deputy, if the owner is silent or to be
    /// avoided. None if it has to be the deputy and there is none that answers.
    #[inline]
    pub fn target(&self, slot: Slot, avoid_owner: bool) -> Option<Target> {
        let (owner, silent) = self.members[usize::from(self.table.owner(slot)?)];
        let to_owner = Target { to: owner, deputy_of: None };
        if !silent && !avoid_owner {
            return Some(to_owner);
        }
        let deputy = self.deputy(slot).filter(|(_, silent)| !silent);
        match deputy {
            Some((deputy, _)) => Some(Target { to: deputy, deputy_of: Some(owner) }),
            // It may have come back just now, and nobody else is there to try.
            None if !avoid_owner => Some(to_owner),
            None => None,
        }
    }

    /// Whether the table names this member as owner or deputy of the slot.
    pub fn is_responsible(&self, slot: Slot, member: MemberId) -> bool {
        let owner = self.table.owner(slot).map(|index| self.members[usize::from(index)]);
        let named = owner.into_iter().chain(self.deputy(slot));
        named.into_iter().any(|(id, _)| id == member)
    }

    fn deputy(&self, slot: Slot) -> Option<(MemberId, Silence)> {
        let index = self.table.deputy(slot).filter(|_| self.deputies)?;
        Some(self.members[usize::from(index)])
    }
}
