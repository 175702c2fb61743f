//! The `http` block, and the error flags that follow from the HTTP status.
//!
//! Two generations of semantic conventions are read; of two spellings the later one in the list
//! counts.

use core::net::IpAddr;

use tailgate_proto::view::Value;

use crate::attrs::{Attrs, int_of, str_of};
use crate::json::Json;
use crate::keys::Key;
use crate::span::{Kind, Span};
use crate::stable;

/// What the attributes say about the request. A URL part can be given and empty.
#[derive(Debug, Default)]
struct Http<'a> {
    /// Read by today's conventions.
    stable: bool,
    /// The peer's address can be the client's. The exporter takes it for that even if the span is
    /// the client.
    peer_is_client: bool,
    /// There is a block at all.
    present: bool,
    /// An attribute was seen that allows a URL to be built.
    has_url: bool,
    method: &'a [u8],
    user_agent: &'a [u8],
    client_ip: &'a [u8],
    peer_known: bool,
    /// `network.peer.address`, if it is one.
    peer_address: &'a [u8],
    status: Option<i64>,
    full: Option<&'a [u8]>,
    scheme: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    target: Option<&'a [u8]>,
    server_name: Option<&'a [u8]>,
    host_name: Option<&'a [u8]>,
    net_host_name: Option<&'a [u8]>,
    net_peer_name: Option<&'a [u8]>,
    net_peer_ip: Option<&'a [u8]>,
    server_address: Option<&'a [u8]>,
    net_host_port: Option<Port<'a>>,
    net_peer_port: Option<Port<'a>>,
    server_port: Option<Port<'a>>,
    path: Option<&'a [u8]>,
    query: Option<&'a [u8]>,
}

#[derive(Debug, Clone, Copy)]
enum Port<'a> {
    Text(&'a [u8]),
    Number(i64),
}

/// Which addresses of today's conventions the block shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// `network.peer.address`.
    pub(crate) peer: bool,
    /// `client.address`.
    pub(crate) client: bool,
}

/// The three flags of a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) error: bool,
    pub(crate) fault: bool,
    pub(crate) throttle: bool,
}

/// An HTTP status between 400 and 599 decides, else the span's status.
pub(crate) fn flags(span: &Span<'_>, attrs: &Attrs<'_>) -> Flags {
    let status = attrs.first(Key::HttpStatusCode).or(attrs.first(Key::HttpResponseStatusCode));
    let (error, fault) = match status.map(int_of) {
        Some(400..=499) => (true, false),
        Some(500..=599) => (false, true),
        _ if attrs.is_stable() => return stable::flags(span, attrs),
        _ => (false, span.is_error()),
    };
    Flags { error, fault, throttle: status.is_some_and(|status| int_of(status) == 429) }
}

/// There is a block.
pub(crate) fn has_block(attrs: &Attrs<'_>) -> bool {
    attrs.items().iter().any(|attr| makes_block(attr.known))
}

/// Writes the block, if there is one.
pub(crate) fn write(json: &mut Json, span: &Span<'_>, attrs: &Attrs<'_>) {
    let stable = attrs.is_stable();
    let peer_is_client = !stable || span.kind == Kind::Server;
    let mut http = Http { stable, peer_is_client, ..Http::default() };
    for attr in attrs.items() {
        if attr.known.is_http() {
            http.read(attr.known, &attr.value);
        }
    }
    if !http.present {
        return;
    }
    json.open("http");
    json.open("request");
    json.field_or_omit("method", http.method);
    json.field_or_omit("user_agent", http.user_agent);
    json.field_or_omit("client_ip", http.client_ip);
    if http.is_forwarded() {
        json.field_bool("x_forwarded_for", true);
    }
    if http.has_url {
        http.write_url(json, span.kind);
    }
    json.raw("}");
    json.open("response");
    if let Some(status) = http.status {
        json.field_int("status", status);
    }
    json.field_int("content_length", content_length(span, attrs));
    json.raw("}}");
}

/// The size of the first received message that is not empty.
fn content_length(span: &Span<'_>, attrs: &Attrs<'_>) -> i64 {
    if attrs.is_stable() {
        let size = attrs.first(Key::ResponseBodySize).map_or(0, int_of);
        if size != 0 {
            return size;
        }
    }
    if attrs.first_str(Key::MessageType) == b"RECEIVED" {
        let size = attrs.first(Key::PayloadSize).map_or(0, int_of);
        if size != 0 {
            return size;
        }
    }
    if !span.has_events {
        return 0;
    }
    let sizes = span.view.events().map(|event| {
        let attributes = event.attributes();
        let kind = attributes.get("message.type");
        if kind.as_ref().is_none_or(|kind| str_of(kind) != b"RECEIVED") {
            return 0;
        }
        let size = attributes.get("messaging.message_payload_size_bytes");
        size.as_ref().map_or(0, int_of)
    });
    sizes.into_iter().find(|&size| size != 0).unwrap_or(0)
}

/// An IP address in its usual form: no zone, no port, no leading zeros.
fn is_ip(text: &[u8]) -> bool {
    str::from_utf8(text).is_ok_and(|text| text.parse::<IpAddr>().is_ok())
}

// === impl Shown ===

impl Shown {
    pub(crate) const ALL: Self = Self { peer: true, client: true };

    /// By the rules of `client_ip`, if there is a block.
    pub(crate) fn new(span: &Span<'_>, attrs: &Attrs<'_>) -> Self {
        let [client, peer] =
            [Key::ClientAddress, Key::NetworkPeerAddress].map(|k| attrs.last_str(k));
        let told = is_ip(client);
        let shown = match () {
            () if told => client,
            () if attrs.has(Key::HttpClientIp) => attrs.last_str(Key::HttpClientIp),
            () => peer,
        };
        let is_shown = span.kind == Kind::Server && is_ip(peer) && peer == shown;
        Self { peer: is_shown, client: told }
    }
}

// === impl Http ===

impl<'a> Http<'a> {
    fn read(&mut self, key: Key, value: &Value<'a>) {
        let text = str_of(value);
        self.present |= makes_block(key);
        self.has_url |= allows_url(key);
        match key {
            Key::HttpMethod | Key::HttpRequestMethod => self.method = text,
            Key::HttpUserAgent | Key::UserAgentOriginal => self.user_agent = text,
            Key::HttpStatusCode | Key::HttpResponseStatusCode => self.status = Some(int_of(value)),
            Key::HttpClientIp => self.client_ip = text,
            Key::HttpUrl | Key::UrlFull => self.full = Some(text),
            Key::HttpScheme | Key::UrlScheme => self.scheme = Some(text),
            Key::HttpHost => self.host = Some(text),
            Key::HttpTarget => self.target = Some(text),
            Key::HttpServerName => self.server_name = Some(text),
            Key::HostName => self.host_name = Some(text),
            Key::NetHostName => self.net_host_name = Some(text),
            Key::NetPeerName => self.net_peer_name = Some(text),
            Key::ServerAddress => self.server_address = Some(text),
            Key::NetHostPort => self.net_host_port = Some(Port::new(value)),
            Key::NetPeerPort => self.net_peer_port = Some(Port::new(value)),
            Key::ServerPort => self.server_port = Some(Port::new(value)),
            Key::UrlPath => self.path = Some(text),
            Key::UrlQuery => self.query = Some(text),
            Key::NetPeerIp => {
                self.net_peer_ip = Some(text);
                self.peer(text);
            }
            Key::NetworkPeerAddress if is_ip(text) => {
                self.has_url = true;
                self.peer_address = text;
                self.peer(text);
            }
            Key::ClientAddress if is_ip(text) => self.client_ip = text,
            _ => {}
        }
    }

    /// The client's address was not seen but told. By today's conventions both can be known.
    fn is_forwarded(&self) -> bool {
        let told = self.stable && !self.peer_address.is_empty();
        !self.client_ip.is_empty()
            && (!self.peer_known || told && self.client_ip != self.peer_address)
    }

    fn peer(&mut self, address: &'a [u8]) {
        if self.client_ip.is_empty() && self.peer_is_client {
            self.client_ip = address;
        }
        self.peer_known = true;
    }

    fn write_url(&self, json: &mut Json, kind: Kind) {
        if let Some(full) = self.full {
            json.field_or_omit("url", full);
            return;
        }
        let (hosts, ports): ([_; 4], [_; 2]) = if kind == Kind::Server {
            let hosts = [self.server_name, self.net_host_name, self.host_name, self.server_address];
            (hosts, [self.net_host_port, self.server_port])
        } else if self.stable {
            let hosts = [self.server_address, self.net_peer_name, self.net_peer_ip, None];
            (hosts, [self.server_port, self.net_peer_port])
        } else {
            ([self.net_peer_name, self.net_peer_ip, None, None], [self.net_peer_port, None])
        };
        let scheme = self.scheme.unwrap_or(b"http");
        let host = self.host.or_else(|| hosts.into_iter().flatten().next());
        let port = match self.host {
            Some(_) => None,
            None => ports.into_iter().flatten().next(),
        };
        json.key("url");
        json.quote();
        json.part(scheme);
        json.raw("://");
        let host = host.unwrap_or_default();
        if self.stable && self.host.is_none() {
            stable::write_host(json, host);
        } else {
            json.part(host);
        }
        match port.filter(|port| !port.is_default(scheme)) {
            Some(Port::Text(text)) => {
                json.raw(":");
                json.part(text);
            }
            Some(Port::Number(number)) => {
                json.raw(":");
                json.int(number);
            }
            None => {}
        }
        self.write_path(json);
        json.quote();
    }

    fn write_path(&self, json: &mut Json) {
        if let Some(target) = self.target {
            json.part(target);
            return;
        }
        json.part(self.path.unwrap_or(b"/"));
        if let Some(query) = self.query {
            if !query.starts_with(b"?") {
                json.raw("?");
            }
            json.part(query);
        }
    }
}

/// The attribute makes the block appear.
fn makes_block(key: Key) -> bool {
    key <= Key::UrlQuery
}

/// The attribute allows a URL to be built.
fn allows_url(key: Key) -> bool {
    matches!(
        key,
        Key::HttpUrl
            | Key::UrlFull
            | Key::HttpHost
            | Key::HttpServerName
            | Key::HostName
            | Key::NetHostName
            | Key::NetPeerName
            | Key::ServerAddress
            | Key::NetPeerIp
    )
}

// === impl Port ===

impl<'a> Port<'a> {
    fn new(value: &Value<'a>) -> Self {
        match str_of(value) {
            [] => Port::Number(int_of(value)),
            text => Port::Text(text),
        }
    }

    /// The scheme implies it.
    fn is_default(self, scheme: &[u8]) -> bool {
        let is = |text: &[u8], number: i64| match self {
            Port::Text(port) => port == text,
            Port::Number(port) => port == number,
        };
        scheme == b"http" && is(b"80", 80) || scheme == b"https" && is(b"443", 443)
    }
}
