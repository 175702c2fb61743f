//! JavaScript: `    at label (path:line:column)` or `    at path:line:column`.

use super::{find, integer, lines, position};
use crate::exceptions::{Exceptions, Frame};

pub(super) fn parse(stack: &[u8], out: &mut Exceptions<'_, '_>) {
    for line in lines(stack).skip(1) {
        if let Some(text) = line.strip_prefix(b"    at ") {
            let frame = frame(text);
            if frame != Frame::default() {
                out.frame(frame);
            }
        }
    }
}

fn frame(text: &[u8]) -> Frame<'_> {
    let (label, path): (&[u8], &[u8]) = match (position(text, b'('), text.strip_suffix(b")")) {
        // The label keeps its trailing blank.
        (Some(open), Some(inside)) => (&text[..open], &inside[open + 1..]),
        (Some(_), None) => (&[], &[]),
        (None, _) => (&[], text),
    };
    let mut pieces = path.splitn(3, |&b| b == b':');
    let (first, second, third) = (pieces.next(), pieces.next(), pieces.next());
    match (first, second, third) {
        (Some(path), Some(line), Some(_)) => Frame { path, label, line: integer(line) },
        (_, None, _) if find(path, b"native").is_some() => {
            Frame { path: b"native", label, line: 0 }
        }
        _ => Frame { path, label, line: 0 },
    }
}
