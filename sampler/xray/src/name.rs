//! The name of a document, and its namespace.
//!
//! Names from attributes are used as they are. Only a name that comes from the span's own name is
//! cleaned, since X-Ray refuses other characters.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use crate::attrs::Attrs;
use crate::json::Json;
use crate::keys::Key;
use crate::span::{Kind, Span};
use crate::{go_url, stable};

/// How many bytes of a cleaned span name are kept.
const MAX_NAME_BYTES: usize = 200;

/// A document's name and namespace.
#[derive(Debug)]
pub(crate) struct Naming<'a> {
    /// What the attributes call it; without, it has the span's own name.
    pub(crate) name: Option<Cow<'a, [u8]>>,
    pub(crate) namespace: Option<&'static str>,
}

/// The span is where a trace enters its service, says the SDK.
pub(crate) fn is_local_root(attrs: &Attrs<'_>) -> bool {
    attrs.first_str(Key::AwsSpanKind) == b"LOCAL_ROOT"
}

/// A call made by an AWS SDK.
pub(crate) fn is_aws_api(attrs: &Attrs<'_>) -> bool {
    attrs.first_str(Key::RpcSystem) == b"aws-api"
        || attrs.is_stable() && attrs.first_str(Key::RpcSystemName) == b"aws-api"
}

/// `aws.remote.service` without the prefix that AWS SDKs put in front.
pub(crate) fn remote_service<'a>(attrs: &Attrs<'a>) -> &'a [u8] {
    let name = attrs.first_str(Key::AwsRemoteService);
    if !is_aws_api(attrs) {
        return name;
    }
    let trimmed = name.strip_prefix(b"AWS.SDK.").or_else(|| name.strip_prefix(b"AWS::"));
    trimmed.unwrap_or(name)
}

/// Chooses the name: the first candidate that is not empty.
pub(crate) fn naming<'a>(span: &Span<'a>, attrs: &Attrs<'a>, service_name: &'a [u8]) -> Naming<'a> {
    let mut aws = is_aws_api(attrs);
    let name = early(span, attrs).map(Cow::Borrowed).or_else(|| {
        aws |= attrs.has(Key::AwsService);
        late(span, attrs, service_name)
    });
    let namespace = match span.kind {
        _ if aws => Some("aws"),
        Kind::Client | Kind::Producer => Some("remote"),
        _ => None,
    };
    Naming { name, namespace }
}

/// The candidates that hide `aws.service`.
fn early<'a>(span: &Span<'a>, attrs: &Attrs<'a>) -> Option<&'a [u8]> {
    let first = match span.kind {
        Kind::Server => attrs.first_str(Key::AwsLocalService),
        Kind::Internal if is_local_root(attrs) => attrs.first_str(Key::AwsLocalService),
        Kind::Client | Kind::Producer | Kind::Consumer => remote_service(attrs),
        _ => &[],
    };
    let peer = match attrs.first_str(Key::ServicePeerName) {
        name if attrs.is_stable() && !name.is_empty() => name,
        _ => attrs.first_str(Key::PeerService),
    };
    [first, peer].into_iter().find(|name| !name.is_empty())
}

fn late<'a>(span: &Span<'a>, attrs: &Attrs<'a>, service_name: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let given = |name: &&[u8]| !name.is_empty();
    Some(attrs.first_str(Key::AwsService)).filter(given).map(Cow::Borrowed).or_else(|| {
        if attrs.is_stable() {
            return stable::name(span, attrs, service_name);
        }
        database(attrs).filter(|name| !name.is_empty()).or_else(|| {
            let service = if span.kind == Kind::Server { service_name } else { &[] };
            let rest = [Key::RpcService, Key::HttpHost, Key::NetPeerName];
            let mut names = [service].into_iter().chain(rest.map(|key| attrs.first_str(key)));
            names.find(given).map(Cow::Borrowed)
        })
    })
}

/// `db.name@host`.
pub(crate) fn database<'a>(attrs: &Attrs<'a>) -> Option<Cow<'a, [u8]>> {
    if !attrs.has(Key::DbName) {
        return None;
    }
    let name = attrs.first_str(Key::DbName);
    let url = attrs.first_str(Key::DbConnectionString);
    let url = url.strip_prefix(b"jdbc:").unwrap_or(url);
    Some(match go_url::host(url) {
        Some(host) if !host.is_empty() => Cow::Owned([name, b"@", &host].concat()),
        _ => Cow::Borrowed(name),
    })
}

/// Writes a span's own name: the characters that X-Ray allows in a name, and only so many of them.
pub(crate) fn write_own(json: &mut Json, name: &[u8]) {
    let start = json.buf.len();
    if name.is_ascii() {
        // None of these has to be escaped.
        name.split(|&byte| !is_allowed(byte)).for_each(|run| json.buf.extend_from_slice(run));
        json.buf.truncate(start + MAX_NAME_BYTES);
    } else {
        let mut kept = letters_and_signs(name);
        // Even inside a character.
        kept.truncate(MAX_NAME_BYTES);
        json.part(&kept);
    }
    if json.buf.len() == start {
        json.raw("span");
    }
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b' ' | b'_' | b'.' | b':' | b'/' | b'%' | b'&' | b'#' | b'=' | b'+' | b'-' | b'@'
        )
}

fn letters_and_signs(name: &[u8]) -> Vec<u8> {
    #[allow(clippy::expect_used)] // A constant, compiled in every test run.
    static FORBIDDEN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[^ 0-9\p{L}_.:/%&#=+\-@]+").expect("a valid expression"));
    let mut kept = Vec::new();
    for chunk in name.utf8_chunks() {
        let text = chunk.valid();
        let mut from = 0;
        for found in FORBIDDEN.find_iter(text) {
            kept.extend_from_slice(&text.as_bytes()[from..found.start()]);
            from = found.end();
        }
        kept.extend_from_slice(&text.as_bytes()[from..]);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(name: &[u8]) -> String {
        let mut json = Json::default();
        write_own(&mut json, name);
        String::from_utf8(json.into_plain()).expect("UTF-8")
    }

    #[test]
    fn only_letters_and_some_signs_are_kept() {
        let cases = [
            ("GET /a?b=c", "GET /ab=c"),
            ("\u{e9}\u{301}\u{661}\u{2160}\u{1f680}\u{a0}", "\u{e9}"),
            (" ", " "),
            ("\t\\", "span"),
            ("", "span"),
        ];
        for (name, want) in cases {
            assert_eq!(own(name.as_bytes()), want, "{name}");
        }
        assert_eq!(own(b"a\xffb"), "ab");
    }

    #[test]
    fn ascii_is_judged_alike_alone_and_among_others() {
        let ascii: String = (0..0x80_u8).map(char::from).collect();
        assert_eq!(
            own(format!("{ascii}\u{e9}").as_bytes()),
            format!("{}\u{e9}", own(ascii.as_bytes()))
        );
    }

    #[test]
    fn long_names_are_cut_by_bytes() {
        let name = "\u{e9}".repeat(150);
        // What is left of the last one is no character.
        assert_eq!(own(format!("a{name}").as_bytes()), format!("a{}\u{fffd}", &name[..198]));
        assert_eq!(own("x".repeat(300).as_bytes()).len(), 200);
    }
}
