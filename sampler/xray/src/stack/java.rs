//! Java and PHP: `\tat label(path:line)` frames, `Caused by: ` chains.

use super::{integer, lines, position};
use crate::exceptions::{Exceptions, Frame};

const AT: &[u8] = b"\tat ";

pub(super) fn parse(stack: &[u8], out: &mut Exceptions<'_, '_>) {
    let mut lines = lines(stack).skip(1).peekable();
    while let Some(line) = lines.next() {
        if let Some(frame) = frame(line) {
            out.frame(frame);
        } else if let Some(cause) = line.strip_prefix(b"Caused by: ") {
            let (kind, message) = type_and_message(cause);
            // The message goes on until the next frame, whatever comes in between.
            let mut message = message.to_vec();
            while let Some(more) = lines.next_if(|line| frame(line).is_none()) {
                message.extend_from_slice(more);
            }
            out.caused_by(kind, &message);
        }
    }
}

/// A frame. The label loses its module or class loader prefix, through the first slash.
fn frame(line: &[u8]) -> Option<Frame<'_>> {
    let text = line.strip_prefix(AT)?.strip_suffix(b")")?;
    let open = position(text, b'(')?;
    let label = &text[..open];
    let label = position(label, b'/').map_or(label, |slash| &label[slash + 1..]);
    let place = &text[open + 1..];
    Some(match position(place, b':') {
        Some(colon) => Frame { path: &place[..colon], label, line: integer(&place[colon + 1..]) },
        None => Frame { path: place, label, line: 0 },
    })
}

/// Cuts at the first colon; the byte after it is skipped unseen.
pub(super) fn type_and_message(text: &[u8]) -> (&[u8], &[u8]) {
    match position(text, b':') {
        Some(colon) => (&text[..colon], text.get(colon + 2..).unwrap_or_default()),
        None => (text, &[]),
    }
}
