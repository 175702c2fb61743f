//! `grpc.health.v1` as grpcurl and grpc-health-probe see it, on both tiers.

use crate::doors::{Doors, Security};
use crate::{SOON, installed};
use std::net::SocketAddr;
use tailgate_testkit::process::{Process, Spec};
use tailgate_testkit::wait::eventually;

const EXPORT: &str = "opentelemetry.proto.collector.trace.v1.TraceService";

/// How a program ended, and what it said.
struct Said {
    code: Option<i32>,
    text: String,
}

fn credentials(doors: &Doors, security: Security) -> Vec<String> {
    let file = |name| doors.file(name).display().to_string();
    match security {
        Security::Plain => vec!["-plaintext".to_owned()],
        Security::Tls => vec!["-cacert".to_owned(), file("ca.pem")],
        Security::Mutual => {
            let names = [("-cacert", "ca.pem"), ("-cert", "client.pem"), ("-key", "client.key")];
            names.into_iter().flat_map(|(flag, name)| [flag.to_owned(), file(name)]).collect()
        }
    }
}

fn grpcurl(credentials: &[String], addr: SocketAddr, method: &str, service: &str) -> Process {
    let protos = installed("tests/clients/health.proto");
    let mut spec = Spec::new(installed("target/clients/bin/grpcurl"));
    for arg in credentials {
        spec = spec.arg(arg);
    }
    spec.arg("-import-path")
        .arg(protos.parent().unwrap().display().to_string())
        .arg("-proto")
        .arg("health.proto")
        .arg("-d")
        .arg(format!("{{\"service\": \"{service}\"}}"))
        .arg(addr.to_string())
        .arg(format!("grpc.health.v1.Health/{method}"))
        .start()
        .unwrap()
}

async fn end(mut process: Process) -> Said {
    let code = process.wait_exit(SOON).await.unwrap().code();
    Said { code, text: process.stdout() + &process.stderr() }
}

async fn probe(doors: &Doors, addr: SocketAddr, security: Security) -> Said {
    let file = |name| doors.file(name).display().to_string();
    let mut spec = Spec::new(installed("target/clients/bin/grpc-health-probe"));
    spec = spec.arg(format!("-addr={addr}")).arg("-connect-timeout=5s").arg("-rpc-timeout=20s");
    if security != Security::Plain {
        spec = spec.arg("-tls").arg(format!("-tls-ca-cert={}", file("ca.pem")));
    }
    if security == Security::Mutual {
        spec = spec.arg(format!("-tls-client-cert={}", file("client.pem")));
        spec = spec.arg(format!("-tls-client-key={}", file("client.key")));
    }
    end(spec.start().unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcurl_and_the_probe_see_health_and_its_end() {
    let mut doors = Doors::open().await;
    let mut watches = Vec::new();
    for security in Security::ALL {
        let credentials = credentials(&doors, security);
        let mut addrs = vec![doors.addr(security, true)];
        if security == Security::Plain {
            addrs.push(doors.fleet(security).samplers[0].ports.grpc.addr());
        }
        for addr in addrs {
            for service in ["", EXPORT] {
                let said = end(grpcurl(&credentials, addr, "Check", service)).await;
                assert!(said.code == Some(0) && said.text.contains("\"SERVING\""), "{}", said.text);
            }
            let said = end(grpcurl(&credentials, addr, "Check", "shop")).await;
            assert!(said.code != Some(0) && said.text.contains("NotFound"), "{}", said.text);
            let said = probe(&doors, addr, security).await;
            assert!(said.code == Some(0) && said.text.contains("SERVING"), "{}", said.text);
            let watch = grpcurl(&credentials, addr, "Watch", "");
            let shown = || watch.stdout().contains("\"SERVING\"");
            eventually("the first word of Watch", SOON, async || shown()).await.unwrap();
            watches.push((addr, security, watch));
        }
    }
    // Without a certificate, there is no way in where one is asked for.
    let bare = credentials(&doors, Security::Tls);
    let said = end(grpcurl(&bare, doors.addr(Security::Mutual, true), "Check", "")).await;
    assert!(said.code != Some(0) && !said.text.contains("SERVING"), "{}", said.text);

    for security in Security::ALL {
        doors.fleet(security).stop().await;
    }
    for (addr, security, watch) in watches {
        let said = end(watch).await;
        let serving = said.text.find("\"SERVING\"").unwrap();
        let stopping = said.text.find("\"NOT_SERVING\"").expect(&said.text);
        assert!(serving < stopping && said.code == Some(0), "{:?} {}", said.code, said.text);
        let said = probe(&doors, addr, security).await;
        assert!(said.code == Some(2) && !said.text.contains("SERVING"), "{}", said.text);
    }
}
