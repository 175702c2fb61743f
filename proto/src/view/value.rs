//! Attributes and their values.

use super::fields;
use crate::wire::{Field, Fields, Wire};

/// A list of key-value pairs, in order; duplicate keys are kept.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    fields: Fields<'a>,
    number: u32,
}

/// An `AnyValue`, borrowed.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// Nothing is set.
    Empty,
    /// A string; not checked to be UTF-8.
    Str(&'a [u8]),
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// An array of values.
    Array(ArrayView<'a>),
    /// A list of key-value pairs.
    Map(Attributes<'a>),
    /// Raw bytes.
    Bytes(&'a [u8]),
}

/// The values of an array, in order.
#[derive(Debug, Clone)]
pub struct ArrayView<'a> {
    fields: Fields<'a>,
}

/// The last eight bytes of a key, or all of a shorter one: keys differ sooner there than in their
/// first.
#[inline]
pub const fn key_tail(key: &[u8]) -> u64 {
    if let Some(last) = key.last_chunk::<8>() {
        return u64::from_le_bytes(*last);
    }
    let (mut tail, mut rest) = (0, key);
    while let [byte, after @ ..] = rest {
        tail = tail << 8 | *byte as u64;
        rest = after;
    }
    tail
}

/// Key and value of the `KeyValue` message in `pair`; the value is an `AnyValue` message.
#[inline]
pub fn key_value(pair: &[u8]) -> (&[u8], &[u8]) {
    // What encoders write: the key, then the value, both below 128 bytes.
    if let [0x0a, len @ ..0x80, rest @ ..] = pair
        && let Some((key, rest)) = rest.split_at_checked(usize::from(*len))
        && let [0x12, len @ ..0x80, value @ ..] = rest
        && value.len() == usize::from(*len)
    {
        return (key, value);
    }
    key_value_slow(pair)
}

fn key_value_slow(pair: &[u8]) -> (&[u8], &[u8]) {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    for field in fields(pair) {
        match (field.number, field.value) {
            (1, Wire::Len(bytes)) => key = bytes,
            (2, Wire::Len(bytes)) => value = bytes,
            _ => {}
        }
    }
    (key, value)
}

// === impl Attributes ===

impl<'a> Attributes<'a> {
    /// The key-value pairs in field `number` of the message in `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8], number: u32) -> Self {
        Self { fields: Fields::new(bytes), number }
    }

    /// The pairs as they stand, each a `KeyValue` message.
    #[inline]
    pub fn pairs(self) -> impl Iterator<Item = &'a [u8]> {
        let Self { fields, number } = self;
        fields
            .sound()
            .filter(move |field| field.number == number)
            .filter_map(|f| f.value.len_bytes())
    }

    /// The value of the first pair with this key.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.clone().find(|(k, _)| *k == key.as_bytes()).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a [u8], Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let field = self.fields.next()?.ok()?;
            match field {
                Field { number, value: Wire::Len(bytes), .. } if number == self.number => {
                    let (key, value) = key_value(bytes);
                    return Some((key, Value::new(value)));
                }
                _ => continue,
            }
        }
    }
}

// === impl Value ===

impl<'a> Value<'a> {
    /// The `AnyValue` message in `bytes`. Of several set members the last counts.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        match bytes {
            // A short string and nothing else.
            [0x0a, len @ ..0x80, text @ ..] if text.len() == usize::from(*len) => Value::Str(text),
            _ => Self::read(bytes),
        }
    }

    fn read(bytes: &'a [u8]) -> Self {
        let mut value = Value::Empty;
        for field in fields(bytes) {
            value = match (field.number, field.value) {
                (1, Wire::Len(bytes)) => Value::Str(bytes),
                (2, Wire::Varint(v)) => Value::Bool(v != 0),
                (3, Wire::Varint(v)) => Value::Int(v as i64),
                (4, Wire::Fixed64(v)) => Value::Double(f64::from_bits(v)),
                (5, Wire::Len(bytes)) => Value::Array(ArrayView { fields: Fields::new(bytes) }),
                (6, Wire::Len(bytes)) => Value::Map(Attributes::new(bytes, 1)),
                (7, Wire::Len(bytes)) => Value::Bytes(bytes),
                _ => value,
            };
        }
        value
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&'a [u8]> {
        match self {
            Value::Str(bytes) => Some(bytes),
            _ => None,
        }
    }
}

// === impl ArrayView ===

impl<'a> ArrayView<'a> {
    /// The `ArrayValue` message in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { fields: Fields::new(bytes) }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.clone().count()
    }

    /// No values.
    pub fn is_empty(&self) -> bool {
        self.clone().next().is_none()
    }
}

impl<'a> Iterator for ArrayView<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let field = self.fields.next()?.ok()?;
            if let Field { number: 1, value: Wire::Len(bytes), .. } = field {
                return Some(Value::new(bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pairs_in_any_encoding() {
        let (key, value): (&[u8], &[u8]) = (b"\x0a\x01k", b"\x12\x02\x18\x05");
        let long_length = b"\x12\x82\x00\x18\x05";
        for parts in [
            &[key, value][..],
            &[value, key],
            &[b"\x0a\x01x", key, value],
            &[key, b"\x12\x00", value],
            &[key, long_length],
            &[key, value, b"\x78\x01"],
        ] {
            let pair = parts.concat();
            assert_eq!(key_value(&pair), (&b"k"[..], &b"\x18\x05"[..]), "{pair:x?}");
        }
        assert_eq!(key_value(key), (&b"k"[..], &b""[..]));
        assert_eq!(key_value(b"\x0a\x05k"), (&b""[..], &b""[..]));
    }

    #[test]
    fn reads_strings_in_any_encoding() {
        let text: &[u8] = b"\x0a\x02ab";
        for parts in [&[text][..], &[b"\x18\x05", text], &[b"\x0a\x82\x00ab"], &[text, b"\x78\x01"]]
        {
            let value = parts.concat();
            assert_eq!(Value::new(&value).as_str(), Some(&b"ab"[..]), "{value:x?}");
        }
        assert!(matches!(Value::new(&[text, b"\x18\x05"].concat()), Value::Int(5)));
        assert!(matches!(Value::new(b"\x0a\x03ab"), Value::Empty));
        assert!(matches!(Value::new(b"\x0a\x00"), Value::Str(b"")));
    }
}
