//! OTLP/HTTP clients: the `otlp_http` exporter.

use std::time::Duration;

use http::Uri;

use super::auth::AuthRef;
use super::client::{HTTP, compression, headers};
use super::queue::Queue;
use super::reader::Reader;
use super::secret::Secret;
use super::tls::ClientTls;
use crate::client::{Compression, Ping, Proxy};
use crate::retry::Retry;

/// An HTTP client of OTLP with its queue and retries.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpHttpClient {
    /// What is posted to: `traces_endpoint`, or `endpoint` with `/v1/traces`.
    pub url: String,
    /// `encoding`: JSON instead of protobuf, the default.
    pub json: bool,
    /// TLS; the scheme has set `insecure`.
    pub tls: ClientTls,
    /// HTTP/2 is offered by ALPN (`force_attempt_http2`); default true.
    pub http2: bool,
    /// Compression of requests; default gzip.
    pub compression: Compression,
    /// `compression_params.level`; the fastest if not given.
    pub level: Option<u32>,
    /// Headers of each request; names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// Limit of one attempt; zero = none. Default 30 s.
    pub timeout: Duration,
    /// `proxy_url`, which may have a password in it; empty: as the environment says.
    pub proxy_url: Secret,
    /// Most connections that are kept for later requests.
    pub max_idle: usize,
    /// How long they are kept; zero: as long as the server wants. Default 90 s.
    pub idle_timeout: Duration,
    /// `http2_read_idle_timeout` and `http2_ping_timeout`.
    pub ping: Option<Ping>,
    /// Whose credentials each request has.
    pub auth: Option<AuthRef>,
    /// `retry_on_failure`.
    pub retry: Retry,
    /// `sending_queue`.
    pub queue: Queue,
}

const URL_HELP: &str = "write http://host:4318 or https://host";
const MAX_IDLE: i64 = 100;

// === impl OtlpHttpClient ===

impl OtlpHttpClient {
    /// Reads an exporter.
    pub fn read(r: &Reader<'_>) -> Self {
        r.refuse(&["middlewares"], "leave it out: there are no middlewares");
        let others = ["metrics_endpoint", "logs_endpoint", "profiles_endpoint"];
        r.accept(&others, "has no effect: there are only traces");
        let buffers = "has no effect: buffers have the size that is needed";
        r.accept(&["read_buffer_size", "write_buffer_size"], buffers);
        let consumers = "has no effect: sending_queue.num_consumers bounds the connections";
        r.accept(&["max_conns_per_host"], consumers);
        if r.map_or_empty("cookies").bool_or("enabled", false) {
            r.note("cookies", "accepted, has no effect: cookies are not sent back");
        }
        let url = url(r);
        if let Some(rest) = url.strip_prefix("http://") {
            AuthRef::note_clear(r, rest.split('/').next().unwrap_or(rest));
        }
        let compression = r.take("compression").and_then(|i| compression(&i, HTTP));
        let compression = compression.unwrap_or(Compression::Gzip);
        let encoding = r.typed("encoding").and_then(|i| i.choice(&["proto", "json"]));
        Self {
            json: encoding == Some(1),
            tls: tls(r, &url),
            url,
            http2: r.bool_or("force_attempt_http2", true),
            compression,
            level: level(&r.map_or_empty("compression_params"), compression),
            headers: headers(r, "headers"),
            timeout: r.duration_or("timeout", Duration::from_secs(30)),
            proxy_url: read_proxy(r, "proxy_url"),
            max_idle: max_idle(r),
            idle_timeout: r.duration_or("idle_conn_timeout", Duration::from_secs(90)),
            ping: ping(r),
            auth: AuthRef::read(r),
            retry: Retry::read(&r.map_or_empty("retry_on_failure")),
            queue: Queue::read_own(&r.map_or_empty("sending_queue")),
        }
    }
}

/// `traces_endpoint` as it is, or `endpoint` and the path of traces.
fn url(r: &Reader<'_>) -> String {
    let (whole, base) = (r.take("traces_endpoint"), r.take("endpoint"));
    let Some(item) = whole.as_ref().or(base.as_ref()) else {
        r.error("endpoint", "is missing", URL_HELP);
        return String::new();
    };
    let Some(text) = item.string() else { return String::new() };
    // It is shown to nobody: not with its line either.
    if text.contains('@') {
        let key = if whole.is_some() { "traces_endpoint" } else { "endpoint" };
        let help = "give user and password by basicauth with client_auth, below auth";
        r.reject(&[key], "has a user in it", help);
        return String::new();
    }
    let parsed: Option<Uri> = text.parse().ok();
    let scheme = parsed.as_ref().and_then(Uri::scheme_str);
    if !matches!(scheme, Some("http" | "https")) {
        item.error(&format!("{text:?} is not a URL of http or https"), URL_HELP);
        return String::new();
    }
    match whole {
        Some(_) => text,
        None => format!("{}/v1/traces", text.strip_suffix('/').unwrap_or(&text)),
    }
}

fn tls(r: &Reader<'_>, url: &str) -> ClientTls {
    let block = r.map_or_empty("tls");
    let insecure = !url.starts_with("https:");
    if block.has("insecure") && block.bool_or("insecure", false) != insecure {
        block.note("insecure", "accepted, has no effect: the scheme of the endpoint decides");
    }
    ClientTls { insecure, ..ClientTls::read(&block) }
}

/// Levels as in Go: -2 is Huffman coding alone, -1 and 0 are the default.
fn level(r: &Reader<'_>, compression: Compression) -> Option<u32> {
    let item = r.typed("level")?;
    let level = item.integer(i64::from(i32::MIN), i64::from(i32::MAX))?;
    let (least, most) = match compression {
        Compression::Gzip | Compression::Zlib | Compression::Deflate => (-2, 9),
        Compression::Zstd => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (0, 0),
    };
    if !(least..=most).contains(&level) {
        let help = match most {
            0 => "leave it out: this compression has no levels".to_owned(),
            _ => format!("from {least} to {most}"),
        };
        item.error(&format!("{level} is out of range"), &help);
    }
    if level == -2 {
        r.note("level", "accepted, is level 1: there is no Huffman coding alone");
        return Some(1);
    }
    u32::try_from(level).ok().filter(|level| *level > 0).map(|level| level.min(22))
}

/// The URL of a proxy, which may have a password in it.
pub fn read_proxy(r: &Reader<'_>, key: &'static str) -> Secret {
    let url = r.secret(key);
    if !url.is_empty() && Proxy::from_url(url.expose(), key).is_err() {
        r.reject(&[key], "is not the URL of an HTTP proxy", "write http://host:port");
    }
    url
}

fn max_idle(r: &Reader<'_>) -> usize {
    let limit = |key| r.typed(key).and_then(|i| i.integer(0, i64::MAX));
    let (all, host) = (limit("max_idle_conns"), limit("max_idle_conns_per_host"));
    if r.bool_or("disable_keep_alives", false) {
        return 0;
    }
    // Zero is no limit for all, and the default for a host.
    let set = [all, host].into_iter().flatten().filter(|n| *n > 0);
    set.min().unwrap_or(MAX_IDLE).min(MAX_IDLE) as usize
}

fn ping(r: &Reader<'_>) -> Option<Ping> {
    let or = Ping::default();
    let after = r.duration_or("http2_read_idle_timeout", or.after);
    let timeout = r.duration_or("http2_ping_timeout", or.timeout);
    let timeout = if timeout.is_zero() { or.timeout } else { timeout };
    (!after.is_zero()).then_some(Ping { after, timeout, ..or })
}
