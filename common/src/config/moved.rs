//! Keys that older collectors had, and keys that stand one level too high: where they are now.

/// Keys that older collectors had, the key beside which they stood, and what to do.
const GONE: &[(&str, &str, &str)] = &[
    ("tls_settings", "tls", "its name is tls"),
    ("tls_setting", "tls", "its name is tls"),
    ("per_rpc_auth", "auth", "write auth: {authenticator: bearertokenauth}"),
    ("cors_allowed_origins", "cors", "write cors: {allowed_origins: [...]}"),
    ("cors_allowed_headers", "cors", "write cors: {allowed_headers: [...]}"),
    ("ballast_size_mib", "limit_mib", "remove it: there is no garbage collector to steer"),
    ("loglevel", "verbosity", "write verbosity: basic, normal or detailed"),
    ("num_traces_in_memory", "num_traces", "its name is num_traces"),
    ("metric_level", "level", "its name is level"),
    ("port", "endpoint", "write it into endpoint, such as endpoint: 0.0.0.0:13133"),
];

/// Blocks, and keys of theirs that are known nowhere else.
const BELOW: &[(&str, &[&str])] = &[
    (
        "tls",
        &[
            "ca_file",
            "ca_pem",
            "cert_file",
            "cert_pem",
            "client_ca_file",
            "insecure",
            "insecure_skip_verify",
            "key_file",
            "key_pem",
            "server_name_override",
        ],
    ),
    ("retry_on_failure", &["initial_interval", "max_interval", "max_elapsed_time"]),
    ("sending_queue", &["num_consumers", "queue_size"]),
    ("protocols", &["grpc", "http"]),
    ("protocol", &["otlp"]),
    ("resolver", &["static", "dns", "k8s", "aws_cloud_map"]),
    ("decision_cache", &["sampled_cache_size", "non_sampled_cache_size"]),
    ("pipelines", &["traces", "metrics", "logs"]),
    ("service", &["pipelines", "telemetry"]),
    ("telemetry", &["metrics", "logs"]),
    ("cors", &["allowed_origins", "allowed_headers"]),
];

/// What to do about an unknown `key`, where `asked` are the keys that are known beside it.
pub(super) fn remedy(key: &str, asked: &[&str]) -> Option<String> {
    let gone = GONE.iter().find(|(old, beside, _)| *old == key && asked.contains(beside));
    if let Some((_, _, help)) = gone {
        return Some((*help).to_owned());
    }
    let (block, _) =
        BELOW.iter().find(|(block, keys)| asked.contains(block) && keys.contains(&key))?;
    Some(format!("it belongs below {block}: write {block}: {{{key}: ...}}"))
}
