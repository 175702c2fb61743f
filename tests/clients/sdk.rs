//! Each SDK by each protocol it has, with and without compression and TLS.

use crate::doors::{Doors, Security, attributes, text};
use crate::order::{self, ITEMS, Made, SPANS};
use crate::{SOON, installed, root, table};
use tailgate_testkit::process::Spec;

const COMPRESSIONS: [&str; 2] = ["none", "gzip"];

/// How one application runs.
struct Client {
    name: &'static str,
    language: &'static str,
    protocols: &'static [&'static str],
    program: fn() -> Spec,
}

/// One way of sending.
#[derive(Clone, Copy)]
struct Way {
    protocol: &'static str,
    compression: &'static str,
    security: Security,
}

// === impl Client ===

impl Client {
    /// Every protocol with and without compression, open and by TLS; mutual TLS once for each.
    fn ways(&self) -> impl Iterator<Item = Way> {
        let all = self.protocols.iter().flat_map(|protocol| {
            COMPRESSIONS.iter().flat_map(move |compression| {
                Security::ALL.map(move |security| Way { protocol, compression, security })
            })
        });
        all.filter(|way| way.security != Security::Mutual || way.compression == "gzip")
    }

    /// Lets it trace the order; what it says that it made.
    async fn run(&self, doors: &Doors, service: &str, way: Way) -> Made {
        let Way { protocol, compression, security } = way;
        let addr = doors.addr(security, protocol == "grpc");
        let mut spec = (self.program)()
            .arg(ITEMS.to_string())
            .env("OTEL_SERVICE_NAME", service)
            .env("OTEL_METRICS_EXPORTER", "none")
            .env("OTEL_LOGS_EXPORTER", "none")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{}://{addr}", security.scheme()));
        // Not all of them know the word "none".
        if compression != "none" {
            spec = spec.env("OTEL_EXPORTER_OTLP_COMPRESSION", compression);
        }
        let file = |name| doors.file(name).display().to_string();
        if security != Security::Plain {
            // Python's HTTP client lets these win over the SDK's variable.
            spec = spec.env("REQUESTS_CA_BUNDLE", "").env("CURL_CA_BUNDLE", "");
            spec = spec.env("OTEL_EXPORTER_OTLP_CERTIFICATE", file("ca.pem"));
        }
        if security == Security::Mutual {
            spec = spec.env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", file("client.pem"));
            spec = spec.env("OTEL_EXPORTER_OTLP_CLIENT_KEY", file("client.key"));
        }
        let mut process = spec.start().unwrap();
        let status = process.wait_exit(SOON).await.unwrap();
        let (out, errors) = (process.stdout(), process.stderr());
        assert!(status.success(), "{service}: {status}\n{errors}");
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{service}: {e}\n{out}\n{errors}"))
    }

    async fn all(&self) {
        let doors = Doors::open().await;
        let (mut runs, mut version) = (0, String::new());
        for way in self.ways() {
            let Way { protocol, compression, security } = way;
            let service = format!("{} {protocol} {compression} {}", self.name, security.name());
            let made = self.run(&doors, &service, way).await;
            let came = doors.of_service(&service, SPANS).await;
            order::check(&made, &came);
            let resource = attributes(&came[0]);
            let language = text(resource, "telemetry.sdk.language");
            assert_eq!(language.as_deref(), Some(self.language), "{service}");
            version = text(resource, "telemetry.sdk.version").unwrap();
            runs += 1;
        }
        doors.close(runs * SPANS).await;
        table::check(&[
            self.name,
            &version,
            &self.protocols.join(", "),
            &COMPRESSIONS.join(", "),
            &Security::ALL.map(Security::name).join(", "),
            &runs.to_string(),
        ]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python() {
    let program =
        || Spec::new(installed(".venv/bin/python")).arg(path("tests/clients/python/app.py"));
    let protocols = &["grpc", "http/protobuf", "http/json"];
    Client { name: "Python SDK", language: "python", protocols, program }.all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node() {
    let program = || {
        let modules = installed("target/clients/node/node_modules");
        let app = path("tests/clients/node/app.js");
        Spec::new("node").env("NODE_PATH", modules.display().to_string()).arg(app)
    };
    let protocols = &["grpc", "http/protobuf", "http/json"];
    Client { name: "Node.js SDK", language: "nodejs", protocols, program }.all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn java() {
    let program = || {
        let target = installed("target/clients/java/classes");
        let class_path = format!("{0}:{0}/../lib/*", target.display());
        // A short run: no time for the second compiler.
        Spec::new("java").arg("-XX:TieredStopAtLevel=1").arg("-cp").arg(class_path).arg("App")
    };
    let protocols = &["grpc", "http/protobuf"];
    Client { name: "Java SDK", language: "java", protocols, program }.all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn go() {
    let program = || Spec::new(installed("target/clients/go/app"));
    let protocols = &["grpc", "http/protobuf"];
    Client { name: "Go SDK", language: "go", protocols, program }.all().await;
}

fn path(of: &str) -> String {
    root().join(of).display().to_string()
}
