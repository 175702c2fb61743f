//! Builds one trace: a clock that only moves forward, spans opened and closed on it, and calls
//! between services as a pair of client and server span. At the end the spans are handed out by
//! service.

use super::Service;
use super::random::Random;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, span, span::SpanKind, status::StatusCode,
};

const MILLI: u64 = 1_000_000;

/// An HTTP status.
pub(super) type Code = i64;

/// A span of the trace under construction.
pub(super) type Index = usize;

/// Where a call goes.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) to: Service,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
}

pub(super) struct Builder<'r> {
    pub(super) random: &'r mut Random,
    trace_id: [u8; 16],
    /// Nanoseconds since the trace's first span began.
    clock: u64,
    spans: Vec<(Service, Span)>,
}

/// An attribute.
pub(super) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

// === impl Builder ===

impl<'r> Builder<'r> {
    pub(super) fn new(random: &'r mut Random) -> Builder<'r> {
        let trace_id = random.trace_id();
        Builder { random, trace_id, clock: 0, spans: Vec::with_capacity(16) }
    }

    /// Lets `low..high` milliseconds pass.
    pub(super) fn work(&mut self, low: u64, high: u64) {
        self.clock += self.random.between(low * MILLI, high * MILLI);
    }

    /// The customer's request, answered by `inner` with an HTTP status.
    pub(super) fn request(
        &mut self,
        route: Route,
        inner: impl FnOnce(&mut Self, Index) -> Code,
    ) -> Code {
        let root = self.server(route, None, inner);
        let agent = self.random.pick(&["Mozilla/5.0 (X11; Linux x86_64)", "ShopApp/3.2 (iOS 19)"]);
        let client = format!("198.51.100.{}", self.random.between(1, 255));
        let span = &mut self.spans[root.0].1;
        span.attributes.push(text("user_agent.original", agent));
        span.attributes.push(text("client.address", client));
        root.1
    }

    /// A call from the service of `parent`, answered by `inner` with an HTTP status.
    pub(super) fn call(
        &mut self,
        parent: Index,
        route: Route,
        inner: impl FnOnce(&mut Self, Index) -> Code,
    ) -> Code {
        let client = self.open(parent, SpanKind::Client, route.method.into());
        self.work(1, 3);
        let (_, code) = self.server(route, Some(client), inner);
        self.work(1, 3);
        self.close(client);
        let host = route.to.name();
        let url = format!("http://{host}:8080{}", route.path);
        let attributes = [
            text("http.request.method", route.method),
            text("url.full", url),
            text("server.address", host),
            int("server.port", 8080),
            int("http.response.status_code", code),
        ];
        self.spans[client].1.attributes.extend(attributes);
        if code >= 400 {
            self.fail(client, format!("{host} answered {code}"));
        }
        code
    }

    /// A call to something that reports no spans; takes `low..high` milliseconds.
    pub(super) fn outside(
        &mut self,
        parent: Index,
        name: &str,
        (low, high): (u64, u64),
        attributes: &[(&str, &str)],
    ) -> Index {
        let index = self.open(parent, SpanKind::Client, name.into());
        self.work(low, high);
        self.close(index);
        let attributes = attributes.iter().map(|(key, value)| text(key, *value));
        self.spans[index].1.attributes.extend(attributes);
        index
    }

    pub(super) fn set(&mut self, index: Index, key: &str, value: Value) {
        self.spans[index].1.attributes.push(attribute(key, value));
    }

    /// Gives a span status ERROR.
    pub(super) fn fail(&mut self, index: Index, message: String) {
        self.spans[index].1.status = Some(Status { message, code: StatusCode::Error as i32 });
    }

    /// Gives a span the event of an exception, now.
    pub(super) fn throw(&mut self, index: Index, kind: &str, message: &str) {
        let stack = format!("{kind}: {message}\n  at handle (/srv/app/main.js:42:13)\n");
        let event = span::Event {
            time_unix_nano: self.clock,
            name: "exception".into(),
            attributes: vec![
                text("exception.type", kind),
                text("exception.message", message),
                text("exception.stacktrace", stack),
            ],
            dropped_attributes_count: 0,
        };
        self.spans[index].1.events.push(event);
    }

    /// The trace's id and a request for each service; the trace's end is at `now` nanoseconds.
    pub(super) fn finish(self, now: u64) -> ([u8; 16], Vec<ExportTraceServiceRequest>) {
        let zero = now.saturating_sub(self.clock);
        let mut by_service: Vec<(Service, Vec<Span>)> = Vec::new();
        for (service, mut span) in self.spans {
            span.start_time_unix_nano += zero;
            span.end_time_unix_nano += zero;
            span.events.iter_mut().for_each(|event| event.time_unix_nano += zero);
            match by_service.iter_mut().find(|(known, _)| *known == service) {
                Some((_, spans)) => spans.push(span),
                None => by_service.push((service, vec![span])),
            }
        }
        self.random.shuffle(&mut by_service);
        let requests = by_service.into_iter().map(|(service, spans)| request(service, spans));
        (self.trace_id, requests.collect())
    }

    fn server(
        &mut self,
        route: Route,
        parent: Option<Index>,
        inner: impl FnOnce(&mut Self, Index) -> Code,
    ) -> (Index, Code) {
        let name = format!("{} {}", route.method, route.path);
        let index = self.push(route.to, parent, SpanKind::Server, name);
        self.work(1, 4);
        let code = inner(self, index);
        self.work(1, 4);
        self.close(index);
        let attributes = [
            text("http.request.method", route.method),
            text("http.route", route.path),
            text("url.scheme", "http"),
            text("url.path", route.path),
            text("server.address", route.to.name()),
            int("server.port", 8080),
            int("http.response.status_code", code),
        ];
        self.spans[index].1.attributes.extend(attributes);
        if code >= 500 {
            self.fail(index, format!("answered {code}"));
        }
        (index, code)
    }

    fn open(&mut self, parent: Index, kind: SpanKind, name: String) -> Index {
        self.push(self.spans[parent].0, Some(parent), kind, name)
    }

    fn push(
        &mut self,
        service: Service,
        parent: Option<Index>,
        kind: SpanKind,
        name: String,
    ) -> Index {
        let parent_span_id = parent.map(|p| self.spans[p].1.span_id.clone()).unwrap_or_default();
        let span = Span {
            trace_id: self.trace_id.to_vec(),
            span_id: self.random.span_id().to_vec(),
            parent_span_id,
            // Sampled; and it is known whether the parent is remote, which it is for a server.
            flags: if kind == SpanKind::Server && parent.is_some() { 0x301 } else { 0x101 },
            name,
            kind: kind as i32,
            start_time_unix_nano: self.clock,
            ..Span::default()
        };
        self.spans.push((service, span));
        self.spans.len() - 1
    }

    fn close(&mut self, index: Index) {
        self.spans[index].1.end_time_unix_nano = self.clock;
    }
}

fn request(service: Service, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let name = service.name();
    let resource = Resource {
        attributes: vec![
            text("service.name", name),
            text("service.version", "1.4.2"),
            text("service.instance.id", format!("{name}-0")),
            text("deployment.environment.name", "demo"),
            text("telemetry.sdk.language", "nodejs"),
            text("telemetry.sdk.name", "opentelemetry"),
            text("telemetry.sdk.version", "2.2.0"),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope { name: "shop".into(), ..InstrumentationScope::default() };
    let scope_spans = ScopeSpans { scope: Some(scope), spans, schema_url: String::new() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope_spans],
            schema_url: String::new(),
        }],
    }
}
