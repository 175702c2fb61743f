//! Stack traces as text, by language of the SDK.
//!
//! The first line repeats type and message and is skipped. An integer that is none counts as 0, and
//! one that overflows as the 64-bit limit. Rules: the AWS X-Ray exporter of the OpenTelemetry
//! Collector, with its crashes replaced by the nearest harmless reading.

use crate::exceptions::Exceptions;

mod dotnet;
mod go;
mod java;
mod javascript;
mod python;

/// The languages whose stack traces are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// PHP's are the same.
    Java,
    Python,
    JavaScript,
    DotNet,
    Go,
}

// === impl Language ===

impl Language {
    /// By `telemetry.sdk.language`.
    pub(crate) fn new(name: &[u8]) -> Option<Self> {
        match name {
            b"java" | b"php" => Some(Language::Java),
            b"python" => Some(Language::Python),
            b"javascript" => Some(Language::JavaScript),
            b"dotnet" => Some(Language::DotNet),
            b"go" => Some(Language::Go),
            _ => None,
        }
    }

    /// Adds the frames and causes in `stack` to the exception that was begun last.
    pub(crate) fn parse(self, stack: &[u8], out: &mut Exceptions<'_, '_>) {
        match self {
            Language::Java => java::parse(stack, out),
            Language::Python => python::parse(stack, out),
            Language::JavaScript => javascript::parse(stack, out),
            Language::DotNet => dotnet::parse(stack, out),
            Language::Go => go::parse(stack, out),
        }
    }
}

/// The lines of a text: cut at LF, without a CR right before it; no line after the last LF.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&b| b == b'\n').map(|line| match line.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => line,
    })
}

/// Decimal digits with an optional sign.
fn integer(text: &[u8]) -> i64 {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let limit = if negative { i64::MIN } else { i64::MAX };
    let mut number = 0_u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return 0;
        }
        let next = number.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit - b'0')));
        // As in Go, nothing behind the digit that overflows 64 bits is looked at.
        let Some(next) = next else { return limit };
        number = next;
    }
    i64::try_from(number).map_or(limit, |number| if negative { -number } else { number })
}

/// Where `needle` first occurs.
fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|window| window == needle)
}

fn position(text: &[u8], byte: u8) -> Option<usize> {
    text.iter().position(|&b| b == byte)
}

#[cfg(test)]
mod tests;
