//! Strict reading of a mapping: keys are taken one by one with their type, and what is left over
//! when the reader goes away is an unknown key. Errors are collected, never returned early.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::duration;
use super::error::{Diag, Usage};
use super::item::Item;
use super::moved;
use super::secret::Secret;
use super::source::Mark;
use super::suggest;
use super::tree::{Entry, Value};

/// Known keys listed for an unknown one that resembles none of them.
const LISTED: usize = 16;

/// Reads one mapping. Dropping it reports the keys that nobody took.
pub struct Reader<'a> {
    diag: &'a Diag,
    entries: &'a [Entry],
    taken: Vec<Cell<bool>>,
    asked: RefCell<Vec<&'static str>>,
    mark: Mark,
    path: String,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// A reader of `entries`, which are at `mark` and called `path`.
    pub fn new(diag: &'a Diag, entries: &'a [Entry], mark: Mark, path: String) -> Self {
        let taken = vec![Cell::new(false); entries.len()];
        Self { diag, entries, taken, asked: RefCell::default(), mark, path }
    }

    /// Path of the mapping.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where errors and notes go.
    pub fn diag(&self) -> &'a Diag {
        self.diag
    }

    /// Whether the key is there, if only with nothing as its value.
    pub fn has(&self, key: &'static str) -> bool {
        self.entry(key).is_some()
    }

    /// The value of a key, if it has one.
    pub fn take(&self, key: &'static str) -> Option<Item<'a>> {
        let entry = self.entry(key)?;
        let null = entry.node.value == Value::Null && entry.node.original.is_none();
        (!null).then(|| self.item(entry))
    }

    /// Text, or `default`.
    pub fn string_or(&self, key: &'static str, default: &str) -> String {
        self.default(key, || default.to_owned());
        self.take(key).and_then(|i| i.string()).unwrap_or_else(|| default.to_owned())
    }

    /// Text that has to be there and not empty; empty after the error.
    pub fn required(&self, key: &'static str, help: &str) -> String {
        let text = self.string_or(key, "");
        if text.is_empty() {
            self.error(key, "is missing", help);
        }
        text
    }

    /// Text that is never printed.
    pub fn secret(&self, key: &'static str) -> Secret {
        self.take(key).and_then(|i| i.secret()).unwrap_or_default()
    }

    /// `true` or `false`, or `default`.
    pub fn bool_or(&self, key: &'static str, default: bool) -> bool {
        self.default(key, || default.to_string());
        self.typed(key).and_then(|i| i.boolean()).unwrap_or(default)
    }

    /// A whole number from `min` up, or `default`.
    pub fn int_or(&self, key: &'static str, default: i64, min: i64) -> i64 {
        self.default(key, || default.to_string());
        self.typed(key).and_then(|i| i.integer(min, i64::MAX)).unwrap_or(default)
    }

    /// A whole number of zero or more, or `default`.
    pub fn count_or(&self, key: &'static str, default: u64) -> u64 {
        self.int_or(key, default as i64, 0) as u64
    }

    /// A number of zero or more, or `default`.
    pub fn number_or(&self, key: &'static str, default: f64) -> f64 {
        self.default(key, || default.to_string());
        self.typed(key).and_then(|i| i.number(0.0, f64::MAX)).unwrap_or(default)
    }

    /// A duration, or `default`.
    pub fn duration_or(&self, key: &'static str, default: Duration) -> Duration {
        self.default(key, || duration::show(default));
        self.typed(key).and_then(|i| i.duration()).unwrap_or(default)
    }

    /// The items of a list; none if the key is not there.
    pub fn list(&self, key: &'static str) -> Vec<Item<'a>> {
        self.typed(key).map(|i| i.list()).unwrap_or_default()
    }

    /// A list of texts; empty if the key is not there.
    pub fn strings(&self, key: &'static str) -> Vec<String> {
        self.list(key).iter().filter_map(Item::string).collect()
    }

    /// A mapping, if the key is there; nothing as its value counts as an empty mapping.
    pub fn map(&self, key: &'static str) -> Option<Reader<'a>> {
        self.diag.ask(self.path_of(key), Usage::Block);
        let entry = self.entry(key)?;
        self.item(entry).map()
    }

    /// A mapping; an empty one if the key is not there.
    pub fn map_or_empty(&self, key: &'static str) -> Reader<'a> {
        let path = self.path_of(key);
        self.map(key).unwrap_or_else(|| Reader::new(self.diag, &[], self.mark, path))
    }

    /// All entries with their keys and the places of these; for mappings whose keys are names.
    pub fn entries(&self) -> Vec<(&'a str, Mark, Item<'a>)> {
        self.taken.iter().for_each(|t| t.set(true));
        self.entries.iter().map(|e| (e.key.as_str(), e.mark, self.item(e))).collect()
    }

    /// Takes keys of which nothing is needed, whatever they hold, and says so if they are there.
    pub fn accept(&self, keys: &[&'static str], why: &str) {
        for key in keys {
            self.diag.ask(self.path_of(key), Usage::Accepted(why.to_owned()));
            if self.has(key) {
                self.diag.note(self.path_of(key), format!("accepted, {why}"));
            }
        }
    }

    /// Takes keys that are known and cannot be obeyed.
    pub fn refuse(&self, keys: &[&'static str], help: &str) {
        for key in keys {
            self.diag.ask(self.path_of(key), Usage::Refused(help.to_owned()));
            if let Some(entry) = self.entry(key) {
                let message = format!("{}: is not supported yet", self.path_of(key));
                self.diag.key_error(entry.mark, message, help);
            }
        }
    }

    /// Takes keys that have no place here, although they are known elsewhere.
    pub fn reject(&self, keys: &[&'static str], what: &str, help: &str) {
        for (entry, taken) in self.entries.iter().zip(&self.taken) {
            if keys.contains(&entry.key.as_str()) {
                taken.set(true);
                let message = format!("{}: {what}", self.path_of(&entry.key));
                self.diag.key_error(entry.mark, message, help);
            }
        }
    }

    /// Adds an error at the value of `key`, or at the mapping if it has none.
    pub fn error(&self, key: &'static str, what: &str, help: &str) {
        let mark = self.mark_of(key);
        self.diag.error(mark, format!("{}: {what}", self.path_of(key)), help);
    }

    /// Adds a note about the mapping or one of its keys (`""`: the mapping itself).
    pub fn note(&self, key: &str, text: &str) {
        self.diag.note(self.path_of(key), text);
    }

    /// Where the value of `key` is (its key, if it has none), else the mapping.
    pub fn mark_of(&self, key: &'static str) -> Mark {
        match self.entry(key) {
            Some(entry) => entry.node.mark,
            None => self.mark,
        }
    }

    /// Leaves the rest unread: no unknown keys are reported. For when an error says enough.
    pub fn ignore_rest(&self) {
        self.taken.iter().for_each(|t| t.set(true));
    }

    /// Says once that keys are unknown if more than `many` are.
    pub(super) fn limit_unknown(&self, many: usize, what: &str) {
        let unknown = || self.entries.iter().zip(&self.taken).filter(|(_, taken)| !taken.get());
        let count = unknown().count();
        if count > many
            && let Some((first, _)) = unknown().next()
        {
            let path = self.path_of(&first.key);
            let message = format!("{path}, and {} more: unknown keys", count - 1);
            let help = format!("{what}; known keys: {}", self.asked.borrow().join(", "));
            self.diag.key_error(first.mark, message, help);
            self.ignore_rest();
        }
    }

    /// Like `take`, for values other than text: an unset variable counts as no value, which
    /// leaves the default, as in the collector.
    pub fn typed(&self, key: &'static str) -> Option<Item<'a>> {
        let item = self.take(key)?;
        (item.node.value != Value::Null).then_some(item)
    }

    fn entry(&self, key: &'static str) -> Option<&'a Entry> {
        if !self.asked.borrow().contains(&key) {
            self.asked.borrow_mut().push(key);
            self.diag.ask(self.path_of(key), Usage::Read);
        }
        let index = self.entries.iter().position(|e| e.key == key)?;
        self.taken[index].set(true);
        Some(&self.entries[index])
    }

    fn default(&self, key: &'static str, text: impl FnOnce() -> String) {
        self.diag.ask_default(self.path_of(key), text());
    }

    fn item(&self, entry: &'a Entry) -> Item<'a> {
        Item { diag: self.diag, node: &entry.node, path: self.path_of(&entry.key) }
    }

    fn path_of(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (true, _) => key.to_owned(),
            (_, true) => self.path.clone(),
            _ => format!("{}.{key}", self.path),
        }
    }

    fn unknown(&self, entry: &Entry) {
        let asked = self.asked.borrow();
        let path = self.path_of(&entry.key);
        if let Some(help) = moved::remedy(&entry.key, &asked) {
            return self.diag.key_error(entry.mark, format!("{path}: has no place here"), help);
        }
        let help = match suggest::nearest(&entry.key, asked.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None if asked.is_empty() => "no keys belong here".to_owned(),
            None if asked.len() <= LISTED => format!("known keys: {}", asked.join(", ")),
            None => format!("known keys: {}, ...", asked[..LISTED].join(", ")),
        };
        self.diag.key_error(entry.mark, format!("{path}: unknown key"), help);
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        for (entry, taken) in self.entries.iter().zip(&self.taken) {
            if !taken.get() {
                self.unknown(entry);
            }
        }
    }
}
