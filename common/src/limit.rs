//! Bytes before memory: a [`Permit`] is taken before the bytes it stands for exist, travels with
//! them, and gives them back when it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number of bytes that may be in use at once. Cheap to clone; clones share the budget.
#[derive(Clone, Debug)]
pub struct ByteBudget {
    inner: Arc<Inner>,
}

/// Bytes taken from a [`ByteBudget`]; dropping it gives them back.
#[derive(Debug)]
#[must_use = "a permit that is dropped gives its bytes back"]
pub struct Permit {
    bytes: u64,
    budget: ByteBudget,
}

#[derive(Debug)]
struct Inner {
    limit: u64,
    used: AtomicU64,
}

// === impl ByteBudget ===

impl ByteBudget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self { inner: Arc::new(Inner { limit, used: AtomicU64::new(0) }) }
    }

    /// The bytes that live permits stand for.
    pub fn used(&self) -> u64 {
        self.inner.used.load(Ordering::Acquire)
    }

    /// The most bytes that may be in use.
    pub fn limit(&self) -> u64 {
        self.inner.limit
    }

    /// Takes `bytes` now, or nothing.
    pub fn try_acquire(&self, bytes: u64) -> Option<Permit> {
        self.take(bytes).then(|| Permit { bytes, budget: self.clone() })
    }

    /// Whether `bytes` could be taken now; nothing is taken.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.used().checked_add(bytes).is_some_and(|sum| sum <= self.inner.limit)
    }

    /// A permit for no bytes, to grow later.
    pub fn empty_permit(&self) -> Permit {
        Permit { bytes: 0, budget: self.clone() }
    }

    fn take(&self, bytes: u64) -> bool {
        let used = &self.inner.used;
        let fits = |now: u64| now.checked_add(bytes).filter(|sum| *sum <= self.inner.limit);
        used.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        let before = self.inner.used.fetch_sub(bytes, Ordering::AcqRel);
        debug_assert!(before >= bytes, "gave back {bytes} of {before} bytes");
    }
}

// === impl Permit ===

impl Permit {
    /// The bytes this permit stands for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes `more` bytes into this permit, or nothing (`false`).
    #[must_use]
    pub fn try_grow(&mut self, more: u64) -> bool {
        let taken = self.budget.take(more);
        if taken {
            self.bytes += more;
        }
        taken
    }

    /// Gives back what is above `to` bytes; a permit that is smaller stays as it is.
    pub fn shrink(&mut self, to: u64) {
        let surplus = self.bytes.saturating_sub(to);
        self.bytes -= surplus;
        self.budget.give_back(surplus);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Acquire(u64),
        Drop(usize),
        Grow(usize, u64),
        Shrink(usize, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let n = 0u64..600;
        let i = 0usize..8;
        prop_oneof![
            n.clone().prop_map(Step::Acquire),
            i.clone().prop_map(Step::Drop),
            (i.clone(), n.clone()).prop_map(|(i, n)| Step::Grow(i, n)),
            (i, n).prop_map(|(i, n)| Step::Shrink(i, n)),
        ]
    }

    fn apply(budget: &ByteBudget, live: &mut Vec<Permit>, step: Step) {
        match step {
            Step::Acquire(n) => live.extend(budget.try_acquire(n)),
            Step::Drop(i) if i < live.len() => drop(live.swap_remove(i)),
            Step::Grow(i, n) if i < live.len() => {
                let room = budget.limit() - budget.used();
                assert_eq!((budget.has_room(n), live[i].try_grow(n)), (n <= room, n <= room));
            }
            Step::Shrink(i, n) if i < live.len() => live[i].shrink(n),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn used_is_the_sum_of_live_permits(steps in proptest::collection::vec(step(), 1..80)) {
            let budget = ByteBudget::new(1_000);
            let mut live = Vec::new();
            for step in steps {
                apply(&budget, &mut live, step);
                prop_assert_eq!(budget.used(), live.iter().map(Permit::bytes).sum::<u64>());
                prop_assert!(budget.used() <= budget.limit());
            }
            drop(live);
            prop_assert_eq!(budget.used(), 0);
        }
    }

    #[test]
    fn threads_never_take_more_than_there_is() {
        let budget = ByteBudget::new(100);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let permit = budget.try_acquire(40);
                        assert!(budget.used() <= 100);
                        drop(permit);
                    }
                });
            }
        });
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn an_overflowing_request_is_refused() {
        let budget = ByteBudget::new(u64::MAX);
        let _held = budget.try_acquire(10).unwrap();
        assert!(budget.try_acquire(u64::MAX).is_none());
    }
}
