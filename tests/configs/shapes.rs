//! Files as people have them, and what `validate` says to each.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::{blessing, shapes};

struct Said {
    code: Option<i32>,
    text: String,
}

/// Runs `validate` beside the file, so that its name is all that is shown of its path.
fn validate(dir: &std::path::Path, args: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_tailgate"))
        .arg("validate")
        .args(args)
        .current_dir(dir)
        .env_clear()
        .output()
        .unwrap();
    let code = output.status.code();
    let out = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    Said { code, text: format!("exit code {}\n\n{out}\n{err}", code.unwrap_or(-1)) }
}

#[test]
fn shapes_get_their_answers() {
    let mut wrong = Vec::new();
    for path in shapes() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let said = validate(path.parent().unwrap(), &["--config", name]);
        assert!(matches!(said.code, Some(0 | 78)), "{name}: {}", said.text);
        let expected = path.with_extension("answer");
        if blessing() {
            std::fs::write(&expected, &said.text).unwrap();
        }
        let want = std::fs::read_to_string(&expected).unwrap_or_default();
        if want != said.text {
            wrong.push(format!("{name}: expected\n{want}\nbut it was\n{}", said.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_component_has_a_line_and_every_error_a_remedy() {
    for path in shapes() {
        let text = std::fs::read_to_string(path.with_extension("answer")).unwrap();
        let lines = || text.lines();
        let heads = lines().filter(|line| line.starts_with("receivers."));
        let wrapped = text.contains("a configuration wrapped in something else");
        assert!(wrapped || heads.count() > 0, "{}: {text}", path.display());
        let places = lines().filter(|l| l.split(':').next().is_some_and(|f| f.ends_with(".yaml")));
        let errors = places.filter(|l| l.split(':').nth(1).is_some_and(is_number)).count();
        let remedies = lines().filter(|line| line.trim_start().starts_with("= ")).count();
        assert_eq!(errors, remedies, "{}: {text}", path.display());
        assert!(!text.contains(": unknown key"), "{}: {text}", path.display());
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// What is given as text is not shown beyond the line that is wrong, and there without secrets.
#[test]
fn secrets_in_a_text_are_not_shown() {
    let text = "--config=yaml:{exporters: {otlp: {endpoint: 'user:hush@h:1'}}, receivers: {otlp: \
                {protocols: {grpc: }}}, service: {pipelines: {traces: {receivers: [otlp], \
                exporters: [otlp]}}}}";
    let said = validate(std::path::Path::new("."), &[text]);
    assert_eq!(said.code, Some(78));
    assert!(said.text.contains("yaml:: 1 error"), "{}", said.text);
    assert!(!said.text.contains("hush"), "{}", said.text);
}

/// A pipe can be read once only.
#[test]
fn what_comes_through_a_pipe_is_read_once() {
    let path = shapes().into_iter().find(|p| p.ends_with("both-tiers.yaml")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tailgate"))
        .args(["validate", "--config", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = std::fs::read(path).unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{out}");
    for tier in ["load balancer", "sampler"] {
        assert!(out.contains(&format!("/dev/stdin: a valid configuration of a {tier}\n")), "{out}");
    }
}

/// What is wrong in several files and on the command line comes at once, each in its place.
#[test]
fn errors_of_merged_files_come_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let base = "receivers: {otlp: {protocols: {grpc: }}}\nexporters: {file: {pth: a}}\n\
                service: {pipelines: {traces: {receivers: [otlp], exporters: [file]}}}\n";
    std::fs::write(dir.path().join("base.yaml"), base).unwrap();
    std::fs::write(dir.path().join("more.yaml"), "tailgate: {eject_after: soon}\n").unwrap();
    let set = "--set=receivers.otlp.protocols.grpc.endpont=a:1";
    let said = validate(dir.path(), &["--config", "base.yaml", "--config=more.yaml", set]);
    assert_eq!(said.code, Some(78));
    for part in [
        "base.yaml:2:20: exporters.file.pth: unknown key",
        "did you mean \"path\"?",
        "more.yaml:1:25: tailgate.eject_after: \"soon\" is not a duration",
        "--set receivers.otlp.protocols.grpc.endpont:1:1: ",
        "did you mean \"endpoint\"?",
        "base.yaml + more.yaml: 4 errors",
    ] {
        assert!(said.text.contains(part), "{part}: {}", said.text);
    }
}

/// A file that a collector would be given, in pieces: the last word counts.
#[test]
fn pieces_make_one_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let base = "receivers: {otlp: {protocols: {grpc: {endpoint: '${env:MY_POD_IP:-127.0.0.1}:1'}}}}\n\
                exporters: {otlp/a: {endpoint: '${file:at}', headers: {x: '$$5 ${env:N:-v}'}}}\n";
    std::fs::write(dir.path().join("base.yaml"), base).unwrap();
    std::fs::write(dir.path().join("at"), "collector:4317\n").unwrap();
    let pipelines = "--config=yaml:service::pipelines::traces/x: {receivers: [otlp], \
                     exporters: [otlp/a]}";
    let set = "--set=service.telemetry.logs.level=debug";
    let said = validate(dir.path(), &["--config=file:base.yaml", pipelines, set]);
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert!(said.text.contains("service.pipelines.traces/x: used"), "{}", said.text);
}
