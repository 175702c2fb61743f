//! The `sql` block.

use crate::attrs::Attrs;
use crate::json::Json;
use crate::keys::Key;
use crate::span::Span;
use crate::stable;

/// The values of `db.system` that speak SQL.
pub(crate) const SYSTEMS: [&[u8]; 11] = [
    b"db2",
    b"derby",
    b"hive",
    b"mariadb",
    b"mssql",
    b"mysql",
    b"oracle",
    b"postgresql",
    b"sqlite",
    b"teradata",
    b"other_sql",
];

/// The span calls an SQL database.
pub(crate) fn is_sql(attrs: &Attrs<'_>) -> bool {
    if attrs.is_stable() {
        return stable::is_sql(attrs);
    }
    attrs.has(Key::DbSystem) && SYSTEMS.contains(&attrs.last_str(Key::DbSystem))
}

/// Writes the block.
pub(crate) fn write(json: &mut Json, span: &Span<'_>, attrs: &Attrs<'_>) {
    if attrs.is_stable() {
        return stable::write_sql(json, attrs);
    }
    json.open("sql");
    json.key("connection_string");
    json.quote();
    match attrs.last_str(Key::DbConnectionString) {
        [] => json.raw("localhost"),
        text => json.part(text),
    }
    json.raw("/");
    json.part(attrs.last_str(Key::DbName));
    json.quote();
    json.field_or_omit("url", span.name);
    json.field("database_type", attrs.last_str(Key::DbSystem));
    json.field_or_omit("user", attrs.last_str(Key::DbUser));
    json.field_or_omit("sanitized_query", attrs.last_str(Key::DbStatement));
    json.raw("}");
}
