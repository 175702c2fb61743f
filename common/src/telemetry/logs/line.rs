//! One event as one line of text.

use std::fmt::{self, Write};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

use super::super::health::rfc3339;

/// Bytes of a value; what is longer is cut.
const MAX_VALUE: usize = 256;
/// Bytes of a message.
const MAX_MESSAGE: usize = 1024;
/// Fields of an event.
const MAX_FIELDS: usize = 32;

/// The form of lines.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub json: bool,
    pub caller: bool,
    pub initial: Vec<(String, String)>,
}

/// What an event says.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub message: String,
    pub fields: Vec<(&'static str, Value)>,
}

/// The value of a field.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    /// A number or a truth value: the same in JSON.
    Plain(String),
}

/// Takes text up to a limit, and counts what it does not take.
struct Bounded {
    text: String,
    limit: usize,
    left_out: usize,
}

fn bounded(limit: usize, value: impl fmt::Display) -> String {
    let mut out = Bounded { text: String::new(), limit, left_out: 0 };
    // It takes everything; an implementation that fails by itself says as much as it has said.
    let _ = write!(out, "{value}");
    if out.left_out > 0 {
        let _ = write!(out.text, "...({} bytes more)", out.left_out);
    }
    out.text
}

/// Whether it can end a line, move the cursor, or turn the direction of what follows.
fn is_unsafe(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match is_unsafe(c) || c == '\\' {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
}

/// In quotes if it could be taken for more than one value.
fn console_value(text: &str, out: &mut String) {
    let plain = |c: char| !(c.is_whitespace() || is_unsafe(c) || matches!(c, '"' | '=' | '\\'));
    if !text.is_empty() && text.chars().all(plain) {
        out.push_str(text);
        return;
    }
    let mut escaped = String::new();
    escape(text, &mut escaped);
    let _ = write!(out, "\"{}\"", escaped.replace('"', "\\\""));
}

fn json_string(text: &str, out: &mut String) {
    // Text always can be written as JSON.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

// === impl Bounded ===

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut room = self.limit.saturating_sub(self.text.len()).min(text.len());
        if self.left_out > 0 {
            room = 0;
        }
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        self.text.push_str(&text[..room]);
        self.left_out += text.len() - room;
        Ok(())
    }
}

// === impl Said ===

impl Said {
    /// Its fields as `key=value key=value`.
    pub fn fields_text(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.fields {
            let space = if out.is_empty() { "" } else { " " };
            let _ = write!(out, "{space}{name}=");
            console_value(value.text(), &mut out);
        }
        out
    }

    fn add(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.message = value.into_text();
        } else if self.fields.len() < MAX_FIELDS {
            self.fields.push((field.name(), value));
        }
    }

    fn limit(field: &Field) -> usize {
        if field.name() == "message" { MAX_MESSAGE } else { MAX_VALUE }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = bounded(Self::limit(field), format_args!("{value:?}"));
        self.add(field, Value::Text(text));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::Text(bounded(Self::limit(field), value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Plain(value.to_string()));
    }
}

// === impl Value ===

impl Value {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Plain(text) => text,
        }
    }

    fn into_text(self) -> String {
        match self {
            Self::Text(text) | Self::Plain(text) => text,
        }
    }
}

// === impl Form ===

impl Form {
    /// The line, with its end.
    pub fn line(&self, metadata: &Metadata<'_>, said: &Said, suppressed: u64) -> String {
        let now = rfc3339(SystemTime::now());
        let mut line = match self.json {
            true => self.json(metadata, said, suppressed, &now),
            false => self.console(metadata, said, suppressed, &now),
        };
        line.push('\n');
        line
    }

    fn caller(&self, metadata: &Metadata<'_>) -> Option<String> {
        let file = metadata.file().filter(|_| self.caller)?;
        Some(format!("{file}:{}", metadata.line().unwrap_or_default()))
    }

    fn console(&self, at: &Metadata<'_>, said: &Said, suppressed: u64, now: &str) -> String {
        let mut line = format!("{now} {:>5} ", at.level());
        if let Some(caller) = self.caller(at) {
            let _ = write!(line, "{caller} ");
        }
        escape(&said.message, &mut line);
        for (name, value) in &self.initial {
            line.push(' ');
            escape(name, &mut line);
            line.push('=');
            console_value(value, &mut line);
        }
        if !said.fields.is_empty() {
            let _ = write!(line, " {}", said.fields_text());
        }
        if suppressed > 0 {
            let _ = write!(line, " suppressed={suppressed}");
        }
        line
    }

    /// With the keys of zap, the collector's logger.
    fn json(&self, at: &Metadata<'_>, said: &Said, suppressed: u64, now: &str) -> String {
        let level = match *at.level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            _ => "debug",
        };
        let mut line = format!("{{\"level\":\"{level}\",\"ts\":\"{now}\"");
        let text = |line: &mut String, name: &str, value: &str| {
            line.push(',');
            json_string(name, line);
            line.push(':');
            json_string(value, line);
        };
        if let Some(caller) = self.caller(at) {
            text(&mut line, "caller", &caller);
        }
        text(&mut line, "msg", &said.message);
        for (name, value) in &self.initial {
            text(&mut line, name, value);
        }
        for (name, value) in &said.fields {
            match value {
                Value::Text(value) => text(&mut line, name, value),
                Value::Plain(value) => {
                    let _ = write!(line, ",\"{name}\":{value}");
                }
            }
        }
        if suppressed > 0 {
            let _ = write!(line, ",\"suppressed\":{suppressed}");
        }
        line.push('}');
        line
    }
}
