//! `exporters.awsxray`.

use std::time::Duration;

use tailgate_common::config::{Queue, Reader, Secret, read_proxy};
use tailgate_common::retry::Retry;
use tailgate_xray::{Conventions, Told};

/// `exporters.awsxray`. Empty texts are keys that were not given.
#[derive(Clone, Debug, PartialEq)]
pub struct AwsXray {
    /// Calls at a time; default 8.
    pub num_workers: usize,
    /// Base URL of the service instead of the region's; `http://` is allowed.
    pub endpoint: String,
    /// Limit of one call; default 30 s.
    pub request_timeout: Duration,
    /// Attempts of one call, the first included, before its batch counts as failed; 0 is 3; default 2.
    pub max_retries: u32,
    /// Whether to take any certificate; default false.
    pub no_verify_ssl: bool,
    /// URL of an HTTP proxy; empty: as the environment says.
    pub proxy_address: Secret,
    /// AWS region; if empty, from the environment, the shared files or the instance.
    pub region: String,
    /// Whether EC2 metadata are left alone; default false.
    pub local_mode: bool,
    /// ARN of the resource that runs this, for telemetry records.
    pub resource_arn: String,
    /// Role to assume.
    pub role_arn: String,
    /// External id for `role_arn`.
    pub external_id: String,
    /// Attributes that become annotations.
    pub indexed_attributes: Vec<String>,
    /// Whether all attributes become annotations; default false.
    pub index_all_attributes: bool,
    /// Log groups named in each segment.
    pub aws_log_groups: Vec<String>,
    /// Whether trace ids may begin with any time; default true. If not, the others are counted,
    /// and sent all the same. The collector has a feature gate of this name.
    pub skip_timestamp_validation: bool,
    /// `semantic_conventions`, ours: `collector` (default) or `stable`.
    pub conventions: Conventions,
    /// `decision_annotations`, ours: what segments say about the decision on their trace.
    pub told: Told,
    /// `telemetry`.
    pub telemetry: XrayTelemetry,
    /// `retry_on_failure`; the collector's exporter has none.
    pub retry: Retry,
    /// `sending_queue`; the collector's exporter has none.
    pub queue: Queue,
}

/// `exporters.awsxray.telemetry`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XrayTelemetry {
    /// Whether records are sent; default false.
    pub enabled: bool,
    /// Whether they say who sends them; default false.
    pub include_metadata: bool,
    /// Names of other `awsxray` exporters whose counts are added.
    pub contributors: Vec<String>,
    /// Host name to report.
    pub hostname: String,
    /// Instance id to report.
    pub instance_id: String,
    /// ARN to report.
    pub resource_arn: String,
}

const SDK: &str = "use AWS_PROFILE and the other variables of the AWS SDKs";

// === impl AwsXray ===

impl AwsXray {
    pub(super) fn read(r: &Reader<'_>) -> Self {
        r.refuse(&["profile", "shared_credentials_file", "imds_retries"], SDK);
        r.refuse(&["certificate_file_path"], "add the authority to the system's");
        r.refuse(&["transit_spans_in_otlp_format"], "leave it out: segments are sent");
        r.refuse(&["middleware"], "leave it out");
        let endpoint = r.string_or("endpoint", "");
        if !endpoint.is_empty() && !is_url(&endpoint) {
            let help = "write http://host:port or https://host";
            r.error("endpoint", &format!("{endpoint:?} is no URL"), help);
        }
        let proxy_address = read_proxy(r, "proxy_address");
        let no_verify_ssl = r.bool_or("no_verify_ssl", false);
        if no_verify_ssl && !proxy_address.is_empty() {
            r.error("no_verify_ssl", "cannot be done with proxy_address", "leave one of them out");
        }
        let workers = r.typed("num_workers").and_then(|i| i.integer(1, 10_000));
        let seconds = r.typed("request_timeout_seconds").and_then(|i| i.integer(0, 86_400));
        let attempts = r.typed("max_retries").and_then(|i| i.integer(0, 1000));
        Self {
            num_workers: workers.unwrap_or(8) as usize,
            endpoint,
            request_timeout: Duration::from_secs(seconds.unwrap_or(30) as u64),
            max_retries: attempts.unwrap_or(2) as u32,
            no_verify_ssl,
            proxy_address,
            region: r.string_or("region", ""),
            local_mode: r.bool_or("local_mode", false),
            resource_arn: r.string_or("resource_arn", ""),
            role_arn: r.string_or("role_arn", ""),
            external_id: r.string_or("external_id", ""),
            indexed_attributes: r.strings("indexed_attributes"),
            index_all_attributes: r.bool_or("index_all_attributes", false),
            aws_log_groups: r.strings("aws_log_groups"),
            skip_timestamp_validation: r.bool_or("skip_timestamp_validation", true),
            conventions: conventions(r),
            told: told(r),
            telemetry: XrayTelemetry::read(&r.map_or_empty("telemetry")),
            retry: Retry::read(&r.map_or_empty("retry_on_failure")),
            queue: Queue::read_own(&r.map_or_empty("sending_queue")),
        }
    }
}

fn conventions(r: &Reader<'_>) -> Conventions {
    let chosen = r.typed("semantic_conventions").and_then(|i| i.choice(&["collector", "stable"]));
    if chosen == Some(1) { Conventions::Stable } else { Conventions::Collector }
}

fn told(r: &Reader<'_>) -> Told {
    let mut told = Told::default();
    for item in r.list("decision_annotations") {
        match item.choice(&["adjusted_count", "keep_reason", "policy"]) {
            Some(0) => told.adjusted_count = true,
            Some(1) => told.keep_reason = true,
            Some(_) => told.policy = true,
            None => {}
        }
    }
    told
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|host| !host.is_empty() && !host.contains(char::is_whitespace))
}

// === impl XrayTelemetry ===

impl XrayTelemetry {
    fn read(r: &Reader<'_>) -> Self {
        Self {
            enabled: r.bool_or("enabled", false),
            include_metadata: r.bool_or("include_metadata", false),
            contributors: r.strings("contributors"),
            hostname: r.string_or("hostname", ""),
            instance_id: r.string_or("instance_id", ""),
            resource_arn: r.string_or("resource_arn", ""),
        }
    }
}
