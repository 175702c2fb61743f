//! Who is responsible for a trace: a pure function of the member set.
//!
//! Every trace belongs to one of 65,536 slots. Rendezvous hashing ranks the members for each slot:
//! the first rank is the slot's *owner*, the second its *deputy*. Every load balancer and sampler
//! computes the same table from the same names, whatever order they came in. When a member joins,
//! only the slots it wins move; when an owner leaves, its deputy is the new owner.
//!
//! Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998).

use std::sync::Arc;

use tailgate_proto::{SLOTS, Slot};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Owner and deputy of each slot. Immutable; share it in an [`Arc`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    members: Vec<Arc<str>>,
    /// Owner and deputy as indexes of `members`, or [`NOBODY`].
    slots: Box<[(u16, u16)]>,
    digest: u64,
}

/// Members above this number are left out of the table: indexes have 16 bits and one is [`NOBODY`].
pub const MAX_MEMBERS: usize = 65_535;

const NOBODY: u16 = u16::MAX;

/// Seeds are part of the protocol between nodes: a change splits traces in a rolling update.
const NAME_SEED: u64 = 0x7461_696c_6761_7465;
const SLOT_SEED: u64 = 0x736c_6f74_7261_6e6b;
const DIGEST_SEED: u64 = 0x6d65_6d62_6572_7321;

// === impl Table ===

impl Table {
    /// The table of these names; neither their order nor repetitions matter.
    pub fn new<S: AsRef<str>>(names: &[S]) -> Self {
        let members = in_order(names);
        let keys: Vec<u64> =
            members.iter().map(|name| xxh3_64_with_seed(name.as_bytes(), NAME_SEED)).collect();
        let slots = (0..=Slot::MAX).map(|slot| rank(&keys, slot)).collect();
        let digest = digest(&members);
        Self { members, slots, digest }
    }

    /// The table without one member.
    pub fn with_removed(&self, name: &str) -> Self {
        let rest: Vec<&str> =
            self.members.iter().map(AsRef::as_ref).filter(|member| *member != name).collect();
        Self::new(&rest)
    }

    /// The members' names, sorted. Indexes of owners and deputies refer to this list.
    pub fn members(&self) -> &[Arc<str>] {
        &self.members
    }

    /// The index of a member.
    pub fn index_of(&self, name: &str) -> Option<u16> {
        let index = self.members.binary_search_by(|member| member.as_ref().cmp(name)).ok()?;
        u16::try_from(index).ok()
    }

    /// The index of the slot's owner; none if there are no members.
    #[inline]
    pub fn owner(&self, slot: Slot) -> Option<u16> {
        Some(self.slots[usize::from(slot)].0).filter(|index| *index != NOBODY)
    }

    /// The index of the slot's deputy; none if there are less than two members.
    #[inline]
    pub fn deputy(&self, slot: Slot) -> Option<u16> {
        Some(self.slots[usize::from(slot)].1).filter(|index| *index != NOBODY)
    }

    /// The name of the slot's owner.
    pub fn owner_name(&self, slot: Slot) -> Option<&Arc<str>> {
        self.owner(slot).map(|index| &self.members[usize::from(index)])
    }

    /// The name of the slot's deputy.
    pub fn deputy_name(&self, slot: Slot) -> Option<&Arc<str>> {
        self.deputy(slot).map(|index| &self.members[usize::from(index)])
    }

    /// A digest of the names: two nodes with the same digest have the same table.
    pub fn digest(&self) -> u64 {
        self.digest
    }
}

/// The two members with the highest scores. Equal scores go to the first name.
fn rank(keys: &[u64], slot: Slot) -> (u16, u16) {
    let (mut first, mut second) = ((0, NOBODY), (0, NOBODY));
    for (index, key) in (0u16..).zip(keys) {
        let entry = (score(*key, slot), index);
        if first.1 == NOBODY || entry.0 > first.0 {
            second = first;
            first = entry;
        } else if second.1 == NOBODY || entry.0 > second.0 {
            second = entry;
        }
    }
    (first.1, second.1)
}

fn score(key: u64, slot: Slot) -> u64 {
    let mut input = [0; 10];
    input[..8].copy_from_slice(&key.to_le_bytes());
    input[8..].copy_from_slice(&slot.to_le_bytes());
    xxh3_64_with_seed(&input, SLOT_SEED)
}

/// Lengths go in too, so that no two lists of names have the same bytes.
/// The digest of the table of these names, without the table.
pub fn digest_of<S: AsRef<str>>(names: &[S]) -> u64 {
    digest(&in_order(names))
}

fn in_order<S: AsRef<str>>(names: &[S]) -> Vec<Arc<str>> {
    let mut members: Vec<Arc<str>> = names.iter().map(|name| name.as_ref().into()).collect();
    members.sort_unstable();
    members.dedup();
    members.truncate(MAX_MEMBERS);
    members
}

fn digest(members: &[Arc<str>]) -> u64 {
    let mut bytes = Vec::new();
    for name in members {
        bytes.extend_from_slice(&(name.len() as u64).to_le_bytes());
        bytes.extend_from_slice(name.as_bytes());
    }
    xxh3_64_with_seed(&bytes, DIGEST_SEED)
}

const _: () = assert!(SLOTS == Slot::MAX as usize + 1);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    fn names(set: &std::collections::BTreeSet<String>) -> Vec<String> {
        set.iter().cloned().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn only_slots_won_by_a_newcomer_move(
            set in btree_set("[a-z0-9.-]{1,12}", 0..9), newcomer in "[A-Z]{1,8}"
        ) {
            let before = Table::new(&names(&set));
            let mut more = names(&set);
            more.push(newcomer.clone());
            let after = Table::new(&more);
            for slot in 0..=Slot::MAX {
                let (was, is) = (before.owner_name(slot), after.owner_name(slot).unwrap());
                prop_assert!(was == Some(is) || **is == *newcomer);
                let deputy = after.deputy_name(slot);
                let moved = deputy != before.deputy_name(slot);
                prop_assert!(!moved || **is == *newcomer || **deputy.unwrap() == *newcomer);
            }
            prop_assert_eq!(after.with_removed(&newcomer), before);
        }

        #[test]
        fn a_deputy_is_the_owner_once_the_owner_is_removed(
            set in btree_set("[a-z0-9.-]{1,12}", 2..8), pick in any::<prop::sample::Index>()
        ) {
            let all = Table::new(&names(&set));
            let gone = pick.get(&names(&set)).clone();
            let rest = all.with_removed(&gone);
            for slot in 0..=Slot::MAX {
                let owner = all.owner_name(slot).unwrap();
                let next = if **owner == *gone { all.deputy_name(slot) } else { Some(owner) };
                prop_assert_eq!(rest.owner_name(slot), next);
                prop_assert!(all.deputy(slot) != all.owner(slot));
            }
        }

        #[test]
        fn order_and_repetition_do_not_matter(
            mut list in proptest::collection::vec("[a-z]{1,3}", 1..6), by in 0usize..6
        ) {
            let table = Table::new(&list);
            let len = list.len();
            list.rotate_left(by % len);
            list.push(list[0].clone());
            prop_assert_eq!(Table::new(&list), table);
        }

        #[test]
        fn digests_tell_sets_apart(
            one in btree_set("[a-c]{1,3}", 0..4), two in btree_set("[a-c]{1,3}", 0..4)
        ) {
            let (a, b) = (Table::new(&names(&one)), Table::new(&names(&two)));
            prop_assert_eq!(a.digest() == b.digest(), one == two);
            prop_assert_eq!(a.digest(), digest_of(&names(&one)));
        }
    }

    #[test]
    fn shares_are_within_four_sigma() {
        for members in 1..=16u16 {
            let names: Vec<String> = (0..members).map(|n| format!("sampler-{n}")).collect();
            let table = Table::new(&names);
            let share = 1.0 / f64::from(members);
            let sigma = (SLOTS as f64 * share * (1.0 - share)).sqrt();
            for rank in [Table::owner, Table::deputy] {
                let mut counts = vec![0u32; names.len()];
                for index in (0..=Slot::MAX).filter_map(|slot| rank(&table, slot)) {
                    counts[usize::from(index)] += 1;
                }
                let expected = f64::from(counts.iter().sum::<u32>()) * share;
                for count in counts {
                    assert!((f64::from(count) - expected).abs() <= 4.0 * sigma, "{members}");
                }
            }
        }
    }

    #[test]
    fn nobody_and_one() {
        let empty = Table::new::<&str>(&[]);
        assert_eq!((empty.owner(7), empty.deputy(7), empty.members().len()), (None, None, 0));
        let one = Table::new(&["a"]);
        assert_eq!((one.owner(7), one.deputy(7)), (Some(0), None));
        assert_eq!((one.index_of("a"), one.index_of("b")), (Some(0), None));
    }

    /// Nodes of two versions must agree, so the table is pinned.
    #[test]
    fn the_table_is_the_same_in_every_version() {
        let table = Table::new(&["sampler-0", "sampler-1", "sampler-2"]);
        let mut bytes = Vec::new();
        for slot in 0..=Slot::MAX {
            bytes.push(table.owner(slot).unwrap() as u8);
            bytes.push(table.deputy(slot).unwrap() as u8);
        }
        let print = (table.digest(), xxhash_rust::xxh3::xxh3_64(&bytes));
        assert_eq!(print, (1_103_205_364_523_411_700, 8_218_521_922_061_613_887));
    }
}
