//! What is known about a trace.

/// What a program knows about a trace: all it needs to decide.
///
/// Facts are a sum over spans: [`Facts::join`] is commutative and associative, and joining the
/// facts of two disjoint sets of spans gives the facts of all of them. A span that is folded twice
/// counts twice in [`Facts::spans`] and changes nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Bit n: the program's n-th attribute condition held somewhere in the trace.
    pub(crate) matched: u128,
    /// Earliest start, `u64::MAX` if none is known.
    min_start: u64,
    /// Latest end, 0 if none is known.
    max_end: u64,
    spans: u32,
    version: u32,
    flags: u8,
}

/// What one span says, apart from its attributes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SpanFacts {
    /// Unix nanoseconds; 0 is unset.
    pub(crate) start_ns: u64,
    /// Unix nanoseconds; 0 is unset.
    pub(crate) end_ns: u64,
    pub(crate) root: bool,
    pub(crate) status: u64,
}

/// A span with status unset, 0, was there. The next two bits are those of 1, ok, and 2, error.
pub(crate) const UNSET: u8 = 1;
pub(crate) const OK: u8 = 1 << 1;
pub(crate) const ERROR: u8 = 1 << 2;
const ROOT: u8 = 1 << 3;
/// Facts of different versions were joined.
const MIXED: u8 = 1 << 4;

// === impl Facts ===

impl Facts {
    pub(crate) fn new(version: u32) -> Self {
        Self { matched: 0, min_start: u64::MAX, max_end: 0, spans: 0, version, flags: 0 }
    }

    /// Adds what `other` knows. Facts of different versions have no common meaning: their join
    /// belongs to no version, keeps only what doesn't depend on the policies, and must be folded
    /// anew before it can decide.
    pub fn join(&mut self, other: &Facts) {
        self.matched |= other.matched;
        self.min_start = self.min_start.min(other.min_start);
        self.max_end = self.max_end.max(other.max_end);
        self.spans = self.spans.saturating_add(other.spans);
        self.flags |= other.flags;
        if self.version != other.version || self.flags & MIXED != 0 {
            self.flags |= MIXED;
            self.matched = 0;
            self.version = self.version.max(other.version);
        }
    }

    #[inline]
    pub(crate) fn add(&mut self, span: SpanFacts) {
        if span.start_ns != 0 {
            self.min_start = self.min_start.min(span.start_ns);
        }
        self.max_end = self.max_end.max(span.end_ns);
        self.spans = self.spans.saturating_add(1);
        if span.status <= 2 {
            self.flags |= UNSET << span.status;
        }
        if span.root {
            self.flags |= ROOT;
        }
    }

    /// How many spans were folded.
    pub fn spans(&self) -> u32 {
        self.spans
    }

    /// A span without a parent was there.
    pub fn has_root(&self) -> bool {
        self.flags & ROOT != 0
    }

    /// A span with status ERROR was there.
    pub fn has_error(&self) -> bool {
        self.flags & ERROR != 0
    }

    /// The version of the program that folded these facts; nothing if they are of several.
    pub fn version(&self) -> Option<u32> {
        (self.flags & MIXED == 0).then_some(self.version)
    }

    /// From the earliest start to the latest end, in nanoseconds. 0 if either is unknown or they
    /// are the wrong way round.
    pub fn duration_ns(&self) -> u64 {
        self.max_end.saturating_sub(self.min_start)
    }

    /// Some span had one of the status codes in `mask`.
    pub(crate) fn has_status(&self, mask: u8) -> bool {
        self.flags & mask != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_small() {
        assert_eq!(std::mem::size_of::<Facts>(), 48);
    }

    #[test]
    fn unset_timestamps_are_ignored_each_on_its_own() {
        let mut facts = Facts::new(1);
        facts.add(SpanFacts { start_ns: 100, ..SpanFacts::default() });
        assert_eq!(facts.duration_ns(), 0);
        facts.add(SpanFacts { end_ns: 107, ..SpanFacts::default() });
        assert_eq!(facts.duration_ns(), 7);
        facts.add(SpanFacts::default());
        assert_eq!(facts.duration_ns(), 7);
        facts.add(SpanFacts { start_ns: 90, end_ns: 80, ..SpanFacts::default() });
        assert_eq!((facts.duration_ns(), facts.spans()), (17, 4));
    }

    #[test]
    fn facts_of_two_versions_belong_to_none() {
        let mut facts = Facts { matched: 1, ..Facts::new(1) };
        facts.join(&Facts { matched: 2, ..Facts::new(2) });
        assert_eq!((facts.version(), facts.matched), (None, 0));
        facts.join(&Facts { matched: 4, ..Facts::new(2) });
        assert_eq!((facts.version(), facts.matched), (None, 0));
    }
}
