//! Durations as Go's `time.ParseDuration` reads them: `10s`, `1m30s`, `1.5h`, `500ms`, `0`.

use std::time::Duration;

/// Parses a duration of zero or more. `None` if the text is none, is negative or is beyond what
/// Go's 64-bit nanoseconds hold (about 292 years).
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (nanos, tail) = part(rest)?;
        total = total.checked_add(nanos)?;
        rest = tail;
    }
    if text.is_empty() || total > i64::MAX as u128 {
        return None;
    }
    Some(Duration::from_nanos(total as u64))
}

/// A duration as it is written: in the largest unit that leaves a whole number.
pub(super) fn show(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let units = [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000)];
    let small = [("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
    let unit = units.into_iter().chain(small).find(|(_, scale)| nanos.is_multiple_of(*scale));
    match unit {
        Some((unit, scale)) if nanos > 0 => format!("{}{unit}", nanos / scale),
        _ => "0".to_owned(),
    }
}

/// One number with its unit, in nanoseconds, and what follows.
fn part(text: &str) -> Option<(u128, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (whole, mut rest) = text.split_at(digits);
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        let end = after.find(|c: char| !c.is_ascii_digit())?;
        (fraction, rest) = after.split_at(end);
    }
    // 19 digits are more than an i64 of nanoseconds holds, and keep the sums below in range.
    if (whole.is_empty() && fraction.is_empty()) || whole.len() > 19 {
        return None;
    }
    let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let scale: u128 = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction = &fraction[..fraction.len().min(18)];
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let nanos = whole * scale + part * scale / 10_u128.pow(fraction.len() as u32);
    Some((nanos, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_reads_them() {
        for (text, millis) in [
            ("0", 0.0),
            ("0s", 0.0),
            ("10s", 10_000.0),
            ("1m30s", 90_000.0),
            ("500ms", 500.0),
            ("1.5h", 5_400_000.0),
            (".5s", 500.0),
            ("1.s", 1_000.0),
            ("+2s", 2_000.0),
            ("250us", 0.25),
            ("1h1ns", 3_600_000.000_001),
        ] {
            let nanos = parse(text).map(|d| d.as_nanos() as f64);
            assert_eq!(nanos, Some(millis * 1e6), "{text}");
        }
        let bad = ["", "10", "s", "-1s", "1 s", "1d", "1s5", ".s", "1..5s", "soon", "1S", "9e9s"];
        for text in bad {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("2562047h47m16.854775807s"), Some(Duration::from_nanos(i64::MAX as u64)));
        assert_eq!(parse("2562048h"), None);
        assert_eq!(parse(&"9".repeat(400)), None);
    }
}
