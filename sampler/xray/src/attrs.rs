//! The attributes of one span, event or resource, with the known keys found.

use tailgate_proto::view::{Attributes, Value, key_value};

use crate::Conventions;
use crate::keys::Key;

/// One attribute.
#[derive(Debug)]
pub(crate) struct Attr<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) known: Key,
    pub(crate) value: Value<'a>,
}

/// Attributes in order; duplicates are kept, and both the first and the last of a known key are
/// found at once.
#[derive(Debug)]
pub(crate) struct Attrs<'a> {
    /// By which they are read.
    pub(crate) conventions: Conventions,
    items: Vec<Attr<'a>>,
    first: [u32; Key::COUNT],
    last: [u32; Key::COUNT],
}

const ABSENT: u32 = u32::MAX;

/// The string, or nothing if it is not one.
pub(crate) fn str_of<'a>(value: &Value<'a>) -> &'a [u8] {
    value.as_str().unwrap_or_default()
}

/// The integer, or 0 if it is not one.
pub(crate) fn int_of(value: &Value<'_>) -> i64 {
    match value {
        Value::Int(value) => *value,
        _ => 0,
    }
}

/// Could be an annotation's value.
pub(crate) fn is_scalar(value: &Value<'_>) -> bool {
    matches!(value, Value::Str(_) | Value::Int(_) | Value::Double(_) | Value::Bool(_))
}

// === impl Attrs ===

impl Default for Attrs<'_> {
    fn default() -> Self {
        Self::new(Conventions::Collector)
    }
}

impl<'a> Attrs<'a> {
    pub(crate) fn new(conventions: Conventions) -> Self {
        let (first, last) = ([ABSENT; Key::COUNT], [ABSENT; Key::COUNT]);
        Self { conventions, items: Vec::new(), first, last }
    }

    pub(crate) fn is_stable(&self) -> bool {
        self.conventions == Conventions::Stable
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        for attr in &self.items {
            self.first[attr.known as usize] = ABSENT;
            self.last[attr.known as usize] = ABSENT;
        }
        self.items.clear();
    }

    /// Appends the attribute in a `KeyValue` message.
    #[inline]
    pub(crate) fn push(&mut self, pair: &'a [u8]) {
        let (key, value) = key_value(pair);
        let attr = Attr { key, known: Key::of(key), value: Value::new(value) };
        self.index(attr.known, self.items.len());
        self.items.push(attr);
    }

    /// Replaces the contents.
    pub(crate) fn load(&mut self, attributes: Attributes<'a>) {
        self.clear();
        attributes.pairs().for_each(|pair| self.push(pair));
    }

    fn index(&mut self, known: Key, at: usize) {
        let (at, known) = (at as u32, known as usize);
        if self.first[known] == ABSENT {
            self.first[known] = at;
        }
        self.last[known] = at;
    }

    /// Takes out the first attribute with this key; the last one of the list moves into its place.
    pub(crate) fn remove(&mut self, key: Key) {
        let at = self.first[key as usize];
        if at != ABSENT {
            self.items.swap_remove(at as usize);
            self.first.fill(ABSENT);
            self.last.fill(ABSENT);
            for at in 0..self.items.len() {
                self.index(self.items[at].known, at);
            }
        }
    }

    pub(crate) fn items(&self) -> &[Attr<'a>] {
        &self.items
    }

    pub(crate) fn has(&self, key: Key) -> bool {
        self.first[key as usize] != ABSENT
    }

    /// The first one's value.
    pub(crate) fn first(&self, key: Key) -> Option<&Value<'a>> {
        self.items.get(self.first[key as usize] as usize).map(|attr| &attr.value)
    }

    /// The last one's value.
    pub(crate) fn last(&self, key: Key) -> Option<&Value<'a>> {
        self.items.get(self.last[key as usize] as usize).map(|attr| &attr.value)
    }

    /// The value of whichever of two keys comes last.
    pub(crate) fn last_of(&self, a: Key, b: Key) -> Option<&Value<'a>> {
        match (self.has(a), self.has(b)) {
            (true, true) if self.last[a as usize] > self.last[b as usize] => self.last(a),
            (_, true) => self.last(b),
            (_, false) => self.last(a),
        }
    }

    /// The last one's string under the first of these keys that has one which is not empty.
    pub(crate) fn any_str<const N: usize>(&self, keys: [Key; N]) -> &'a [u8] {
        let mut texts = keys.into_iter().map(|key| self.last_str(key));
        texts.find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// The first one's string; empty if there is none or it is not a string.
    pub(crate) fn first_str(&self, key: Key) -> &'a [u8] {
        self.first(key).map(str_of).unwrap_or_default()
    }

    /// The last one's string; empty if there is none or it is not a string.
    pub(crate) fn last_str(&self, key: Key) -> &'a [u8] {
        self.last(key).map(str_of).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tailgate_proto::wire::put_len;

    use super::*;

    const KEYS: [&str; 6] =
        ["http.method", "url.path", "db.user", "otel.resource.k", "aws.xray.metadata.k", "k"];

    #[derive(Debug, Clone)]
    enum Step {
        Clear,
        Push(usize),
        Remove(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let push = (0..KEYS.len()).prop_map(Step::Push);
        let remove = (0..KEYS.len()).prop_map(Step::Remove);
        prop::collection::vec(prop_oneof![1 => Just(Step::Clear), 8 => push, 2 => remove], 0..60)
    }

    fn pair(key: &str, number: usize) -> Vec<u8> {
        let (mut value, mut pair) = (Vec::new(), Vec::new());
        put_len(&mut value, 1, number.to_string().as_bytes());
        put_len(&mut pair, 1, key.as_bytes());
        put_len(&mut pair, 2, &value);
        pair
    }

    proptest! {
        /// What is found at once is what a search of the list finds.
        #[test]
        fn the_index_is_that_of_the_list(steps in steps()) {
            let pairs: Vec<_> = steps.iter().enumerate().map(|(number, step)| match step {
                Step::Push(key) => pair(KEYS[*key], number),
                _ => Vec::new(),
            }).collect();
            let mut attrs = Attrs::default();
            let mut list: Vec<(&str, String)> = Vec::new();
            for (number, step) in steps.iter().enumerate() {
                match *step {
                    Step::Clear => {
                        attrs.clear();
                        list.clear();
                    }
                    Step::Push(key) => {
                        attrs.push(&pairs[number]);
                        list.push((KEYS[key], number.to_string()));
                    }
                    Step::Remove(key) => {
                        attrs.remove(Key::of(KEYS[key].as_bytes()));
                        if let Some(at) = list.iter().position(|(found, _)| *found == KEYS[key]) {
                            list.swap_remove(at);
                        }
                    }
                }
                prop_assert_eq!(attrs.items().len(), list.len());
                for text in KEYS {
                    let key = Key::of(text.as_bytes());
                    let mut found = list.iter().filter(|(other, _)| *other == text);
                    let first = found.clone().next().map(|(_, value)| value.as_bytes());
                    let last = found.next_back().map(|(_, value)| value.as_bytes());
                    prop_assert_eq!(attrs.has(key), first.is_some());
                    prop_assert_eq!(attrs.first(key).map(str_of), first);
                    prop_assert_eq!(attrs.last(key).map(str_of), last);
                }
            }
        }
    }
}
