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

fn key_value(bytes: &[u8]) -> (&[u8], Value<'_>) {
    let mut key: &[u8] = &[];
    let mut value: &[u8] = &[];
    for field in fields(bytes) {
        match (field.number, field.value) {
            (1, Wire::Len(bytes)) => key = bytes,
            (2, Wire::Len(bytes)) => value = bytes,
            _ => {}
        }
    }
    (key, Value::new(value))
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
                    return Some(key_value(bytes));
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
