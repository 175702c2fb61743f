//! `receivers.otlp`: what listens.

use super::endpoint;
use super::reader::Reader;
use super::tls::ServerTls;
use crate::peer::MAX_FRAGMENT;

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
    /// Where to listen, `host:port`; default `localhost:4317`.
    pub endpoint: String,
    /// TLS, if it is configured.
    pub tls: Option<ServerTls>,
    /// Bytes of one message after decompression (`max_recv_msg_size_mib`); default 4 MiB.
    pub max_recv_msg_bytes: usize,
    /// Requests at a time on one connection; 0 = the server's own limit.
    pub max_concurrent_streams: u32,
}

/// `protocols.http`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpServer {
    /// Where to listen, `host:port`; default `localhost:4318`.
    pub endpoint: String,
    /// TLS, if it is configured.
    pub tls: Option<ServerTls>,
    /// Bytes of one body, before and after decompression; default 20 MiB.
    pub max_request_body_bytes: usize,
    /// Path of traces; default `/v1/traces`.
    pub traces_url_path: String,
}

const MIB: i64 = 1 << 20;
/// A message of 4 GiB is beyond what the wire offsets (32 bits) can address.
const MAX_MIB: i64 = 4095;
const AUTH_HELP: &str = "use tls.client_ca_file to let in known clients only";
const IDLE_HELP: &str = "has no effect yet";

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
        refuse_transport(r);
        r.refuse(&["auth", "middlewares"], AUTH_HELP);
        r.accept(&["keepalive", "read_buffer_size", "write_buffer_size"], IDLE_HELP);
        r.accept(&["include_metadata"], "not needed: nothing here reads client metadata");
        let max = match r.typed("max_recv_msg_size_mib").and_then(|i| i.integer(0, MAX_MIB)) {
            None | Some(0) => 4 * MIB,
            Some(mib) => mib * MIB,
        };
        check_fits(r, "max_recv_msg_size_mib", max, members, MAX_FRAGMENT as i64 / MIB);
        let streams = r.typed("max_concurrent_streams");
        let streams = streams.and_then(|i| i.integer(0, i64::from(u32::MAX)));
        Self {
            endpoint: listen_or(r, "localhost:4317"),
            tls: r.map("tls").and_then(|tls| ServerTls::read(&tls)),
            max_recv_msg_bytes: max as usize,
            max_concurrent_streams: streams.unwrap_or(0) as u32,
        }
    }
}

// === impl HttpServer ===

impl HttpServer {
    fn read(r: &Reader<'_>, members: bool) -> Self {
        http_server_keys(r);
        r.accept(&["metrics_url_path", "logs_url_path"], "has no effect: only traces are taken");
        let max = match r.typed("max_request_body_size").and_then(|i| i.integer(0, MAX_MIB * MIB)) {
            None | Some(0) => 20 * MIB,
            Some(bytes) => bytes,
        };
        check_fits(r, "max_request_body_size", max, members, MAX_FRAGMENT as i64);
        let mut traces_url_path = r.string_or("traces_url_path", "/v1/traces");
        if !traces_url_path.starts_with('/') {
            traces_url_path.insert(0, '/');
        }
        Self {
            endpoint: listen_or(r, "localhost:4318"),
            tls: r.map("tls").and_then(|tls| ServerTls::read(&tls)),
            max_request_body_bytes: max as usize,
            traces_url_path,
        }
    }
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

/// The keys that every HTTP server of the collector has and that do nothing here.
pub(super) fn http_server_keys(r: &Reader<'_>) {
    refuse_transport(r);
    r.refuse(&["auth", "middlewares"], AUTH_HELP);
    r.refuse(&["cors"], "send browser traffic through your agent");
    r.accept(&["include_metadata"], "not needed: nothing here reads client metadata");
    let inert = [
        "response_headers",
        "compression_algorithms",
        "read_timeout",
        "read_header_timeout",
        "write_timeout",
        "idle_timeout",
        "keep_alives_enabled",
    ];
    r.accept(&inert, IDLE_HELP);
}

fn refuse_transport(r: &Reader<'_>) {
    if let Some(item) = r.take("transport")
        && let Some(text) = item.string()
        && !matches!(text.as_str(), "" | "tcp" | "tcp4" | "tcp6")
    {
        item.error(&format!("transport {text:?} is not supported yet"), "use tcp");
    }
}
