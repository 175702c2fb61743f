//! OTLP/JSON's names beside protobuf's numbers, for the reader.
//!
//! Both spellings of a name are taken, as by the collector (pdata 1.67, the generated
//! `UnmarshalJSON`). Numbers are those of opentelemetry-proto v1.7.

use Kind::{
    Base64, Bool, Double, Enum, Fixed32, Fixed64, Id, Int64, Many, Obsolete, One, Text, Texts,
    Uint32,
};

/// A message and the fields it may have.
pub(super) struct Message {
    /// The fields; any other is skipped.
    pub fields: &'static [Field],
    /// A member that is set to its default is there all the same: the members of a oneof.
    pub keeps_defaults: bool,
    /// The message counts for the nesting of values.
    pub is_value: bool,
}

/// One field.
pub(super) struct Field {
    /// The name in camel case.
    pub camel: &'static str,
    /// The name in protobuf's spelling.
    pub snake: &'static str,
    /// The field's number.
    pub number: u32,
    /// What it holds.
    pub kind: Kind,
}

/// What a field holds, in JSON and on the wire.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// A list of strings.
    Texts,
    /// Bytes of this length in hex, or none.
    Id(usize),
    /// Bytes in base64.
    Base64,
    /// A boolean, as a varint.
    Bool,
    /// A number up to 2^32, as a varint.
    Uint32,
    /// A signed number, as a varint.
    Int64,
    /// A number up to 2^64.
    Fixed64,
    /// A number up to 2^32.
    Fixed32,
    /// A floating-point number.
    Double,
    /// A number, or one of these names, whose values count from 0.
    Enum(&'static [&'static str]),
    /// A message.
    One(&'static Message),
    /// A list of messages.
    Many(&'static Message),
    /// Spans are in it, but nobody reads it any more.
    Obsolete,
}

const fn field(camel: &'static str, snake: &'static str, number: u32, kind: Kind) -> Field {
    Field { camel, snake, number, kind }
}

const fn message(fields: &'static [Field]) -> Message {
    Message { fields, keeps_defaults: false, is_value: false }
}

pub(super) static REQUEST: Message =
    message(&[field("resourceSpans", "resource_spans", 1, Many(&RESOURCE_SPANS))]);

static RESOURCE_SPANS: Message = message(&[
    field("resource", "resource", 1, One(&RESOURCE)),
    field("scopeSpans", "scope_spans", 2, Many(&SCOPE_SPANS)),
    field("schemaUrl", "schema_url", 3, Text),
    field("instrumentationLibrarySpans", "instrumentation_library_spans", 1000, Obsolete),
    field("deprecatedScopeSpans", "deprecated_scope_spans", 1000, Obsolete),
]);

static RESOURCE: Message = message(&[
    field("attributes", "attributes", 1, Many(&KEY_VALUE)),
    field("droppedAttributesCount", "dropped_attributes_count", 2, Uint32),
    field("entityRefs", "entity_refs", 3, Many(&ENTITY_REF)),
]);

static ENTITY_REF: Message = message(&[
    field("schemaUrl", "schema_url", 1, Text),
    field("type", "type", 2, Text),
    field("idKeys", "id_keys", 3, Texts),
    field("descriptionKeys", "description_keys", 4, Texts),
]);

static SCOPE_SPANS: Message = message(&[
    field("scope", "scope", 1, One(&SCOPE)),
    field("spans", "spans", 2, Many(&SPAN)),
    field("schemaUrl", "schema_url", 3, Text),
]);

static SCOPE: Message = message(&[
    field("name", "name", 1, Text),
    field("version", "version", 2, Text),
    field("attributes", "attributes", 3, Many(&KEY_VALUE)),
    field("droppedAttributesCount", "dropped_attributes_count", 4, Uint32),
]);

static SPAN: Message = message(&[
    field("traceId", "trace_id", 1, Id(16)),
    field("spanId", "span_id", 2, Id(8)),
    field("traceState", "trace_state", 3, Text),
    field("parentSpanId", "parent_span_id", 4, Id(8)),
    field("name", "name", 5, Text),
    field("kind", "kind", 6, Enum(&SPAN_KINDS)),
    field("startTimeUnixNano", "start_time_unix_nano", 7, Fixed64),
    field("endTimeUnixNano", "end_time_unix_nano", 8, Fixed64),
    field("attributes", "attributes", 9, Many(&KEY_VALUE)),
    field("droppedAttributesCount", "dropped_attributes_count", 10, Uint32),
    field("events", "events", 11, Many(&EVENT)),
    field("droppedEventsCount", "dropped_events_count", 12, Uint32),
    field("links", "links", 13, Many(&LINK)),
    field("droppedLinksCount", "dropped_links_count", 14, Uint32),
    field("status", "status", 15, One(&STATUS)),
    field("flags", "flags", 16, Fixed32),
]);

static EVENT: Message = message(&[
    field("timeUnixNano", "time_unix_nano", 1, Fixed64),
    field("name", "name", 2, Text),
    field("attributes", "attributes", 3, Many(&KEY_VALUE)),
    field("droppedAttributesCount", "dropped_attributes_count", 4, Uint32),
]);

static LINK: Message = message(&[
    field("traceId", "trace_id", 1, Id(16)),
    field("spanId", "span_id", 2, Id(8)),
    field("traceState", "trace_state", 3, Text),
    field("attributes", "attributes", 4, Many(&KEY_VALUE)),
    field("droppedAttributesCount", "dropped_attributes_count", 5, Uint32),
    field("flags", "flags", 6, Fixed32),
]);

static STATUS: Message =
    message(&[field("message", "message", 2, Text), field("code", "code", 3, Enum(&STATUS_CODES))]);

static KEY_VALUE: Message =
    message(&[field("key", "key", 1, Text), field("value", "value", 2, One(&ANY_VALUE))]);

static ANY_VALUE: Message = Message {
    fields: &[
        field("stringValue", "string_value", 1, Text),
        field("boolValue", "bool_value", 2, Bool),
        field("intValue", "int_value", 3, Int64),
        field("doubleValue", "double_value", 4, Double),
        field("arrayValue", "array_value", 5, One(&ARRAY_VALUE)),
        field("kvlistValue", "kvlist_value", 6, One(&KEY_VALUE_LIST)),
        field("bytesValue", "bytes_value", 7, Base64),
    ],
    keeps_defaults: true,
    is_value: true,
};

static ARRAY_VALUE: Message = message(&[field("values", "values", 1, Many(&ANY_VALUE))]);
static KEY_VALUE_LIST: Message = message(&[field("values", "values", 1, Many(&KEY_VALUE))]);

static SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
static STATUS_CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

// === impl Message ===

impl Message {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.camel == name || f.snake == name)
    }
}
