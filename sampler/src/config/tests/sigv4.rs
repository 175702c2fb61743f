//! `sigv4auth`: what it says, who may refer to it, and what the endpoint it signs for takes.

use tailgate_common::config::{AssumeRole, Authenticator, SigV4};

use super::*;

const AUTH: &str = "auth: {authenticator: sigv4auth}";
const URL: &str = "https://xray.eu-west-1.amazonaws.com";

fn read(extension: &str, exporter: &str) -> Result<SamplerConfig, String> {
    let (id, block) = exporter.split_once(' ').unwrap();
    let text = format!(
        "extensions: {{sigv4auth: {extension}}}\nreceivers: {{otlp: {{protocols: {{grpc: }}}}}}\n\
         exporters: {{{id}: {block}}}\nservice: {{extensions: [sigv4auth], pipelines: {{traces: \
         {{receivers: [otlp], exporters: [{id}]}}}}}}\n"
    );
    parse(&text, &unset).map(|(config, _)| config)
}

#[test]
fn the_collectors_keys_are_read() {
    let exporter = format!("otlp_http {{endpoint: '{URL}', {AUTH}}}");
    let read = |extension: &str| {
        let mut config = read(extension, &exporter).unwrap_or_else(|e| panic!("{e}"));
        let Authenticator::SigV4(sigv4) = config.shared.authenticators.remove(0).config else {
            panic!("another authenticator")
        };
        sigv4
    };
    let none = SigV4 { region: String::new(), service: String::new(), role: None };
    assert_eq!(read(""), none);
    assert_eq!(read("{assume_role: {sts_region: a}}"), none, "no role is assumed without arn");
    let role = "{arn: r, session_name: s, sts_region: t, external_id: e}";
    let role = format!("{{region: a, service: b, assume_role: {role}}}");
    let [arn, session_name, sts_region, external_id] = ["r", "s", "t", "e"].map(str::to_owned);
    let assumed = AssumeRole { arn, session_name, sts_region, external_id };
    let (region, service) = ("a".to_owned(), "b".to_owned());
    assert_eq!(read(&role), SigV4 { region, service, role: Some(assumed) });
}

#[test]
fn what_cannot_be_signed_is_an_error_with_a_remedy() {
    for (extension, exporter, said, remedy) in [
        ("", format!("otlp_grpc {{endpoint: 'h:1', {AUTH}}}"), "HTTP requests only", "otlp_http"),
        ("", format!("otlp_http {{endpoint: 'http://h', {AUTH}}}"), "no region", "us-east-1"),
        (
            "{region: a}",
            format!("otlp_http {{endpoint: 'http://h', {AUTH}}}"),
            "no service",
            "such as xray",
        ),
        (
            "",
            format!("otlp_http {{endpoint: '{URL}', compression: zstd, {AUTH}}}"),
            "no compression but gzip",
            "gzip or none",
        ),
        (
            "{assume_role: {arn: a, web_identity_token_file: f}}",
            format!("otlp_http {{endpoint: '{URL}', {AUTH}}}"),
            "web_identity_token_file",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
        ),
        (
            "{assume_role: {external_id: e}}",
            format!("otlp_http {{endpoint: '{URL}', {AUTH}}}"),
            "external_id",
            "arn",
        ),
    ] {
        let errors = read(extension, &exporter).unwrap_err();
        assert!(errors.contains(said) && errors.contains(remedy), "{said}: {errors}");
    }
    let fine = format!("otlp_http {{endpoint: '{URL}', compression: none, {AUTH}}}");
    read("", &fine).unwrap();
    let other = format!("otlp_http {{endpoint: '{URL}', compression: zstd, {AUTH}}}");
    read("{service: mine}", &other).unwrap();
}

#[test]
fn a_receiver_cannot_check_signatures() {
    let text = format!(
        "extensions: {{sigv4auth: }}\nreceivers: {{otlp: {{protocols: {{http: {{{AUTH}}}}}}}}}\n\
         exporters: {{nop: }}\nservice: {{extensions: [sigv4auth], pipelines: {{traces: \
         {{receivers: [otlp], exporters: [nop]}}}}}}\n"
    );
    let errors = parse(&text, &unset).unwrap_err();
    assert!(errors.contains("cannot check clients") && errors.contains("bearertokenauth"));
}
