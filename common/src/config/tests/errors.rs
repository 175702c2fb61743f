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
        ("extensions: {health_chek: }\n", ""),
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
            assert!(notes.len() == 1 && notes[0].contains(": not used: "), "{notes:?}");
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
        ("spans: {}", vec!["f.yaml:6:5: service.pipelines.spans: is no kind of pipeline"]),
        (
            "trace: {receivers: [otpl], exporters: [nop]}",
            vec![
                "f.yaml:6:5: service.pipelines.trace: is no kind of pipeline",
                "f.yaml:6:25: service.pipelines.trace.receivers[0]: \"otpl\" is not defined in \
                receivers",
            ],
        ),
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

/// A type that is not known or spelt in another way: an error where a traces pipeline has it, a
/// note where only one of metrics does.
#[test]
fn types() {
    for (kind, want) in [
        ("http_check", "http_check is not supported here"),
        ("zipkn", "did you mean \"zipkin\"? It is not supported here: take it out"),
        ("otpl", "did you mean \"otlp\"?"),
        ("mycompany_thing", "receivers here: otlp"),
    ] {
        let file = |more: &str| {
            format!(
                "receivers: {{otlp: {{protocols: {{grpc: }}}}, {kind}: }}\nexporters: {{nop: }}\n\
                 service: {{pipelines: {{traces: {{receivers: [otlp{more}], exporters: [nop]}}, \
                 metrics: {{receivers: [{kind}], exporters: [nop]}}}}}}\n"
            )
        };
        let errors = document(&file(&format!(", {kind}"))).expect_err(kind);
        assert!(heads(&errors).len() == 1 && errors.contains(want), "{errors}");
        let (_, notes) = document(&file("")).expect(kind);
        let note = format!("receivers.{kind}: not used here: only pipelines that are not run here");
        assert!(notes.iter().any(|n| n.starts_with(&note)), "{notes:?}");
    }
}

/// What to do, in words that fit the case.
#[test]
fn remedies() {
    let pipelines = |text: &str| {
        format!(
            "receivers: {{otlp: {{protocols: {{http: }}}}}}\nexporters: {{nop/a: , awsemf: }}\n\
             service: {{pipelines: {{{text}}}}}\n"
        )
    };
    for (text, want) in [
        (pipelines("traces: {receivers: [otlp], exporters: [nop]}"), "did you mean \"nop/a\"?"),
        (
            pipelines("logs: {receivers: [otlp], exporters: [awsemf]}"),
            "nothing in this file is for this gateway",
        ),
        (pipelines("logs: "), "add traces: {receivers: [otlp], exporters: [...]}"),
        (
            format!("{OK}a: 1\nb: 1\nc: 1\nd: 1\ne: 1\nf: 1\n"),
            "f.yaml:4:1: a, and 5 more: unknown keys\n  4 | a: ...\n    | ^\n    = this is no \
             collector's configuration; known keys: receivers,",
        ),
        (
            OK.replace(
                "service: {",
                "extensions: {health_check: {port: 1}}\nservice: {extensions: \
                [health_check], ",
            ),
            "write it into endpoint, such as endpoint: 0.0.0.0:13133",
        ),
    ] {
        let errors = document(&text).expect_err(&text);
        assert!(heads(&errors).len() == 1 && errors.contains(want), "{text}: {errors}");
    }
    let empty = pipelines("traces: {receivers: [otlp], exporters: [nop/a]}, logs: , metrics: {}");
    let (_, notes) = document(&empty).expect("a good file");
    assert!(!notes.iter().any(|note| note.starts_with("service.pipelines")), "{notes:?}");
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
        "endpoint: \"user:hush@h:1\"\n",
        "endpoint: h:1\nheaders: {\"a b\": hush}\n",
        "endpoint: h:1\nheaders:\n  x-team: \"hush\\n\"\n",
        "endpoint: h:1\nheaders:\n  - {name: x, value: \"hush\\n\"}\n",
        "endpoint: h:1\nheaders:\n  x-team: hush\n  x-team: hush\n",
    ] {
        let error = client(yaml);
        assert!(!error.contains("hush"), "{error}");
    }
}
