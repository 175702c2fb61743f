//! Components: what a section defines, and what a pipeline refers to.

use std::fmt;

use super::error::Diag;
use super::item::Item;
use super::reader::Reader;
use super::source::Mark;

/// `type` or `type/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentId {
    /// The type, such as `otlp`.
    pub kind: String,
    /// The name after the slash; empty if there is none.
    pub name: String,
}

/// A component id where it is used.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The id.
    pub id: ComponentId,
    /// Where it is.
    pub mark: Mark,
    /// Path of the list's item.
    pub path: String,
}

/// A section of the top level that defines components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `receivers`.
    Receivers,
    /// `processors`.
    Processors,
    /// `exporters`.
    Exporters,
    /// `extensions`.
    Extensions,
    /// `connectors`.
    Connectors,
}

/// A component that is defined; its block is still to be read.
pub struct Component<'a> {
    /// Its id.
    pub id: ComponentId,
    /// Where it is defined.
    pub section: Section,
    mark: Mark,
    item: Item<'a>,
    diag: &'a Diag,
}

/// Longest type, as in the collector.
const MAX_KIND: usize = 63;
const MAX_NAME: usize = 1024;

/// Whether a type is the load balancing exporter.
pub fn is_load_balancing(kind: &str) -> bool {
    matches!(kind, "load_balancing" | "loadbalancing")
}

/// The components of one section.
pub(super) fn read_section<'a>(top: &Reader<'a>, section: Section) -> Vec<Component<'a>> {
    let Some(r) = top.map(section.name()) else { return Vec::new() };
    let mut found = Vec::new();
    for (key, mark, item) in r.entries() {
        match ComponentId::parse(key) {
            Some(id) => found.push(Component { id, section, mark, item, diag: r.diag() }),
            None => {
                let message = format!("{}: is no name of a component", item.path);
                r.diag().key_error(mark, message, "write type or type/name");
            }
        }
    }
    found
}

// === impl ComponentId ===

impl ComponentId {
    /// Parses `type` or `type/name`; white space around either does not count.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => (kind.trim(), Some(name.trim())),
            None => (text.trim(), None),
        };
        let letter = |c: char| c.is_ascii_alphabetic();
        let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let kind_ok = kind.starts_with(letter) && kind.chars().all(rest) && kind.len() <= MAX_KIND;
        let plain = |n: &str| !n.is_empty() && n.len() <= MAX_NAME && !n.contains(char::is_control);
        if !kind_ok || !name.is_none_or(plain) {
            return None;
        }
        Some(Self { kind: kind.to_owned(), name: name.unwrap_or("").to_owned() })
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.is_empty() {
            true => f.write_str(&self.kind),
            false => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

// === impl Section ===

impl Section {
    /// All of them, in the order of a file.
    pub const ALL: [Self; 5] =
        [Self::Receivers, Self::Processors, Self::Exporters, Self::Connectors, Self::Extensions];

    /// The section's key.
    pub fn name(self) -> &'static str {
        match self {
            Self::Receivers => "receivers",
            Self::Processors => "processors",
            Self::Exporters => "exporters",
            Self::Extensions => "extensions",
            Self::Connectors => "connectors",
        }
    }
}

// === impl Component ===

impl<'a> Component<'a> {
    /// A reader of its block. `None` after an error.
    pub fn reader(&self) -> Option<Reader<'a>> {
        self.item.map()
    }

    /// Path of its key, such as `exporters.otlp/2`.
    pub fn path(&self) -> &str {
        &self.item.path
    }

    /// Adds an error at its key.
    pub(super) fn key_error(&self, what: &str, help: &str) {
        self.diag.key_error(self.mark, format!("{}: {what}", self.item.path), help);
    }

    /// Adds a note.
    pub(super) fn note(&self, text: &str) {
        self.diag.note(self.item.path.clone(), text);
    }
}
