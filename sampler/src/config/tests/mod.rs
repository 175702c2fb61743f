//! Files that a user would bring, and what is wrong with those that cannot be taken.
#![allow(clippy::unwrap_used)]

mod policies;
mod sigv4;

use std::time::Duration;

use tailgate_common::config::{Compression, Env, MetricsLevel};
use tailgate_policy::Rule;
use tailgate_xray::{Conventions, Told};

use super::*;

/// What is said wherever nothing is sampled.
const ALL_KEPT: &str = "service.pipelines.traces: no tail_sampling: every trace is kept; a first \
                        tier has load_balancing as its exporter";

fn unset(_: &str) -> Option<String> {
    None
}

fn parse(text: &str, env: &Env<'_>) -> Result<(SamplerConfig, Vec<String>), String> {
    let input = Input::parse("f.yaml", text, env).map_err(|e| e.to_string())?;
    let (config, notes) = SamplerConfig::from_input(&input).map_err(|e| e.to_string())?;
    Ok((config, notes.iter().map(Note::to_string).collect()))
}

fn good(text: &str) -> (SamplerConfig, Vec<String>) {
    let env = |name: &str| match name {
        "PORT" => Some("24317".to_owned()),
        "HOST" => Some("127.0.0.1".to_owned()),
        _ => None,
    };
    parse(text, &env).unwrap_or_else(|e| panic!("{e}"))
}

/// A sampler with `block` (indented by four) as its tail_sampling.
fn sampling(block: &str) -> Result<(TailSampling, Vec<String>), String> {
    let indented: String = block.lines().map(|l| format!("    {l}\n")).collect();
    let text = format!(
        "processors:\n  tail_sampling:\n{indented}receivers: {{otlp: {{protocols: {{grpc: }}}}}}\n\
         exporters: {{nop: }}\nservice: {{pipelines: {{traces: {{receivers: [otlp], processors: \
         [tail_sampling], exporters: [nop]}}}}}}\n"
    );
    let (config, notes) = parse(&text, &unset)?;
    Ok((config.tail_sampling.unwrap().config, notes))
}

/// A sampler with `exporter` (a flow entry) as its exporter.
fn exporting(id: &str, block: &str) -> Result<(Exporter, Vec<String>), String> {
    let text = format!(
        "exporters: {{{id}: {block}}}\nreceivers: {{otlp: {{protocols: {{grpc: }}}}}}\n\
         service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [{id}]}}}}}}\n"
    );
    let (mut config, mut notes) = parse(&text, &unset)?;
    notes.retain(|note| note != ALL_KEPT);
    Ok((config.exporters.remove(0).config, notes))
}

fn heads(errors: &str) -> Vec<&str> {
    errors.lines().filter(|l| l.starts_with("f.yaml")).collect()
}

#[test]
fn a_collectors_sampler() {
    let (config, notes) = good(include_str!("files/sampler.yaml"));
    assert_eq!(notes, Vec::<String>::new());
    let shared = &config.shared;
    let grpc = shared.receivers[0].config.grpc.as_ref().unwrap();
    assert_eq!((grpc.endpoint.as_str(), grpc.max_recv_msg_bytes), ("127.0.0.1:24317", 64 << 20));
    let limiter = shared.memory_limiter.unwrap();
    assert_eq!((limiter.limit_bytes >> 20, limiter.spike_bytes >> 20), (9000, 500));
    assert_eq!(shared.telemetry.metrics.readers[0].address, "127.0.0.1:8888");
    let sampling = config.tail_sampling.unwrap().config;
    assert_eq!(sampling.decision_wait, Duration::from_secs(10));
    assert_eq!(sampling.num_traces, 2_000_000);
    let names: Vec<&str> = sampling.policies.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["errors", "slow", "checkout", "base"]);
    assert_eq!(sampling.policies[0].rule, Rule::StatusCode { status_codes: vec!["ERROR".into()] });
    assert_eq!(
        sampling.policies[1].rule,
        Rule::Latency { threshold_ms: 5000, upper_threshold_ms: 0 }
    );
    let Rule::And { sub_policies } = &sampling.policies[2].rule else { panic!("no and") };
    assert_eq!(
        sub_policies[1].rule,
        Rule::NumericAttribute {
            key: "http.response.status_code".into(),
            min_value: 500,
            max_value: 599,
            invert_match: false
        }
    );
    assert_eq!(
        sampling.policies[3].rule,
        Rule::Probabilistic { hash_salt: String::new(), sampling_percentage: 1.0 }
    );
    let Exporter::Otlp(client) = &config.exporters[0].config else { panic!("no otlp") };
    assert_eq!((client.endpoint.as_str(), client.queue.size), ("127.0.0.1:14317", Some(100_000)));
    assert!(client.tls.insecure);
}

#[test]
fn a_sampler_of_whole_traces() {
    let (config, notes) = good(include_str!("files/sampler-whole.yaml"));
    assert_eq!(notes, Vec::<String>::new());
    let sampling = config.tail_sampling.unwrap().config;
    assert_eq!(sampling.policies[0].rule, Rule::SpanCount { min_spans: 12, max_spans: 0 });
    assert_eq!(config.shared.telemetry.metrics.level, MetricsLevel::None);
    let Exporter::Otlp(client) = &config.exporters[0].config else { panic!("no otlp") };
    assert_eq!(client.compression, Compression::None);
}

#[test]
fn a_gateway_to_xray() {
    let (config, notes) = good(include_str!("files/xray.yaml"));
    assert_eq!(notes, [ALL_KEPT]);
    assert!(config.tail_sampling.is_none());
    let Exporter::AwsXray(xray) = &config.exporters[0].config else { panic!("no awsxray") };
    assert_eq!(
        (xray.region.as_str(), xray.endpoint.as_str()),
        ("us-east-1", "http://127.0.0.1:2999")
    );
    assert!(xray.local_mode && !xray.index_all_attributes && xray.skip_timestamp_validation);
    assert_eq!(xray.conventions, Conventions::Collector);
    assert_eq!((xray.num_workers, xray.max_retries), (8, 2));
    assert_eq!(xray.request_timeout, Duration::from_secs(30));
}

#[test]
fn sampling_defaults_and_notes() {
    let all = "policies: [{name: all, type: always_sample}]\n";
    let (sampling, notes) = sampling(all).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(sampling.decision_wait, Duration::from_secs(30));
    assert!(sampling.decision_wait_after_root_received.is_zero());
    assert_eq!((sampling.num_traces, sampling.sampled_cache_size), (50_000, 100_000));
    assert_eq!(sampling.policies.len(), 1);

    let text = format!(
        "{all}decision_cache: {{sampled_cache_size: 5, non_sampled_cache_size: 0}}\n\
         num_shards: 4\nexpected_new_traces_per_sec: 10\nsampling_strategy: trace-complete\n"
    );
    let (sampling, notes) = super::tests::sampling(&text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((sampling.sampled_cache_size, sampling.non_sampled_cache_size), (5, 0));
    assert_eq!(
        notes,
        [
            "processors.tail_sampling.expected_new_traces_per_sec: accepted, not needed: maps \
            grow as \
         they must",
            "processors.tail_sampling.num_shards: accepted, not needed: all cores are used",
        ]
    );
}

#[test]
fn one_error_in_full() {
    let errors = sampling("decison_wait: 5s\npolicies:\n- {name: a, type: ottl_condition}\n");
    let want = "\
f.yaml:3:5: processors.tail_sampling.decison_wait: unknown key
  3 |     decison_wait: ...
    |     ^^^^^^^^^^^^
    = did you mean \"decision_wait\"?
f.yaml:5:23: processors.tail_sampling.policies[0].type: policy type \"ottl_condition\" is not \
        supported yet
  5 |     - {name: a, type: ottl_condition}
    |                       ^^^^^^^^^^^^^^
    = write attributes[\"x\"] >= 500 as numeric_attribute, == \"y\" or IsMatch as \
        string_attribute, a span's status as status_code, `and` as `and`
";
    assert_eq!(errors.map(|_| ()), Err(want.to_owned()));
}

#[test]
fn sampling_keys() {
    const P: &str = "policies: [{name: all, type: always_sample}]\n";
    for (block, want) in [
        (
            "decision_wait: -1s",
            "f.yaml:4:20: processors.tail_sampling.decision_wait: \"-1s\" is negative",
        ),
        (
            "decision_wait: soon",
            "f.yaml:4:20: processors.tail_sampling.decision_wait: \"soon\" is not a duration",
        ),
        ("num_traces: 0", "f.yaml:4:17: processors.tail_sampling.num_traces: 0 is out of range"),
        (
            "num_shards: 1000",
            "f.yaml:4:17: processors.tail_sampling.num_shards: 1000 is out of range",
        ),
        (
            "block_on_overflow: true",
            "f.yaml:4:24: processors.tail_sampling.block_on_overflow: both decision caches are \
            needed for it",
        ),
        (
            "sampling_strategy: span-ingest",
            "f.yaml:4:24: processors.tail_sampling.sampling_strategy: span-ingest is not \
            supported yet",
        ),
        (
            "sampling_strategy: fast",
            "f.yaml:4:24: processors.tail_sampling.sampling_strategy: \"fast\" is not known here",
        ),
        (
            "tail_storage: x",
            "f.yaml:4:5: processors.tail_sampling.tail_storage: is not supported yet",
        ),
        (
            "maximum_trace_size_bytes: 9",
            "f.yaml:4:31: processors.tail_sampling.maximum_trace_size_bytes: is not supported yet",
        ),
        (
            "drop_pending_traces_on_shutdown: true",
            "f.yaml:4:38: processors.tail_sampling.drop_pending_traces_on_shutdown: is not \
            supported yet",
        ),
        (
            "decision_cache: {sampled: 5}",
            "f.yaml:4:22: processors.tail_sampling.decision_cache.sampled: unknown key",
        ),
        ("wait: 5s", "f.yaml:4:5: processors.tail_sampling.wait: unknown key"),
    ] {
        let errors = sampling(&format!("{P}{block}\n")).expect_err(block);
        assert_eq!(heads(&errors), [want], "{errors}");
    }
}

#[test]
fn what_is_accepted_and_does_nothing_is_named() {
    let notes = |id, block: &str| exporting(id, block).unwrap_or_else(|e| panic!("{e}")).1;
    let queue = "sending_queue: {enabled: false, block_on_overflow: true, wait_for_result: true, \
                 sizer: items, batch: {partition: {metadata_keys: [a]}}}";
    let otlp = |queue| notes("otlp_grpc", &format!("{{endpoint: a:1, {queue}}}"));
    assert_eq!(
        otlp(queue),
        [
            "exporters.otlp_grpc.sending_queue.batch.partition: accepted, has no effect: no \
             metadata of clients is held, so there is nothing to part by",
            "exporters.otlp_grpc.sending_queue.enabled: accepted, has no effect: what is kept \
             waits in a queue, in memory",
            "exporters.otlp_grpc.sending_queue.wait_for_result: accepted, has no effect: spans \
             are acknowledged when they are held, before it is decided whether they are kept",
            "exporters.otlp_grpc.sending_queue.sizer: accepted, has no effect without queue_size",
            "exporters.otlp_grpc.sending_queue.block_on_overflow: accepted, has no effect without \
             tail_sampling: a full queue refuses new spans, with the advice to send them again, \
             whether this is set or not",
        ]
    );
    // As asked for: nothing to say.
    let as_is = "sending_queue: {enabled: true, block_on_overflow: false, queue_size: 5, \
                 sizer: items, batch: {}}";
    assert_eq!(otlp(as_is), Vec::<String>::new());
    assert_eq!(
        notes("file", "{path: t.json, flush_interval: 5s}"),
        ["exporters.file.flush_interval: accepted, not needed: each line is written out at once"]
    );
    assert_eq!(
        notes("debug", "{verbosity: normal}"),
        ["exporters.debug.verbosity: accepted, has no effect yet: a line for each batch is logged"]
    );
    assert_eq!(notes("debug", "{verbosity: basic}"), Vec::<String>::new());
}

#[test]
fn a_sampler_is_one_of_its_members() {
    let file = |name: &str| {
        format!(
            "tailgate: {{instance: {name}, internal: {{secret: s}}, members: [{{name: a, \
             endpoint: a:1}}, {{name: b, endpoint: b:1}}]}}\n\
             receivers: {{otlp: {{protocols: {{grpc: }}}}}}\nexporters: {{nop: }}\n\
             service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [nop]}}}}}}\n"
        )
    };
    assert_eq!(good(&file("b")).0.shared.tailgate.instance, "b");
    let errors = parse(&file("c"), &unset).unwrap_err();
    let want = "f.yaml:1:22: tailgate.instance: \"c\" is none of tailgate.members";
    assert_eq!(heads(&errors), [want], "{errors}");
    assert!(errors.contains("use one of: a, b"), "{errors}");
}

#[test]
fn exporters() {
    let (exporter, notes) =
        exporting("file", "{path: t.json, append: true, format: json}").unwrap();
    let want = FileExporter {
        path: "t.json".into(),
        append: true,
        flush_interval: Duration::from_secs(1),
    };
    assert_eq!((exporter, notes), (Exporter::File(want), vec![]));
    let (exporter, _) = exporting("debug", "{verbosity: detailed}").unwrap();
    assert_eq!(exporter, Exporter::Debug(DebugExporter { verbosity: Verbosity::Detailed }));
    assert_eq!(exporting("nop", "").unwrap().0, Exporter::Nop);
    let (exporter, notes) = exporting(
        "awsxray",
        "{indexed_attributes: one, aws_log_groups: [g], max_retries: 5, \
         semantic_conventions: stable, skip_timestamp_validation: false, \
         decision_annotations: [policy], \
         telemetry: {enabled: true, contributors: [awsxray, zipkin]}, \
         sending_queue: {queue_size: 9}}",
    )
    .unwrap_or_else(|e| panic!("{e}"));
    let Exporter::AwsXray(xray) = exporter else { panic!("no awsxray") };
    assert_eq!(xray.indexed_attributes, ["one"]);
    assert_eq!(xray.conventions, Conventions::Stable);
    assert!(!xray.skip_timestamp_validation);
    assert_eq!(xray.told, Told { policy: true, ..Told::default() });
    assert_eq!((xray.queue.size, xray.max_retries), (Some(9), 5));
    assert_eq!(
        notes,
        ["exporters.awsxray.telemetry.contributors: names what is no awsxray exporter of a \
             pipeline: that has nothing to count"]
    );
}

#[test]
fn bad_exporters() {
    for (id, block, want) in [
        ("file", "", "f.yaml:1:13: exporters.file.path: is missing"),
        (
            "file",
            "{path: a, rotation: {}}",
            "f.yaml:1:29: exporters.file.rotation: is not supported yet",
        ),
        (
            "file",
            "{path: a, format: proto}",
            "f.yaml:1:37: exporters.file.format: format \"proto\" is not supported yet",
        ),
        (
            "file",
            "{path: a, compression: zstd}",
            "f.yaml:1:42: exporters.file.compression: compression \"zstd\" is not supported yet",
        ),
        (
            "debug",
            "{verbosity: loud}",
            "f.yaml:1:32: exporters.debug.verbosity: \"loud\" is not known here",
        ),
        ("nop", "{a: b}", "f.yaml:1:19: exporters.nop.a: unknown key"),
        ("awsxray", "{profile: x}", "f.yaml:1:23: exporters.awsxray.profile: is not supported yet"),
        ("awsxray", "{endpoint: x}", "f.yaml:1:33: exporters.awsxray.endpoint: \"x\" is no URL"),
        (
            "awsxray",
            "{semantic_conventions: x}",
            "f.yaml:1:45: exporters.awsxray.semantic_conventions: \"x\" is not known here",
        ),
        (
            "awsxray",
            "{proxy_address: 'u:hush@::'}",
            "f.yaml:1:23: exporters.awsxray.proxy_address: is not the URL of an HTTP proxy",
        ),
        (
            "awsxray",
            "{no_verify_ssl: true, proxy_address: 'http://a:1'}",
            "f.yaml:1:38: exporters.awsxray.no_verify_ssl: cannot be done with proxy_address",
        ),
        ("awsxray", "{regoin: x}", "f.yaml:1:23: exporters.awsxray.regoin: unknown key"),
        (
            "otlphttp",
            "{endpoint: x}",
            "f.yaml:1:34: exporters.otlphttp.endpoint: \"x\" is not a URL of http or https",
        ),
        (
            "load_balancing",
            "{}",
            "f.yaml:3:23: service.pipelines.traces: is not for `tailgate sampler`",
        ),
        ("datadog", "{}", "f.yaml:1:13: exporters.datadog: datadog is not supported here"),
    ] {
        let errors = exporting(id, block).expect_err(id);
        assert_eq!(heads(&errors), [want], "{errors}");
    }
}
