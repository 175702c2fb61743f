//! `extensions.health_check`.

use super::reader::Reader;
use super::receiver::{http_server_keys, listen_or};
use super::tls::ServerTls;

/// `extensions.health_check`.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// Where to listen; default `localhost:13133`.
    pub endpoint: String,
    /// Path that is answered; default `/`.
    pub path: String,
    /// TLS, if it is configured.
    pub tls: Option<ServerTls>,
}

// === impl HealthCheck ===

impl HealthCheck {
    pub(super) fn read(r: &Reader<'_>) -> Self {
        http_server_keys(r);
        r.accept(&["max_request_body_size"], "not needed: bodies are not read");
        r.accept(&["check_collector_pipeline"], "has no effect, as in the collector");
        r.accept(&["response_body"], "has no effect: the body is JSON that says why");
        r.refuse(&["use_v2", "grpc", "http", "component_health"], "use endpoint and path");
        let mut path = r.string_or("path", "/");
        if !path.starts_with('/') {
            r.error("path", "does not begin with /", "write an absolute path such as /health");
            path = "/".to_owned();
        }
        Self {
            endpoint: listen_or(r, "localhost:13133"),
            path,
            tls: r.map("tls").and_then(|tls| ServerTls::read(&tls)),
        }
    }
}
