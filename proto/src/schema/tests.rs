//! `check` against the rules written down plainly: no reading ahead, no short cut.
#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use super::*;

// Not all of it is for here.
#[allow(dead_code)]
#[path = "../../tests/support/mod.rs"]
mod support;

/// A varint, and how many bytes it has.
fn varint(bytes: &[u8]) -> Result<(u64, usize), WireError> {
    let mut value = 0u128;
    for at in 0..10 {
        let byte = *bytes.get(at).ok_or(WireError::Truncated)?;
        value |= u128::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 || at == 9 {
            let value = u64::try_from(value).ok().filter(|_| byte < 0x80);
            return value.map(|value| (value, at + 1)).ok_or(WireError::Varint);
        }
    }
    unreachable!()
}

fn plain(message: &Message, mut bytes: &[u8], depth: usize) -> Result<(), Malformed> {
    while !bytes.is_empty() {
        bytes = &bytes[plain_field(message, bytes, depth)?..];
    }
    Ok(())
}

/// Checks the first field and tells its length.
fn plain_field(message: &Message, bytes: &[u8], depth: usize) -> Result<usize, Malformed> {
    let wire = Malformed::Wire;
    let (tag, at) = varint(bytes).map_err(wire)?;
    if !(1..1 << 29).contains(&(tag >> 3)) {
        return Err(wire(WireError::FieldNumber));
    }
    let wire_type = (tag & 7) as u8;
    let (head, len) = match wire_type {
        0 => (0, varint(&bytes[at..]).map_err(wire)?.1 as u64),
        1 => (0, 8),
        2 => varint(&bytes[at..]).map(|(len, head)| (head, len)).map_err(wire)?,
        5 => (0, 4),
        other => return Err(wire(WireError::WireType(other))),
    };
    let rest = &bytes[at + head..];
    let value = usize::try_from(len).ok().and_then(|len| rest.get(..len));
    let value = value.ok_or(wire(WireError::Truncated))?;
    let inner = match (message.fields.get((tag >> 3) as usize).unwrap_or(&Unknown), wire_type) {
        (Unknown, _) | (Varint, 0) | (Fixed64, 1) | (Bytes, 2) | (Fixed32, 5) => None,
        (Text, 2) => {
            std::str::from_utf8(value).map_err(|_| Malformed::NotText)?;
            None
        }
        (Pair, 2) => Some(&KEY_VALUE),
        (Kind::Message(inner), 2) => Some(*inner),
        _ => return Err(wire(WireError::WireType(wire_type))),
    };
    if let Some(inner) = inner {
        plain(inner, value, depth.checked_sub(1).ok_or(Malformed::TooDeep)?)?;
    }
    Ok(at + head + value.len())
}

/// Pairs as they come, some too long for a length of one byte.
fn pair() -> impl Strategy<Value = KeyValue> {
    let text = "[ -~]{0,40}|[ -~]{0,5}\u{e9}[a-z]{0,9}|[a-z]{120,130}";
    let value = prop_oneof![
        text.prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        (any::<i64>(), 0..64).prop_map(|(n, shift)| Value::IntValue(n >> shift)),
        any::<f64>().prop_map(Value::DoubleValue),
    ];
    let value = value.prop_map(|value| AnyValue { value: Some(value) });
    (text, prop_oneof![4 => value, 1 => support::any_value()]).prop_map(|(key, value)| KeyValue {
        key,
        value: Some(value),
        ..Default::default()
    })
}

fn span() -> impl Strategy<Value = Vec<u8>> {
    (support::span(), vec(pair(), 0..4)).prop_map(|(mut span, pairs)| {
        span.attributes.extend(pairs);
        span.encode_to_vec()
    })
}

/// Bytes that mean something in these messages, and any other.
fn byte() -> impl Strategy<Value = u8> {
    static KNOWN: [u8; 10] = [0, 0x0a, 0x10, 0x12, 0x18, 0x1a, 0x21, 0x7f, 0x80, 0xff];
    prop_oneof![proptest::sample::select(&KNOWN[..]), any::<u8>(), 0..20u8]
}

/// Sets, adds to, inserts or removes bytes.
fn mutate(bytes: &mut Vec<u8>, changes: Vec<(u8, prop::sample::Index, u8)>) {
    for (how, at, byte) in changes {
        let at = at.index(bytes.len() + 1);
        match how {
            0 => bytes.insert(at, byte),
            _ if at == bytes.len() => bytes.truncate(at.saturating_sub(1)),
            1 => bytes[at] = byte,
            2 => bytes[at] = bytes[at].wrapping_add(1),
            3 => bytes[at] = bytes[at].wrapping_sub(1),
            _ => drop(bytes.remove(at)),
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, u8)>> {
    vec((0..5u8, any::<prop::sample::Index>(), byte()), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 5_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn spans_are_judged_by_the_plain_rules(
        mut bytes in span(),
        changes in changes(),
        depth in 0..8usize,
    ) {
        mutate(&mut bytes, changes);
        prop_assert_eq!(SPAN.check(&bytes, depth), plain(&SPAN, &bytes, depth));
    }

    /// As a pair in a list, whose length fits: so that what was changed is inside the pair, or inside its value.
    #[test]
    fn pairs_are_judged_by_the_plain_rules(
        pair in pair(),
        in_value in any::<bool>(),
        changes in changes(),
        depth in 0..6usize,
    ) {
        let value = pair.value.clone().unwrap_or_default();
        let mut value = value.encode_to_vec();
        let mut pair = pair.encode_to_vec();
        if in_value {
            // With a length that fits, too.
            let head = 1 + crate::wire::varint_len(value.len() as u64);
            pair.truncate(pair.len() - head - value.len());
            mutate(&mut value, changes);
            crate::wire::put_len(&mut pair, 2, &value);
        } else {
            mutate(&mut pair, changes);
        }
        let mut list = Vec::new();
        crate::wire::put_len(&mut list, 1, &pair);
        let plainly = plain(&KEY_VALUE_LIST, &list, depth);
        prop_assert_eq!(KEY_VALUE_LIST.check(&list, depth), plainly);
        prop_assert!(plainly.is_ok() || depth < 2 || !is_plain_pair(&pair));
    }
}

#[test]
fn pairs_as_senders_make_them_are_plain() {
    let value = |value| Some(AnyValue { value: Some(value) });
    let long = "x".repeat(100);
    let values = [
        Value::StringValue(long),
        Value::BoolValue(true),
        Value::IntValue(i64::MAX),
        Value::DoubleValue(f64::NAN),
    ];
    for value in values.map(value) {
        let pair = KeyValue { key: "http.route".to_owned(), value, ..Default::default() };
        assert!(is_plain_pair(&pair.encode_to_vec()), "{pair:?}");
    }
}
