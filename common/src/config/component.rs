//! Components: what a section defines, and what a pipeline refers to.

use std::fmt;

use super::error::Diag;
use super::item::Item;
use super::known::{self, Answer};
use super::reader::Reader;
use super::source::Mark;
use super::suggest;

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

const NOT_USED: &str = "not used here: no traces pipeline of this tier has it";
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

    /// Adds an error at its key.
    pub fn key_error(&self, what: &str, help: &str) {
        self.diag.key_error(self.mark, format!("{}: {what}", self.item.path), help);
    }

    /// Adds a note.
    pub fn note(&self, text: &str) {
        self.diag.note(self.item.path.clone(), text);
    }

    /// Answers for a component that the tier does not read: a note if it is not needed or not
    /// `used` by the tier's pipelines, else an error that says what to do.
    pub fn unsupported(&self, used: bool) {
        let kind = self.id.kind.as_str();
        match known::answer(self.section, kind) {
            Answer::NotNeeded(why) => self.note(&format!("accepted, not needed: {why}")),
            Answer::Unknown => self.unknown(used),
            _ if !used => self.note(NOT_USED),
            Answer::Agent(help) => self.key_error(&format!("{kind} is not supported"), help),
            Answer::NotYet(help) => self.key_error(&format!("{kind} is not supported yet"), help),
            Answer::Tier(help) => {
                self.key_error(&format!("{kind} does not belong to this tier"), help);
            }
        }
    }

    /// A slip of the pen is an error wherever it is; a component of somebody's own only where it
    /// is used.
    fn unknown(&self, used: bool) {
        let kind = self.id.kind.as_str();
        let names = known::names(self.section);
        let help = match suggest::nearest(kind, names.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None if !used => return self.note(NOT_USED),
            None => {
                let (here, section) = (known::supported(self), self.section.name());
                format!("{section} here: {here}; otherwise, {}", known::remedy(self.section))
            }
        };
        self.key_error(&format!("{kind:?} is not known"), &help);
    }
}
