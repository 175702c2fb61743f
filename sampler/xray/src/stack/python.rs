//! Python: `  File "path", line n, in label`, read from the bottom up, so the innermost frame comes
//! first.

use super::java::type_and_message;
use super::{integer, position};
use crate::exceptions::{Exceptions, Frame};

const FILE: &[u8] = b"  File ";
const MARKER: &[u8] = b"During handling of the above exception, another exception occurred:";

pub(super) fn parse(stack: &[u8], out: &mut Exceptions<'_, '_>) {
    let lines: Vec<&[u8]> = stack.split(|&b| b == b'\n').collect();
    // The last piece repeats type and message.
    let mut below = lines.len() - 1;
    while below > 0 {
        let at = below - 1;
        let line = lines[at];
        if line.starts_with(FILE) {
            if let Some(frame) = frame(line) {
                out.frame(frame);
            }
        } else if line.starts_with(MARKER) {
            let file = lines[..at].iter().rposition(|line| line.starts_with(FILE));
            // The message stands between the frame's source line and the blank line above the
            // marker.
            let Some(file) = file.filter(|file| file + 3 <= at) else { return };
            let message = lines[file + 2..at - 1].join(&b'\n');
            if position(&message, b':').is_none() {
                return;
            }
            let (kind, message) = type_and_message(&message);
            out.caused_by(kind, message);
            below = file + 1;
            continue;
        }
        below = at;
    }
}

/// Exactly three parts, or it is not a frame.
fn frame(line: &[u8]) -> Option<Frame<'_>> {
    let mut parts = line.split(|&b| b == b',');
    let (file, number, label) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Some(Frame {
        // Without `  File "` and the closing quote.
        path: file.get(8..file.len() - 1).unwrap_or_default(),
        line: number.strip_prefix(b" line ").map_or(0, integer),
        label: label.strip_prefix(b" in ").unwrap_or_default(),
    })
}
