//! The attribute conditions of all policies, grouped by key, so that one walk over a span's
//! attributes answers all.

use regex::bytes::Regex;
use tailgate_proto::view::{Value, key_tail, key_value};

/// How many different attribute conditions a program can have: each is a bit in the facts.
pub const MAX_LEAVES: usize = 128;

/// The conditions of a program.
#[derive(Debug, Default)]
pub(crate) struct Leaves {
    /// Bit n: some key has this many bytes (63: or more). Turns most keys away at once.
    lengths: u64,
    /// The last 8 bytes of each group's key. Keys of one namespace begin alike, so their ends tell
    /// them apart.
    tails: Vec<u64>,
    groups: Vec<Group>,
    count: usize,
}

/// The conditions on one key.
#[derive(Debug)]
struct Group {
    key: Box<[u8]>,
    /// The bits of `leaves`.
    mask: u128,
    leaves: Vec<Leaf>,
}

#[derive(Debug)]
struct Leaf {
    bit: u128,
    spec: LeafSpec,
    regexes: Vec<Regex>,
}

/// A condition on a value, as it is configured. Equal ones share a bit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LeafSpec {
    /// Inclusive bounds.
    Number { min: Option<i64>, max: Option<i64> },
    /// One of these, sorted; none is empty.
    Exact(Vec<String>),
    /// One of these patterns.
    Regex(Vec<String>),
}

/// Where an attribute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Resource,
    Span,
}

/// The groups whose key hasn't been met yet in one list of attributes. Only the first attribute of
/// a key counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open(u128);

fn length_bit(key: &[u8]) -> u64 {
    1 << key.len().min(63)
}

// === impl Leaves ===

impl Leaves {
    /// The bit of a condition; nothing if there is no room for it. `regexes` are those of a
    /// `Regex`, compiled.
    pub(crate) fn bit(&mut self, key: &str, spec: LeafSpec, regexes: Vec<Regex>) -> Option<u128> {
        let position = self.groups.iter().position(|group| *group.key == *key.as_bytes());
        let known = position.and_then(|n| self.groups[n].leaves.iter().find(|l| l.spec == spec));
        if let Some(leaf) = known {
            return Some(leaf.bit);
        }
        if self.count == MAX_LEAVES {
            return None;
        }
        let bit = 1 << self.count;
        self.count += 1;
        let group = match position {
            Some(n) => &mut self.groups[n],
            None => {
                self.lengths |= length_bit(key.as_bytes());
                self.tails.push(key_tail(key.as_bytes()));
                self.groups.push(Group { key: key.as_bytes().into(), mask: 0, leaves: Vec::new() });
                self.groups.last_mut()?
            }
        };
        group.mask |= bit;
        group.leaves.push(Leaf { bit, spec, regexes });
        Some(bit)
    }

    /// The groups that could still add to what is matched.
    #[inline]
    pub(crate) fn open(&self, matched: u128) -> Open {
        let groups = self.groups.iter().enumerate();
        Open(
            groups.fold(0, |open, (n, group)| {
                open | u128::from(matched & group.mask != group.mask) << n
            }),
        )
    }

    /// Looks at an attribute, a `KeyValue` message.
    #[inline]
    pub(crate) fn look_at(&self, pair: &[u8], place: Place, open: &mut Open, matched: &mut u128) {
        let (key, value) = key_value(pair);
        if self.lengths & length_bit(key) != 0
            && let Some(group) = self.take(key, open)
        {
            group.test(&Value::new(value), place, matched);
        }
    }

    /// The group of this key if it is open; it isn't any longer.
    #[inline]
    fn take(&self, key: &[u8], open: &mut Open) -> Option<&Group> {
        let tail = key_tail(key);
        for (n, group) in self.groups.iter().enumerate() {
            if self.tails[n] == tail && *group.key == *key {
                let bit = 1 << n;
                let was_open = open.0 & bit != 0;
                open.0 &= !bit;
                return was_open.then_some(group);
            }
        }
        None
    }
}

// === impl Open ===

impl Open {
    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

// === impl Group ===

impl Group {
    fn test(&self, value: &Value<'_>, place: Place, matched: &mut u128) {
        for leaf in &self.leaves {
            if *matched & leaf.bit == 0 && leaf.holds(value, place) {
                *matched |= leaf.bit;
            }
        }
    }
}

// === impl Leaf ===

impl Leaf {
    fn holds(&self, value: &Value<'_>, place: Place) -> bool {
        match &self.spec {
            LeafSpec::Number { min, max } => in_range(value, *min, *max),
            LeafSpec::Exact(values) => value.as_str().is_some_and(|text| {
                values.binary_search_by(|candidate| candidate.as_bytes().cmp(text)).is_ok()
            }),
            LeafSpec::Regex(_) => {
                // As in the collector, a span's empty or other value is never tried, a resource's
                // is.
                let text = value.as_str().unwrap_or_default();
                (place == Place::Resource || !text.is_empty())
                    && self.regexes.iter().any(|regex| regex.is_match(text))
            }
        }
    }
}

/// See [`crate::Rule::NumericAttribute`].
fn in_range(value: &Value<'_>, min: Option<i64>, max: Option<i64>) -> bool {
    let holds = |n: i64| min.is_none_or(|min| n >= min) && max.is_none_or(|max| n <= max);
    match value {
        Value::Int(n) => holds(*n),
        Value::Double(x) => {
            let (above, below) =
                (min.is_none_or(|min| *x >= min as f64), max.is_none_or(|max| *x <= max as f64));
            (above && below) || holds(0)
        }
        _ => holds(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(keys: &[&str]) -> Leaves {
        let mut leaves = Leaves::default();
        for key in keys {
            leaves.bit(key, LeafSpec::Number { min: Some(1), max: None }, Vec::new());
        }
        leaves
    }

    #[test]
    fn only_the_first_attribute_of_a_key_counts() {
        let leaves = numbers(&["k"]);
        let (mut open, mut matched) = (leaves.open(0), 0);
        let mut look_at = |key: &[u8], number| {
            let parts: [&[u8]; 4] = [b"\x0a\x01", key, b"\x12\x02\x18", &[number]];
            let pair = parts.concat();
            leaves.look_at(&pair, Place::Span, &mut open, &mut matched);
            open.is_empty()
        };
        assert!(!look_at(b"x", 5));
        assert!(look_at(b"k", 0));
        assert!(look_at(b"k", 5));
        assert_eq!(matched, 0);
    }

    /// So attributes are not walked again for what is known, or not asked.
    #[test]
    fn what_is_matched_is_not_open() {
        assert!(Leaves::default().open(0).is_empty());
        let leaves = numbers(&["a", "b"]);
        assert_eq!(leaves.open(0).0, 3);
        assert_eq!(leaves.open(1).0, 2);
        assert!(leaves.open(3).is_empty());
    }
}
