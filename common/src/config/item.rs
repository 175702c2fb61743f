//! One value on its way to a type: each reading of it succeeds, or says why not and where.

use std::time::Duration;

use super::error::Diag;
use super::reader::Reader;
use super::secret::Secret;
use super::source::Mark;
use super::tree::{Node, Value};
use super::{duration, scalar, suggest};

/// A value with the path that leads to it.
pub struct Item<'a> {
    pub(super) diag: &'a Diag,
    pub(super) node: &'a Node,
    /// Path of the key, such as `exporters.otlp.timeout`.
    pub path: String,
}

// === impl Item ===

impl<'a> Item<'a> {
    /// Where the value is.
    pub fn mark(&self) -> Mark {
        self.node.mark
    }

    /// Adds an error at the value; `what` follows its path.
    pub fn error(&self, what: &str, help: &str) {
        self.diag.error(self.node.mark, format!("{}: {what}", self.path), help);
    }

    /// Where the value at `path` below this one is, such as `latency.threshold_ms` or
    /// `values[1]`; if it is not there, the nearest value above it that is.
    pub fn locate(&self, path: &str) -> Mark {
        let mut node = self.node;
        for step in path.split(['.', '[']) {
            let next = match (&node.value, step.strip_suffix(']')) {
                (Value::List(items), Some(n)) => n.parse().ok().and_then(|n: usize| items.get(n)),
                (Value::Map(entries), None) => {
                    entries.iter().find(|e| e.key == step).map(|e| &e.node)
                }
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.mark
    }

    /// Adds an error at the value at `path` below this one.
    pub fn error_below(&self, path: &str, what: &str, help: &str) {
        let message = format!("{}.{path}: {what}", self.path);
        self.diag.error(self.locate(path), message, help);
    }

    /// Whether the value is a list.
    pub fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        self.node.value == Value::Null && self.node.original.is_none()
    }

    /// Any single value as text.
    pub fn string(&self) -> Option<String> {
        if let Some(original) = &self.node.original {
            return Some(original.clone());
        }
        let text = self.scalar("text");
        text.map(str::to_owned)
    }

    /// Text that is never printed.
    pub fn secret(&self) -> Option<Secret> {
        self.diag.secret(&self.path);
        self.string().map(Secret::new)
    }

    /// One of `names`, exactly as written there; the index in it.
    pub fn choice(&self, names: &[&str]) -> Option<usize> {
        let text = self.string()?;
        let found = names.iter().position(|n| *n == text);
        if found.is_none() {
            let shown: Vec<&str> = names.iter().copied().filter(|n| !n.is_empty()).collect();
            let help = match suggest::nearest(&text, shown.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("use one of: {}", shown.join(", ")),
            };
            self.error(&format!("{text:?} is not known here"), &help);
        }
        found
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        let text = self.scalar("true or false")?;
        let value = scalar::boolean(text);
        if value.is_none() {
            self.error(&format!("{text:?} is not true or false"), "write true or false");
        }
        value
    }

    /// A whole number from `min` to `max`.
    pub fn integer(&self, min: i64, max: i64) -> Option<i64> {
        let text = self.scalar("a whole number")?;
        let Some(value) = scalar::integer(text) else {
            let what = format!("{text:?} is not a whole number");
            self.error(&what, "write digits only, such as 1000");
            return None;
        };
        if (min..=max).contains(&value) {
            return Some(value);
        }
        let help = match (min, max) {
            (_, i64::MAX) => format!("the least is {min}"),
            (i64::MIN, _) => format!("the most is {max}"),
            _ => format!("from {min} to {max}"),
        };
        self.error(&format!("{value} is out of range"), &help);
        None
    }

    /// A finite number from `min` to `max`.
    pub fn number(&self, min: f64, max: f64) -> Option<f64> {
        let text = self.scalar("a number")?;
        let Some(value) = scalar::float(text) else {
            self.error(&format!("{text:?} is not a number"), "write a number such as 12.5");
            return None;
        };
        if value >= min && value <= max && value.is_finite() {
            return Some(value);
        }
        let help = if max == f64::MAX {
            format!("the least is {min}")
        } else {
            format!("from {min} to {max}")
        };
        self.error(&format!("{text} is out of range"), &help);
        None
    }

    /// A Go duration of zero or more.
    pub fn duration(&self) -> Option<Duration> {
        let text = self.scalar("a duration")?;
        let value = duration::parse(text);
        if value.is_none() {
            let what = if text.starts_with('-') && duration::parse(&text[1..]).is_some() {
                format!("{text:?} is negative")
            } else {
                format!("{text:?} is not a duration")
            };
            let help = match scalar::integer(text) {
                Some(n) if n > 0 => format!("add a unit, such as {n}s"),
                _ => "write numbers with units, such as 10s, 1m30s or 500ms".to_owned(),
            };
            self.error(&what, &help);
        }
        value
    }

    /// The items of a list; a single value counts as a list of one.
    pub fn list(&self) -> Vec<Item<'a>> {
        match &self.node.value {
            Value::Null => Vec::new(),
            Value::List(items) => {
                let path = |i: usize| format!("{}[{i}]", self.path);
                items
                    .iter()
                    .enumerate()
                    .map(|(i, node)| Item { diag: self.diag, node, path: path(i) })
                    .collect()
            }
            Value::Scalar(_) => {
                vec![Item { diag: self.diag, node: self.node, path: self.path.clone() }]
            }
            Value::Map(_) => {
                self.error("a mapping where a list is wanted", "begin each item with `- `");
                Vec::new()
            }
        }
    }

    /// A list of texts.
    pub fn strings(&self) -> Vec<String> {
        self.list().iter().filter_map(Item::string).collect()
    }

    /// A mapping; nothing counts as an empty one.
    pub fn map(&self) -> Option<Reader<'a>> {
        match &self.node.value {
            Value::Map(entries) => {
                Some(Reader::new(self.diag, entries, self.node.mark, self.path.clone()))
            }
            Value::Null => Some(Reader::new(self.diag, &[], self.node.mark, self.path.clone())),
            _ => {
                let what = format!("{} where a mapping is wanted", self.node.kind());
                self.error(&what, "write `key: value` lines, indented, below the key");
                None
            }
        }
    }

    fn scalar(&self, wanted: &str) -> Option<&'a str> {
        match &self.node.value {
            Value::Scalar(text) => Some(text),
            _ => {
                let what = format!("{} where {wanted} is wanted", self.node.kind());
                self.error(&what, "write one value after the key");
                None
            }
        }
    }
}
