//! OTLP clients: the `otlp_grpc` exporter and `protocol.otlp` of the load balancer.

use std::time::Duration;

use super::auth::AuthRef;
use super::endpoint;
use super::item::Item;
use super::queue::Queue;
use super::reader::Reader;
use super::secret::Secret;
use super::source::Mark;
use super::tls::ClientTls;
use crate::retry::Retry;

/// A gRPC client of OTLP with its queue and retries.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpClient {
    /// `host:port`, no scheme; empty where the resolver gives it.
    pub endpoint: String,
    /// TLS; `http://` and `https://` before the endpoint have set `insecure`.
    pub tls: ClientTls,
    /// Compression of requests; default gzip.
    pub compression: Compression,
    /// Headers of each request; names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// Limit of one attempt; zero = none. Default 5 s.
    pub timeout: Duration,
    /// Whose credentials each request has.
    pub auth: Option<AuthRef>,
    /// `retry_on_failure`.
    pub retry: Retry,
    /// `sending_queue`.
    pub queue: Queue,
}

/// Compression of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// The compressions of the collector that are not here.
const NOT_YET: [&str; 5] = ["snappy", "x-snappy-framed", "zlib", "deflate", "lz4"];

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
        client.at(&item, &text)
    }

    /// Reads everything but the endpoint, which comes from a resolver; its queue is not used.
    pub fn read_without_endpoint(r: &Reader<'_>) -> Self {
        Self::read_all_but_endpoint(r, Queue::read)
    }

    fn read_all_but_endpoint(r: &Reader<'_>, queue: fn(&Reader<'_>) -> Queue) -> Self {
        r.refuse(&["middlewares"], "leave it out: there are no middlewares");
        r.refuse(&["authority"], "use tls.server_name_override");
        r.refuse(&["proxy_url"], "connect without a proxy");
        let inert = [
            "keepalive",
            "read_buffer_size",
            "write_buffer_size",
            "wait_for_ready",
            "balancer_name",
        ];
        r.accept(&inert, "has no effect");
        Self {
            endpoint: String::new(),
            tls: ClientTls::read(&r.map_or_empty("tls")),
            compression: r.take("compression").and_then(|i| compression(&i)).unwrap_or(Gzip),
            headers: headers(r, "headers"),
            timeout: r.duration_or("timeout", Duration::from_secs(5)),
            auth: AuthRef::read(r),
            retry: Retry::read(&r.map_or_empty("retry_on_failure")),
            queue: queue(&r.map_or_empty("sending_queue")),
        }
    }

    /// The same client with the endpoint `text`, which was given by `item`.
    pub fn at(mut self, item: &Item<'_>, text: &str) -> Self {
        let mut rest = text;
        if let Some(after) = text.strip_prefix("http://") {
            (self.tls.insecure, rest) = (true, after);
        } else if let Some(after) = text.strip_prefix("https://") {
            (self.tls.insecure, rest) = (false, after);
        } else if let Some(after) = text.strip_prefix("dns:///") {
            rest = after;
        }
        rest = rest.strip_suffix('/').unwrap_or(rest);
        self.endpoint = endpoint::connect(item, rest).unwrap_or_default();
        self
    }
}

use Compression::Gzip;

fn compression(item: &Item<'_>) -> Option<Compression> {
    match item.string()?.as_str() {
        "gzip" => Some(Gzip),
        "none" | "" => Some(Compression::None),
        "zstd" => Some(Compression::Zstd),
        text => {
            let what = match NOT_YET.contains(&text) {
                true => format!("compression {text:?} is not supported yet"),
                false => format!("{text:?} is no compression"),
            };
            item.error(&what, "use gzip, zstd or none");
            None
        }
    }
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
