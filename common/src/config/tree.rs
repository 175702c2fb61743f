//! YAML text to a tree of nodes that know their place, within budgets.
//!
//! The parser's events are read one by one and never recursively, so neither depth nor size of
//! the input can hurt before a budget refuses it.

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::scalar;
use super::source::Mark;

/// Nodes of one configuration, aliases counted each time they are used.
const MAX_NODES: usize = 50_000;
/// Nesting of mappings and lists.
const MAX_DEPTH: usize = 32;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins.
    pub mark: Mark,
    /// If it came whole from `${...}`: the text, which is what a string key gets.
    pub original: Option<String>,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Text, escapes resolved. What it means is up to the key that takes it: like collectors
    /// before strict types, `"5"` is a number where one is wanted and `200` text where text is.
    Scalar(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file, keys unique.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key is.
    pub mark: Mark,
    /// The value.
    pub node: Node,
}

/// Why a text is no tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeError {
    /// Where.
    pub mark: Mark,
    /// Why.
    pub message: String,
    /// What to do.
    pub help: String,
    /// Whether the place is a key, so that what follows it had better not be shown.
    pub at_key: bool,
}

struct Builder {
    source: u16,
    nodes: usize,
    open: Vec<Open>,
    anchors: Vec<(usize, Node)>,
    roots: Vec<Node>,
}

struct Open {
    anchor: usize,
    mark: Mark,
    body: Body,
}

enum Body {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(String, Mark)>, merged: Vec<Entry> },
}

/// Parses one YAML document. An empty text is a null node.
pub fn parse(text: &str, source: u16) -> Result<Node, TreeError> {
    only(documents(text, source)?)
}

/// The first of `documents`, if those after it are empty.
pub fn only(documents: Vec<Node>) -> Result<Node, TreeError> {
    let mut documents = documents.into_iter();
    let whole = Node { value: Value::Null, mark: Mark::default(), original: None };
    let first = documents.next().unwrap_or(whole);
    match documents.find(|node| node.value != Value::Null) {
        None => Ok(first),
        Some(second) => {
            let help = "a collector reads the first only: remove what follows `---`, or give each \
                        its own file and --config";
            Err(TreeError::new(second.mark, "a second YAML document", help))
        }
    }
}

/// Parses all documents of a text; at least one.
pub fn documents(text: &str, source: u16) -> Result<Vec<Node>, TreeError> {
    let whole = Mark { source, ..Mark::default() };
    let allowed = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{85}');
    if let Some((line, at)) = text.lines().zip(1..).find(|(l, _)| !l.chars().all(allowed)) {
        let col = line.chars().position(|c| !allowed(c)).unwrap_or(0) as u32 + 1;
        let mark = Mark { line: at, col, len: 1, ..whole };
        return Err(TreeError::new(mark, "a control character", "remove it; YAML is plain text"));
    }
    let mut builder =
        Builder { source, nodes: 0, open: Vec::new(), anchors: Vec::new(), roots: Vec::new() };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|e| {
            let at = e.marker();
            let mark = Mark { line: at.line() as u32, col: at.col() as u32 + 1, len: 1, ..whole };
            TreeError::new(mark, format!("not valid YAML: {}", e.info()), "")
        })?;
        builder.event(event, &span)?;
    }
    if builder.roots.is_empty() {
        builder.roots.push(Node { value: Value::Null, mark: whole, original: None });
    }
    Ok(builder.roots)
}

// === impl Node ===

impl Node {
    /// What the value is, for a message.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    fn depth_and_size(&self) -> (usize, usize) {
        let mut todo = vec![(self, 1)];
        let (mut depth, mut size) = (0, 0);
        while let Some((node, level)) = todo.pop() {
            depth = depth.max(level);
            size += 1;
            match &node.value {
                Value::List(items) => todo.extend(items.iter().map(|n| (n, level + 1))),
                Value::Map(entries) => todo.extend(entries.iter().map(|e| (&e.node, level + 1))),
                _ => {}
            }
        }
        (depth, size)
    }
}

// === impl TreeError ===

impl TreeError {
    pub(super) fn new(mark: Mark, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { mark, message: message.into(), help: help.into(), at_key: false }
    }
}

// === impl Builder ===

impl Builder {
    fn mark(&self, span: &Span) -> Mark {
        let (start, end) = (span.start, span.end);
        let len =
            if start.line() == end.line() { end.col().saturating_sub(start.col()) } else { 1 };
        Mark {
            source: self.source,
            line: start.line() as u32,
            col: start.col() as u32 + 1,
            len: len as u32,
        }
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), TreeError> {
        let mark = self.mark(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                check_tag(tag.as_deref(), mark)?;
                let string = tag.is_some_and(|t| t.suffix == "str");
                let plain = style == ScalarStyle::Plain && !string;
                let value = if plain && scalar::is_null(&text) && !self.wants_key() {
                    Value::Null
                } else {
                    Value::Scalar(text.into_owned())
                };
                self.add(Node { value, mark, original: None }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), mark)?;
                self.enter(Open { anchor, mark, body: Body::List(Vec::new()) })
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), mark)?;
                let body = Body::Map { entries: Vec::new(), key: None, merged: Vec::new() };
                self.enter(Open { anchor, mark, body })
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(),
            Event::Alias(anchor) => {
                let found = self.anchors.iter().rev().find(|(id, _)| *id == anchor);
                let Some((_, node)) = found else {
                    let help = "define the anchor before it is used, outside of itself";
                    return Err(TreeError::new(mark, "an alias of an unfinished anchor", help));
                };
                let node = node.clone();
                let (depth, size) = node.depth_and_size();
                self.charge(size, depth - 1, mark)?;
                self.add(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { body: Body::Map { key: None, .. }, .. }))
    }

    fn charge(&mut self, nodes: usize, depth: usize, mark: Mark) -> Result<(), TreeError> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values");
            return Err(TreeError::new(mark, message, "no configuration needs as many"));
        }
        if self.open.len() + depth > MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(TreeError::new(mark, message, "no configuration needs as many"));
        }
        Ok(())
    }

    fn enter(&mut self, open: Open) -> Result<(), TreeError> {
        if self.wants_key() {
            let message = "a mapping or a list as a key";
            return Err(TreeError::new(open.mark, message, "keys are plain text"));
        }
        self.charge(1, 1, open.mark)?;
        self.open.push(open);
        Ok(())
    }

    fn leave(&mut self) -> Result<(), TreeError> {
        let Some(Open { anchor, mark, body }) = self.open.pop() else { return Ok(()) };
        let value = match body {
            Body::List(items) => Value::List(items),
            Body::Map { mut entries, merged, .. } => {
                // A key of the mapping itself beats a merged one, an earlier merge a later one.
                for entry in merged {
                    if !entries.iter().any(|e| e.key == entry.key) {
                        entries.push(entry);
                    }
                }
                Value::Map(entries)
            }
        };
        self.attach(Node { value, mark, original: None }, anchor)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), TreeError> {
        self.charge(1, 0, node.mark)?;
        self.attach(node, anchor)
    }

    fn attach(&mut self, node: Node, anchor: usize) -> Result<(), TreeError> {
        if anchor != 0 {
            self.charge(node.depth_and_size().1, 0, node.mark)?;
            self.anchors.push((anchor, node.clone()));
        }
        let Some(open) = self.open.last_mut() else {
            self.roots.push(node);
            return Ok(());
        };
        match &mut open.body {
            Body::List(items) => items.push(node),
            Body::Map { entries, key, merged } => match key.take() {
                None => *key = Some(key_of(node, entries)?),
                Some((text, mark)) if text == "<<" => merge(node, mark, merged)?,
                Some((key, mark)) => {
                    // Nothing has no place of its own.
                    let at = if node.value == Value::Null { mark } else { node.mark };
                    entries.push(Entry { key, mark, node: Node { mark: at, ..node } });
                }
            },
        }
        Ok(())
    }
}

/// The text of a key, which must be new in its mapping.
fn key_of(node: Node, entries: &[Entry]) -> Result<(String, Mark), TreeError> {
    let Value::Scalar(text) = node.value else {
        return Err(TreeError::new(node.mark, "a key that is no text", "keys are plain text"));
    };
    if let Some(first) = entries.iter().find(|e| e.key == text) {
        let message = format!("key {text:?} is given twice; first in line {}", first.mark.line);
        let help = "keep one of them";
        return Err(TreeError { at_key: true, ..TreeError::new(node.mark, message, help) });
    }
    Ok((text, node.mark))
}

/// `<<: *anchor` and `<<: [*a, *b]`, as YAML 1.1 and the collector have it.
fn merge(node: Node, mark: Mark, merged: &mut Vec<Entry>) -> Result<(), TreeError> {
    let maps = match node.value {
        Value::List(items) => items,
        _ => vec![node],
    };
    for map in maps {
        let Value::Map(entries) = map.value else {
            let help = "`<<` takes an alias of a mapping";
            return Err(TreeError::new(mark, "only mappings can be merged", help));
        };
        for entry in entries {
            if !merged.iter().any(|e| e.key == entry.key) {
                merged.push(entry);
            }
        }
    }
    Ok(())
}

fn check_tag(tag: Option<&Tag>, mark: Mark) -> Result<(), TreeError> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() => {
            Err(TreeError::new(mark, format!("tag {tag} is not known"), "remove the tag"))
        }
        _ => Ok(()),
    }
}
