//! Documents that are larger than X-Ray takes.
//!
//! The largest metadata go first, one by one, until the document fits. If it would not fit without
//! any, it is written again briefly: no metadata, long strings cut, long lists ended. Either way
//! metadata say so, under `tailgate`.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::escaped::{plain, plain_len};
use crate::json::Json;

/// X-Ray takes no larger document, in bytes. Source: AWS X-Ray developer guide, segment documents.
pub const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

/// The namespace in which a document says what it lost.
const NAMESPACE: &str = "tailgate";

/// As many keys are named; of each as many bytes.
const NAMED: usize = 8;
const NAMED_BYTES: usize = 64;

/// What the marker takes at most: a key's bytes can be escaped to six times as many.
const MARKER_BYTES: usize = 200 + NAMED * (6 * NAMED_BYTES + 3);

type Members<'t> = BTreeMap<String, &'t RawValue>;

type Namespaces<'t> = BTreeMap<String, Option<Members<'t>>>;

/// Takes metadata out of the document that begins at `start`, whose metadata begin at `at`. `false`
/// if it would not fit even without any: nothing has been changed then.
pub(crate) fn leave_out_metadata(json: &mut Json, start: usize, at: usize) -> bool {
    let before = plain_len(&json.buf[start..at]);
    let Some(room) = (MAX_DOCUMENT_BYTES - MARKER_BYTES).checked_sub(before) else { return false };
    let member = plain(&json.buf[at..]);
    let Some((mut namespaces, mut bytes)) = parse(&member) else { return false };
    let mut left_out = Vec::new();
    for (size, namespace, key) in by_size(&namespaces) {
        if bytes <= room {
            break;
        }
        bytes -= size;
        left_out.push((size, namespace, key));
    }
    if bytes > room {
        // Names of namespaces alone.
        return false;
    }
    for (_, namespace, key) in &left_out {
        if let Some(Some(members)) = namespaces.get_mut(namespace) {
            members.remove(key);
        }
    }
    let mut out = Json::default();
    write(&mut out, &namespaces, &left_out);
    json.buf.truncate(at);
    json.raw(",");
    json.append(&out);
    json.raw("}");
    true
}

/// The metadata in the member that ends a document, and how long its text is.
fn parse(member: &[u8]) -> Option<(Namespaces<'_>, usize)> {
    let text = member.strip_prefix(b",\"metadata\":")?.strip_suffix(b"}")?;
    Some((serde_json::from_slice(text).ok()?, text.len()))
}

/// The metadata of a brief document.
pub(crate) fn write_brief_marker(json: &mut Json) {
    json.key("metadata");
    json.plain_json("{\"tailgate\":{\"left_out\":[\"*\"],\"shortened\":true}}");
}

/// All members, the largest first; of equal ones that with the lesser key.
fn by_size(namespaces: &Namespaces<'_>) -> Vec<(usize, String, String)> {
    let mut sizes = Vec::new();
    for (namespace, members) in namespaces {
        for (key, value) in members.iter().flatten() {
            let mut written = Json::default();
            written.foreign_key(key.as_bytes());
            let size = plain_len(&written.buf) + value.get().len();
            sizes.push((size, namespace.clone(), key.clone()));
        }
    }
    sizes.sort_by_key(|(size, ..)| Reverse(*size));
    sizes
}

fn write(json: &mut Json, namespaces: &Namespaces<'_>, left_out: &[(usize, String, String)]) {
    json.open("metadata");
    for (namespace, members) in namespaces {
        if namespace == NAMESPACE {
            continue;
        }
        json.foreign_key(namespace.as_bytes());
        let Some(members) = members else {
            json.raw("null");
            continue;
        };
        json.raw("{");
        write_members(json, members);
        json.raw("}");
    }
    json.open(NAMESPACE);
    if let Some(Some(members)) = namespaces.get(NAMESPACE) {
        let others = members
            .iter()
            .filter(|(key, _)| !["left_out", "left_out_bytes"].contains(&key.as_str()));
        write_members(json, others);
    }
    json.key("left_out");
    json.raw("[");
    for (_, namespace, key) in left_out.iter().take(NAMED) {
        json.separate();
        let name = format!("{namespace}.{key}");
        json.string(&name.as_bytes()[..name.floor_char_boundary(NAMED_BYTES)]);
    }
    json.raw("]");
    let bytes: usize = left_out.iter().map(|(size, ..)| size).sum();
    json.field_int("left_out_bytes", i64::try_from(bytes).unwrap_or(i64::MAX));
    json.raw("}}");
}

fn write_members<'m, 't: 'm>(
    json: &mut Json,
    members: impl IntoIterator<Item = (&'m String, &'m &'t RawValue)>,
) {
    for (key, value) in members {
        json.foreign_key(key.as_bytes());
        json.plain_json(value.get());
    }
}
