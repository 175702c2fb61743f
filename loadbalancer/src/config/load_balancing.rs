//! `exporters.load_balancing`.

use tailgate_common::config::{OtlpClient, Reader, is_host_port};

/// `exporters.load_balancing`.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalancing {
    /// What a span's backend depends on.
    pub routing_key: RoutingKey,
    /// `protocol.otlp`: how to talk to a backend; its endpoint is empty.
    pub client: OtlpClient,
    /// `resolver.static.hostnames` as `host:port`, in the order of the file; the port is 4317 if
    /// none is given. Empty only where `tailgate.members` are listed.
    pub backends: Vec<String>,
}

/// `routing_key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingKey {
    /// The trace id, the default.
    TraceId,
    /// The resource's `service.name`.
    Service,
}

const LIST: &str = "list the backends, such as the pods of a StatefulSet: resolver: {static: \
    {hostnames: [gw-0.gw.ns:4317, gw-1.gw.ns:4317]}}, or tailgate.members; to scale is to edit them";
const DEFAULT_PORT: u16 = 4317;
const NOT_NEEDED: &str = "not needed: spans are acknowledged only once a sampler holds them";

// === impl LoadBalancing ===

impl LoadBalancing {
    /// Reads the block. With `members`, a resolver is not needed.
    pub(super) fn read(r: &Reader<'_>, members: bool) -> Self {
        r.accept(&["timeout", "retry_on_failure", "sending_queue"], NOT_NEEDED);
        r.refuse(&["routing_attributes"], "route by traceID or service");
        let protocol = r.map_or_empty("protocol");
        let otlp = protocol.map_or_empty("otlp");
        if otlp.has("sending_queue") {
            otlp.note("sending_queue", &format!("accepted, {NOT_NEEDED}"));
        }
        otlp.accept(&["endpoint"], "not needed: the resolver gives the endpoints");
        let mut client = OtlpClient::read_without_endpoint(&otlp);
        let backends = backends(r, members, &mut client.tls.insecure);
        Self { routing_key: routing_key(r, members), client, backends }
    }
}

const SPLITS: &str = "the spans of a trace go to as many backends as it has services: for metrics of \
                      spans, not for samplers";

fn routing_key(r: &Reader<'_>, members: bool) -> RoutingKey {
    let Some(item) = r.take("routing_key") else { return RoutingKey::TraceId };
    match item.string().unwrap_or_default().as_str() {
        "" | "traceID" => RoutingKey::TraceId,
        "service" => {
            if members {
                let what = "is for plain OTLP backends, and tailgate.members own traces";
                item.error(what, "leave it out: traces are routed by their id");
            } else {
                r.note("routing_key", SPLITS);
            }
            RoutingKey::Service
        }
        text => {
            let what = match text {
                "attributes" => "routing by attributes is not supported yet".to_owned(),
                "resource" | "metric" | "streamID" => format!("{text:?} is not for traces"),
                _ => format!("{text:?} is no routing key"),
            };
            item.error(&what, "use traceID or service");
            RoutingKey::TraceId
        }
    }
}

/// What stands before a backend sets `insecure` for all, as there is one client.
fn backends(r: &Reader<'_>, members: bool, insecure: &mut bool) -> Vec<String> {
    const USE_STATIC: &str = "list the backends: resolver: {static: {hostnames: [...]}}";
    let resolver = r.map_or_empty("resolver");
    let later = ["dns", "k8s", "aws_cloud_map"];
    resolver.refuse(&later, LIST);
    let refused = later.iter().any(|key| resolver.has(key));
    let Some(list) = resolver.map("static") else {
        if !members && !refused && !resolver.has("static") {
            resolver.error("static", "no resolver is given", USE_STATIC);
        }
        return Vec::new();
    };
    let items = list.list("hostnames");
    if items.is_empty() {
        list.error("hostnames", "no backend is listed", "write hostnames: [host:4317]");
    }
    let mut found: Vec<String> = Vec::new();
    let (given, mut all) = (*insecure, None);
    for item in items {
        let Some(text) = item.string() else { continue };
        let (scheme, rest) = without_scheme(&text);
        let full = with_port(rest);
        let clear = scheme.unwrap_or(given);
        if *all.get_or_insert(clear) != clear {
            let what = format!("{text:?} is with TLS, or without, unlike those before it");
            item.error(&what, "write http:// before all of them, or none");
        } else if !is_host_port(&full) {
            item.error(&format!("{text:?} is not host or host:port"), "write host:4317");
        } else if found.contains(&full) {
            item.error(&format!("{text:?} is listed twice"), "keep one of them");
        } else {
            found.push(full);
        }
    }
    *insecure = all.unwrap_or(given);
    found
}

/// What the collector hands to its OTLP client: `http://` and `https://` say whether there is TLS.
fn without_scheme(text: &str) -> (Option<bool>, &str) {
    let schemes = [("http://", Some(true)), ("https://", Some(false)), ("dns:///", None)];
    let found = schemes.iter().find_map(|(s, clear)| Some((*clear, text.strip_prefix(s)?)));
    found.map_or((None, text), |(clear, rest)| (clear, rest.strip_suffix('/').unwrap_or(rest)))
}

/// The port is left out where the last colon belongs to an address in brackets, or is not there.
fn with_port(text: &str) -> String {
    let has_port = text.rfind(':') > text.rfind(']');
    if has_port { text.to_owned() } else { format!("{text}:{DEFAULT_PORT}") }
}
