//! Protobuf's wire format: varints and fields, bounds-checked.
//!
//! Groups (wire types 3 and 4) are refused: OTLP has none, and skipping them would need recursion.
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

use thiserror::Error;

/// Why bytes are not protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    /// The bytes end inside a field.
    #[error("truncated")]
    Truncated,
    /// A varint is longer than ten bytes or overflows 64 bits.
    #[error("varint too long")]
    Varint,
    /// The field number is 0 or over 2^29 - 1.
    #[error("invalid field number")]
    FieldNumber,
    /// A wire type that protobuf 3 does not use, or this field does not have.
    #[error("unexpected wire type {0}")]
    WireType(u8),
}

/// The value of one field, as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: a string, bytes, message or packed list.
    Len(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The field's number.
    pub number: u32,
    /// Its value.
    pub value: Wire<'a>,
    /// Where its tag begins in the message, in bytes.
    pub start: usize,
    /// Where its value ends in the message, in bytes.
    pub end: usize,
}

/// The fields of one message, in wire order. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The fields of one message up to its first error.
#[derive(Debug, Clone)]
pub struct Sound<'a>(Fields<'a>);

/// Appends a varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The length of a varint, in bytes.
#[inline]
pub fn varint_len(value: u64) -> usize {
    ((63 - (value | 1).leading_zeros() as usize) * 9 + 73) / 64
}

/// Appends a length-delimited field.
#[inline]
pub fn put_len(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

#[inline]
fn read_varint(bytes: &[u8], at: &mut usize) -> Result<u64, WireError> {
    // Nearly all tags and lengths are one byte.
    let first = *bytes.get(*at).ok_or(WireError::Truncated)?;
    *at += 1;
    if first < 0x80 {
        return Ok(u64::from(first));
    }
    let mut value = u64::from(first & 0x7f);
    for shift in (7..64).step_by(7) {
        let byte = *bytes.get(*at).ok_or(WireError::Truncated)?;
        *at += 1;
        if shift == 63 && byte > 1 {
            return Err(WireError::Varint);
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(WireError::Varint)
}

#[inline]
fn read_array<const N: usize>(bytes: &[u8], at: &mut usize) -> Result<[u8; N], WireError> {
    let end = at.checked_add(N).ok_or(WireError::Truncated)?;
    let slice = bytes.get(*at..end).ok_or(WireError::Truncated)?;
    *at = end;
    slice.try_into().map_err(|_| WireError::Truncated)
}

// === impl Wire ===

impl<'a> Wire<'a> {
    /// The number of the wire type.
    pub fn wire_type(self) -> u8 {
        match self {
            Wire::Varint(_) => 0,
            Wire::Fixed64(_) => 1,
            Wire::Len(_) => 2,
            Wire::Fixed32(_) => 5,
        }
    }

    /// The bytes of a length-delimited value.
    #[inline]
    pub fn len_bytes(self) -> Option<&'a [u8]> {
        match self {
            Wire::Len(bytes) => Some(bytes),
            _ => None,
        }
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// Reads the fields of the message in `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The same, but an error is not told: it is the end.
    #[inline]
    pub fn sound(self) -> Sound<'a> {
        Sound(self)
    }

    // Left to the compiler, this became a call as the crate grew: a scan took twice to three times as long.
    #[inline(always)]
    fn read(&mut self) -> Result<Field<'a>, WireError> {
        let start = self.at;
        // Tag and length of one byte each, which most fields have: a sixth less for a scan.
        if let Some(&[tag @ 8..0x80, len @ ..0x80, ref rest @ ..]) = self.bytes.get(start..)
            && tag & 7 == 2
        {
            let value = rest.get(..usize::from(len)).ok_or(WireError::Truncated)?;
            self.at = start + 2 + value.len();
            return Ok(Field {
                number: u32::from(tag >> 3),
                value: Wire::Len(value),
                start,
                end: self.at,
            });
        }
        let tag = read_varint(self.bytes, &mut self.at)?;
        let number = u32::try_from(tag >> 3).map_err(|_| WireError::FieldNumber)?;
        if number == 0 || number > 0x1fff_ffff {
            return Err(WireError::FieldNumber);
        }
        let value = match (tag & 7) as u8 {
            0 => Wire::Varint(read_varint(self.bytes, &mut self.at)?),
            1 => Wire::Fixed64(u64::from_le_bytes(read_array(self.bytes, &mut self.at)?)),
            2 => Wire::Len(self.read_len()?),
            5 => Wire::Fixed32(u32::from_le_bytes(read_array(self.bytes, &mut self.at)?)),
            other => return Err(WireError::WireType(other)),
        };
        Ok(Field { number, value, start, end: self.at })
    }

    #[inline(always)]
    fn read_len(&mut self) -> Result<&'a [u8], WireError> {
        let len = read_varint(self.bytes, &mut self.at)?;
        let len = usize::try_from(len).map_err(|_| WireError::Truncated)?;
        let end = self.at.checked_add(len).ok_or(WireError::Truncated)?;
        let value = self.bytes.get(self.at..end).ok_or(WireError::Truncated)?;
        self.at = end;
        Ok(value)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.at = self.bytes.len();
        }
        Some(field)
    }
}

// === impl Sound ===

impl<'a> Iterator for Sound<'a> {
    type Item = Field<'a>;

    // `map_while` would not be inlined, and be a fifth of what a fold takes.
    #[inline(always)]
    fn next(&mut self) -> Option<Field<'a>> {
        self.0.next()?.ok()
    }
}
