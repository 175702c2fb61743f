//! Writes JSON straight into a byte buffer, as it stands inside a JSON string: calls take documents
//! as strings, so all quotes and backslashes are escaped once more, in the same go.
//!
//! Bytes that are not UTF-8 become one U+FFFD each. Doubles have the shortest form that reads back
//! the same, as Go's `encoding/json` writes them; those that JSON can't say become strings, as in
//! OTLP/JSON.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tailgate_proto::view::{Attributes, Value};

use crate::escaped::{plain, plain_len};

/// Values nested deeper than this are written as `null`. Requests are checked for less at the door;
/// this guards the stack against other bytes.
const MAX_DEPTH: usize = 100;

/// A JSON text being written.
#[derive(Debug, Default)]
pub(crate) struct Json {
    /// Escaped.
    pub(crate) buf: Vec<u8>,
    /// A NaN or infinity was met.
    pub(crate) not_finite: bool,
    /// Strings and lists are cut: see [`Json::is_full`] and `BRIEF_STRING`.
    pub(crate) brief: bool,
}

/// How many bytes a string takes in a brief text. A document has about thirty of its own, and six
/// lists, so that even with all of them this long it stays below X-Ray's limit.
const BRIEF_STRING: usize = 1024;

/// A list takes no further item in a brief text once it has this many bytes.
const BRIEF_LIST: usize = 2048;

/// No key of ours is longer.
const MAX_KEY: usize = 32;

/// With the beginning of its value.
const MAX_MEMBER: usize = MAX_KEY + 5 + 8;

/// An ASCII byte that stands for itself inside a JSON string.
fn is_plain(byte: u8) -> bool {
    (0x20..0x80).contains(&byte) && byte != b'"' && byte != b'\\'
}

/// The same of eight bytes. Only a byte that is not plain borrows from the next one, so what is
/// found is there.
#[inline]
fn are_plain(word: u64) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES * 0x80;
    let below = |word: u64, byte: u8| word.wrapping_sub(ONES * u64::from(byte));
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (word | below(word, 0x20) | is(b'"') | is(b'\\')) & HIGH == 0
}

/// What OTLP/JSON calls a double that JSON has no number for.
pub(crate) fn not_finite(value: f64) -> &'static str {
    match value {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}

// === impl Json ===

impl Json {
    pub(crate) fn clear(&mut self) {
        self.buf.clear();
        self.not_finite = false;
    }

    /// JSON without quotes and backslashes, or a part of a string.
    #[inline]
    pub(crate) fn raw(&mut self, text: &str) {
        debug_assert!(!text.contains(['"', '\\']), "{text}");
        self.buf.extend_from_slice(text.as_bytes());
    }

    /// A quote that begins or ends a string.
    #[inline]
    pub(crate) fn quote(&mut self) {
        self.buf.extend_from_slice(b"\\\"");
    }

    /// Text that is JSON already, but not escaped.
    pub(crate) fn plain_json(&mut self, text: &str) {
        for &byte in text.as_bytes() {
            if matches!(byte, b'"' | b'\\') {
                self.buf.push(b'\\');
            }
            self.buf.push(byte);
        }
    }

    /// The text, not escaped.
    pub(crate) fn into_plain(self) -> Vec<u8> {
        plain(&self.buf)
    }

    /// Text written elsewhere.
    pub(crate) fn append(&mut self, other: &Json) {
        self.buf.extend_from_slice(&other.buf);
        self.not_finite |= other.not_finite;
    }

    /// A list that began at `start` takes no further items.
    pub(crate) fn is_full(&self, start: usize) -> bool {
        self.brief && plain_len(&self.buf[start..]) > BRIEF_LIST
    }

    /// A comma, unless the innermost object or array is still empty.
    #[inline]
    pub(crate) fn separate(&mut self) {
        if !matches!(self.buf.last(), None | Some(b'{' | b'[')) {
            self.buf.push(b',');
        }
    }

    /// The key of the next member. `name` needs no escaping, and has at most `MAX_KEY` bytes.
    #[inline(always)]
    pub(crate) fn key(&mut self, name: &'static str) {
        self.member(name, b"");
    }

    /// The key of the next member and the beginning of its value, which is an object.
    #[inline(always)]
    pub(crate) fn open(&mut self, name: &'static str) {
        self.member(name, b"{");
    }

    /// A key and what follows it, in one piece. Inlined along with the methods that end in it, as
    /// the piece is a constant where the name is: a tenth less for a translation.
    #[inline(always)]
    fn member<const N: usize>(&mut self, name: &'static str, value: &[u8; N]) {
        self.separate();
        let mut piece = [0; MAX_MEMBER];
        piece[..2].copy_from_slice(b"\\\"");
        piece[2..name.len() + 2].copy_from_slice(name.as_bytes());
        piece[name.len() + 2..name.len() + 5].copy_from_slice(b"\\\":");
        piece[name.len() + 5..name.len() + 5 + N].copy_from_slice(value);
        self.buf.extend_from_slice(&piece[..name.len() + 5 + N]);
    }

    /// The key of the next member, of foreign bytes.
    pub(crate) fn foreign_key(&mut self, name: &[u8]) {
        self.separate();
        self.string(name);
        self.buf.push(b':');
    }

    /// A member with a string value.
    #[inline(always)]
    pub(crate) fn field(&mut self, name: &'static str, value: &[u8]) {
        self.member(name, b"\\\"");
        self.end_string(value);
    }

    /// A member with a string value, left out if that is empty.
    #[inline(always)]
    pub(crate) fn field_or_omit(&mut self, name: &'static str, value: &[u8]) {
        if !value.is_empty() {
            self.field(name, value);
        }
    }

    /// A member with a string value, `null` if that is empty.
    #[inline(always)]
    pub(crate) fn field_or_null(&mut self, name: &'static str, value: &[u8]) {
        if value.is_empty() {
            self.member(name, b"null");
        } else {
            self.field(name, value);
        }
    }

    /// A member with a boolean value.
    #[inline(always)]
    pub(crate) fn field_bool(&mut self, name: &'static str, value: bool) {
        if value {
            self.member(name, b"true");
        } else {
            self.member(name, b"false");
        }
    }

    /// A member with an integer value.
    #[inline(always)]
    pub(crate) fn field_int(&mut self, name: &'static str, value: i64) {
        self.key(name);
        self.int(value);
    }

    /// A member with the 16 hex digits of an id.
    #[inline(always)]
    pub(crate) fn field_id(&mut self, name: &'static str, id: [u8; 8]) {
        self.member(name, b"\\\"");
        self.hex(&id);
        self.quote();
    }

    /// A string in quotes.
    pub(crate) fn string(&mut self, text: &[u8]) {
        self.quote();
        self.end_string(text);
    }

    /// A string whose first quote is there.
    fn end_string(&mut self, text: &[u8]) {
        self.part(text);
        self.quote();
    }

    /// A part of a string.
    #[inline]
    pub(crate) fn part(&mut self, text: &[u8]) {
        if self.brief && text.len() > BRIEF_STRING / 6 {
            self.part_briefly(text);
        } else {
            self.part_whole(text);
        }
    }

    /// As much of the beginning as fits.
    fn part_briefly(&mut self, text: &[u8]) {
        let start = self.buf.len();
        // Escapes take up to six bytes, so the last one fits in any case.
        for most in [BRIEF_STRING, BRIEF_STRING / 6] {
            let mut end = most.min(text.len());
            while end > 0 && text.get(end).is_some_and(|&byte| byte & 0xc0 == 0x80) {
                end -= 1;
            }
            self.buf.truncate(start);
            self.part_whole(&text[..end]);
            if end < text.len() {
                self.raw("...");
            }
            if plain_len(&self.buf[start..]) <= BRIEF_STRING + 3 {
                return;
            }
        }
    }

    #[inline]
    fn part_whole(&mut self, text: &[u8]) {
        let plain = match text.last_chunk() {
            // The last word may overlap the one before.
            Some(last) => {
                text.as_chunks().0.iter().chain([last]).all(|w| are_plain(u64::from_le_bytes(*w)))
            }
            None => text.iter().all(|&byte| is_plain(byte)),
        };
        if plain {
            self.buf.extend_from_slice(text);
        } else {
            self.part_slowly(text);
        }
    }

    fn part_slowly(&mut self, text: &[u8]) {
        for chunk in text.utf8_chunks() {
            for &byte in chunk.valid().as_bytes() {
                match byte {
                    b'"' => self.buf.extend_from_slice(br#"\\\""#),
                    b'\\' => self.buf.extend_from_slice(br"\\\\"),
                    b'\n' => self.buf.extend_from_slice(br"\\n"),
                    b'\r' => self.buf.extend_from_slice(br"\\r"),
                    b'\t' => self.buf.extend_from_slice(br"\\t"),
                    0..0x20 => {
                        self.buf.extend_from_slice(br"\\u00");
                        self.hex(&[byte]);
                    }
                    _ => self.buf.push(byte),
                }
            }
            for _ in chunk.invalid() {
                self.raw("\u{fffd}");
            }
        }
    }

    /// A member with a trace id in X-Ray's form, which sets off the time in the first four bytes.
    #[inline(always)]
    pub(crate) fn field_trace_id(&mut self, name: &'static str, id: [u8; 16]) {
        let [a, b, c, d, rest @ ..] = id;
        self.member(name, b"\\\"1-");
        self.hex(&[a, b, c, d]);
        self.raw("-");
        self.hex(&rest);
        self.quote();
    }

    /// Lower-case hex digits.
    fn hex<const N: usize>(&mut self, bytes: &[u8; N]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = bytes.map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]);
        self.buf.extend_from_slice(digits.as_flattened());
    }

    pub(crate) fn int(&mut self, value: i64) {
        self.raw(itoa::Buffer::new().format(value));
    }

    /// A double; NaN and infinities are strings.
    pub(crate) fn double(&mut self, value: f64) {
        if !value.is_finite() {
            self.not_finite = true;
            return self.string(not_finite(value).as_bytes());
        }
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        if !text.contains('e') {
            return self.raw(text.strip_suffix(".0").unwrap_or(text));
        }
        // Go changes to exponents elsewhere, and writes them differently.
        let size = value.abs();
        if size != 0.0 && !(1e-6..1e21).contains(&size) {
            let text = format!("{value:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            let _ = write!(self.buf, "{digits}e{sign}{exponent}");
        } else {
            let _ = write!(self.buf, "{value}");
        }
    }

    /// Standard base64 with padding, without quotes.
    pub(crate) fn base64(&mut self, bytes: &[u8]) {
        let start = self.buf.len();
        let length = base64::encoded_len(bytes.len(), true).unwrap_or(0);
        self.buf.resize(start + length, b'=');
        // The room is exact, so this cannot fail.
        let _ = STANDARD.encode_slice(bytes, &mut self.buf[start..]);
    }

    /// An attribute value as plain JSON. Nothing and empty bytes are `null`.
    #[inline]
    pub(crate) fn value(&mut self, value: &Value<'_>) {
        self.nested(value, 0);
    }

    fn nested(&mut self, value: &Value<'_>, depth: usize) {
        match value {
            Value::Str(text) => self.string(text),
            Value::Bool(value) => self.raw(if *value { "true" } else { "false" }),
            Value::Int(value) => self.int(*value),
            Value::Double(value) => self.double(*value),
            Value::Bytes(bytes) if !bytes.is_empty() => {
                self.quote();
                self.base64(bytes);
                self.quote();
            }
            Value::Array(values) if depth < MAX_DEPTH => {
                self.buf.push(b'[');
                for value in values.clone() {
                    self.separate();
                    self.nested(&value, depth + 1);
                }
                self.buf.push(b']');
            }
            Value::Map(members) if depth < MAX_DEPTH => self.map(members, depth + 1),
            Value::Empty | Value::Bytes(_) | Value::Array(_) | Value::Map(_) => self.raw("null"),
        }
    }

    /// An object; of equal keys the last one counts.
    pub(crate) fn map(&mut self, members: &Attributes<'_>, depth: usize) {
        let mut members: Vec<_> = members.clone().collect();
        // Stable, so that the last of equal keys stays the last.
        members.sort_by_key(|(key, _)| *key);
        self.buf.push(b'{');
        for (i, (key, value)) in members.iter().enumerate() {
            if members.get(i + 1).is_none_or(|(next, _)| next != key) {
                self.foreign_key(key);
                self.nested(value, depth);
            }
        }
        self.buf.push(b'}');
    }
}

#[cfg(test)]
mod tests;
