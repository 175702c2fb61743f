//! What is to be done with what is held for a member, by how long it has been silent.
//!
//! ## Member => Removed
//! Silent for `eject_after`: its deputies own what they hold for it. Load balancers come to the same conclusion by the
//! same rule.
//!
//! ## Removed => Member
//! It is heard again.

use std::time::Duration;

use tailgate_common::clock::Nanos;

/// One member, as seen by another one.
#[derive(Debug)]
pub struct Watch {
    heard: Nanos,
    eject_after: Duration,
    removed: bool,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Hold on.
    Hold,
    /// It answers: give it back what is held for it.
    GiveBack,
    /// It counts as removed: what is held for it is ours.
    Own,
}

// === impl Watch ===

impl Watch {
    /// A member that is expected from now on.
    pub fn new(now: Nanos, eject_after: Duration) -> Self {
        Self { heard: now, eject_after, removed: false }
    }

    /// It counts as removed.
    pub fn is_removed(&self) -> bool {
        self.removed
    }

    /// This process stood still: that it has not heard the member says nothing about that.
    pub fn stood_still(&mut self, now: Nanos) {
        if !self.removed {
            self.heard = self.heard.max(now);
        }
    }

    /// `heard`: when it was last heard, if ever; `reachable`: whether it would take something now.
    pub fn look(&mut self, now: Nanos, heard: Option<Nanos>, reachable: bool) -> Verdict {
        self.heard = self.heard.max(heard.unwrap_or_default());
        self.removed = now >= self.heard + self.eject_after;
        match (self.removed, reachable) {
            (true, _) => Verdict::Own,
            (false, true) => Verdict::GiveBack,
            (false, false) => Verdict::Hold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_not_removed_for_a_standstill_of_this_process() {
        let at = |s| Nanos(0) + Duration::from_secs(s);
        let mut watch = Watch::new(at(0), Duration::from_secs(3));
        watch.stood_still(at(4));
        assert_eq!(watch.look(at(4), Some(at(1)), false), Verdict::Hold);
        assert_eq!(watch.look(at(7), Some(at(1)), false), Verdict::Own);
        // It was removed before: then it has to be heard.
        watch.stood_still(at(9));
        assert_eq!(watch.look(at(9), Some(at(1)), false), Verdict::Own);
        assert_eq!(watch.look(at(10), Some(at(10)), true), Verdict::GiveBack);
    }
}
