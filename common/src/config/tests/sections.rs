//! The shared sections: every key, every default.

use crate::receive::Encoding;
use std::time::Duration;

use super::*;

/// A file with every shared key that has an effect.
pub(super) const WHOLE: &str = r#"
receivers:
  otlp/in:
    protocols:
      grpc:
        endpoint: 0.0.0.0:4317
        max_recv_msg_size_mib: 31
        max_concurrent_streams: 100
        keepalive: {server_parameters: {max_connection_age: 10m, time: 1ms}}
        tls: {cert_file: c.pem, key_file: k.pem, client_ca_file: ca.pem, min_version: "1.3"}
      http:
        endpoint: ":4318"
        max_request_body_size: 1000
        traces_url_path: t
        read_timeout: 9s
        keepalive: {idle_timeout: 5s, max_connection_age: 1m}
        cors: {allowed_origins: ["https://*.a"], allowed_headers: [x], max_age: 7200}
        response_headers: {X-A: b}
processors: {memory_limiter: {check_interval: 1s, limit_mib: 100}}
exporters: {nop: }
extensions: {health_check: {endpoint: "0.0.0.0:13133", path: /health}}
service:
  extensions: [health_check]
  telemetry:
    logs: {level: WARN, encoding: json}
    metrics:
      level: detailed
      readers: [{pull: {exporter: {prometheus: {host: "::1", port: 9999}}}}]
    resource: {service.name: gateway, service.instance.id: }
  pipelines:
    traces: {receivers: [otlp/in], processors: [memory_limiter], exporters: [nop]}
tailgate:
  instance: a
  members: [{name: a, endpoint: "10.0.0.1:4319"}, {name: b, endpoint: "b.local:4319"}]
  internal:
    endpoint: 0.0.0.0:4319
    secret_file: /run/secret
    tls: {ca_file: ca.pem, cert_file: c.pem, key_file: k.pem}
  admin: {endpoint: localhost:1}
  shutdown_timeout: 5s
  eject_after: 1m
"#;

fn pem(path: &str) -> SecretSource {
    SecretSource::File(path.into())
}

fn server_tls(min_version: TlsVersion) -> ServerTls {
    ServerTls {
        client_ca: Some(pem("ca.pem")),
        terms: TlsTerms { min_version, ..TlsTerms::default() },
        ..ServerTls::new(pem("c.pem"), pem("k.pem"))
    }
}

#[test]
fn everything_given() {
    let (shared, notes) = document(WHOLE).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(notes, [""; 0]);
    assert_eq!(shared.receivers.len(), 1);
    assert_eq!(shared.receivers[0].id.to_string(), "otlp/in");
    let receiver = &shared.receivers[0].config;
    assert_eq!(
        receiver.grpc,
        Some(GrpcServer {
            endpoint: "0.0.0.0:4317".into(),
            tls: Some(server_tls(TlsVersion::V13)),
            max_recv_msg_bytes: 31 << 20,
            max_concurrent_streams: 100,
            auth: None,
            keepalive: GrpcKeepalive {
                max_connection_age: Some(Duration::from_secs(600)),
                time: Some(Duration::from_secs(1)),
                ..GrpcKeepalive::default()
            },
        })
    );
    assert_eq!(
        receiver.http,
        Some(HttpServer {
            endpoint: "0.0.0.0:4318".into(),
            tls: None,
            max_request_body_bytes: 1000,
            traces_url_path: "/t".into(),
            other_url_paths: ["/v1/metrics".into(), "/v1/logs".into()],
            auth: None,
            encodings: Encoding::ALL.to_vec(),
            connections: HttpConnections {
                read_timeout: Some(Duration::from_secs(9)),
                idle_timeout: Some(Duration::from_secs(5)),
                max_connection_age: Some(Duration::from_secs(60)),
                ..HttpConnections::default()
            },
            cors: Some(Cors {
                allowed_origins: vec!["https://*.a".into()],
                allowed_headers: vec!["x".into()],
                exposed_headers: vec![],
                max_age: 7200,
            }),
            response_headers: vec![("x-a".into(), Secret::new("b"))],
        })
    );
}

#[test]
fn everything_else_given() {
    let (shared, _) = document(WHOLE).unwrap_or_else(|e| panic!("{e}"));
    let health =
        HealthCheck { endpoint: "0.0.0.0:13133".into(), path: "/health".into(), tls: None };
    assert_eq!(shared.health_check, Some(health));
    assert_eq!(shared.memory_limiter.map(|m| m.limit_bytes), Some(100 << 20));
    let telemetry = &shared.telemetry;
    let (logs, readers) = (&telemetry.logs, &telemetry.metrics.readers);
    assert_eq!((logs.level, logs.encoding), (LogLevel::Warn, LogEncoding::Json));
    assert_eq!((readers.len(), readers[0].address.as_str()), (1, "[::1]:9999"));
    assert_eq!(telemetry.metrics.level, MetricsLevel::Detailed);
    assert_eq!(
        telemetry.resource,
        [
            ("service.name".to_owned(), "gateway".to_owned()),
            ("service.instance.id".to_owned(), String::new()),
        ]
    );
    let member = |name: &str, at: &str| Member { name: name.into(), endpoint: at.into() };
    assert_eq!(
        shared.tailgate,
        Tailgate {
            instance: "a".into(),
            members: vec![member("a", "10.0.0.1:4319"), member("b", "b.local:4319")],
            internal: Some(Internal {
                endpoint: "0.0.0.0:4319".into(),
                secret: Some(SecretSource::File("/run/secret".into())),
                tls: Some(InternalTls {
                    server: server_tls(TlsVersion::V12),
                    client: ClientTls {
                        ca: Some(pem("ca.pem")),
                        identity: Some((pem("c.pem"), pem("k.pem"))),
                        ..ClientTls::default()
                    },
                }),
            }),
            admin: Some(Admin { endpoint: "localhost:1".into(), required: true }),
            naming: MetricsNaming::Collector,
            shutdown_timeout: Duration::from_secs(5),
            eject_after: Duration::from_secs(60),
        }
    );
}

#[test]
fn defaults() {
    let text = "receivers: {otlp: {protocols: {grpc: , http: }}}\nexporters: {nop: }\n\
                extensions: {health_check: }\nservice: {extensions: [health_check], pipelines: \
                {traces: {receivers: [otlp], exporters: [nop]}}}\n";
    let (shared, _) = document(text).unwrap_or_else(|e| panic!("{e}"));
    let receiver = &shared.receivers[0].config;
    let grpc = receiver.grpc.as_ref().unwrap();
    assert_eq!((grpc.endpoint.as_str(), grpc.max_recv_msg_bytes), ("localhost:4317", 4 << 20));
    let http = receiver.http.as_ref().unwrap();
    assert_eq!((http.endpoint.as_str(), http.max_request_body_bytes), ("localhost:4318", 20 << 20));
    assert_eq!(http.traces_url_path, "/v1/traces");
    let health = shared.health_check.unwrap();
    assert_eq!((health.endpoint.as_str(), health.path.as_str()), ("localhost:13133", "/"));
    assert_eq!(shared.telemetry.metrics.readers[0].address, "localhost:8888");
    assert_eq!(shared.telemetry.metrics.level, MetricsLevel::Normal);
    assert_eq!(shared.telemetry.logs.level, LogLevel::Info);
    let tailgate = shared.tailgate;
    assert!(!tailgate.instance.is_empty() && tailgate.members.is_empty());
    let admin = Admin { endpoint: "localhost:55679".into(), required: false };
    assert_eq!((tailgate.internal, tailgate.admin), (None, Some(admin)));
    assert_eq!(tailgate.shutdown_timeout, Duration::from_secs(25));
    assert_eq!(tailgate.eject_after, Duration::from_secs(30));
}

const GRPC: &str = "{protocols: {grpc: }}";

/// A receiver, more of the file, and the first line of the error.
const BAD_KEYS: &[(&str, &str, &str)] = &[
    ("", "", "f.yaml:1:13: receivers.otlp.protocols: no protocol is listed"),
    (
        "{protocols: {grcp: , http: }}",
        "",
        "f.yaml:1:32: receivers.otlp.protocols.grcp: unknown key",
    ),
    (
        "{protocols: {grpc: {transport: unix}}}",
        "",
        "f.yaml:1:38: receivers.otlp.protocols.grpc.endpoint: is missing",
    ),
    (
        "{protocols: {http: {transport: udp}}}",
        "",
        "f.yaml:1:50: receivers.otlp.protocols.http.transport: \"udp\" is not known here",
    ),
    (
        "{protocols: {http: {idle_timeout: 1s, keepalive: {}}}}",
        "",
        "f.yaml:1:68: receivers.otlp.protocols.http.keepalive: stands beside idle_timeout or \
            keep_alives_enabled",
    ),
    (
        "{protocols: {http: {auth: {}}}}",
        "",
        "f.yaml:1:45: receivers.otlp.protocols.http.auth.authenticator: is missing",
    ),
    (
        "{protocols: {http: {tls: {}}}}",
        "",
        "f.yaml:1:44: receivers.otlp.protocols.http.tls.cert_file: is missing",
    ),
    (
        "{protocols: {http: {max_request_body_size: 1.5}}}",
        "",
        "f.yaml:1:62: receivers.otlp.protocols.http.max_request_body_size: \"1.5\" is not a \
            whole number",
    ),
    (
        "{protocols: {grpc: {max_recv_msg_size_mib: 32}}}",
        "tailgate: {members: [{name: a, endpoint: b:1}], internal: {secret: s}}",
        "f.yaml:1:62: receivers.otlp.protocols.grpc.max_recv_msg_size_mib: is more than one frame \
            to a sampler can hold, and tailgate.members are listed",
    ),
    (
        "{protocols: {http: {max_request_body_size: 33554432}}}",
        "tailgate: {members: [{name: a, endpoint: b:1}], internal: {secret: s}}",
        "f.yaml:1:62: receivers.otlp.protocols.http.max_request_body_size: is more than one frame \
            to a sampler can hold, and tailgate.members are listed",
    ),
    (
        GRPC,
        "tailgate: {internal: {endpoint: a:1}}",
        "f.yaml:4:22: tailgate.internal.secret: is missing",
    ),
    (
        GRPC,
        "tailgate: {internal: {secret: a, secret_file: b}}",
        "f.yaml:4:47: tailgate.internal.secret_file: secret is given too",
    ),
    (
        GRPC,
        "tailgate: {internal: {secret: s}, members: [{name: a, endpoint: b:1}, {name: a, endpoint: c:1}]}",
        "f.yaml:4:71: tailgate.members[1]: member \"a\" is listed twice",
    ),
    (
        GRPC,
        "tailgate: {internal: {secret: s}, members: [{name: a}]}",
        "f.yaml:4:45: tailgate.members[0].endpoint: is missing",
    ),
    (
        GRPC,
        "tailgate: {members: [{name: a, endpoint: b:1}]}",
        "f.yaml:4:21: tailgate.members: there is no internal beside it",
    ),
    (GRPC, "tailgate: {eject_after: 0}", "f.yaml:4:25: tailgate.eject_after: is zero"),
    (
        GRPC,
        "tailgate: {admin: {endpoint: here}}",
        "f.yaml:4:30: tailgate.admin.endpoint: \"here\" is not host:port",
    ),
    (
        GRPC,
        "extensions: {health_check: {path: x}}",
        "f.yaml:4:35: extensions.health_check.path: does not begin with /",
    ),
    (
        GRPC,
        "extensions: {health_check: {use_v2: true}}",
        "f.yaml:4:29: extensions.health_check.use_v2: is not supported yet",
    ),
];

#[test]
fn bad_shared_keys() {
    let file = |receiver: &str, rest: &str| {
        let active = if rest.starts_with("extensions") { "health_check" } else { "" };
        format!(
            "receivers: {{otlp: {receiver}}}\nexporters: {{nop: }}\n\
             service: {{extensions: [{active}], pipelines: \
             {{traces: {{receivers: [otlp], exporters: [nop]}}}}}}\n{rest}\n"
        )
    };
    for (receiver, rest, want) in BAD_KEYS {
        let errors = document(&file(receiver, rest)).expect_err(rest);
        assert_eq!(heads(&errors), [*want], "{errors}");
    }
}

#[test]
fn tiers() {
    let tier = |exporter: &str| {
        let text = format!(
            "receivers: {{otlp: {{protocols: {{grpc: }}}}}}\nexporters: {{{exporter}: , nop: }}\n\
             service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [{exporter}]}}}}}}\n"
        );
        let input = Input::parse("f.yaml", &text, &unset).unwrap();
        Document::read(&input).map(|document| detect_tiers(&document)[0])
    };
    assert_eq!(tier("load_balancing"), Some(Tier::LoadBalancer));
    assert_eq!(tier("loadbalancing/x"), Some(Tier::LoadBalancer));
    assert_eq!(tier("awsxray"), Some(Tier::Sampler));
}
