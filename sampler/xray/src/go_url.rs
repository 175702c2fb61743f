//! The host of a connection string, by the rules of Go's `net/url`.
//!
//! They decide which database a document is named after, so the odd ones count as well. Source: Go
//! 1.26, `net/url/url.go`.

use core::net::Ipv6Addr;
use std::borrow::Cow;

/// The host name, without port and brackets. Nothing if the text is not a URL by those rules.
pub(crate) fn host(url: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (url, fragment) = cut(url, b'#');
    if !escapes_are_valid(fragment) || url.iter().any(|&b| b < 0x20 || b == 0x7f) {
        return None;
    }
    let (scheme, rest) = scheme(url)?;
    let (rest, _query) = cut(rest, b'?');
    if !rest.starts_with(b"/") {
        // Opaque, or a relative path: no host in either case.
        return None;
    }
    let has_authority = scheme.is_some() || !rest.starts_with(b"///");
    let authority = rest.strip_prefix(b"//").filter(|_| has_authority)?;
    let (authority, path) = match authority.iter().position(|&b| b == b'/') {
        Some(slash) => authority.split_at(slash),
        None => (authority, &[][..]),
    };
    if !escapes_are_valid(path) {
        return None;
    }
    let host = match authority.iter().rposition(|&b| b == b'@') {
        Some(at) if !user_info_is_valid(&authority[..at]) => return None,
        Some(at) => &authority[at + 1..],
        None => authority,
    };
    host_name(host, scheme.unwrap_or_default())
}

fn cut(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|&b| b == at) {
        Some(i) => (&text[..i], &text[i + 1..]),
        None => (text, &[]),
    }
}

/// The scheme, if there is one, and the rest. An error if a colon comes first.
fn scheme(url: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let end = url.iter().position(|b| !(b.is_ascii_alphanumeric() || b"+-.".contains(b)));
    match end.map(|end| (end, url[end])) {
        Some((0, b':')) => None,
        Some((end, b':')) if url[0].is_ascii_alphabetic() => {
            Some((Some(&url[..end]), &url[end + 1..]))
        }
        _ => Some((None, url)),
    }
}

fn user_info_is_valid(text: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(b);
    text.iter().all(allowed) && escapes_are_valid(text)
}

/// Every `%` is followed by two hex digits.
fn escapes_are_valid(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&b| b == b'%') {
        if escaped(&rest[at..]).is_none() {
            return false;
        }
        rest = &rest[at + 3..];
    }
    true
}

/// The byte that the escape at the beginning of `text` stands for.
fn escaped(text: &[u8]) -> Option<u8> {
    let digit = |i: usize| text.get(i).and_then(|&b| char::from(b).to_digit(16));
    Some((digit(1)? * 16 + digit(2)?) as u8)
}

/// Empty, or a colon and digits.
fn port_is_valid(port: &[u8]) -> bool {
    match port.split_first() {
        None => true,
        Some((b':', digits)) => digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    }
}

fn host_name<'a>(host: &'a [u8], scheme: &[u8]) -> Option<Cow<'a, [u8]>> {
    if let Some(open) = host.iter().rposition(|&b| b == b'[') {
        let close = host.iter().rposition(|&b| b == b']')?;
        let valid = open == 0 && port_is_valid(&host[close + 1..]);
        return if valid { ip_literal(&host[1..close]) } else { None };
    }
    let is_http = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
    let colon = if is_http {
        host.iter().position(|&b| b == b':')
    } else {
        host.iter().rposition(|&b| b == b':')
    };
    let name = match colon {
        Some(colon) if !port_is_valid(&host[colon..]) => return None,
        Some(colon) => &host[..colon],
        None => host,
    };
    // The port has only digits: nothing to unescape there.
    unescaped(name, false)
}

/// What stands in brackets: an IPv6 address, with or without a zone.
fn ip_literal(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    let zone_at = text.windows(3).position(|w| w == b"%25");
    let (address, zone) = text.split_at(zone_at.unwrap_or(text.len()));
    let address = unescaped(address, false)?;
    let zone = unescaped(zone, true)?;
    // A zone must not be empty, and only a zone brings a percent sign.
    if zone.as_ref() == b"%" {
        return None;
    }
    str::from_utf8(&address).ok()?.parse::<Ipv6Addr>().ok()?;
    Some(if zone.is_empty() { address } else { Cow::Owned([address, zone].concat()) })
}

/// A host or zone with its escapes resolved; nothing if it holds what it must not.
fn unescaped(text: &[u8], zone: bool) -> Option<Cow<'_, [u8]>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'%' {
            if !is_host_byte(byte) {
                return None;
            }
            out.push(byte);
            rest = tail;
            continue;
        }
        let value = escaped(rest)?;
        let allowed = match (zone, value) {
            (_, b'%') => true,
            (false, value) => value >= 0x80,
            // Blanks are found in zones on Windows.
            (true, value) => value == b' ' || is_host_byte(value) && value < 0x80,
        };
        if !allowed {
            return None;
        }
        out.push(value);
        rest = &rest[3..];
    }
    Some(if out == text { Cow::Borrowed(text) } else { Cow::Owned(out) })
}

fn is_host_byte(byte: u8) -> bool {
    byte >= 0x80 || byte.is_ascii_alphanumeric() || b"!\"$&'()*+,-.:;<=>[]_~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let cases: &[(&str, Option<&str>)] = &[
            ("mysql://db.example.com:3306/shop", Some("db.example.com")),
            ("//DB:1", Some("DB")),
            ("///DB", None),
            ("x:///DB", Some("")),
            ("", None),
            ("*", None),
            (":x", None),
            ("1x://h", None),
            ("mysql:loadbalance://h", None),
            ("pg://u:p@w@h/db", Some("h")),
            ("pg://u<p@h/db", None),
            ("pg://u%4@h/db", None),
            ("pg://h1:1,h2:2/db", Some("h1:1,h2")),
            ("http://h1:1,h2:2/db", None),
            ("pg://h:99999", Some("h")),
            ("pg://h:a", None),
            ("pg://[::1]:5432/db", Some("::1")),
            ("pg://[fe80::1%25en0]/db", Some("fe80::1%en0")),
            ("pg://[fe80::1%25]/db", None),
            ("pg://[1.2.3.4]/db", None),
            ("pg://a[::1]/db", None),
            ("pg://[::1/db", None),
            ("pg://h%41/db", None),
            ("pg://h%C3%A9%25/db", Some("h\u{e9}%")),
            ("pg://h/%zz", None),
            ("pg://h/?%zz", Some("h")),
            ("pg://h/#%zz", None),
            ("pg://h h/", None),
            ("pg://h/\n", None),
            ("pg://h/#\n", Some("h")),
        ];
        for (url, want) in cases {
            let got = host(url.as_bytes());
            assert_eq!(got.as_deref(), want.map(str::as_bytes), "{url}");
        }
    }
}
