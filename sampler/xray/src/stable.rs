//! What is read differently with `semantic_conventions: stable`.
//!
//! The old names are still read where a span has no new ones. Source of the names: OpenTelemetry
//! semantic conventions 1.45, HTTP, database, messaging, RPC and AWS SDK spans.

use std::borrow::Cow;

use tailgate_proto::view::Value;

use crate::attrs::{Attrs, str_of};
use crate::http::Flags;
use crate::json::Json;
use crate::keys::Key;
use crate::name::{database, is_aws_api};
use crate::span::{Kind, Span};
use crate::sql;

/// The values of `db.system.name` that speak SQL and that `db.system` did not have.
const SQL_SYSTEMS: [&[u8]; 18] = [
    b"actian.ingres",
    b"aws.redshift",
    b"clickhouse",
    b"cockroachdb",
    b"firebirdsql",
    b"gcp.spanner",
    b"h2database",
    b"hsqldb",
    b"ibm.db2",
    b"ibm.informix",
    b"ibm.netezza",
    b"instantdb",
    b"intersystems.cache",
    b"microsoft.sql_server",
    b"oracle.db",
    b"sap.hana",
    b"sap.maxdb",
    b"trino",
];

/// Codes of gRPC and Connect that are the caller's fault.
const CALLER_ERRORS: [&[u8]; 8] = [
    b"ALREADY_EXISTS",
    b"CANCELLED",
    b"FAILED_PRECONDITION",
    b"INVALID_ARGUMENT",
    b"NOT_FOUND",
    b"OUT_OF_RANGE",
    b"PERMISSION_DENIED",
    b"UNAUTHENTICATED",
];

/// Codes of gRPC and Connect that are the server's.
const SERVER_FAULTS: [&[u8]; 7] = [
    b"ABORTED",
    b"DATA_LOSS",
    b"DEADLINE_EXCEEDED",
    b"INTERNAL",
    b"UNAVAILABLE",
    b"UNIMPLEMENTED",
    b"UNKNOWN",
];

/// The flags of a span whose HTTP status says nothing.
pub(crate) fn flags(span: &Span<'_>, attrs: &Attrs<'_>) -> Flags {
    let code = attrs.last_str(Key::RpcResponseStatusCode);
    let is_any = |codes: &[&[u8]]| codes.iter().any(|known| known.eq_ignore_ascii_case(code));
    let throttle = is_any(&[b"RESOURCE_EXHAUSTED"]);
    if throttle || is_any(&CALLER_ERRORS) || is_any(&[b"CANCELED"]) {
        Flags { error: true, fault: false, throttle }
    } else {
        let fault = span.is_error() || is_any(&SERVER_FAULTS);
        Flags { error: false, fault, throttle: false }
    }
}

/// The name, if `aws.service` and what comes before it give none.
pub(crate) fn name<'a>(
    span: &Span<'a>,
    attrs: &Attrs<'a>,
    service_name: &'a [u8],
) -> Option<Cow<'a, [u8]>> {
    if matches!(span.kind, Kind::Server | Kind::Consumer) && !service_name.is_empty() {
        return Some(Cow::Borrowed(service_name));
    }
    let rpc_service = match attrs.last_str(Key::RpcService) {
        [] => split_method(attrs.last_str(Key::RpcMethod)).0,
        service => service,
    };
    // A call of DynamoDB is one of a database, too.
    if is_aws_api(attrs) && !rpc_service.is_empty() {
        return Some(Cow::Borrowed(rpc_service));
    }
    if let Some(name) = database_name(attrs) {
        return Some(name);
    }
    let is_call = span.kind.is_remote();
    let call = |key| if is_call { attrs.last_str(key) } else { &[] };
    let candidates = [
        call(Key::MessagingDestination),
        rpc_service,
        attrs.last_str(Key::HttpHost),
        call(Key::ServerAddress),
        attrs.last_str(Key::NetPeerName),
    ];
    candidates.into_iter().find(|name| !name.is_empty()).map(Cow::Borrowed)
}

/// `namespace@host`, or `system@host` if it has no namespace.
fn database_name<'a>(attrs: &Attrs<'a>) -> Option<Cow<'a, [u8]>> {
    let system = attrs.any_str([Key::DbSystemName, Key::DbSystem]);
    let namespace = attrs.any_str([Key::DbNamespace, Key::DbName]);
    let host = attrs.last_str(Key::ServerAddress);
    if host.is_empty() && attrs.has(Key::DbConnectionString) && !attrs.has(Key::DbNamespace) {
        return database(attrs).filter(|name| !name.is_empty());
    }
    match if namespace.is_empty() { system } else { namespace } {
        [] => None,
        name if host.is_empty() => Some(Cow::Borrowed(name)),
        name => Some(Cow::Owned([name, b"@", host].concat())),
    }
}

/// A method's service, and what is called there: it is `package.Service/Method` now.
fn split_method(method: &[u8]) -> (&[u8], &[u8]) {
    match method.iter().rposition(|&b| b == b'/') {
        Some(slash) => (&method[..slash], &method[slash + 1..]),
        None => (&[], method),
    }
}

/// The span calls an SQL database.
pub(crate) fn is_sql(attrs: &Attrs<'_>) -> bool {
    let system = attrs.any_str([Key::DbSystemName, Key::DbSystem]);
    sql::SYSTEMS.contains(&system) || SQL_SYSTEMS.contains(&system)
}

/// Writes the `sql` block.
pub(crate) fn write_sql(json: &mut Json, attrs: &Attrs<'_>) {
    let system = attrs.any_str([Key::DbSystemName, Key::DbSystem]);
    let namespace = attrs.any_str([Key::DbNamespace, Key::DbName]);
    let host = attrs.last_str(Key::ServerAddress);
    json.open("sql");
    json.key("connection_string");
    json.quote();
    if host.is_empty() {
        match attrs.last_str(Key::DbConnectionString) {
            [] => json.raw("localhost"),
            text => json.part(text),
        }
    } else {
        write_place(json, attrs, host);
    }
    write_namespace(json, namespace);
    json.quote();
    if !host.is_empty() {
        json.key("url");
        json.quote();
        json.part(system);
        json.raw("://");
        write_place(json, attrs, host);
        write_namespace(json, namespace);
        json.quote();
    }
    json.field("database_type", system);
    json.field_or_omit("user", attrs.last_str(Key::DbUser));
    json.field_or_omit("sanitized_query", attrs.any_str([Key::DbQueryText, Key::DbStatement]));
    json.raw("}");
}

fn write_namespace(json: &mut Json, namespace: &[u8]) {
    if !namespace.is_empty() {
        json.raw("/");
        json.part(namespace);
    }
}

/// A host as it stands in URLs: an IPv6 address is in brackets.
pub(crate) fn write_host(json: &mut Json, host: &[u8]) {
    if host.contains(&b':') && !host.starts_with(b"[") {
        json.raw("[");
        json.part(host);
        json.raw("]");
    } else {
        json.part(host);
    }
}

/// `host:port`.
fn write_place(json: &mut Json, attrs: &Attrs<'_>, host: &[u8]) {
    write_host(json, host);
    match attrs.last(Key::ServerPort) {
        Some(Value::Int(port)) if *port != 0 => {
            json.raw(":");
            json.int(*port);
        }
        Some(port) if !str_of(port).is_empty() => {
            json.raw(":");
            json.part(str_of(port));
        }
        _ => {}
    }
}

/// Writes what an AWS call did and where. A method of another RPC system is no operation of AWS.
pub(crate) fn write_aws_call(json: &mut Json, attrs: &Attrs<'_>) {
    let is_aws = is_aws_api(attrs);
    let operation = match attrs.last(Key::AwsOperation) {
        Some(operation) => str_of(operation),
        None if is_aws => split_method(attrs.last_str(Key::RpcMethod)).1,
        None => &[],
    };
    json.field_or_omit("operation", operation);
    let region = match attrs.last_str(Key::AwsRegion) {
        [] if is_aws => attrs.last_str(Key::CloudRegion),
        region => region,
    };
    json.field_or_omit("region", region);
}
