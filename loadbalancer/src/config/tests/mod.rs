//! Files that a user would bring, and what is wrong with those that cannot be taken.
#![allow(clippy::unwrap_used)]

use tailgate_common::config::{Compression, Env};

use super::*;

fn parse(text: &str, env: &Env<'_>) -> Result<(LoadBalancerConfig, Vec<String>), String> {
    let input = Input::parse("f.yaml", text, env).map_err(|e| e.to_string())?;
    let (config, notes) = LoadBalancerConfig::from_input(&input).map_err(|e| e.to_string())?;
    Ok((config, notes.iter().map(Note::to_string).collect()))
}

/// A load balancer with `block` (a flow mapping) as its exporter and `rest` after it.
fn balancing(block: &str, rest: &str) -> Result<(LoadBalancing, Vec<String>), String> {
    let text = format!(
        "exporters: {{loadbalancing: {block}}}\n\
         receivers: {{otlp: {{protocols: {{grpc: }}}}}}\nservice: {{pipelines: \
         {{traces: {{receivers: [otlp], exporters: [loadbalancing]}}}}}}\n{rest}\n"
    );
    let (config, notes) = parse(&text, &|_| None)?;
    Ok((config.exporter.config, notes))
}

#[test]
fn a_collectors_load_balancer() {
    let text = include_str!("files/lb.yaml");
    let env = |name: &str| (name == "PORT").then(|| "34317".to_owned());
    let (config, notes) = parse(text, &env).unwrap_or_else(|e| panic!("{e}"));
    let grpc = config.shared.receivers[0].config.grpc.as_ref().unwrap();
    assert_eq!(grpc.endpoint, "127.0.0.1:34317");
    assert_eq!(config.shared.telemetry.metrics.readers[0].address, "127.0.0.1:8887");
    let exporter = config.exporter.config;
    assert_eq!(exporter.routing_key, RoutingKey::TraceId);
    assert_eq!(exporter.backends, ["127.0.0.1:24317", "127.0.0.1:24318"]);
    assert_eq!(exporter.client.compression, Compression::Gzip);
    assert!(exporter.client.tls.insecure);
    assert_eq!(
        notes,
        ["exporters.load_balancing.protocol.otlp.sending_queue: accepted, not needed: spans are \
         acknowledged only once a sampler holds them"]
    );
}

#[test]
fn backends_and_members() {
    let hosts =
        "{routing_key: service, resolver: {static: {hostnames: [a, 'b:1', '[::1]', '[::1]:2']}}}";
    let (exporter, _) = balancing(hosts, "").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(exporter.backends, ["a:4317", "b:1", "[::1]:4317", "[::1]:2"]);
    assert_eq!(exporter.routing_key, RoutingKey::Service);
    let members = "tailgate: {members: [{name: a, endpoint: b:1}], internal: {secret: s}}";
    let (exporter, notes) = balancing("{timeout: 5s}", members).unwrap_or_else(|e| panic!("{e}"));
    assert!(exporter.backends.is_empty());
    assert_eq!(
        notes,
        ["exporters.loadbalancing.timeout: accepted, not needed: spans are acknowledged only \
            once a \
         sampler holds them"]
    );
}

/// As the collector, which hands it to its client: `http://` is without TLS.
#[test]
fn backends_may_have_a_scheme() {
    for (hosts, insecure) in [
        ("['http://a:1', 'http://b']", true),
        ("['https://a:1/', b]", false),
        ("['dns:///a:1', b]", false),
    ] {
        let block = format!("{{resolver: {{static: {{hostnames: {hosts}}}}}}}");
        let (config, _) = balancing(&block, "").unwrap();
        assert_eq!(config.backends, ["a:1", "b:4317"]);
        assert_eq!(config.client.tls.insecure, insecure, "{hosts}");
    }
}

#[test]
fn errors() {
    const STATIC: &str = "resolver: {static: {hostnames: [a]}}";
    let members = "tailgate: {members: [{name: a, endpoint: b:1}], internal: {secret: s}}";
    let errors = balancing("{routing_key: service}", members).unwrap_err();
    assert!(errors.contains("tailgate.members own traces"), "{errors}");
    for (block, want) in [
        ("{}", "f.yaml:1:28: exporters.loadbalancing.resolver.static: no resolver is given"),
        (
            "{resolver: {dns: {hostname: a}}}",
            "f.yaml:1:40: exporters.loadbalancing.resolver.dns: is not supported yet",
        ),
        (
            "{resolver: {k8s: {service: a}}}",
            "f.yaml:1:40: exporters.loadbalancing.resolver.k8s: is not supported yet",
        ),
        (
            "{resolver: {static: {hostnames: []}}}",
            "f.yaml:1:60: exporters.loadbalancing.resolver.static.hostnames: no backend is listed",
        ),
        (
            "{resolver: {static: {hostnames: [a, a]}}}",
            "f.yaml:1:64: exporters.loadbalancing.resolver.static.hostnames[1]: \"a\" is listed \
            twice",
        ),
        (
            "{resolver: {static: {hostnames: ['a b']}}}",
            "f.yaml:1:61: exporters.loadbalancing.resolver.static.hostnames[0]: \"a b\" is not \
            host or host:port",
        ),
        (
            "{resolver: {static: {hostnames: ['http://a', b]}}}",
            "f.yaml:1:73: exporters.loadbalancing.resolver.static.hostnames[1]: \"b\" is with TLS, \
            or without, unlike those before it",
        ),
        (
            &format!("{{{STATIC}, routing_key: attributes}}"),
            "f.yaml:1:80: exporters.loadbalancing.routing_key: routing by attributes is not \
            supported yet",
        ),
        (
            &format!("{{{STATIC}, routing_key: metric}}"),
            "f.yaml:1:80: exporters.loadbalancing.routing_key: \"metric\" is not for traces",
        ),
        (
            &format!("{{{STATIC}, routing_key: traceid}}"),
            "f.yaml:1:80: exporters.loadbalancing.routing_key: \"traceid\" is no routing key",
        ),
        (
            &format!("{{{STATIC}, protocol: {{otlp: {{compresion: none}}}}}}"),
            "f.yaml:1:85: exporters.loadbalancing.protocol.otlp.compresion: unknown key",
        ),
        (
            &format!("{{{STATIC}, protocol: {{otpl: }}}}"),
            "f.yaml:1:78: exporters.loadbalancing.protocol.otpl: unknown key",
        ),
    ] {
        let errors = balancing(block, "").expect_err(block);
        let heads: Vec<&str> = errors.lines().filter(|l| l.starts_with("f.yaml")).collect();
        assert_eq!(heads, [want], "{errors}");
    }
}

#[test]
fn a_pipeline_has_one_load_balancing_exporter() {
    let file = |exporters: &str, processors: &str| {
        format!(
            "receivers: {{otlp: {{protocols: {{grpc: }}}}}}\nprocessors: {{tail_sampling: }}\n\
             exporters: {{load_balancing: &a {{resolver: {{static: {{hostnames: [a]}}}}}}, \
             load_balancing/2: *a, nop: , file: {{path: f}}}}\n\
             service: {{pipelines: {{traces: {{receivers: [otlp], processors: [{processors}], \
             exporters: [{exporters}]}}}}}}\n"
        )
    };
    let fail = |exporters, processors| parse(&file(exporters, processors), &|_| None).unwrap_err();
    let error = fail("load_balancing, file", "");
    assert!(error.contains("for all of them, fan out in the agents"), "{error}");
    let error = fail("load_balancing", "tail_sampling");
    assert!(error.contains("a load balancer does not sample"), "{error}");
    let error = fail("load_balancing, load_balancing/2", "");
    assert!(error.contains("exports to 2 load_balancing exporters"), "{error}");
    let (_, notes) = parse(&file("load_balancing, nop", ""), &|_| None).unwrap();
    assert_eq!(
        notes,
        [
            "processors.tail_sampling: not used: no pipeline has it",
            "exporters.load_balancing/2: not used: no pipeline has it",
            "exporters.nop: left out: a load balancer does not log spans; the samplers do",
            "exporters.file: not used: no pipeline has it",
        ]
    );
}
