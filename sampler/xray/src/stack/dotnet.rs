//! .NET: `   at label in path:line n`. Inner exceptions are not told apart.

use super::{find, integer, lines};
use crate::exceptions::{Exceptions, Frame};

const IN: &[u8] = b" in ";

pub(super) fn parse(stack: &[u8], out: &mut Exceptions<'_, '_>) {
    for line in lines(stack).skip(1) {
        let line = match str::from_utf8(line) {
            Ok(text) => text.trim().as_bytes(),
            Err(_) => line.trim_ascii(),
        };
        if line.starts_with(b"at ")
            && let Some(frame) = frame(line)
        {
            out.frame(frame);
        }
    }
}

fn frame(line: &[u8]) -> Option<Frame<'_>> {
    let Some(at) = find(line, IN) else {
        let close = line.iter().rposition(|&b| b == b')')?;
        return Some(Frame { path: b"", label: line.get(3..=close)?, line: 0 });
    };
    // The blank of `at ` may be that of ` in `: then there is no label, and no frame.
    let label = line.get(3..at)?;
    let rest = &line[at + IN.len()..];
    let place = find(rest, IN).map_or(rest, |end| &rest[..end]);
    let Some(colon) = place.iter().rposition(|&b| b == b':') else {
        return Some(Frame { path: place, label, line: 0 });
    };
    let number = &place[colon + 1..];
    let number = match number.strip_prefix(b"line") {
        Some(tail) => tail.get(1..).unwrap_or_default(),
        None => number,
    };
    Some(Frame { path: &place[..colon], label, line: integer(number) })
}
