//! The `cause` of a document: its exceptions, or the message of a failed status.

use tailgate_proto::view::{EventView, Value};

use crate::attrs::{Attrs, str_of};
use crate::exceptions::Exceptions;
use crate::json::{Json, not_finite};
use crate::keys::Key;
use crate::name::is_aws_api;
use crate::resource::Resource;
use crate::span::Span;

/// Where the cause of a document comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// There is none.
    None,
    /// Events that tell of exceptions; they may turn out to be unusable.
    Events,
    /// The message of an ERROR status. Takes `http.status_text` out of the attributes.
    Status,
}

#[derive(Debug, PartialEq, Eq)]
enum EventKind {
    Exception,
    /// What the AWS SDK instrumentation says of a failed attempt.
    AwsHttpFailure,
    Other,
}

/// Finds out where the cause comes from.
pub(crate) fn find(span: &Span<'_>, attrs: &Attrs<'_>) -> Cause {
    let is_aws = is_aws_api(attrs);
    let mut events = span.has_events.then(|| span.view.events()).into_iter().flatten();
    if events.any(|event| kind(&event, is_aws) != EventKind::Other) {
        Cause::Events
    } else if span.is_error() {
        Cause::Status
    } else {
        Cause::None
    }
}

/// Writes the cause, if there is one.
pub(crate) fn write(
    json: &mut Json,
    cause: Cause,
    span: &Span<'_>,
    attrs: &Attrs<'_>,
    resource: &Resource<'_>,
    invent: &mut dyn FnMut() -> u64,
) {
    match cause {
        Cause::None => {}
        Cause::Status => {
            let message = match span.status.message {
                [] => attrs.last_str(Key::HttpStatusText),
                message => message,
            };
            let kind = if attrs.is_stable() { attrs.last_str(Key::ErrorType) } else { b"" };
            if !message.is_empty() || !kind.is_empty() {
                let mut exceptions = Exceptions::begin(json, invent);
                exceptions.exception(kind, message, None);
                exceptions.end();
            }
        }
        Cause::Events => {
            let is_aws = is_aws_api(attrs);
            let mut exceptions = Exceptions::begin(json, invent);
            for event in span.view.events() {
                match kind(&event, is_aws) {
                    EventKind::Exception => exception(&mut exceptions, &event, span, resource),
                    EventKind::AwsHttpFailure => http_failure(&mut exceptions, &event),
                    EventKind::Other => {}
                }
            }
            exceptions.end();
        }
    }
}

fn kind(event: &EventView<'_>, is_aws: bool) -> EventKind {
    match event.name() {
        b"exception" => EventKind::Exception,
        b"HTTP request failure" if is_aws => EventKind::AwsHttpFailure,
        _ => EventKind::Other,
    }
}

fn exception(
    exceptions: &mut Exceptions<'_, '_>,
    event: &EventView<'_>,
    span: &Span<'_>,
    resource: &Resource<'_>,
) {
    // Type, message, stack; the first of each key counts.
    let mut found: [Option<&[u8]>; 3] = [None; 3];
    for (key, value) in event.attributes() {
        let slot = match Key::of(key) {
            Key::ExceptionType => 0,
            Key::ExceptionMessage => 1,
            Key::ExceptionStacktrace => 2,
            _ => continue,
        };
        found[slot].get_or_insert(str_of(&value));
    }
    let [kind, message, stack] = found.map(Option::unwrap_or_default);
    exceptions.exception(kind, message, Some(span.kind.is_remote()));
    if let Some(language) = resource.language {
        language.parse(stack, exceptions);
    }
}

fn http_failure(exceptions: &mut Exceptions<'_, '_>, event: &EventView<'_>) {
    let attributes = event.attributes();
    let code = attributes.get("http.response.status_code");
    let message = attributes.get("aws.http.error_message");
    let (Some(code), Some(message)) = (code, message) else { return };
    // Microseconds are all that a double holds of a present date.
    let micros = (event.time_ns() as i64).div_euclid(1000) as f64;
    let mut text = as_text(&code);
    text.extend_from_slice(format!("@{:.6}@", micros / 1e6).as_bytes());
    text.extend_from_slice(str_of(&message));
    exceptions.exception(b"aws.http.error.event", &text, Some(true));
}

/// A value of any type as text.
fn as_text(value: &Value<'_>) -> Vec<u8> {
    let mut json = Json::default();
    match value {
        Value::Empty => {}
        Value::Str(text) => return text.to_vec(),
        Value::Bytes(bytes) => json.base64(bytes),
        Value::Double(value) if !value.is_finite() => json.raw(not_finite(*value)),
        value => json.value(value),
    }
    json.into_plain()
}
