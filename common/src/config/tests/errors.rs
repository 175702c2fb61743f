//! Errors, exactly as they are shown.

use super::*;

const OK: &str = "\
receivers: {otlp: {protocols: {grpc: }}}
exporters: {nop: }
service: {pipelines: {traces: {receivers: [otlp], exporters: [nop]}}}
";

/// The good file above with more text after it.
fn with(more: &str) -> String {
    document(&format!("{OK}{more}")).expect_err(more)
}

#[test]
fn all_at_once_in_the_order_of_the_file() {
    let text = "\
receivers:
  otlp:
    protocols:
      grpc: {endpont: localhost:1, max_recv_msg_size_mib: big}
exporters: {nop: }
service:
  telemetry: {logs: {level: loud}}
  pipelines:
    traces: {receivers: [otpl], exporters: [nop]}
";
    let want = "\
f.yaml:4:14: receivers.otlp.protocols.grpc.endpont: unknown key
  4 |       grpc: {endpont: ...
    |              ^^^^^^^
    = did you mean \"endpoint\"?
f.yaml:4:59: receivers.otlp.protocols.grpc.max_recv_msg_size_mib: \"big\" is not a whole number
  4 |       grpc: {endpont: localhost:1, max_recv_msg_size_mib: big}
    |                                                           ^^^
    = write digits only, such as 1000
f.yaml:7:29: service.telemetry.logs.level: \"loud\" is no level
  7 |   telemetry: {logs: {level: loud}}
    |                             ^^^^
    = use debug, info, warn or error
f.yaml:9:26: service.pipelines.traces.receivers[0]: \"otpl\" is not defined in receivers
  9 |     traces: {receivers: [otpl], exporters: [nop]}
    |                          ^^^^
    = did you mean \"otlp\"?
";
    assert_eq!(document(text).expect_err("errors"), want);
}

#[test]
fn whole_files() {
    for (text, want) in [
        (
            "",
            "f.yaml: the configuration is not a mapping\n    = a configuration has receivers, \
            exporters and service at least\n",
        ),
        (
            "a: 1\n b: 2\n",
            "f.yaml:2:3: not valid YAML: mapping values are not allowed in this context\n  2 |  \
            b: 2\n    |   ^\n",
        ),
        (
            "receivers:\n  secret: hush\n  secret: again\n",
            "f.yaml:3:3: key \"secret\" is given twice; first in line 2\n  3 |   secret: \
            ...\n    |   ^^^^^^\n    = keep one of them\n",
        ),
        (
            "receivers: {}\n",
            "f.yaml:1:1: service: is missing\n  1 | receivers: {}\n    | ^\n    = add service: \
            {pipelines: {traces: ...}}\nf.yaml:1:1: service.pipelines: is missing\n  1 | \
            receivers: {}\n    | ^\n    = add pipelines: {traces: ...}\n",
        ),
    ] {
        assert_eq!(document(text).expect_err(text), want, "{text}");
    }
    let errors =
        Input::load(&["/nonexistent/x.yaml".to_owned()], &[], &unset).err().map(|e| e.to_string());
    let want = "/nonexistent/x.yaml: cannot be read: No such file or directory (os error 2)\n    \
        = give a path with --config\n";
    assert_eq!(errors.as_deref(), Some(want));
}

#[test]
fn components() {
    for (text, want) in [
        ("processors: {k8sattributes: }\n", ""),
        (
            "processors: {tail_samplin: }\n",
            "f.yaml:4:14: processors.tail_samplin: \"tail_samplin\" is not known\n  4 | \
            processors: {tail_samplin: ...\n    |              ^^^^^^^^^^^^\n    = did you mean \
            \"tail_sampling\"?\n",
        ),
        (
            "processors: {x y: }\n",
            "f.yaml:4:14: processors.x y: is no name of a component\n  4 | processors: {x y: \
            ...\n    |              ^^^\n    = write type or type/name\n",
        ),
        (
            "procesors: {}\n",
            "f.yaml:4:1: procesors: unknown key\n  4 | procesors: ...\n    | ^^^^^^^^^\n    = \
            did you mean \"processors\"?\n",
        ),
        (
            "processors: [batch]\n",
            "f.yaml:4:13: processors: a list where a mapping is wanted\n  4 | processors: \
            [batch]\n    |             ^\n    = write `key: value` lines, indented, below the \
            key\n",
        ),
    ] {
        if want.is_empty() {
            let (_, notes) = document(&format!("{OK}{text}")).expect(text);
            assert_eq!(notes, ["processors.k8sattributes: not used: no pipeline has it"]);
        } else {
            assert_eq!(with(text), want, "{text}");
        }
    }
}

#[test]
fn pipelines() {
    let file = |pipelines: &str| {
        format!(
            "receivers: {{otlp: {{protocols: {{http: }}}}, zipkin: }}\n\
             processors: {{batch: , resource: , batch/2: {{timeout: 1s}}}}\n\
             exporters: {{nop: , awsemf: }}\nservice:\n  pipelines:\n    {pipelines}\n"
        )
    };
    let traces = "{receivers: [otlp], exporters: [nop]}";
    for (text, want) in [
        (
            "metrics: {receivers: [otlp], exporters: [awsemf]}",
            vec!["f.yaml:6:5: service.pipelines: there is no traces pipeline"],
        ),
        ("trace: {}", vec!["f.yaml:6:5: service.pipelines.trace: is no kind of pipeline"]),
        ("traces/: {}", vec!["f.yaml:6:5: service.pipelines.traces/: is no name of a pipeline"]),
        ("{}", vec!["f.yaml:6:5: service.pipelines: there is no traces pipeline"]),
        (
            "traces: {receivers: [otlp]}",
            vec!["f.yaml:6:13: service.pipelines.traces.exporters: a pipeline needs an exporter"],
        ),
        (
            "traces: {receivers: [otlp, otlp], exporters: [nop]}",
            vec!["f.yaml:6:32: service.pipelines.traces.receivers[1]: \"otlp\" is listed twice"],
        ),
        (
            "traces: {receivers: [otlp], processors: [batch/3], exporters: [nop]}",
            vec![
                "f.yaml:6:46: service.pipelines.traces.processors[0]: \"batch/3\" is not defined \
                in processors",
            ],
        ),
        (
            "traces: {receivers: [otlp, zipkin], processors: [resource], exporters: [nop]}",
            vec![
                "f.yaml:1:42: receivers.zipkin: zipkin is not supported here",
                "f.yaml:2:23: processors.resource: resource is not supported here",
            ],
        ),
        (
            "traces: {receivers: [otlp], exporters: [nop], processor: []}",
            vec!["f.yaml:6:51: service.pipelines.traces.processor: unknown key"],
        ),
    ] {
        let errors = document(&file(text)).expect_err(text);
        assert_eq!(heads(&errors), want, "{text}: {errors}");
    }
    let (_, notes) = document(&file(&format!("traces: {traces}"))).expect("a good file");
    assert_eq!(
        notes,
        [
            "receivers.zipkin: not used: no pipeline has it",
            "processors.batch: accepted, not needed: requests are put together by the sending \
            queue",
            "processors.resource: not used: no pipeline has it",
            "processors.batch/2: accepted, not needed: requests are put together by the sending \
            queue",
            "exporters.awsemf: not used: no pipeline has it",
        ]
    );
}

#[test]
fn secrets_are_in_no_error() {
    let errors = [
        with("tailgate: {internal: {secert: hush, secret: hush, endpont: hush}}\n"),
        with("tailgate: {internal: {secret: [hush], admin: 5}}\n"),
        with("tailgate:\n  internal:\n    secret: hush\n    secret: hush\n"),
        with("tailgate:\n  internal: {secret: hush, endpoint: 5}\n"),
        with("tailgate:\n  internal: {secret: \"hush\n"),
    ];
    for error in errors {
        assert!(!error.contains("hush"), "{error}");
    }
    let client = |yaml: &str| read(yaml, OtlpClient::read).expect_err(yaml);
    for yaml in [
        "endpoint: h:1\nheaders: {\"a b\": hush}\n",
        "endpoint: h:1\nheaders:\n  x-team: \"hush\\n\"\n",
        "endpoint: h:1\nheaders:\n  - {name: x, value: \"hush\\n\"}\n",
        "endpoint: h:1\nheaders:\n  x-team: hush\n  x-team: hush\n",
    ] {
        let error = client(yaml);
        assert!(!error.contains("hush"), "{error}");
    }
}
