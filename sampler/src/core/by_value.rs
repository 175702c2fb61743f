//! Kept traces in a queue for each value that they have.

use std::collections::VecDeque;

use tailgate_policy::Value;

/// A queue for each value, oldest first.
#[derive(Debug)]
pub(super) struct ByValue<T>([VecDeque<T>; Value::ALL.len()]);

// === impl ByValue ===

impl<T> ByValue<T> {
    pub fn push(&mut self, value: Value, item: T) {
        self.0[value as usize].push_back(item);
    }

    /// Takes the oldest of this value out.
    pub fn pop(&mut self, value: Value) -> Option<T> {
        self.0[value as usize].pop_front()
    }

    /// The oldest of each value, the least valuable first.
    pub fn fronts(&self) -> impl DoubleEndedIterator<Item = (Value, &T)> {
        Value::ALL.into_iter().filter_map(|value| Some((value, self.0[value as usize].front()?)))
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(VecDeque::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
    }

    pub fn clear(&mut self) {
        self.0.iter_mut().for_each(VecDeque::clear);
    }
}

impl<T> Default for ByValue<T> {
    fn default() -> Self {
        Self(Value::ALL.map(|_| VecDeque::new()))
    }
}
