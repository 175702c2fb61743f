//! Writes the exceptions of a `cause` one after the other, as the stack parsers find them.

use crate::json::Json;

/// Frames and causes are left out once the exceptions of one document take more than this. X-Ray
/// takes documents up to 64 KiB; this only keeps a crafted stack, whose frames can repeat a long
/// path, from growing without bound.
const MAX_EXCEPTION_BYTES: usize = 1 << 20;

/// The exceptions of one document.
pub(crate) struct Exceptions<'j, 'e> {
    json: &'j mut Json,
    invent: &'e mut dyn FnMut() -> u64,
    start: usize,
    started: bool,
    state: State,
    /// Of the exception that is being written.
    remote: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    /// The exception's own fields are written.
    Open,
    /// And the stack is being written.
    Stack,
}

/// One frame of a stack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) label: &'a [u8],
    pub(crate) line: i64,
}

// === impl Exceptions ===

impl<'j, 'e> Exceptions<'j, 'e> {
    /// Opens the `cause` object.
    pub(crate) fn begin(json: &'j mut Json, invent: &'e mut dyn FnMut() -> u64) -> Self {
        json.open("cause");
        let start = json.buf.len();
        Self { json, invent, start, started: false, state: State::Closed, remote: None }
    }

    /// Closes the `cause` object.
    pub(crate) fn end(mut self) {
        self.close();
        self.json.raw(if self.started { "]}" } else { "}" });
    }

    /// The next exception. `remote` is left out if nothing.
    pub(crate) fn exception(&mut self, kind: &[u8], message: &[u8], remote: Option<bool>) {
        if self.json.is_full(self.start) {
            return;
        }
        let id = (self.invent)().to_be_bytes();
        self.open(id, kind, message, remote);
    }

    /// A frame of the last exception.
    pub(crate) fn frame(&mut self, frame: Frame<'_>) {
        if self.is_full() {
            return;
        }
        match self.state {
            State::Stack => self.json.raw(","),
            _ => {
                self.json.key("stack");
                self.json.raw("[");
                self.state = State::Stack;
            }
        }
        self.json.raw("{");
        self.json.field("path", frame.path);
        self.json.field("label", frame.label);
        self.json.field_int("line", frame.line);
        self.json.raw("}");
    }

    /// The exception that caused the last one; it becomes the last one.
    pub(crate) fn caused_by(&mut self, kind: &[u8], message: &[u8]) {
        if self.is_full() {
            return;
        }
        let id = (self.invent)().to_be_bytes();
        self.end_stack();
        self.json.field_id("cause", id);
        self.open(id, kind, message, self.remote);
    }

    fn is_full(&self) -> bool {
        self.json.is_full(self.start) || self.json.buf.len() - self.start > MAX_EXCEPTION_BYTES
    }

    fn open(&mut self, id: [u8; 8], kind: &[u8], message: &[u8], remote: Option<bool>) {
        self.close();
        if self.started {
            self.json.raw(",");
        } else {
            self.json.key("exceptions");
            self.json.raw("[");
        }
        self.json.raw("{");
        self.json.field_id("id", id);
        self.json.field("type", kind);
        self.json.field("message", message);
        if let Some(remote) = remote {
            self.json.field_bool("remote", remote);
        }
        self.started = true;
        self.state = State::Open;
        self.remote = remote;
    }

    fn end_stack(&mut self) {
        if self.state == State::Stack {
            self.json.raw("]");
            self.state = State::Open;
        }
    }

    fn close(&mut self) {
        self.end_stack();
        if self.state == State::Open {
            self.json.raw("}");
            self.state = State::Closed;
        }
    }
}
