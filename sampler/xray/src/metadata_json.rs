//! The JSON text in `aws.xray.metadata.*` attributes, read as Go's `encoding/json` reads it:
//! numbers are doubles, a lone surrogate escape is U+FFFD, the last of equal keys counts.

use serde_json::{Map, Value};

use crate::json::Json;

/// The members of an object; `Some(None)` for `null`. Nothing for any other text.
pub(crate) fn parse(text: &[u8]) -> Option<Option<Map<String, Value>>> {
    let mut repaired = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        repaired.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|_| repaired.push('\u{fffd}'));
    }
    if has_surrogate(repaired.as_bytes()) {
        repaired = without_lone_surrogates(&repaired);
    }
    match serde_json::from_str(&repaired) {
        Ok(Value::Object(members)) => Some(Some(members)),
        Ok(Value::Null) => Some(None),
        _ => None,
    }
}

/// Writes a value.
pub(crate) fn write(json: &mut Json, value: &Value) {
    match value {
        Value::Null => json.raw("null"),
        Value::Bool(value) => json.raw(if *value { "true" } else { "false" }),
        // Every number that is read without error is within the range of doubles.
        Value::Number(number) => json.double(number.as_f64().unwrap_or(0.0)),
        Value::String(text) => json.string(text.as_bytes()),
        Value::Array(values) => {
            json.raw("[");
            for value in values {
                json.separate();
                write(json, value);
            }
            json.raw("]");
        }
        Value::Object(members) => {
            json.raw("{");
            for (key, value) in members {
                json.foreign_key(key.as_bytes());
                write(json, value);
            }
            json.raw("}");
        }
    }
}

fn has_surrogate(text: &[u8]) -> bool {
    text.windows(3).any(|w| matches!(w, [b'\\', b'u', b'd' | b'D']))
}

/// The code unit of the escape `\uXXXX` at the beginning of `text`.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, &b| Some(unit * 16 + char::from(b).to_digit(16)? as u16))
}

/// Replaces the escapes of surrogates that have no partner.
fn without_lone_surrogates(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut at) = (0, 0);
    while let Some(escape) = bytes[at..].iter().position(|&b| b == b'\\') {
        at += escape;
        let is_high = |unit: &u16| (0xd800..0xdc00).contains(unit);
        let is_low = |unit: &u16| (0xdc00..0xe000).contains(unit);
        match unit(&bytes[at..]) {
            Some(high) if is_high(&high) && unit(&bytes[at + 6..]).as_ref().is_some_and(is_low) => {
                at += 12;
            }
            Some(alone) if is_high(&alone) || is_low(&alone) => {
                out.push_str(&text[copied..at]);
                out.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
            Some(_) => at += 6,
            // Another escape: two characters, the second of which can be a backslash.
            None => at = (at + 2).min(bytes.len()),
        }
    }
    out.push_str(&text[copied..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &[u8]) -> Option<String> {
        let members = parse(text)??;
        let mut json = Json::default();
        write(&mut json, &Value::Object(members));
        Some(String::from_utf8(json.into_plain()).expect("UTF-8"))
    }

    #[test]
    fn numbers_are_doubles() {
        let text = br#" {"a":12345678901234567890,"b":9007199254740993,"c":3.0,"d":1e21} "#;
        let want = r#"{"a":12345678901234567000,"b":9007199254740992,"c":3,"d":1e+21}"#;
        assert_eq!(rewritten(text).as_deref(), Some(want));
        assert_eq!(parse(br#"{"a":1e400}"#), None);
    }

    #[test]
    fn lone_surrogates() {
        let cases = [
            (r#"{"a":"\ud800"}"#, "\u{fffd}"),
            (r#"{"a":"\ude00\ud83d\ude80"}"#, "\u{fffd}\u{1f680}"),
            (r#"{"a":"\ud83d\ud83d\ude80"}"#, "\u{fffd}\u{1f680}"),
            (r#"{"a":"\ud800x"}"#, "\u{fffd}x"),
            (r#"{"a":"\\ud800"}"#, "\\\\ud800"),
        ];
        for (text, want) in cases {
            assert_eq!(rewritten(text.as_bytes()), Some(format!("{{\"a\":\"{want}\"}}")), "{text}");
        }
    }

    #[test]
    fn only_objects_and_null() {
        assert_eq!(parse(b"null"), Some(None));
        for text in ["", "[]", "1", "{} x", "{\"a\":01}", "\"\\", "{\"a\":\"\\"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(rewritten(b"{\"a\":1,\"a\":\"\xff\"}").as_deref(), Some("{\"a\":\"\u{fffd}\"}"));
    }
}
