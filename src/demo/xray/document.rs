//! Reads a segment document as far as the endpoint needs it: what X-Ray insists on, and what a
//! summary shows. The document itself is kept as it came.
//!
//! Fields: <https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html>.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A name's length that X-Ray takes, in characters.
const MAX_NAME: usize = 200;

/// A document that X-Ray would take.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) trace_id: u128,
    pub(super) id: u64,
    pub(super) facts: Facts,
}

/// What a summary needs from a document.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) name: String,
    /// Seconds since 1970.
    pub(super) start: f64,
    /// As `start`; `None` while in progress.
    pub(super) end: Option<f64>,
    pub(super) is_subsegment: bool,
    /// The document that this one is within.
    pub(super) parent: Option<u64>,
    /// Of a call: `remote` or `aws`.
    pub(super) namespace: Option<String>,
    /// The call is a query of a database.
    pub(super) is_query: bool,
    pub(super) user: Option<String>,
    pub(super) error: bool,
    pub(super) fault: bool,
    pub(super) throttle: bool,
    pub(super) origin: Option<String>,
    pub(super) http: Http,
    pub(super) annotations: BTreeMap<String, serde_json::Value>,
}

/// A document that X-Ray would give back, and why.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) id: Option<String>,
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// The `http` block.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Http {
    #[serde(default)]
    pub(super) request: HttpRequest,
    #[serde(default)]
    pub(super) response: HttpResponse,
}

/// `http.request`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct HttpRequest {
    pub(super) url: Option<String>,
    pub(super) method: Option<String>,
    pub(super) user_agent: Option<String>,
    pub(super) client_ip: Option<String>,
}

/// `http.response`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct HttpResponse {
    pub(super) status: Option<i64>,
}

#[derive(Deserialize)]
struct Raw {
    id: Option<String>,
    name: Option<String>,
    trace_id: Option<String>,
    start_time: Option<f64>,
    end_time: Option<f64>,
    in_progress: Option<bool>,
    #[serde(rename = "type")]
    kind: Option<String>,
    parent_id: Option<String>,
    error: Option<bool>,
    fault: Option<bool>,
    throttle: Option<bool>,
    origin: Option<String>,
    namespace: Option<String>,
    sql: Option<serde::de::IgnoredAny>,
    user: Option<String>,
    http: Option<Http>,
    annotations: Option<BTreeMap<String, serde_json::Value>>,
}

/// Checks `text` by X-Ray's rules for a document of at most `max_bytes`.
pub(super) fn read(text: &str, max_bytes: usize) -> Result<Document, Problem> {
    let raw: Raw = serde_json::from_str(text).map_err(|error| Problem {
        id: only_id(text),
        code: "ParseError",
        message: format!("the segment document is not valid: {error}"),
    })?;
    if text.len() > max_bytes {
        return Err(Problem {
            id: raw.id,
            code: "SegmentTooLarge",
            message: format!("{} bytes; a segment document has at most {max_bytes}", text.len()),
        });
    }
    let id = raw.id.clone();
    check(raw).map_err(|(code, message)| Problem { id, code, message: message.to_owned() })
}

/// The number of an `1-xxxxxxxx-xxxxxxxxxxxxxxxxxxxxxxxx` id.
pub(super) fn trace_number(id: &str) -> Option<u128> {
    let rest = id.strip_prefix("1-")?;
    let (time, unique) = rest.split_once('-')?;
    if time.len() != 8 || unique.len() != 24 {
        return None;
    }
    Some(u128::from(hex(time)?) << 96 | hex_wide(unique)?)
}

/// The id of a trace number, as X-Ray writes it.
pub(super) fn trace_text(number: u128) -> String {
    format!("1-{:08x}-{:024x}", number >> 96, number & ((1 << 96) - 1))
}

fn check(raw: Raw) -> Result<Document, (&'static str, &'static str)> {
    let id = raw.id.ok_or(("MissingId", "`id` is missing"))?;
    let id = (id.len() == 16)
        .then(|| hex(&id))
        .flatten()
        .ok_or(("InvalidId", "`id` is not 16 hexadecimal digits"))?;
    let name = raw.name.filter(|name| !name.is_empty());
    let name = name.ok_or(("MissingName", "`name` is missing or empty"))?;
    if name.chars().count() > MAX_NAME {
        return Err(("InvalidName", "`name` is longer than 200 characters"));
    }
    let trace_id = raw.trace_id.ok_or(("MissingTraceId", "`trace_id` is missing"))?;
    let trace_id = trace_number(&trace_id)
        .ok_or(("InvalidTraceId", "`trace_id` is not 1-<8 hex digits>-<24 hex digits>"))?;
    let start = raw.start_time.ok_or(("MissingStartTime", "`start_time` is missing"))?;
    if raw.end_time.is_none() && raw.in_progress != Some(true) {
        return Err(("MissingEndTime", "neither `end_time` nor `in_progress: true` is there"));
    }
    let is_subsegment = raw.kind.as_deref() == Some("subsegment");
    if is_subsegment && raw.parent_id.is_none() {
        return Err(("MissingParentId", "a subsegment on its own needs `parent_id`"));
    }
    let facts = Facts {
        name,
        start,
        end: raw.end_time,
        is_subsegment,
        parent: raw.parent_id.as_deref().and_then(hex),
        namespace: raw.namespace,
        is_query: raw.sql.is_some(),
        user: raw.user,
        error: raw.error == Some(true),
        fault: raw.fault == Some(true),
        throttle: raw.throttle == Some(true),
        origin: raw.origin,
        http: raw.http.unwrap_or_default(),
        annotations: raw.annotations.unwrap_or_default(),
    };
    Ok(Document { trace_id, id, facts })
}

/// The id of a document whose other fields are wrong, so that its sender can tell which it was.
fn only_id(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    serde_json::from_str::<Id>(text).ok().map(|id| id.id)
}

fn hex(digits: &str) -> Option<u64> {
    // from_str_radix takes a sign, an id has none.
    let clean = digits.bytes().all(|b| b.is_ascii_hexdigit());
    clean.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

fn hex_wide(digits: &str) -> Option<u128> {
    let clean = digits.bytes().all(|b| b.is_ascii_hexdigit());
    clean.then(|| u128::from_str_radix(digits, 16).ok()).flatten()
}
