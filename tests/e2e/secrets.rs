//! Nothing secret is ever printed: every place that a secret can be in, and everything that can be read.

use crate::SOON;
use crate::fleet::{Ports, tailgate};
use crate::raw;
use crate::spans::{failed, request};
use crate::tls::Authority;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tailgate_testkit::process::{Process, Spec};
use tailgate_testkit::wait::eventually;
use tailgate_testkit::{http, ports::Port};

/// Each stands in one place of the configurations below.
const SECRETS: [&str; 15] = [
    "hush0internal",
    "hush1token",
    "hush2tokenfile",
    "hush3plain",
    "hush4sha",
    "hush5header",
    "hush6proxy",
    "hush7password",
    "hush8passwordfile",
    "hush9response",
    "hush10aws",
    "hush11env",
    "hush12urlproxy",
    "hush13outtoken",
    "hush14wrong",
];

const PAGES: [&str; 10] = [
    "/",
    "/metrics",
    "/debug/config",
    "/debug/config?format=json",
    "/debug/ownership",
    "/debug/ownership?format=json",
    "/debug/traces",
    "/debug/traces?format=json",
    "/debug/errors",
    "/debug/errors?format=json",
];

fn addr(port: &Port) -> String {
    port.addr().to_string()
}

fn common(ports: &Ports, name: &str, extensions: &str, used: &str) -> String {
    format!(
        "extensions:\n  health_check: {{endpoint: \"{}\"}}\n{extensions}\nservice:\n  \
         extensions: [health_check, {used}]\n  telemetry:\n    logs: {{level: debug}}\n    \
         metrics: {{level: detailed, readers: [{{pull: {{exporter: {{prometheus: \
         {{host: 127.0.0.1, port: {}}}}}}}}}]}}\ntailgate:\n  instance: {name}\n  \
         admin: {{endpoint: \"{}\"}}\n",
        addr(&ports.health),
        ports.metrics,
        addr(&ports.admin),
    )
}

fn sampler(ports: &Ports) -> String {
    let extensions = "  basicauth/out: {client_auth: {username: ann, password: hush7password}}\n  \
         basicauth/file: {client_auth: {username: ann, password_file: password}}\n  \
         bearertokenauth/out: {token: hush13outtoken}";
    let used = "basicauth/out, basicauth/file, bearertokenauth/out";
    let (grpc, internal) = (addr(&ports.grpc), addr(&ports.internal));
    // Nothing listens at port 9, so that all of them fail and say so.
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: \"{grpc}\"}}}}}}}}\n\
         processors: {{tail_sampling: {{decision_wait: 100ms, policies: \
         [{{name: all, type: always_sample}}]}}}}\nexporters:\n  \
         otlp_grpc: {{endpoint: 'https://127.0.0.1:9', headers: {{x-team: hush5header}}}}\n  \
         otlp_http/basic: {{endpoint: 'http://127.0.0.1:9', auth: {{authenticator: basicauth/out}}}}\n  \
         otlp_http/file: {{endpoint: 'http://127.0.0.1:9', auth: {{authenticator: basicauth/file}}}}\n  \
         otlp_http/token: {{endpoint: 'http://127.0.0.1:9', proxy_url: \
         'http://u:hush12urlproxy@127.0.0.1:9', auth: {{authenticator: bearertokenauth/out}}}}\n  \
         awsxray: {{region: us-east-1, proxy_address: 'http://u:hush6proxy@127.0.0.1:9'}}\n{}  \
         shutdown_timeout: 1s\n  members: [{{name: sampler-0, endpoint: \"{internal}\"}}]\n  \
         internal: {{endpoint: \"{internal}\", secret: \"${{env:INTERNAL}}\"}}\n",
        common(ports, "sampler-0", extensions, used).replace(
            "tailgate:",
            "  pipelines: {traces: {receivers: [otlp], processors: [tail_sampling], \
             exporters: [otlp_grpc, otlp_http/basic, otlp_http/file, otlp_http/token, awsxray]}}\ntailgate:"
        ),
    )
}

fn load_balancer(name: &str, ports: &Ports, member: &Ports, secret: &str, pem: &str) -> String {
    let sha = STANDARD.encode("hush4sha-is-twenty-b");
    let extensions = format!(
        "  bearertokenauth/in: {{filename: tokens}}\n  \
         basicauth/in: {{htpasswd: {{inline: \"ann:hush3plain\\nbob:{{SHA}}{sha}\"}}}}"
    );
    let (cert, key) = pem.split_once("||").unwrap();
    let indented = |text: &str| text.trim().replace('\n', "\n            ");
    let (cert, key) = (indented(cert), indented(key));
    let (grpc, http) = (addr(&ports.grpc), addr(&ports.http));
    format!(
        "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: \"{grpc}\"\n        \
         auth: {{authenticator: bearertokenauth/in}}\n        tls:\n          cert_pem: |\n            \
         {cert}\n          key_pem: |\n            {key}\n      http:\n        \
         endpoint: \"{http}\"\n        auth: {{authenticator: basicauth/in}}\n        \
         response_headers: {{x-r: hush9response}}\nexporters: {{load_balancing: }}\n{}  \
         shutdown_timeout: 1s\n  members: [{{name: sampler-0, endpoint: \"{}\"}}]\n  \
         internal: {{{secret}}}\n",
        common(ports, name, &extensions, "bearertokenauth/in, basicauth/in").replace(
            "tailgate:",
            "  pipelines: {traces: {receivers: [otlp], exporters: [load_balancing]}}\ntailgate:"
        ),
        addr(&member.internal),
    )
}

fn spec(role: &str, config: &str) -> Spec {
    tailgate()
        .env("INTERNAL", "hush0internal")
        .env("UNUSED_SECRET", "hush11env")
        .env("AWS_SECRET_ACCESS_KEY", "hush10aws")
        .file("secret", "hush0internal\n")
        .file("tokens", "hush2tokenfile the first\nhush1token\n")
        .file("password", "hush8passwordfile")
        .arg(role)
        .config(config)
}

async fn get_all(ports: &Ports) -> String {
    let mut seen = String::new();
    for port in [&ports.metrics, &ports.health, &ports.admin] {
        for page in PAGES {
            // Not all of them have all pages, and some have no server.
            if let Ok((_, body)) = http::get(&format!("http://{}{page}", addr(port))).await {
                seen += &body;
            }
        }
    }
    seen
}

async fn bad_requests(ports: &Ports) -> String {
    let url = format!("http://{}", addr(&ports.http));
    let basic = |user: &str| format!("Basic {}", STANDARD.encode(user));
    let good = request(vec![failed(1, 1)]);
    let mut seen = String::new();
    for (authorization, want) in [
        (basic("ann:hush3plain"), [200, 400]),
        (basic("ann:hush14wrong"), [401; 2]),
        (basic("hush14wrong"), [401; 2]),
        ("Bearer hush14wrong".to_owned(), [401; 2]),
    ] {
        for (body, want) in [good.clone(), b"garbage".to_vec()].into_iter().zip(want) {
            let answer = raw::post(&url, &[("authorization", &authorization)], body).await;
            assert_eq!(answer.code, want, "{answer:?}");
            let mut headers = answer.headers.clone();
            // That one is for the client.
            headers.remove("x-r");
            seen += &format!("{headers:?}{}", String::from_utf8_lossy(&answer.body));
        }
    }
    seen
}

fn assert_clean(what: &str, text: &str, keys: &[&str]) {
    let encoded = SECRETS.map(|secret| STANDARD.encode(format!("ann:{secret}")));
    let all = SECRETS.iter().copied().chain(encoded.iter().map(String::as_str));
    for secret in all.chain(keys.iter().copied()) {
        if let Some(at) = text.find(secret) {
            let near: String = text[at.saturating_sub(200)..].chars().take(300).collect();
            panic!("{what} shows {secret}: {near}");
        }
    }
}

fn printed(process: &Process) -> String {
    process.stdout() + &process.stderr()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_printed_or_shown() {
    let (cert, key) = Authority::new().identity();
    let pem = format!("{cert}||{key}");
    // The middle of the key, without its frame.
    let key_line = key.lines().nth(1).unwrap();
    let (back, front, stranger) = (Ports::reserve(), Ports::reserve(), Ports::reserve());
    let mut nodes = Vec::new();
    let configs = [
        ("sampler", sampler(&back), &back),
        ("loadbalancer", load_balancer("lb-0", &front, &back, "secret_file: secret", &pem), &front),
        (
            "loadbalancer",
            load_balancer("lb-1", &stranger, &back, "secret: hush14wrong", &pem),
            &stranger,
        ),
    ];
    for (role, config, ports) in &configs {
        let mut process = spec(role, config).start().unwrap();
        let health = format!("http://{}/", addr(&ports.health));
        process.wait_http(&health, 200, SOON).await.unwrap();
        nodes.push((process, *ports));
    }
    let mut seen = bad_requests(&front).await;
    // Both sides say that the secret is wrong, and the sampler counts it.
    let says = "the shared secret does not match";
    eventually("the stranger is refused", SOON, async || {
        [0, 2].iter().all(|n| printed(&nodes[*n].0).contains(says))
    })
    .await
    .unwrap();
    let metrics = get_all(&back).await;
    let counted = metrics.lines().any(|line| {
        line.starts_with("tailgate_peer_handshakes_failed{")
            && line.contains("\"secret\"")
            && !line.ends_with(" 0")
    });
    assert!(counted, "{metrics}");
    for exporter in ["otlp_grpc", "otlp_http/basic", "otlp_http/file", "otlp_http/token", "awsxray"]
    {
        let fails = async || {
            let said = printed(&nodes[0].0);
            said.lines().any(|l| l.contains("WARN") && l.contains(&format!("exporter={exporter} ")))
        };
        let failed = eventually(exporter, SOON, fails).await;
        assert!(failed.is_ok(), "{exporter} does not say that it fails: {}", printed(&nodes[0].0));
    }
    for (process, ports) in &mut nodes {
        seen += &get_all(ports).await;
        process.terminate(SOON).await.unwrap();
        seen += &printed(process);
    }
    assert!(seen.len() > 10_000, "there is something to look at");
    assert_clean("a node", &seen, &[key_line]);
}

/// What is broken stands right beside what is secret.
#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_configuration_show_no_secret() {
    let (cert, key) = Authority::new().identity();
    let key_line = key.lines().nth(1).unwrap().to_owned();
    let pem = format!("{cert}||{key}");
    let (ports, member) = (Ports::reserve(), Ports::reserve());
    let good_sampler = sampler(&ports);
    let good_front = load_balancer("lb-0", &ports, &member, "secret: hush0internal", &pem);
    let broken = [
        ("sampler", good_sampler.replace("token: hush13outtoken", "tokn: hush13outtoken")),
        ("sampler", good_sampler.replace("token: hush13outtoken", "token: [hush13outtoken]")),
        ("sampler", good_sampler.replace("x-team: hush5header", "\"x team\": hush5header")),
        ("sampler", good_sampler.replace("x-team: hush5header", "x-team: \"hush5header\\n\"")),
        ("sampler", good_sampler.replace("hush5header}}", "hush5header}, timout: 5s}")),
        ("sampler", good_sampler.replace("password: hush7", "pasword: hush7")),
        (
            "sampler",
            good_sampler.replace("password: hush7password", "password: {a: hush7password}"),
        ),
        ("sampler", good_sampler.replace("hush12urlproxy@127.0.0.1:9", "hush12urlproxy@:x")),
        ("sampler", good_sampler.replace("proxy_url:", "proxyurl:")),
        ("sampler", good_sampler.replace("proxy_address:", "proxy_adress:")),
        ("loadbalancer", good_front.replace("secret: hush0", "secrett: hush0")),
        (
            "loadbalancer",
            good_front.replace("secret: hush0internal", "secret: hush0internal, x: 1"),
        ),
        ("loadbalancer", good_front.replace("inline:", "inlne:")),
        ("loadbalancer", good_front.replace("{SHA}", "$apr1$")),
        ("loadbalancer", good_front.replace("ann:hush3", "annhush3")),
        ("loadbalancer", good_front.replace("x-r: hush9", "\"x r\": hush9")),
        ("loadbalancer", good_front.replace("key_pem:", "keypem:")),
        ("loadbalancer", good_front.replace("-----END PRIVATE", "-----EN PRIVATE")),
        ("loadbalancer", good_front.replace(&key_line, &format!("!{key_line}"))),
    ];
    for (n, (role, config)) in broken.into_iter().enumerate() {
        let good = if role == "sampler" { &good_sampler } else { &good_front };
        assert_ne!(config, *good, "{n}");
        for command in ["validate", role] {
            let mut process = spec(command, &config).start().unwrap();
            let code = process.wait_exit(SOON).await.unwrap();
            let said = printed(&process);
            // Files and PEM text are read at the start.
            assert!(!code.success() || command == "validate", "{n} {command}: {said}");
            assert_clean(&format!("{n} {command}"), &said, &[&key_line]);
        }
    }
}
