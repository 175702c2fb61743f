//! The command line and the configuration: exit codes, places, and the peers' own files.

use crate::SOON;
use crate::fleet::tailgate;
use std::path::Path;
use tailgate_testkit::process::Spec;

/// What a command printed, and its exit code.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn run(spec: Spec) -> Ran {
    let mut process = spec.start().unwrap();
    let code = process.wait_exit(SOON).await.unwrap().code();
    Ran { code, out: process.stdout(), err: process.stderr() }
}

async fn with_file(command: &str, text: &str) -> Ran {
    run(tailgate().arg(command).config(text)).await
}

const SAMPLER: &str = "receivers: {otlp: {protocols: {grpc: {endpoint: \"127.0.0.1:0\"}}}}
processors:
  tail_sampling:
    decision_wait: 10s
    policies:
      - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
exporters: {nop: {}}
service: {pipelines: {traces: {receivers: [otlp], processors: [tail_sampling], exporters: [nop]}}}
";

const LOAD_BALANCER: &str = "receivers: {otlp: {protocols: {grpc: {endpoint: \"127.0.0.1:0\"}}}}
exporters:
  load_balancing:
    protocol: {otlp: {tls: {insecure: true}}}
    resolver: {static: {hostnames: [127.0.0.1:9]}}
service: {pipelines: {traces: {receivers: [otlp], exporters: [load_balancing]}}}
";

/// Replaces a piece of a good file; where the error is, and what it says.
struct Broken {
    whole: &'static str,
    old: &'static str,
    new: &'static str,
    place: &'static str,
    says: &'static [&'static str],
}

const BROKEN: [Broken; 7] = [
    Broken {
        whole: SAMPLER,
        old: "decision_wait: 10s",
        new: "decision_wiat: 10s",
        place: "config.yaml:4:5: ",
        says: &["decision_wiat", "decision_wait"],
    },
    Broken {
        whole: SAMPLER,
        old: "decision_wait: 10s",
        new: "decision_wait: ten",
        place: "config.yaml:4:20: ",
        says: &["processors.tail_sampling.decision_wait", "\"ten\""],
    },
    Broken {
        whole: SAMPLER,
        old: "[ERROR]",
        new: "[error]",
        place: "config.yaml:6:",
        says: &["error"],
    },
    Broken {
        whole: SAMPLER,
        old: "exporters: [nop]",
        new: "exporters: [nope]",
        place: "config.yaml:8:",
        says: &["nope"],
    },
    Broken {
        whole: SAMPLER,
        old: "policies:\n",
        new: "policies: [\n",
        place: "config.yaml:",
        says: &[],
    },
    Broken {
        whole: LOAD_BALANCER,
        old: "resolver: {static",
        new: "resolver: {statik",
        place: "config.yaml:5:15: ",
        says: &["statik", "static"],
    },
    Broken {
        whole: LOAD_BALANCER,
        old: "{insecure: true}",
        new: "{insecure: maybe}",
        place: "config.yaml:4:39: ",
        says: &["exporters.load_balancing.protocol.otlp.tls.insecure", "maybe"],
    },
];

#[tokio::test]
async fn a_broken_file_ends_every_command_with_78_and_the_place() {
    for Broken { whole, old, new, place, says } in &BROKEN {
        let text = whole.replacen(old, new, 1);
        assert_ne!(&text, whole);
        let tier = if *whole == SAMPLER { "sampler" } else { "loadbalancer" };
        for command in ["validate", tier] {
            let Ran { code, out, err } = with_file(command, &text).await;
            assert_eq!(code, Some(78), "{command} {new}: {out}{err}");
            assert!(err.starts_with(place), "{command} {new}: {err}");
            assert!(says.iter().all(|word| err.contains(word)), "{command} {new}: {err}");
            // `validate` says what becomes of each component all the same.
            assert!(command == "validate" || out.is_empty(), "{command} {new}: {out}");
            assert!(!out.contains("a valid configuration"), "{command} {new}: {out}");
        }
    }
}

#[tokio::test]
async fn the_wrong_tier_and_no_file_are_errors_of_configuration() {
    for (command, text) in [("sampler", LOAD_BALANCER), ("loadbalancer", SAMPLER)] {
        let Ran { code, err, .. } = with_file(command, text).await;
        assert_eq!(code, Some(78), "{err}");
        assert!(err.starts_with("config.yaml:"), "{err}");
    }
    for command in ["validate", "sampler", "loadbalancer"] {
        let Ran { code, err, .. } = run(tailgate().arg(command).arg("--config=absent.yaml")).await;
        assert_eq!(code, Some(78), "{err}");
        assert!(err.starts_with("absent.yaml: cannot be read"), "{err}");
    }
}

#[tokio::test]
async fn good_files_validate() {
    for (text, tier) in [(SAMPLER, "sampler"), (LOAD_BALANCER, "load balancer")] {
        let Ran { code, out, err } = with_file("validate", text).await;
        assert_eq!((code, err.as_str()), (Some(0), ""));
        let mut lines: Vec<&str> = out.lines().collect();
        let verdict = lines.pop().unwrap();
        assert_eq!(verdict, format!("config.yaml: a valid configuration of a {tier}"));
        assert!(lines.iter().all(|line| line.ends_with(": used")), "{out}");
    }
}

#[tokio::test]
async fn the_files_of_the_collector_validate_unchanged() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, tier) in [
        ("benches/peer/sampler.yaml", "sampler"),
        ("benches/peer/lb.yaml", "load balancer"),
        ("sampler/src/config/tests/files/sampler.yaml", "sampler"),
        ("sampler/src/config/tests/files/sampler-whole.yaml", "sampler"),
        ("sampler/src/config/tests/files/xray.yaml", "sampler"),
        ("loadbalancer/src/config/tests/files/lb.yaml", "load balancer"),
    ] {
        let path = root.join(file);
        let spec = tailgate().env("PORT", 4317).env("HOST", "127.0.0.1");
        let spec = spec.arg("validate").arg("--config").arg(path.to_string_lossy());
        let Ran { code, out, err } = run(spec).await;
        assert_eq!(code, Some(0), "{file}: {err}");
        assert!(out.ends_with(&format!("a valid configuration of a {tier}\n")), "{file}: {out}");
        // What does less than it says is named in one line each.
        assert!(err.lines().all(|line| line.starts_with("note: ")), "{file}: {err}");
    }
}

#[tokio::test]
async fn help_and_version() {
    let Ran { code, out, err } = run(tailgate().arg("--help")).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for word in ["demo", "loadbalancer", "sampler", "validate", "78"] {
        assert!(out.contains(word), "{word}: {out}");
    }
    for command in ["demo", "loadbalancer", "sampler", "validate"] {
        let Ran { code, out, .. } = run(tailgate().arg(command).arg("--help")).await;
        assert!(code == Some(0) && out.contains("Usage: tailgate"), "{out}");
    }
    let Ran { code, out, .. } = run(tailgate().arg("--version")).await;
    assert_eq!((code, out), (Some(0), format!("tailgate {}\n", env!("CARGO_PKG_VERSION"))));
    let Ran { code, err, .. } = run(tailgate().arg("sampler")).await;
    assert!(code == Some(2) && err.contains("--config"), "{err}");
}
