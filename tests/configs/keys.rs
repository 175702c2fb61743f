//! Every key that the code asks for: a file with all components is read, and then again with each
//! mapping that was asked for and not there, until none is missing.

use std::collections::BTreeMap;

use tailgate_common::config::{Asked, Input, Usage};
use tailgate_loadbalancer::config::LoadBalancerConfig;
use tailgate_sampler::config::SamplerConfig;

/// What both tiers have, and lists with an item each.
const SHARED: &str = "
receivers: {otlp: {protocols: {grpc: {}, http: {}}}}
processors: {memory_limiter: {limit_mib: 100}}
extensions:
  health_check:
  bearertokenauth: {token: t}
  basicauth: {htpasswd: {inline: 'a:b'}}
  basicauth/client: {client_auth: {username: a}}
  sigv4auth: {}
connectors: {}
service:
  extensions: [health_check, bearertokenauth, basicauth, basicauth/client, sigv4auth]
  telemetry:
    metrics:
      readers:
        - pull: {exporter: {prometheus: {}}}
        - periodic: {exporter: {otlp: {}}}
    traces:
      processors: [{batch: {exporter: {otlp: {}}}}, {simple: {}}]
    logs:
      processors: [{batch: {exporter: {otlp: {}}}}, {simple: {}}]
    resource: {attributes: [{name: a, value: b}]}
tailgate:
  members: [{name: a, endpoint: 'a:1'}]
  instance: a
  internal: {secret: s}
";
const SAMPLER: &str = "
exporters:
  awsxray: {}
  otlp_grpc: {endpoint: 'a:1'}
  otlp_http: {endpoint: 'http://a:1'}
  file: {path: f}
  debug: {}
  nop: {}
service:
  pipelines:
    traces:
      receivers: [otlp]
      processors: [memory_limiter, tail_sampling]
      exporters: [awsxray, otlp_grpc, otlp_http, file, debug, nop]
";
const LOAD_BALANCER: &str = "
exporters: {load_balancing: {resolver: {static: {hostnames: [a]}}}}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [memory_limiter], exporters: [load_balancing]}
";
const ROUNDS: usize = 12;

/// Every key by its path, `[]` for the items of a list. Mappings whose keys are known are left
/// out: their keys are there.
pub fn all() -> BTreeMap<String, Asked> {
    let mut keys = tier(&[SHARED, SAMPLER, &policies()], |input| {
        drop(SamplerConfig::from_input(input));
    });
    let balancer = |input: &Input| drop(LoadBalancerConfig::from_input(input));
    keys.extend(tier(&[SHARED, LOAD_BALANCER], balancer));
    let paths: Vec<String> = keys.keys().cloned().collect();
    keys.retain(|path, asked| asked.usage != Usage::Block || !has_below(&paths, path));
    keys
}

fn has_below(paths: &[String], path: &str) -> bool {
    let below = |p: &String| {
        p.strip_prefix(path).is_some_and(|rest| rest.starts_with('.') || rest.starts_with("[]."))
    };
    paths.iter().any(below)
}

fn tier(texts: &[&str], read: impl Fn(&Input)) -> BTreeMap<String, Asked> {
    let mut configs: Vec<String> = texts.iter().map(|text| format!("yaml:{text}")).collect();
    for _ in 0..ROUNDS {
        let input = Input::load(&configs, &[], &|_| None).unwrap();
        read(&input);
        let raw = input.diag().asked();
        let paths: Vec<String> = raw.keys().map(|path| plain(path)).collect();
        let missing: Vec<&String> = raw
            .iter()
            .filter(|(path, asked)| {
                let given = configs.iter().any(|c| c.contains(&format!("yaml:{}:", nested(path))));
                asked.usage == Usage::Block && !has_below(&paths, &plain(path)) && !given
            })
            .map(|(path, _)| path)
            .filter(|path| !path.contains('['))
            .collect();
        if missing.is_empty() {
            return raw.into_iter().map(|(path, asked)| (plain(&path), asked)).collect();
        }
        configs.extend(missing.iter().map(|path| format!("yaml:{}: {{}}", nested(path))));
    }
    panic!("mappings within mappings without end");
}

fn nested(path: &str) -> String {
    path.replace('.', "::")
}

/// Without names of components and numbers of items.
fn plain(path: &str) -> String {
    let mut parts: Vec<String> = path.split('.').map(str::to_owned).collect();
    for part in &mut parts {
        if let Some((list, _)) = part.split_once('[') {
            *part = format!("{list}[]");
        }
    }
    if let Some((kind, _)) = parts.get(1).and_then(|id| id.split_once('/')) {
        parts[1] = kind.to_owned();
    }
    parts.join(".")
}

/// A policy of each type, as the error for an unknown type lists them.
fn policies() -> String {
    let with =
        |policies: &str| format!("yaml:processors: {{tail_sampling: {{policies: [{policies}]}}}}");
    let configs = [SHARED, SAMPLER].map(|text| format!("yaml:{text}"));
    let configs = [configs.as_slice(), &[with("{name: a, type: wrong_altogether}")]].concat();
    let input = Input::load(&configs, &[], &|_| None).unwrap();
    let errors = SamplerConfig::from_input(&input).unwrap_err().to_string();
    let (_, types) = errors.split_once("use one of: ").unwrap();
    let types: Vec<&str> = types.lines().next().unwrap().split(", ").collect();
    assert!(types.len() >= 8, "{types:?}");
    let sub = "{name: s, type: always_sample}";
    let policy = |kind: &&str| {
        format!("{{name: {kind}, type: {kind}, {kind}: {{{kind}_sub_policy: [{sub}]}}}}")
    };
    let all: Vec<String> = types.iter().map(policy).collect();
    with(&all.join(", ")).trim_start_matches("yaml:").to_owned()
}
