//! What is wrong with a configuration, all of it at once, and what is worth saying about it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::source::{Mark, Source, without_user};

/// One thing that is wrong, with its place and how to put it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Name of the file.
    pub file: String,
    /// Where in the file.
    pub mark: Mark,
    /// What is wrong, beginning with the path of the key.
    pub message: String,
    /// What to do about it.
    pub help: String,
    snippet: String,
}

/// All that is wrong with a configuration, in the order of the file. The process that meets it
/// ends with exit code 78 (EX_CONFIG of sysexits.h).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// One line about something accepted that does less than it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Path of the key, such as `processors.batch`.
    pub path: String,
    /// What there is to know.
    pub text: String,
}

/// A key that was asked for, whether the file has it or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// What is done with it.
    pub usage: Usage,
    /// Its default, if that is one value.
    pub default: Option<String>,
}

/// What is done with a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    /// It is read.
    #[default]
    Read,
    /// It is a mapping with keys of its own.
    Block,
    /// It is taken and does nothing; why.
    Accepted(String),
    /// It is an error; what to do.
    Refused(String),
}

/// Collects errors and notes while a configuration is read.
#[derive(Clone)]
pub struct Diag {
    sources: Vec<Source>,
    errors: RefCell<Vec<ConfigError>>,
    notes: RefCell<Vec<Note>>,
    asked: RefCell<BTreeMap<String, Asked>>,
    /// Paths of values that are never shown.
    secrets: RefCell<BTreeSet<String>>,
    /// What variables and files were expanded to.
    expanded: RefCell<BTreeSet<String>>,
    /// Values that name variables which are not set.
    unset: RefCell<BTreeMap<Mark, BTreeSet<String>>>,
    /// Values that could not be expanded: what else is wrong with them follows from that.
    broken: RefCell<BTreeSet<Mark>>,
}

/// Errors kept; a file that has more is not a collector's configuration.
const MAX_ERRORS: usize = 100;

// === impl ConfigError ===

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mark.line {
            0 => writeln!(f, "{}: {}", self.file, self.message)?,
            line => writeln!(f, "{}:{line}:{}: {}", self.file, self.mark.col, self.message)?,
        }
        f.write_str(&self.snippet)?;
        if !self.help.is_empty() {
            let width = self.mark.line.max(1).to_string().len();
            writeln!(f, "  {} = {}", " ".repeat(width), self.help)?;
        }
        Ok(())
    }
}

// === impl ConfigErrors ===

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|error| error.fmt(f))
    }
}

impl ConfigErrors {
    /// Adds those of `others` that are not there yet.
    pub fn add(&mut self, others: Self) {
        let new: Vec<_> = others.0.into_iter().filter(|e| !self.0.contains(e)).collect();
        self.0.extend(new);
        self.0.sort_by_key(|e| (e.mark.source, e.mark.line, e.mark.col));
    }

    /// An error about a file as a whole, such as one that cannot be opened.
    pub fn whole(file: &str, message: String, help: &str) -> Self {
        Self(vec![ConfigError {
            file: file.to_owned(),
            mark: Mark::default(),
            message,
            help: help.to_owned(),
            snippet: String::new(),
        }])
    }
}

// === impl Note ===

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

// === impl Diag ===

impl Diag {
    /// A collector over `sources`, to which marks refer by index.
    pub fn new(sources: Vec<Source>) -> Self {
        Self {
            sources,
            errors: RefCell::default(),
            notes: RefCell::default(),
            asked: RefCell::default(),
            secrets: RefCell::default(),
            expanded: RefCell::default(),
            unset: RefCell::default(),
            broken: RefCell::default(),
        }
    }

    /// Adds an error at a value.
    pub fn error(&self, mark: Mark, message: impl Into<String>, help: impl Into<String>) {
        self.push(mark, false, message.into(), help.into());
    }

    /// Adds an error at a key. Its value is not shown: it may be a secret under a wrong key.
    pub fn key_error(&self, mark: Mark, message: impl Into<String>, help: impl Into<String>) {
        self.push(mark, true, message.into(), help.into());
    }

    /// Adds a note; the same one twice is said once.
    pub fn note(&self, path: impl Into<String>, text: impl Into<String>) {
        let note = Note { path: path.into(), text: text.into() };
        let mut notes = self.notes.borrow_mut();
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Every key that was asked for, by its path: what docs/CONFIGURATION.md is checked against.
    pub fn asked(&self) -> BTreeMap<String, Asked> {
        self.asked.borrow().clone()
    }

    /// Remembers what is done with the key at `path`.
    pub(super) fn ask(&self, path: String, usage: Usage) {
        let mut asked = self.asked.borrow_mut();
        let have = asked.entry(path).or_default();
        if have.usage == Usage::Read {
            have.usage = usage;
        }
    }

    /// Remembers the default of the key at `path`.
    pub(super) fn ask_default(&self, path: String, default: String) {
        self.asked.borrow_mut().entry(path).or_default().default = Some(default);
    }

    /// The value at this path is a secret.
    pub(super) fn secret(&self, path: &str) {
        self.secrets.borrow_mut().insert(path.to_owned());
    }

    pub(super) fn is_secret(&self, path: &str) -> bool {
        self.secrets.borrow().contains(path)
    }

    /// `${...}` was expanded to this.
    pub(super) fn expands(&self, text: &str) {
        self.expanded.borrow_mut().insert(text.to_owned());
    }

    /// The value at `mark` names a variable that is not set.
    pub(super) fn unset(&self, mark: Mark, name: &str) {
        self.unset.borrow_mut().entry(mark).or_default().insert(name.to_owned());
    }

    /// The value at `mark` could not be expanded, and there is an error that says why.
    pub(super) fn broken(&self, mark: Mark) {
        self.broken.borrow_mut().insert(mark);
    }

    /// Longest first, so that none is taken for the part of another.
    pub(super) fn expanded(&self) -> Vec<String> {
        let mut all: Vec<String> = self.expanded.borrow().iter().cloned().collect();
        all.sort_by_key(|text| std::cmp::Reverse(text.len()));
        all
    }

    /// The source a mark is in.
    pub fn source(&self, mark: Mark) -> Option<&Source> {
        self.sources.get(usize::from(mark.source))
    }

    /// Whether anything is wrong so far.
    pub fn failed(&self) -> bool {
        self.count() > 0
    }

    /// Errors so far.
    pub fn count(&self) -> usize {
        self.errors.borrow().len()
    }

    /// The errors, sorted by place; none if all is well.
    pub fn errors(&self) -> Result<(), ConfigErrors> {
        let mut errors = self.errors.borrow().clone();
        errors.sort_by_key(|e| (e.mark.source, e.mark.line, e.mark.col));
        errors.dedup();
        if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors)) }
    }

    /// The notes so far, in the order they came up.
    pub fn notes(&self) -> Vec<Note> {
        self.notes.borrow().clone()
    }

    fn push(&self, mark: Mark, cut: bool, mut message: String, help: String) {
        if self.broken.borrow().contains(&mark) {
            return;
        }
        for name in self.unset.borrow().get(&mark).into_iter().flatten() {
            message.push_str(&format!(" ({name} is not set)"));
        }
        let mut errors = self.errors.borrow_mut();
        if errors.len() >= MAX_ERRORS {
            return;
        }
        let source = self.source(mark);
        errors.push(ConfigError {
            file: source.map(|s| s.name.clone()).unwrap_or_default(),
            snippet: source.map(|s| s.snippet(mark, cut)).unwrap_or_default(),
            mark,
            message: without_user(&message),
            help,
        });
    }
}
