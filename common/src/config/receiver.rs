//! `receivers.otlp`: what listens.

use super::auth::AuthRef;
use super::client::headers;
use super::connections::{Cors, GrpcKeepalive, HttpConnections};
use super::endpoint;
use super::reader::Reader;
use super::secret::Secret;
use super::tls::ServerTls;
use crate::peer::MAX_FRAGMENT;
use crate::receive::Encoding;

/// `receivers.otlp`. At least one protocol is there.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpReceiver {
    /// `protocols.grpc`, if it is listed.
    pub grpc: Option<GrpcServer>,
    /// `protocols.http`, if it is listed.
    pub http: Option<HttpServer>,
}

/// `protocols.grpc`.
#[derive(Clone, Debug, PartialEq)]
pub struct GrpcServer {
    /// Where to listen, `host:port` or `unix:/path`; default `localhost:4317`.
    pub endpoint: String,
    /// TLS, if it is configured.
    pub tls: Option<ServerTls>,
    /// Bytes of one message after decompression (`max_recv_msg_size_mib`); default 4 MiB.
    pub max_recv_msg_bytes: usize,
    /// Requests at a time on one connection; 0 = the server's own limit.
    pub max_concurrent_streams: u32,
    /// Who checks clients.
    pub auth: Option<AuthRef>,
    /// `keepalive.server_parameters`.
    pub keepalive: GrpcKeepalive,
}

/// `protocols.http`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpServer {
    /// Where to listen, `host:port` or `unix:/path`; default `localhost:4318`.
    pub endpoint: String,
    /// TLS, if it is configured.
    pub tls: Option<ServerTls>,
    /// Bytes of one body, before and after decompression; default 20 MiB.
    pub max_request_body_bytes: usize,
    /// Path of traces; default `/v1/traces`.
    pub traces_url_path: String,
    /// Paths of metrics and logs, which are refused with a remedy; default `/v1/metrics`,
    /// `/v1/logs`.
    pub other_url_paths: [String; 2],
    /// Who checks clients.
    pub auth: Option<AuthRef>,
    /// Encodings that are taken.
    pub encodings: Vec<Encoding>,
    /// Timeouts and `keepalive`.
    pub connections: HttpConnections,
    /// `cors`, if it is configured.
    pub cors: Option<Cors>,
    /// `response_headers`: headers of each answer; names in lower case.
    pub response_headers: Vec<(String, Secret)>,
}

const MIB: i64 = 1 << 20;
/// A message of 4 GiB is beyond what the wire offsets (32 bits) can address.
const MAX_MIB: i64 = 4095;
const MIDDLEWARES_HELP: &str = "leave it out: there are no middlewares";
const DIALER: &str = "has no effect on a listener, as in the collector";
const METADATA: &str = "not needed: nothing here reads client metadata";

// === impl OtlpReceiver ===

impl OtlpReceiver {
    /// Reads the block of an `otlp` receiver. Among `members`, a request must fit into a frame
    /// between the tiers.
    pub(super) fn read(r: &Reader<'_>, members: bool) -> Self {
        let protocols = r.map_or_empty("protocols");
        let grpc = protocols.map("grpc");
        let http = protocols.map("http");
        if grpc.is_none() && http.is_none() {
            let help = "list grpc, http or both: protocols: {grpc: , http: }";
            r.error("protocols", "no protocol is listed", help);
        }
        Self {
            grpc: grpc.as_ref().map(|grpc| GrpcServer::read(grpc, members)),
            http: http.as_ref().map(|http| HttpServer::read(http, members)),
        }
    }
}

// === impl GrpcServer ===

impl GrpcServer {
    fn read(r: &Reader<'_>, members: bool) -> Self {
        r.refuse(&["middlewares"], MIDDLEWARES_HELP);
        r.accept(
            &["read_buffer_size", "write_buffer_size"],
            "has no effect: sizes are chosen here",
        );
        r.accept(&["include_metadata"], METADATA);
        let max = match r.typed("max_recv_msg_size_mib").and_then(|i| i.integer(0, MAX_MIB)) {
            None | Some(0) => 4 * MIB,
            Some(mib) => mib * MIB,
        };
        check_fits(r, "max_recv_msg_size_mib", max, members, MAX_FRAGMENT as i64 / MIB);
        let streams = r.typed("max_concurrent_streams");
        let streams = streams.and_then(|i| i.integer(0, i64::from(u32::MAX)));
        let endpoint = door(r, "localhost:4317");
        if !r.has("tls") {
            AuthRef::note_clear(r, &endpoint);
        }
        Self {
            endpoint,
            tls: r.map("tls").and_then(|tls| ServerTls::read(&tls)),
            max_recv_msg_bytes: max as usize,
            max_concurrent_streams: streams.unwrap_or(0) as u32,
            auth: AuthRef::read(r),
            keepalive: GrpcKeepalive::read(&r.map_or_empty("keepalive")),
        }
    }
}

// === impl HttpServer ===

impl HttpServer {
    fn read(r: &Reader<'_>, members: bool) -> Self {
        r.refuse(&["middlewares"], MIDDLEWARES_HELP);
        r.accept(&["include_metadata"], METADATA);
        let max = match r.typed("max_request_body_size").and_then(|i| i.integer(0, MAX_MIB * MIB)) {
            None | Some(0) => 20 * MIB,
            Some(bytes) => bytes,
        };
        check_fits(r, "max_request_body_size", max, members, MAX_FRAGMENT as i64);
        let endpoint = door(r, "localhost:4318");
        if !r.has("tls") {
            AuthRef::note_clear(r, &endpoint);
        }
        Self {
            endpoint,
            tls: r.map("tls").and_then(|tls| ServerTls::read(&tls)),
            max_request_body_bytes: max as usize,
            traces_url_path: url_path(r, "traces_url_path", "/v1/traces"),
            other_url_paths: [
                url_path(r, "metrics_url_path", "/v1/metrics"),
                url_path(r, "logs_url_path", "/v1/logs"),
            ],
            auth: AuthRef::read(r),
            encodings: encodings(r),
            connections: HttpConnections::read(r),
            cors: r.map("cors").map(|cors| Cors::read(&cors)),
            response_headers: headers(r, "response_headers"),
        }
    }
}

fn url_path(r: &Reader<'_>, key: &'static str, default: &str) -> String {
    let mut path = r.string_or(key, default);
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    path
}

/// The encodings that `compression_algorithms` names; all without it.
fn encodings(r: &Reader<'_>) -> Vec<Encoding> {
    if !r.has("compression_algorithms") {
        return Encoding::ALL.to_vec();
    }
    let mut found = Vec::new();
    for item in r.list("compression_algorithms") {
        let Some(name) = item.string() else { continue };
        match Encoding::of_http(name.as_bytes()) {
            Some(encoding) => found.push(encoding),
            None => item.error(
                &format!("{name:?} is no compression that is taken"),
                "use gzip, zstd, zlib, deflate, snappy, x-snappy-framed, lz4 or \"\" for none",
            ),
        }
    }
    found
}

/// What a client may send has to fit through to a sampler; `most` is in the key's unit.
fn check_fits(r: &Reader<'_>, key: &'static str, bytes: i64, members: bool, most: i64) {
    if members && bytes > MAX_FRAGMENT as i64 {
        let what = "is more than one frame to a sampler can hold, and tailgate.members are listed";
        r.error(key, what, &format!("write {key}: {most}, or less"));
    }
}

/// The endpoint key of a server, or its default.
pub(super) fn listen_or(r: &Reader<'_>, default: &str) -> String {
    let item = r.take("endpoint");
    item.and_then(|item| endpoint::listen(&item)).unwrap_or_else(|| default.to_owned())
}

/// `endpoint` by `transport`, which may be a unix socket.
fn door(r: &Reader<'_>, default: &str) -> String {
    const NAMES: [&str; 5] = ["", "tcp", "tcp4", "tcp6", "unix"];
    r.accept(&["dialer"], DIALER);
    let transport = r.take("transport");
    let unix = transport.and_then(|item| item.choice(&NAMES)) == Some(4);
    let item = r.take("endpoint");
    let text = item.as_ref().and_then(|item| item.string()).unwrap_or_default();
    let path = text.strip_prefix("unix:");
    match (unix, path.or(unix.then_some(text.as_str()))) {
        (_, None) => listen_or(r, default),
        // Three slashes are those of a URL without a host.
        (_, Some(path)) => match path.strip_prefix("//").unwrap_or(path) {
            "" => {
                r.error("endpoint", "is missing", "write the path of the unix socket");
                default.to_owned()
            }
            path => format!("unix:{path}"),
        },
    }
}

/// The keys that every HTTP server of the collector has, where they do nothing.
pub(super) fn http_server_keys(r: &Reader<'_>) {
    r.take("transport").and_then(|item| item.choice(&["", "tcp", "tcp4", "tcp6"]));
    r.accept(&["dialer"], DIALER);
    r.refuse(&["auth"], "bind it to an address that only its readers reach");
    r.refuse(&["middlewares"], MIDDLEWARES_HELP);
    r.refuse(&["cors"], "browsers have no business here");
    r.accept(&["include_metadata"], METADATA);
    let inert = [
        "response_headers",
        "compression_algorithms",
        "read_timeout",
        "read_header_timeout",
        "write_timeout",
        "idle_timeout",
        "keep_alives_enabled",
        "keepalive",
    ];
    r.accept(&inert, "has no effect");
}
