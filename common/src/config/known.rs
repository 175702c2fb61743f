//! What is said about each component that collectors have.

use super::component::{Component, Section};

/// The answer to a component that the tier at hand does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It does nothing that is not done here anyway.
    NotNeeded(&'static str),
    /// It is the part of an agent or collector in front or behind; the text says what to do.
    Agent(&'static str),
    /// It is planned; the text says what to do until then.
    NotYet(&'static str),
    /// The other tier reads it.
    Tier(&'static str),
    /// Not a component.
    Unknown,
}

const TO_SAMPLER: &str = "start this file with `tailgate sampler`";
const TO_BALANCER: &str = "start this file with `tailgate loadbalancer`";
const BALANCER_ONLY: &str =
    "a load balancer exports to load_balancing only; without it, use `tailgate sampler`";
const FILES: &str = "queues are in memory: take it out of service.extensions";
const AUTH: &str = "use bearertokenauth, basicauth or TLS with client certificates";
const FRONT: &str = "keep it in your agent, or a collector in front of this one, where spans can \
    still be changed, and take it out of this pipeline";
const RECEIVE: &str = "keep it in your agent, which sends OTLP here";
const BEHIND: &str = "use otlp_grpc to a collector or agent that has it, or to the backend's own OTLP \
    endpoint";
const SPAN_METRICS: &str = "span metrics and graphs need all spans, and here only sampled ones come \
    out: keep it in your agent, or a collector in front";
const CONNECTOR: &str = "write one traces pipeline without it here; keep it in your agent";
const EXTENSION: &str = "take it out of service.extensions";
const SAMPLED_TWICE: &str =
    "use a probabilistic policy of tail_sampling, so that whole traces stay";

const RECEIVERS: &[&str] = &[
    "awscontainerinsightreceiver",
    "awsecscontainermetrics",
    "awsfirehose",
    "awscloudwatch",
    "awsxray",
    "azureeventhub",
    "carbon",
    "collectd",
    "datadog",
    "docker_stats",
    "filelog",
    "fluentforward",
    "hostmetrics",
    "httpcheck",
    "influxdb",
    "jaeger",
    "journald",
    "k8s_cluster",
    "k8s_events",
    "k8sobjects",
    "kafka",
    "kubeletstats",
    "nop",
    "opencensus",
    "otelarrow",
    "otlpjsonfile",
    "prometheus",
    "prometheus_simple",
    "receiver_creator",
    "signalfx",
    "skywalking",
    "splunk_hec",
    "statsd",
    "syslog",
    "tcplog",
    "udplog",
    "zipkin",
];

const PROCESSORS: &[&str] = &[
    "attributes",
    "coralogix",
    "cumulativetodelta",
    "deltatocumulative",
    "deltatorate",
    "filter",
    "geoip",
    "groupbyattrs",
    "interval",
    "k8s_attributes",
    "k8sattributes",
    "logdedup",
    "logstransform",
    "metricsgeneration",
    "metricstarttime",
    "metricstransform",
    "probabilistic_sampler",
    "redaction",
    "remotetap",
    "resource",
    "resource_detection",
    "resourcedetection",
    "routing",
    "schema",
    "servicegraph",
    "span",
    "spanmetrics",
    "sumologic",
    "transform",
    "unroll",
];

const EXPORTERS: &[&str] = &[
    "awscloudwatchlogs",
    "awsemf",
    "awskinesis",
    "awss3",
    "azuremonitor",
    "clickhouse",
    "coralogix",
    "datadog",
    "dynatrace",
    "elasticsearch",
    "googlecloud",
    "googlecloudpubsub",
    "honeycombmarker",
    "influxdb",
    "instana",
    "kafka",
    "loki",
    "opencensus",
    "opensearch",
    "otelarrow",
    "prometheus",
    "prometheusremotewrite",
    "prometheus_remote_write",
    "pulsar",
    "rabbitmq",
    "sapm",
    "sentry",
    "signalfx",
    "splunk_hec",
    "syslog",
    "tencentcloud_logservice",
    "zipkin",
];

const AUTHENTICATORS: &[&str] = &["asapclient", "azure_auth", "googleclientauth"];
const MORE_AUTHENTICATORS: &[&str] =
    &["headers_setter", "oauth2client", "oidc", "oidcauth", "sigv4auth"];
/// Processors that have nothing to do with spans.
const METRICS_AND_LOGS: &[&str] = &[
    "cumulativetodelta",
    "deltatocumulative",
    "deltatorate",
    "interval",
    "logdedup",
    "logstransform",
    "metricsgeneration",
    "metricstarttime",
    "metricstransform",
];

const EXTENSIONS: &[&str] = &[
    "awsproxy",
    "cfgardenobserver",
    "docker_observer",
    "ecs_observer",
    "ecs_task_observer",
    "host_observer",
    "http_forwarder",
    "jaegerremotesampling",
    "k8s_leader_elector",
    "k8s_observer",
    "remotetap",
];

/// Types that some tier reads, and those with an answer of their own.
const RECEIVERS_READ: &[&str] = &["otlp"];
const PROCESSORS_READ: &[&str] = &["memory_limiter", "tail_sampling", "batch", "groupbytrace"];
const EXPORTERS_READ: &[&str] = &[
    "load_balancing",
    "loadbalancing",
    "awsxray",
    "otlp_grpc",
    "otlp",
    "file",
    "debug",
    "nop",
    "otlp_http",
    "otlphttp",
    "logging",
    "jaeger",
];
const EXTENSIONS_READ: &[&str] = &[
    "health_check",
    "zpages",
    "pprof",
    "memory_ballast",
    "file_storage",
    "health_check_v2",
    "healthcheckv2",
    "opamp",
    "bearertokenauth",
    "basicauth",
];

/// The answer for a type in a section.
pub(super) fn answer(section: Section, kind: &str) -> Answer {
    use Answer::{Agent, NotNeeded, NotYet, Tier, Unknown};
    match (section, kind) {
        (Section::Processors, "batch") => {
            NotNeeded("requests are put together by the sending queue")
        }
        (Section::Processors, "groupbytrace") => NotNeeded("tail_sampling holds whole traces"),
        (Section::Processors, "probabilistic_sampler") => Agent(SAMPLED_TWICE),
        (Section::Processors, "spanmetrics" | "servicegraph") => Agent(SPAN_METRICS),
        (Section::Processors, kind) if has(METRICS_AND_LOGS, kind) => {
            Agent("it works on metrics or logs: take it out of this pipeline")
        }
        (Section::Processors, "tail_sampling") => Tier(TO_SAMPLER),
        (Section::Exporters, "load_balancing" | "loadbalancing") => Tier(TO_BALANCER),
        (
            Section::Exporters,
            "awsxray" | "otlp_grpc" | "otlp" | "otlp_http" | "otlphttp" | "file" | "debug" | "nop",
        ) => Tier(BALANCER_ONLY),
        (Section::Exporters, "logging") => NotYet("use debug, its name since v0.86"),
        (Section::Exporters, "jaeger") => NotYet("use otlp_grpc: Jaeger takes OTLP"),
        (Section::Extensions, "zpages") => NotNeeded("see tailgate.admin"),
        (Section::Extensions, "pprof") => NotNeeded("this is not a Go program"),
        (Section::Extensions, "memory_ballast") => NotNeeded("there is no garbage collector"),
        (Section::Extensions, "sigv4auth") => NotYet("use awsxray, which signs by itself"),
        (Section::Extensions, "headers_setter") => NotYet("use the exporter's headers"),
        (Section::Extensions, "file_storage") => NotYet(FILES),
        (Section::Extensions, "health_check_v2" | "healthcheckv2") => NotYet("use health_check"),
        (Section::Extensions, "opamp") => NotYet("leave it out of service.extensions"),
        (Section::Extensions, k) if has(AUTHENTICATORS, k) || has(MORE_AUTHENTICATORS, k) => {
            NotYet(AUTH)
        }
        (
            Section::Connectors,
            "spanmetrics" | "servicegraph" | "span_metrics" | "service_graph",
        ) => Agent(SPAN_METRICS),
        (Section::Connectors, _) => Agent(CONNECTOR),
        (section, kind) if has(agents(section), kind) => Agent(remedy(section)),
        _ => Unknown,
    }
}

/// What to do about a component of another collector.
pub(super) fn remedy(section: Section) -> &'static str {
    match section {
        Section::Receivers => RECEIVE,
        Section::Processors => FRONT,
        Section::Exporters => BEHIND,
        Section::Extensions => EXTENSION,
        Section::Connectors => CONNECTOR,
    }
}

/// All types known in a section, for suggestions.
pub(super) fn names(section: Section) -> Vec<&'static str> {
    let more: [&[&str]; 2] = match section {
        Section::Extensions => [AUTHENTICATORS, MORE_AUTHENTICATORS],
        _ => [&[], &[]],
    };
    [read_here(section), agents(section), more[0], more[1]].concat()
}

/// The types of a component's section that can be used, as text.
pub(super) fn supported(component: &Component<'_>) -> String {
    read_here(component.section).join(", ")
}

fn has(list: &[&str], kind: &str) -> bool {
    list.contains(&kind)
}

fn agents(section: Section) -> &'static [&'static str] {
    match section {
        Section::Receivers => RECEIVERS,
        Section::Processors => PROCESSORS,
        Section::Exporters => EXPORTERS,
        Section::Extensions => EXTENSIONS,
        Section::Connectors => &[],
    }
}

fn read_here(section: Section) -> &'static [&'static str] {
    match section {
        Section::Receivers => RECEIVERS_READ,
        Section::Processors => PROCESSORS_READ,
        Section::Exporters => EXPORTERS_READ,
        Section::Extensions => EXTENSIONS_READ,
        Section::Connectors => &[],
    }
}
