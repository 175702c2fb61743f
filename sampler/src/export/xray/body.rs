//! The body of a `PutTraceSegments` call: documents, which are JSON, as strings in JSON.

use bytes::Bytes;

use super::call::Document;

/// Bytes of a document that are escaped at a time.
const PIECE: usize = 512;
const WORD: usize = 8;

/// A call with these documents.
pub(super) fn body(documents: &[Document]) -> Bytes {
    let bytes: usize = documents.iter().map(|document| document.json.len() + 4).sum();
    // Commonly less than every fourth byte is escaped.
    let mut body = Vec::with_capacity(64 + bytes + bytes / 4);
    body.extend_from_slice(b"{\"TraceSegmentDocuments\":[");
    for (n, document) in documents.iter().enumerate() {
        body.extend_from_slice(if n == 0 { b"\"" } else { b",\"" });
        escape(&document.json, &mut body);
        body.push(b'"');
    }
    body.extend_from_slice(b"]}");
    body.into()
}

/// Appends a JSON text as it stands inside a JSON string: only its quotes and backslashes have to
/// be escaped. There is one every few bytes, so they are found in words, four times as fast as one
/// by one.
fn escape(json: &[u8], out: &mut Vec<u8>) {
    // Twice the room, and two words that may be written beyond.
    let mut piece = [0; 2 * PIECE + 2 * WORD];
    for bytes in json.chunks(PIECE) {
        let mut at = 0;
        let (words, rest) = bytes.as_chunks::<WORD>();
        for &word in words {
            at = escape_word(u64::from_le_bytes(word), &mut piece, at);
        }
        for &byte in rest {
            piece[at] = b'\\';
            at += usize::from(matches!(byte, b'"' | b'\\'));
            piece[at] = byte;
            at += 1;
        }
        out.extend_from_slice(&piece[..at]);
    }
}

/// Writes a word at `at`: first as it is; then, for each byte to be escaped, a backslash in its
/// place and what follows anew behind that. Returns where the next one begins.
#[inline]
fn escape_word(word: u64, piece: &mut [u8], mut at: usize) -> usize {
    piece[at..at + WORD].copy_from_slice(&word.to_le_bytes());
    let mut found = equal(word, b'"') | equal(word, b'\\');
    let mut written = 0;
    while found != 0 {
        let byte = found.trailing_zeros() as usize / 8;
        at += byte - written;
        piece[at] = b'\\';
        at += 1;
        piece[at..at + WORD].copy_from_slice(&(word >> (8 * byte)).to_le_bytes());
        written = byte;
        found &= found - 1;
    }
    at + WORD - written
}

/// The highest bit of each byte that is `byte`.
#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let zero = word ^ u64::from_le_bytes([byte; WORD]);
    !(((zero & LOW) + LOW) | zero | LOW)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn document(json: &str) -> Document {
        Document { item: 0, span: 0, json: Bytes::copy_from_slice(json.as_bytes()) }
    }

    const TEXT: &str = "[\"\\\\#\\]!\\[a\u{e9}\u{2022}]{0,40}|.{0,700}";

    proptest! {
        /// Any texts come out of a JSON reader as they went in; dense in what is escaped, and in
        /// what differs from that by one bit or one.
        #[test]
        fn what_a_reader_gets(texts in prop::collection::vec(TEXT, 0..4)) {
            let plain = |text: &String| text.replace(char::is_control, " ");
            let texts: Vec<_> = texts.iter().map(plain).collect();
            let documents: Vec<_> = texts.iter().map(|text| document(text)).collect();
            let read: Value = serde_json::from_slice(&body(&documents)).unwrap();
            prop_assert_eq!(&read["TraceSegmentDocuments"], &serde_json::json!(texts));
        }
    }

    #[test]
    fn every_place_in_a_word_and_a_piece() {
        for text in ["\"", "\\", "\"\"", "#\"]", "\\\""] {
            for before in (0..20).chain(PIECE - 10..PIECE + 10) {
                let text = format!("{}{text}{}", "x".repeat(before), "y".repeat(9));
                let read: Value = serde_json::from_slice(&body(&[document(&text)])).unwrap();
                assert_eq!(read["TraceSegmentDocuments"][0], text);
            }
        }
        let all = "\"".repeat(3 * PIECE + 5);
        let read: Value = serde_json::from_slice(&body(&[document(&all)])).unwrap();
        assert_eq!(read["TraceSegmentDocuments"][0], all);
    }
}
