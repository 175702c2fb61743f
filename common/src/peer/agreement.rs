//! Whether two sides were given the same members. If they were not, they disagree on who owns what,
//! and traces are split.

use std::time::Duration;

use crate::clock::Nanos;

/// What is known of two sides' digests.
#[derive(Debug)]
pub(super) struct Agreement {
    /// Ours and theirs.
    digests: (u64, u64),
    since: Nanos,
    told: bool,
}

/// A difference shorter than this is a change on its way.
pub(super) const SETTLES_WITHIN: Duration = Duration::from_secs(5);

// === impl Agreement ===

impl Agreement {
    /// Nothing is known yet.
    pub(super) fn new(now: Nanos) -> Self {
        Self { digests: (0, 0), since: now, told: false }
    }

    /// Takes in the digests of now. True once for each lasting difference: it is to be told.
    pub(super) fn look(&mut self, now: Nanos, ours: u64, theirs: u64) -> bool {
        if self.digests != (ours, theirs) {
            // A change from one difference to another gives no new grace.
            let since = if self.is_same() { now } else { self.since };
            *self = Self { digests: (ours, theirs), since, told: false };
        }
        let tell = self.differs(now) && !self.told;
        self.told |= tell;
        tell
    }

    /// Whether they differ, for longer than a change takes.
    pub(super) fn differs(&self, now: Nanos) -> bool {
        !self.is_same() && now >= self.since + SETTLES_WITHIN
    }

    fn is_same(&self) -> bool {
        self.digests.0 == self.digests.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Nanos {
        Nanos(0) + Duration::from_secs(secs)
    }

    #[test]
    fn a_lasting_difference_is_told_once_for_each_change() {
        let mut agreement = Agreement::new(at(0));
        let mut look = |secs, ours, theirs| agreement.look(at(secs), ours, theirs);
        assert!(!look(0, 1, 1) && !look(9, 1, 1));
        // A change that reaches both sides within seconds.
        assert!(!look(10, 2, 1) && !look(14, 2, 1) && !look(15, 2, 2) && !look(60, 2, 2));
        assert!(!look(70, 3, 2) && look(75, 3, 2) && !look(76, 3, 2) && !look(90, 3, 2));
        assert!(look(91, 3, 4) && !look(92, 3, 4));
        assert!(!look(93, 4, 4) && !look(94, 5, 4) && look(99, 5, 4));
        assert!(agreement.differs(at(99)));
    }
}
