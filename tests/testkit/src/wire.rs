//! The ids of the spans in an OTLP request, read from the wire without decoding it.
//!
//! This is the oracle's own reader: it shares no code with the program under test.

use crate::SpanKey;

/// The bytes are no protobuf of the shape expected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an ExportTraceServiceRequest: {0}")]
pub struct NotOtlp(&'static str);

/// One protobuf field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Varint and fixed fields.
    Number(u64),
    /// Length-delimited fields.
    Bytes(&'a [u8]),
}

/// The fields of one message, in order of the wire.
pub struct Fields<'a>(&'a [u8]);

// === impl Fields ===

impl<'a> Fields<'a> {
    /// Reads `message`, the body of a protobuf message.
    pub fn new(message: &'a [u8]) -> Self {
        Fields(message)
    }

    fn varint(&mut self) -> Result<u64, NotOtlp> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(NotOtlp("cut varint"))?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(NotOtlp("long varint"))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], NotOtlp> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(NotOtlp("cut field"))?;
        self.0 = rest;
        Ok(head)
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), NotOtlp> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Number(little_endian(self.take(8)?)),
            2 => {
                let len = self.varint()?;
                Value::Bytes(self.take(usize::try_from(len).unwrap_or(usize::MAX))?)
            }
            5 => Value::Number(little_endian(self.take(4)?)),
            _ => return Err(NotOtlp("wire type")),
        };
        Ok((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), NotOtlp>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte))
}

/// Calls `each` with the ids of every span of `request`, an ExportTraceServiceRequest.
///
/// # Errors
/// When the framing is broken or an id has a wrong length; spans before that place were reported.
pub fn span_keys(request: &[u8], mut each: impl FnMut(SpanKey)) -> Result<(), NotOtlp> {
    // resource_spans = 1, scope_spans = 2, spans = 2.
    messages(request, 1, &mut |resource_spans| {
        messages(resource_spans, 2, &mut |scope_spans| {
            messages(scope_spans, 2, &mut |span| {
                each(key(span)?);
                Ok(())
            })
        })
    })
}

fn messages(
    message: &[u8],
    number: u64,
    each: &mut dyn FnMut(&[u8]) -> Result<(), NotOtlp>,
) -> Result<(), NotOtlp> {
    for field in Fields::new(message) {
        if let (n, Value::Bytes(body)) = field?
            && n == number
        {
            each(body)?;
        }
    }
    Ok(())
}

fn key(span: &[u8]) -> Result<SpanKey, NotOtlp> {
    let (mut trace, mut id) = (None, None);
    for field in Fields::new(span) {
        match field? {
            (1, Value::Bytes(b)) => trace = b.try_into().ok(),
            (2, Value::Bytes(b)) => id = b.try_into().ok(),
            _ => {}
        }
        // The ids come first in what every known encoder writes.
        if let (Some(trace), Some(span)) = (trace, id) {
            return Ok(SpanKey { trace, span });
        }
    }
    Err(NotOtlp("span without ids"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_framing_is_told() {
        let nothing = |bytes: &[u8]| span_keys(bytes, |_| panic!("no span here"));
        assert_eq!(nothing(&[]), Ok(()));
        assert_eq!(nothing(&[0x0a, 5, 1]), Err(NotOtlp("cut field")));
        assert_eq!(nothing(&[0x0b, 5]), Err(NotOtlp("wire type")));
        assert_eq!(nothing(&[0xff; 11]), Err(NotOtlp("long varint")));
        // A span with a trace id of 3 bytes.
        let span = [0x0a, 9, 0x12, 7, 0x12, 5, 0x0a, 3, 1, 2, 3];
        assert_eq!(nothing(&span), Err(NotOtlp("span without ids")));
    }
}
