//! How the receivers treat connections: `keepalive`, the timeouts of HTTP, `cors`.
//!
//! No value and zero are the same here, as in the collector, and leave the choice to the server,
//! which has limits where the collector has none.

use std::time::Duration;

use super::reader::Reader;

/// `keepalive.server_parameters` of `protocols.grpc`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrpcKeepalive {
    /// A connection without requests for this long is asked to go; `None`: never.
    pub max_connection_idle: Option<Duration>,
    /// Age at which a connection is asked to go, +-10 %; `None`: never.
    pub max_connection_age: Option<Duration>,
    /// Time for its requests in flight after that.
    pub max_connection_age_grace: Option<Duration>,
    /// A ping after this much silence; a second at least.
    pub time: Option<Duration>,
    /// Time for its answer.
    pub timeout: Option<Duration>,
}

/// The timeouts and `keepalive` of `protocols.http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConnections {
    /// Time for a whole body.
    pub read_timeout: Option<Duration>,
    /// Time for a connection's first head.
    pub read_header_timeout: Option<Duration>,
    /// Time that an answer may be stuck; default 30 s, `None`: any.
    pub write_timeout: Option<Duration>,
    /// Time from one request to the next (`idle_timeout` or `keepalive.idle_timeout`).
    pub idle_timeout: Option<Duration>,
    /// Whether a connection has more than one request (`keep_alives_enabled` or
    /// `keepalive.enabled`); default true.
    pub keep_alives: bool,
    /// Age at which a connection is asked to go, +-10 % (`keepalive.max_connection_age`, which
    /// the collector has for gRPC only); `None`: never.
    pub max_connection_age: Option<Duration>,
    /// Time for its requests in flight after that.
    pub max_connection_age_grace: Option<Duration>,
}

/// `cors` of `protocols.http`. Without origins it has no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Origins that may send; one `*` in each stands for any text.
    pub allowed_origins: Vec<String>,
    /// Headers that may be sent beside the usual ones; `*` is any.
    pub allowed_headers: Vec<String>,
    /// Headers of answers that a page may see.
    pub exposed_headers: Vec<String>,
    /// Seconds that a browser may remember a preflight's answer; 0 leaves it to the browser, less
    /// forbids it.
    pub max_age: i64,
}

const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
const PINGS_HELP: &str = "has no effect: pings are answered, not policed";

// === impl GrpcKeepalive ===

impl GrpcKeepalive {
    /// Reads `keepalive` of a gRPC server.
    pub(super) fn read(r: &Reader<'_>) -> Self {
        if let Some(policy) = r.map("enforcement_policy") {
            policy.accept(&["min_time", "permit_without_stream"], PINGS_HELP);
        }
        let r = r.map_or_empty("server_parameters");
        Self {
            max_connection_idle: nonzero(&r, "max_connection_idle"),
            max_connection_age: nonzero(&r, "max_connection_age"),
            max_connection_age_grace: nonzero(&r, "max_connection_age_grace"),
            time: nonzero(&r, "time").map(|time| time.max(Duration::from_secs(1))),
            timeout: nonzero(&r, "timeout"),
        }
    }
}

// === impl HttpConnections ===

impl HttpConnections {
    /// Reads the keys of `protocols.http`.
    pub(super) fn read(r: &Reader<'_>) -> Self {
        let keepalive = r.map_or_empty("keepalive");
        let old_idle = nonzero(r, "idle_timeout");
        let old_enabled = r.bool_or("keep_alives_enabled", true);
        if r.has("keepalive") && (old_idle.is_some() || !old_enabled) {
            let what = "stands beside idle_timeout or keep_alives_enabled";
            r.error("keepalive", what, "write them as keepalive.idle_timeout and .enabled");
        }
        let write_timeout = r.duration_or("write_timeout", WRITE_TIMEOUT);
        Self {
            read_timeout: nonzero(r, "read_timeout"),
            read_header_timeout: nonzero(r, "read_header_timeout"),
            write_timeout: Some(write_timeout).filter(|t| !t.is_zero()),
            idle_timeout: nonzero(&keepalive, "idle_timeout").or(old_idle),
            keep_alives: keepalive.bool_or("enabled", true) && old_enabled,
            max_connection_age: nonzero(&keepalive, "max_connection_age"),
            max_connection_age_grace: nonzero(&keepalive, "max_connection_age_grace"),
        }
    }
}

impl Default for HttpConnections {
    fn default() -> Self {
        Self {
            read_timeout: None,
            read_header_timeout: None,
            write_timeout: Some(WRITE_TIMEOUT),
            idle_timeout: None,
            keep_alives: true,
            max_connection_age: None,
            max_connection_age_grace: None,
        }
    }
}

// === impl Cors ===

impl Cors {
    /// Reads `cors`.
    pub(super) fn read(r: &Reader<'_>) -> Self {
        let max_age = r.typed("max_age");
        let cors = Self {
            allowed_origins: r.strings("allowed_origins"),
            allowed_headers: r.strings("allowed_headers"),
            exposed_headers: r.strings("exposed_headers"),
            max_age: max_age.and_then(|i| i.integer(i64::MIN, i64::MAX)).unwrap_or(0),
        };
        if cors.allowed_origins.is_empty() {
            r.note("", "has no effect without allowed_origins");
        }
        cors
    }
}

fn nonzero(r: &Reader<'_>, key: &'static str) -> Option<Duration> {
    Some(r.duration_or(key, Duration::ZERO)).filter(|d| !d.is_zero())
}
