//! Files that are no configuration and have one in them: what they are told.

use super::*;

const INNER: &str = "receivers: {otlp: }, exporters: {nop: }, service: {pipelines: {traces: }}";

fn told(text: &str) -> String {
    match Input::parse("f.yaml", text, &unset) {
        Ok(_) => panic!("{text}: is taken"),
        Err(errors) => errors.to_string(),
    }
}

/// Each with the place, the path of what is in it, and a part of the remedy.
#[test]
fn the_configuration_is_found() {
    let text = "receivers: {otlp: }\\nservice: {pipelines: }\\n";
    for (file, place, path, help) in [
        (format!("mode: x\nconfig: {{{INNER}}}\n"), "2:1", "config", "a Helm chart"),
        (format!("service: {{type: x}}\nconfig: {{{INNER}}}\n"), "2:1", "config", "a Helm chart"),
        (format!("alternateConfig: {{{INNER}}}\n"), "1:1", "alternateConfig", "a Helm chart"),
        ("alternateConfig: {service: {pipelines: }}\n".into(), "1:1", "alternateConfig", "alone"),
        (format!("otel: {{config: {{{INNER}}}}}\n"), "1:8", "otel.config", "otel.config alone"),
        (
            format!("apiVersion: v1\nkind: ConfigMap\ndata: {{relay: \"{text}\"}}\n"),
            "3:8",
            "data.relay",
            "a resource of Kubernetes",
        ),
        (
            format!("kind: Service\n---\napiVersion: v1\nkind: X\nspec: {{config: {{{INNER}}}}}\n"),
            "5:8",
            "spec.config",
            "a resource of Kubernetes",
        ),
        (
            format!(
                "{{containerDefinitions: [{{environment: [{{name: AOT_CONFIG_CONTENT, value: \
                 \"{text}\"}}]}}]}}"
            ),
            "1:67",
            "containerDefinitions[0].environment[0].value",
            "in its container, --config env:AOT_CONFIG_CONTENT: this looks like a task",
        ),
        (
            format!("[{{environment: {{AOT_CONFIG: \"{text}\"}}}}]"),
            "1:17",
            "[0].environment.AOT_CONFIG",
            "--config env:AOT_CONFIG",
        ),
    ] {
        let told = told(&file);
        let head = format!("f.yaml:{place}: {path}: a configuration wrapped in something else\n");
        assert!(told.starts_with(&head) && told.contains(help), "{file}: {told}");
    }
}

/// Each with its first words and a part of the remedy.
#[test]
fn others_are_recognised() {
    for (file, head, help) in [
        ("services: {otel: {image: x}}", "f.yaml:1:1: services: this is a compose file", "alone"),
        ("apiVersion: v1\nkind: Pod\n", "f.yaml:1:1: apiVersion: this is a resource", "alone"),
        ("[{name: x, image: y}]", "f.yaml:1:3: name: this is a list of containers", "env:AOT_"),
        ("receivers:\n  {{ .Values.x }}\n", "f.yaml:2:4: ", "render it first"),
        ("AWSTemplateFormatVersion: x\na: !Ref b\n", "f.yaml:2:", "is a CloudFormation template"),
        ("resource \"a\" \"b\" {\n  c = d ? e : f\n}\n", "f.yaml:", "this is Terraform"),
    ] {
        let told = told(file);
        assert!(told.starts_with(head) && told.contains(help), "{file}: {told}");
    }
}

#[test]
fn a_configuration_and_its_parts_are_not_taken_for_wrapped() {
    for text in [
        "receivers: {otlp: }\n",
        "service: {pipelines: {traces: }}\nconfig: {}\n",
        "tailgate: {instance: a}\n",
        "exporters: {debug: {a: 'receivers and pipelines'}}\n",
    ] {
        assert!(Input::parse("f.yaml", text, &unset).is_ok(), "{text}");
    }
}
