//! Go: pairs of lines, the function and then its place.

use super::{find, integer, lines};
use crate::exceptions::{Exceptions, Frame};

pub(super) fn parse(stack: &[u8], out: &mut Exceptions<'_, '_>) {
    let mut lines = lines(stack).skip(1);
    let mut frame = Frame::default();
    while let Some(line) = lines.next() {
        let label = if is_header(line) { lines.next().unwrap_or_default() } else { line };
        let second = lines.next().unwrap_or_default();
        // Without a place, that of the frame before stays.
        if let Some((path, line)) = place(second) {
            frame = Frame { path, line, label };
        }
        frame.label = label;
        out.frame(frame);
    }
}

/// `^goroutine.*\brunning\b.*:$`
fn is_header(line: &[u8]) -> bool {
    let Some(text) = line.strip_prefix(b"goroutine").and_then(|rest| rest.strip_suffix(b":"))
    else {
        return false;
    };
    let is_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let mut from = 0;
    while let Some(at) = find(&text[from..], b"running") {
        let start = from + at;
        // At the very beginning the word goes on from `goroutine`.
        let inside = start == 0 || is_word(text.get(start - 1));
        if !inside && !is_word(text.get(start + b"running".len())) {
            return true;
        }
        from = start + 1;
    }
    false
}

/// The first match of `([^:\s]+):(\d+)`.
fn place(line: &[u8]) -> Option<(&[u8], i64)> {
    let mut start = 0;
    for (at, byte) in line.iter().enumerate() {
        if matches!(byte, b':' | b' ' | b'\t' | b'\n' | b'\r' | 0x0c) {
            let digits = &line[at + 1..];
            let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
            if *byte == b':' && at > start && count > 0 {
                return Some((&line[start..at], integer(&digits[..count])));
            }
            start = at + 1;
        }
    }
    None
}
