//! Three gateways of both tiers before one sink: open, behind TLS, behind mutual TLS.

use crate::SOON;
use crate::fleet::{Fleet, Plan};
use crate::tls::Authority;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use tailgate_testkit::sink::{Keep, Sink};
use tailgate_testkit::wait::eventually;
use tempfile::TempDir;

/// Keeps everything.
const ALL: &str = "{decision_wait: 200ms, policies: [{name: all, type: always_sample}]}";

/// What a client has to show and see before it may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Security {
    Plain,
    Tls,
    Mutual,
}

pub struct Doors {
    sink: Sink,
    fleets: [Fleet; 3],
    files: TempDir,
}

// === impl Security ===

impl Security {
    pub const ALL: [Self; 3] = [Self::Plain, Self::Tls, Self::Mutual];

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "none",
            Self::Tls => "TLS",
            Self::Mutual => "mutual TLS",
        }
    }

    pub fn scheme(self) -> &'static str {
        if self == Self::Plain { "http" } else { "https" }
    }
}

// === impl Doors ===

impl Doors {
    pub async fn open() -> Doors {
        let sink = Sink::start(SocketAddr::from(([127, 0, 0, 1], 0)), Keep::Bodies);
        let (sink, authority) = (sink.await.unwrap(), Authority::new());
        let (cert, key) = authority.identity();
        let mine = "cert_file: node.pem, key_file: node.key";
        let plan = |receiver: String| Plan {
            tail_sampling: Some(ALL.to_owned()),
            receiver,
            files: vec![
                ("ca.pem", authority.pem()),
                ("node.pem", cert.clone()),
                ("node.key", key.clone()),
            ],
            ..Plan::to_sink(&sink)
        };
        let fleets = [
            plan(String::new()).fleet(1).await,
            plan(format!(", tls: {{{mine}}}")).fleet(1).await,
            plan(format!(", tls: {{{mine}, client_ca_file: ca.pem}}")).fleet(1).await,
        ];
        let files = tempfile::tempdir().unwrap();
        let (cert, key) = authority.identity();
        for (name, text) in [("ca.pem", authority.pem()), ("client.pem", cert), ("client.key", key)]
        {
            std::fs::write(files.path().join(name), text).unwrap();
        }
        Doors { sink, fleets, files }
    }

    pub fn fleet(&mut self, security: Security) -> &mut Fleet {
        &mut self.fleets[security as usize]
    }

    /// Where OTLP goes in.
    pub fn addr(&self, security: Security, grpc: bool) -> SocketAddr {
        let ports = &self.fleets[security as usize].loadbalancer.ports;
        if grpc { ports.grpc.addr() } else { ports.http.addr() }
    }

    /// `ca.pem`, `client.pem` or `client.key`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Everything of a service that has come out, when it is that many spans.
    pub async fn of_service(&self, service: &str, spans: usize) -> Vec<ResourceSpans> {
        let mut found = Vec::new();
        let what = format!("{spans} spans of {service}");
        let waited = eventually(&what, SOON, async || {
            found = self.came(service);
            all_spans(&found).count() >= spans
        });
        let waited = waited.await;
        assert!(waited.is_ok(), "{waited:?}: {} are there", all_spans(&found).count());
        found
    }

    fn came(&self, service: &str) -> Vec<ResourceSpans> {
        let requests = self.sink.bodies().into_iter();
        let decoded = requests.map(|r| ExportTraceServiceRequest::decode(&*r).unwrap());
        let of =
            |r: &ResourceSpans| text(attributes(r), "service.name").as_deref() == Some(service);
        decoded.flat_map(|r| r.resource_spans).filter(of).collect()
    }

    /// Ends all. So many spans have come out, no more.
    pub async fn close(mut self, spans: usize) {
        for fleet in &mut self.fleets {
            fleet.stop().await;
        }
        assert_eq!(self.sink.stats().spans, spans as u64, "each span, once");
    }
}

pub fn attributes(of: &ResourceSpans) -> &[KeyValue] {
    of.resource.as_ref().map_or(&[], |resource| &resource.attributes)
}

/// A string attribute.
pub fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

pub fn all_spans(of: &[ResourceSpans]) -> impl Iterator<Item = &Span> {
    of.iter().flat_map(|r| &r.scope_spans).flat_map(|scope| &scope.spans)
}
