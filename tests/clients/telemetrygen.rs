//! The collector's load generator, as people try a gateway with.

use crate::doors::{Doors, Security, all_spans};
use crate::{SOON, installed, table};
use std::collections::BTreeMap;
use tailgate_testkit::process::Spec;

const TRACES: usize = 25;
const CHILDREN: usize = 3;
const SPANS: usize = TRACES * (1 + CHILDREN);

async fn run(doors: &Doors, service: &str, grpc: bool, security: Security) {
    let file = |name| doors.file(name).display().to_string();
    let mut args = vec![
        "traces".to_owned(),
        format!("--otlp-endpoint={}", doors.addr(security, grpc)),
        format!("--service={service}"),
        format!("--traces={TRACES}"),
        format!("--child-spans={CHILDREN}"),
        "--rate=0".to_owned(),
    ];
    if !grpc {
        args.push("--otlp-http".to_owned());
    }
    match security {
        Security::Plain => args.push("--otlp-insecure".to_owned()),
        Security::Tls => args.push(format!("--ca-cert={}", file("ca.pem"))),
        Security::Mutual => args.extend([
            format!("--ca-cert={}", file("ca.pem")),
            "--mtls".to_owned(),
            format!("--client-cert={}", file("client.pem")),
            format!("--client-key={}", file("client.key")),
        ]),
    }
    let program = Spec::new(installed("target/clients/bin/telemetrygen"));
    let mut process = args.into_iter().fold(program, Spec::arg).start().unwrap();
    let status = process.wait_exit(SOON).await.unwrap();
    let said = process.stderr() + &process.stdout();
    assert!(status.success() && !said.contains("ERROR"), "{service}: {status}\n{said}");
}

/// Every trace has a span `lets-go` and its children, whole.
async fn check(doors: &Doors, service: &str) {
    let came = doors.of_service(service, SPANS).await;
    let mut roots = BTreeMap::new();
    for span in all_spans(&came).filter(|span| span.name == "lets-go") {
        assert!(span.parent_span_id.is_empty());
        assert!(roots.insert(&span.trace_id, (&span.span_id, 0)).is_none(), "one root a trace");
    }
    for span in all_spans(&came).filter(|span| span.name.starts_with("okey-dokey")) {
        let (root, children) = roots.get_mut(&span.trace_id).unwrap();
        assert_eq!(*root, &span.parent_span_id);
        *children += 1;
    }
    assert_eq!(roots.len(), TRACES, "{service}");
    assert!(roots.values().all(|(_, children)| *children == CHILDREN), "{service}");
}

#[tokio::test(flavor = "multi_thread")]
async fn telemetrygen() {
    let doors = Doors::open().await;
    let mut runs = 0;
    for (protocol, grpc) in [("grpc", true), ("http/protobuf", false)] {
        for security in Security::ALL {
            let service = format!("telemetrygen {protocol} {}", security.name());
            run(&doors, &service, grpc, security).await;
            check(&doors, &service).await;
            runs += 1;
        }
    }
    doors.close(runs * SPANS).await;
    let setup = std::fs::read_to_string(installed("tests/setup.sh")).unwrap();
    let version = setup.lines().find_map(|line| line.split("cmd/telemetrygen@v").nth(1)).unwrap();
    let securities = Security::ALL.map(Security::name).join(", ");
    let runs = runs.to_string();
    table::check(&["telemetrygen", version, "grpc, http/protobuf", "none", &securities, &runs]);
}
