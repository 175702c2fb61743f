//! Reads back what stands inside a JSON string: a text whose quotes and backslashes have a backslash
//! before them, and which has no other escapes.

/// The text by itself.
pub(crate) fn plain(escaped: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(&byte) = bytes.next() {
        let byte = if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte };
        plain.push(byte);
    }
    plain
}

/// How many bytes [`plain`] gives.
pub(crate) fn plain_len(escaped: &[u8]) -> usize {
    let mut bytes = escaped.iter();
    let mut len = 0;
    while let Some(byte) = bytes.next() {
        if *byte == b'\\' {
            bytes.next();
        }
        len += 1;
    }
    len
}
