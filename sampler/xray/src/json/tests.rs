use proptest::prelude::*;

use super::*;

fn written(f: impl Fn(&mut Json)) -> String {
    let mut json = Json::default();
    f(&mut json);
    read(&json)
}

/// As whoever reads the string gets it.
fn read(json: &Json) -> String {
    let inside = str::from_utf8(&json.buf).expect("UTF-8");
    let text: String = serde_json::from_str(&format!("\"{inside}\"")).expect("a string");
    assert_eq!(plain(&json.buf), text.as_bytes());
    assert_eq!(plain_len(&json.buf), text.len());
    text
}

#[test]
fn strings() {
    assert_eq!(written(|j| j.string(b"a\"\\\n\x01/\x7f")), "\"a\\\"\\\\\\n\\u0001/\x7f\"");
    assert_eq!(written(|j| j.string(b"\xe2\x82A\xff")), "\"\u{fffd}\u{fffd}A\u{fffd}\"");
    assert_eq!(written(|j| j.string("\u{e9}\u{1f680}".as_bytes())), "\"\u{e9}\u{1f680}\"");
}

#[test]
fn doubles_as_go_writes_them() {
    let double = |v: f64| written(|j| j.double(v));
    assert_eq!(double(3.0), "3");
    assert_eq!(double(1e20), "100000000000000000000");
    assert_eq!(double(1e21), "1e+21");
    assert_eq!(double(1e-6), "0.000001");
    assert_eq!(double(1.5e-7), "1.5e-7");
    assert_eq!(double(f64::MAX), "1.7976931348623157e+308");
}

fn doubles() -> impl Strategy<Value = f64> {
    let any = prop::num::f64::NORMAL;
    prop_oneof![any, Just(0.0), Just(-0.0), 1e-9..1e22_f64, 1.5e9..2e9_f64]
}

/// Dense in what is escaped and its neighbours.
fn bytes() -> impl Strategy<Value = u8> {
    prop_oneof![0_u8.., 0x1e_u8..0x24, 0x5a_u8..0x5f]
}

proptest! {
    /// As the standard library writes them, where Go does too.
    #[test]
    fn any_double(value in doubles()) {
        let size = value.abs();
        prop_assume!(size == 0.0 || (1e-6..1e21).contains(&size));
        prop_assert_eq!(written(|j| j.double(value)), value.to_string());
    }

    /// A byte at a time gives the same as words.
    #[test]
    fn any_string(text in prop::collection::vec(bytes(), 0..40)) {
        let plain = text.iter().all(|&byte| is_plain(byte));
        let words = text.as_chunks().0;
        for word in words {
            let all = word.iter().all(|&byte| is_plain(byte));
            prop_assert_eq!(are_plain(u64::from_le_bytes(*word)), all);
        }
        let quoted = written(|j| j.string(&text));
        let read: String = serde_json::from_str(&quoted).expect("a JSON string");
        if plain {
            prop_assert_eq!(read.as_bytes(), text);
        } else if let Ok(text) = str::from_utf8(&text) {
            prop_assert_eq!(read, text);
        }
    }
}

#[test]
fn what_is_no_number_is_a_string() {
    for (value, want) in
        [(f64::NAN, "NaN"), (f64::INFINITY, "Infinity"), (f64::NEG_INFINITY, "-Infinity")]
    {
        let mut json = Json::default();
        json.double(value);
        assert_eq!(read(&json), format!("\"{want}\""));
        assert!(json.not_finite);
    }
}

#[test]
fn brief_strings_end_at_a_character() {
    let brief = |text: &str| {
        let mut json = Json { brief: true, ..Json::default() };
        json.string(text.as_bytes());
        read(&json)
    };
    assert_eq!(brief("abc"), "\"abc\"");
    assert_eq!(brief(&"x".repeat(1024)), format!("\"{}\"", "x".repeat(1024)));
    assert_eq!(brief(&"x".repeat(1025)), format!("\"{}...\"", "x".repeat(1024)));
    assert_eq!(brief(&"\u{20ac}".repeat(1000)), format!("\"{}...\"", "\u{20ac}".repeat(341)));
    assert_eq!(brief(&"\x01".repeat(1000)), format!("\"{}...\"", "\\u0001".repeat(170)));
}

#[test]
fn base64_with_padding() {
    assert_eq!(written(|j| j.base64(b"\x00\xff\x10\x01")), "AP8QAQ==");
}
