//! `${env:V}`, `${env:V:-default}`, `${V}`, `${file:path}`, `${yaml:text}` and `$$`, as the collector
//! expands them.
//!
//! Like there, what is expanded is the values of the parsed tree, not the text: a variable cannot
//! change the structure around it, and every value keeps its place in the file. A value that is
//! one `${...}` and nothing else is read as YAML, so that a variable can hold a number or a list;
//! a key of type string gets its text. Keys are never expanded.

use std::fs::File;
use std::io::Read;

use super::error::Diag;
use super::source::Mark;
use super::tree::{self, Node, Value};

/// The variables of a process, or of a test.
pub type Env<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// Replacements in one value; variables may name variables.
const MAX_ROUNDS: usize = 100;
/// Bytes one value may expand to.
const MAX_EXPANDED: usize = 64 << 10;
/// Bytes all values together may expand to.
const MAX_TOTAL: usize = 1 << 20;

struct Expander<'a> {
    diag: &'a Diag,
    env: &'a Env<'a>,
    left: usize,
}

enum Part {
    Whole(String),
    Text(String),
}

/// Expands all values of `root` in place. What cannot be is an error in `diag`.
pub fn expand(root: &mut Node, diag: &Diag, env: &Env<'_>) {
    Expander { diag, env, left: MAX_TOTAL }.node(root, "");
}

// === impl Expander ===

impl Expander<'_> {
    /// Recursion is as deep as the tree, which is bounded.
    fn node(&mut self, node: &mut Node, path: &str) {
        match &mut node.value {
            Value::Null => {}
            Value::List(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    self.node(item, &format!("{path}[{i}]"));
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    let dot = if path.is_empty() { "" } else { "." };
                    self.node(&mut entry.node, &format!("{path}{dot}{}", entry.key));
                }
            }
            Value::Scalar(text) if text.contains('$') => {
                let text = std::mem::take(text);
                self.scalar(node, text, path);
            }
            Value::Scalar(_) => {}
        }
    }

    fn scalar(&mut self, node: &mut Node, text: String, path: &str) {
        let mark = node.mark;
        match self.text(text, mark, path) {
            Some(Part::Whole(text)) => {
                // Not YAML: a string that only looks like it, as a password may.
                let value = tree::parse(&text, mark.source).map(|n| n.value);
                node.value = value.unwrap_or_else(|_| Value::Scalar(text.clone()));
                remark(node, mark);
                node.original = Some(text);
            }
            Some(Part::Text(text)) => node.value = Value::Scalar(text),
            None => {
                self.diag.broken(mark);
                node.value = Value::Null;
            }
        }
    }

    /// The value of a scalar; `None` after an error.
    fn text(&mut self, mut text: String, mark: Mark, path: &str) -> Option<Part> {
        for _ in 0..MAX_ROUNDS {
            let Some((start, end)) = next_uri(&text) else {
                self.note_plain(&text, path);
                return Some(Part::Text(text.replace("$$", "$")));
            };
            let value = self.lookup(&text[start..end], mark, path)?;
            self.diag.expands(&value);
            self.left = self.left.saturating_sub(value.len());
            if text.len() + value.len() > MAX_EXPANDED || self.left == 0 {
                let help = "shorten the value of the variable";
                self.diag.error(mark, format!("{path}: expands to too much text"), help);
                return None;
            }
            if start == 0 && end == text.len() {
                if next_uri(&value).is_none() {
                    return Some(Part::Whole(value.replace("$$", "$")));
                }
                text = value;
            } else {
                text.replace_range(start..end, &value);
            }
        }
        let message = format!("{path}: a variable that names itself");
        self.diag.error(mark, message, "break the circle of ${...}");
        None
    }

    /// `$NAME`, which collectors before v0.105 expanded. Its text is not shown: it may be the end
    /// of a secret.
    fn note_plain(&self, text: &str, path: &str) {
        let rest = text.replace("$$", "");
        let named = |(_, after): (&str, &str)| {
            after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        };
        if rest.split_once('$').is_some_and(named) {
            let note = "a `$` without braces is taken as it is: write ${env:NAME} for a variable";
            self.diag.note(path, note);
        }
    }

    fn lookup(&self, uri: &str, mark: Mark, path: &str) -> Option<String> {
        let body = &uri[2..uri.len() - 1];
        let (scheme, rest) = match body.split_once(':') {
            // `${V:-default}` has no scheme.
            Some((_, rest)) if rest.starts_with('-') => ("env", body),
            Some((scheme, rest)) => (scheme, rest),
            None => ("env", body),
        };
        let at = || self.diag.source(mark).map_or(mark, |s| s.find(mark, uri));
        match scheme {
            "env" => {}
            "file" => {
                return match read_file(rest) {
                    Ok(text) => Some(text),
                    Err(why) => {
                        let message = format!("{path}: {rest} {why}");
                        self.diag.error(at(), message, "name a readable file of UTF-8 text");
                        None
                    }
                };
            }
            "yaml" => return Some(rest.to_owned()),
            _ => {
                let message = format!("{path}: ${{{scheme}:...}} is not supported");
                let help = "write the value here, or use ${env:NAME} or ${file:/path}";
                self.diag.error(at(), message, help);
                return None;
            }
        }
        let (name, default) = match rest.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (rest, None),
        };
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        if !name.starts_with(letter) || !name.chars().all(|c| letter(c) || c.is_ascii_digit()) {
            let message = format!("{path}: {name:?} is no name of an environment variable");
            let help = "names are letters, digits and `_`; a `$` of its own is written `$$`";
            self.diag.error(at(), message, help);
            return None;
        }
        match ((self.env)(name), default) {
            (Some(value), _) => Some(value),
            (None, Some(default)) => Some(default.to_owned()),
            (None, None) => {
                let text = format!("environment variable {name} is not set, taken as empty");
                self.diag.note(path, text);
                self.diag.unset(mark, name);
                Some(String::new())
            }
        }
    }
}

/// A file's text without the line feeds at its end, which secrets in files often have.
fn read_file(path: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| format!("cannot be read: {e}"))?;
    let read = file.take(MAX_EXPANDED as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|e| format!("cannot be read: {e}"))?;
    if bytes.len() > MAX_EXPANDED {
        return Err(format!("is larger than {} KiB", MAX_EXPANDED >> 10));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(text)
}

/// The first innermost `${...}` whose `$` is not escaped by another, as a byte range.
fn next_uri(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(close) = text[from..].find('}').map(|i| from + i) {
        if let Some(open) = text[from..close].rfind("${").map(|i| from + i) {
            let dollars = text[..open].bytes().rev().take_while(|b| *b == b'$').count();
            if dollars % 2 == 0 {
                return Some((open, close + 1));
            }
        }
        from = close + 1;
    }
    None
}

/// What a variable held is placed where the variable is named.
fn remark(node: &mut Node, mark: Mark) {
    node.mark = mark;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|n| remark(n, mark)),
        Value::Map(entries) => entries.iter_mut().for_each(|e| {
            e.mark = mark;
            remark(&mut e.node, mark);
        }),
        _ => {}
    }
}
