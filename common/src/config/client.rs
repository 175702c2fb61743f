//! OTLP/gRPC clients: the `otlp_grpc` exporter and `protocol.otlp` of the load balancer; and what
//! those over HTTP have too.

use std::time::Duration;

use super::auth::AuthRef;
use super::endpoint;
use super::item::Item;
use super::queue::Queue;
use super::reader::Reader;
use super::secret::Secret;
use super::source::Mark;
use super::tls::ClientTls;
use crate::client::{Compression, Ping};
use crate::retry::Retry;

/// A gRPC client of OTLP with its queue and retries.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpClient {
    /// `host:port` without scheme, or `unix:/path`; empty where the resolver gives it.
    pub endpoint: String,
    /// What the server is called in requests and, unless `tls.server_name_override` is given, in
    /// its certificate; empty = as in the endpoint.
    pub authority: String,
    /// TLS; `http://` and `https://` before the endpoint have set `insecure`.
    pub tls: ClientTls,
    /// Compression of requests: gzip (the default), zstd, snappy or none.
    pub compression: Compression,
    /// Headers of each request; names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// Limit of one attempt; zero = none. Default 5 s.
    pub timeout: Duration,
    /// `keepalive`; default 10 s, answered within 10 s, only while a request is under way.
    pub keepalive: Ping,
    /// Whose credentials each request has.
    pub auth: Option<AuthRef>,
    /// `retry_on_failure`.
    pub retry: Retry,
    /// `sending_queue`.
    pub queue: Queue,
}

/// Pings more often than this are taken for an attack by servers; grpc-go's rule.
const LEAST_PING: Duration = Duration::from_secs(10);

// === impl OtlpClient ===

impl OtlpClient {
    /// Reads an exporter that names its endpoint.
    pub fn read(r: &Reader<'_>) -> Self {
        let client = Self::read_all_but_endpoint(r, Queue::read_own);
        let Some(item) = r.take("endpoint") else {
            r.error("endpoint", "is missing", "write endpoint: host:port");
            return client;
        };
        let Some(text) = item.string() else { return client };
        let client = client.at(&item, &text);
        if client.tls.insecure {
            AuthRef::note_clear(r, &client.endpoint);
        }
        client
    }

    /// Reads everything but the endpoint, which comes from a resolver; its queue is not used.
    pub fn read_without_endpoint(r: &Reader<'_>) -> Self {
        Self::read_all_but_endpoint(r, Queue::read)
    }

    fn read_all_but_endpoint(r: &Reader<'_>, queue: fn(&Reader<'_>) -> Queue) -> Self {
        r.refuse(&["middlewares"], "leave it out: there are no middlewares");
        r.refuse(&["proxy_url"], "set HTTPS_PROXY in the environment, as for the collector's gRPC");
        let buffers = "has no effect: buffers have the size that is needed";
        r.accept(&["read_buffer_size", "write_buffer_size"], buffers);
        r.accept(&["user_agent"], "has no effect: it is that of this program");
        let ready = "has no effect: a request waits for its connection, within timeout";
        r.accept(&["wait_for_ready"], ready);
        let balancer = "has no effect: there is one connection, to the first address that answers";
        r.accept(&["balancer_name"], balancer);
        let compression = r.take("compression").and_then(|i| compression(&i, GRPC));
        Self {
            endpoint: String::new(),
            authority: authority(r),
            tls: ClientTls::read(&r.map_or_empty("tls")),
            compression: compression.unwrap_or(Compression::Gzip),
            headers: headers(r, "headers"),
            timeout: r.duration_or("timeout", Duration::from_secs(5)),
            keepalive: keepalive(&r.map_or_empty("keepalive")),
            auth: AuthRef::read(r),
            retry: Retry::read(&r.map_or_empty("retry_on_failure")),
            queue: queue(&r.map_or_empty("sending_queue")),
        }
    }

    /// The same client with the endpoint `text`, which was given by `item`.
    pub fn at(mut self, item: &Item<'_>, text: &str) -> Self {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') {
                item.error(&format!("{text:?} has no path"), "write unix:///run/name.sock");
            }
            self.endpoint = format!("unix:{path}");
            return self;
        }
        let mut rest = text;
        if let Some(after) = text.strip_prefix("http://") {
            (self.tls.insecure, rest) = (true, after);
        } else if let Some(after) = text.strip_prefix("https://") {
            (self.tls.insecure, rest) = (false, after);
        } else if let Some(after) = text.strip_prefix("dns:") {
            rest = after.strip_prefix("///").unwrap_or(after);
        } else if let Some(after) = text.strip_prefix("passthrough:///") {
            rest = after;
        }
        rest = rest.strip_suffix('/').unwrap_or(rest);
        self.endpoint = endpoint::connect(item, rest).unwrap_or_default();
        self
    }
}

fn authority(r: &Reader<'_>) -> String {
    let name = r.string_or("authority", "");
    if !name.is_empty() && name.parse::<http::uri::Authority>().is_err() {
        r.error("authority", &format!("{name:?} is no host"), "write host or host:port");
    }
    name
}

fn keepalive(r: &Reader<'_>) -> Ping {
    let or = Ping::default();
    let time = r.duration_or("time", or.after);
    if time < LEAST_PING {
        r.note("time", "accepted, 10s is the least, as in grpc-go");
    }
    let timeout = r.duration_or("timeout", or.timeout);
    if timeout.is_zero() {
        r.error("timeout", "is zero", "write a time such as 10s");
    }
    let while_idle = r.bool_or("permit_without_stream", or.while_idle);
    Ping { after: time.max(LEAST_PING), timeout, while_idle }
}

/// Names and compressions that a protocol has.
pub(super) type Compressions = &'static [(&'static str, Compression)];

const GRPC: Compressions = &[
    ("gzip", Compression::Gzip),
    ("zstd", Compression::Zstd),
    ("snappy", Compression::Snappy),
    ("none", Compression::None),
    ("", Compression::None),
];

/// Those of the collector.
pub(super) const HTTP: Compressions = &[
    ("gzip", Compression::Gzip),
    ("zstd", Compression::Zstd),
    ("zlib", Compression::Zlib),
    ("deflate", Compression::Deflate),
    ("snappy", Compression::Snappy),
    ("x-snappy-framed", Compression::SnappyFramed),
    ("lz4", Compression::Lz4),
    ("none", Compression::None),
    ("", Compression::None),
];

/// One of `known`.
pub(super) fn compression(item: &Item<'_>, known: Compressions) -> Option<Compression> {
    let text = item.string()?;
    if let Some((_, found)) = known.iter().find(|(name, _)| *name == text) {
        return Some(*found);
    }
    let what = match HTTP.iter().any(|(name, _)| *name == text) {
        true => format!("compression {text:?} is not for gRPC"),
        false => format!("{text:?} is no compression"),
    };
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).filter(|n| !n.is_empty()).collect();
    item.error(&what, &format!("use one of: {}", names.join(", ")));
    None
}

/// `headers`, as a mapping or as a list of `{name, value}`.
pub(super) fn headers(r: &Reader<'_>, key: &'static str) -> Vec<(String, Secret)> {
    let Some(item) = r.take(key) else { return Vec::new() };
    let mut found = Vec::new();
    let mut add = |mark: Mark, name: &str, value: Secret| match header_fault(name, &value) {
        // The place is a key, so that the value is not shown.
        Some((what, help)) => r.diag().key_error(mark, format!("{}: {what}", item.path), help),
        None => found.push((name.to_ascii_lowercase(), value)),
    };
    if item.is_list() {
        for item in item.list() {
            let Some(pair) = item.map() else { continue };
            let name = pair.required("name", "write {name: ..., value: ...}");
            let value = pair.secret("value");
            if !name.is_empty() {
                add(item.mark(), &name, value);
            }
        }
    } else if let Some(map) = item.map() {
        for (name, mark, value) in map.entries() {
            let secret = if value.is_null() { None } else { value.secret() };
            add(mark, name, secret.unwrap_or_default());
        }
    }
    found
}

fn header_fault(name: &str, value: &Secret) -> Option<(String, &'static str)> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Some((format!("{name:?} is no name of a header"), "use letters, digits and `-`"));
    }
    let printable = value.expose().bytes().all(|b| (0x20..0x7f).contains(&b));
    let what = format!("the value of {name:?} is not printable ASCII");
    (!printable).then_some((what, "encode it, or remove what does not belong"))
}
