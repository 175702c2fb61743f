//! Plain scalars by the core schema of YAML 1.2, with Go's number prefixes and underscores.

/// Whether a plain scalar is null.
pub fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// `true` and `false` in the three spellings of the core schema.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A whole number: decimal, `0x`, `0o`, `0b`, with `_` between digits, or a float without a
/// fraction (`1e6`, `5.0`). A leading zero is refused: YAML 1.1 reads it as octal, 1.2 as decimal.
pub fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.ends_with('_') {
        return None;
    }
    let radix = match digits.get(..2) {
        Some("0x" | "0X") => 16,
        Some("0o" | "0O") => 8,
        Some("0b" | "0B") => 2,
        _ => 10,
    };
    let body = if radix == 10 { digits } else { &digits[2..] };
    if body.starts_with(['+', '-']) || (radix == 10 && body.len() > 1 && body.starts_with('0')) {
        return whole_float(text);
    }
    let clean: String = body.chars().filter(|c| *c != '_').collect();
    match i128::from_str_radix(&clean, radix) {
        Ok(value) => i64::try_from(if negative { -value } else { value }).ok(),
        Err(_) if radix == 10 => whole_float(text),
        Err(_) => None,
    }
}

/// A floating point number, or an integer as one. `.inf` and `.nan` are floats too; who takes
/// the number says whether it may be.
pub fn float(text: &str) -> Option<f64> {
    match text.trim_start_matches(['+', '-']) {
        ".inf" | ".Inf" | ".INF" => {
            return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    if let Some(value) = integer_exact(text) {
        return Some(value as f64);
    }
    decimal(text)
}

/// A number in decimal notation, such as `1.5e3`. Asks none of the others, as they ask this.
fn decimal(text: &str) -> Option<f64> {
    let numeric = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    if text.is_empty() || !text.chars().all(numeric) {
        return None;
    }
    text.parse().ok()
}

fn integer_exact(text: &str) -> Option<i64> {
    if text.contains(['.', 'e', 'E']) && !text.contains(['x', 'X']) {
        return None;
    }
    integer(text)
}

fn whole_float(text: &str) -> Option<i64> {
    if !text.contains(['.', 'e', 'E']) {
        return None;
    }
    let value = decimal(text)?;
    // 2^53: above it a float no longer tells neighbouring integers apart.
    (value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0).then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (text, want) in [
            ("0", Some(0)),
            ("-12", Some(-12)),
            ("+7", Some(7)),
            ("0x1F", Some(31)),
            ("0o17", Some(15)),
            ("0b101", Some(5)),
            ("2_000_000", Some(2_000_000)),
            ("1e6", Some(1_000_000)),
            ("5.0", Some(5)),
            ("0.0", Some(0)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1.5", None),
            ("017", None),
            ("", None),
            ("_1", None),
            ("1_", None),
            ("0x", None),
            ("0x-1", None),
            ("--1", None),
            ("abc", None),
            ("e5", None),
            ("1 exit", None),
            ("1ex", None),
        ] {
            assert_eq!(integer(text), want, "{text}");
        }
    }

    #[test]
    fn floats_and_booleans() {
        for (text, want) in
            [("1", Some(1.0)), ("0.1", Some(0.1)), ("-2.5e3", Some(-2500.0)), (".5", Some(0.5))]
        {
            assert_eq!(float(text), want, "{text}");
        }
        for text in ["", "x", "1x", "infinity", "nan", "1.2.3", "-"] {
            assert_eq!(float(text), None, "{text}");
        }
        assert!(float(".nan").is_some_and(f64::is_nan));
        assert_eq!(float("-.inf"), Some(f64::NEG_INFINITY));
        assert_eq!(boolean("True"), Some(true));
        assert_eq!(boolean("yes"), None);
    }
}
