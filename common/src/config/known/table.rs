//! The components of the collector's distributions, and what is said about each. Types are those
//! of the collector's contrib distribution, those it had before, and those of AWS's.

use super::Answer::{self, LeftOut, NotNeeded, Refused, Supported};
use super::Known;
use crate::config::component::Section::{
    self, Connectors, Exporters, Extensions, Processors, Receivers,
};

pub(super) const RECEIVE: &str = "keep it in your agent, which sends OTLP here";
pub(super) const FRONT: &str = "keep it in your agent, or a collector in front of this one, where \
    spans can still be changed, and take it out of this pipeline";
pub(super) const BEHIND: &str = "use otlp_grpc or otlp_http, to a collector or agent that has \
    it, or to the backend's own OTLP endpoint";
pub(super) const JOIN: &str =
    "write one traces pipeline without it here; keep it in your agent, or a collector behind";
const ROUTE: &str = "write one traces pipeline without it: to sample by attribute, an `and` \
    policy of string_attribute and the rest for each route; to send each route elsewhere, keep it \
    in a collector behind";
const QUEUES: &str = "it reads from where others may read too: keep it in a collector in front, \
    which sends OTLP here";
const OTHER_PROTOCOLS: &str = "take it out of this pipeline; if anything sends to it, keep it in \
    your agent, which sends OTLP here";
const NO_SPANS: &str =
    "it receives no spans: take it out of this pipeline and keep it in your agent";
const NOT_OF_SPANS: &str = "it works on metrics or logs: take it out of this pipeline";
const SAMPLED_TWICE: &str =
    "use a probabilistic policy of tail_sampling, so that whole traces stay";
const SPAN_METRICS: &str = "metrics and graphs of spans need all spans, and here only sampled \
    ones come out: keep it in your agent, or a collector in front";
const BALANCER_ONLY: &str = "a load balancer exports to load_balancing only: in the samplers' \
    file, kept traces will reach it; for all of them, fan out in the agents";
const METRICS_BACKEND: &str = "it takes no spans: take it out of this pipeline";
const NO_LOGS: &str = "a load balancer does not log spans; the samplers do";
const AUTH: &str = "use bearertokenauth or basicauth; where tokens expire, bearertokenauth with a \
    filename that a sidecar writes anew: it is looked at again";
const OBSERVER: &str = "it finds targets for receivers of metrics and logs: keep it in your agent";
const STORAGE: &str = "queues are in memory here: take storage out of sending_queue";
const ENCODING: &str = "no exporter and no receiver here uses it";

pub(super) const ALL: &[&[Known]] = &[RECEIVER, PROCESSOR, EXPORTER, EXTENSION, CONNECTOR];

/// No load balancer exports to it; the sampler's answer.
const fn exporter(kinds: &'static [&'static str], sampler: Answer) -> Known {
    Known { section: Exporters, kinds, load_balancer: Refused(BALANCER_ONLY), sampler }
}

/// Read by the sampler; the load balancer's answer.
const fn sampler(section: Section, kinds: &'static [&'static str], other: Answer) -> Known {
    Known { section, kinds, load_balancer: other, sampler: Supported }
}

#[rustfmt::skip]
const OTHER_RECEIVERS: &[&str] = &[
    "datadog", "faro", "jaeger", "libhoney", "opencensus", "otelarrow", "sapm", "signalfx",
    "skywalking", "splunk_hec", "stef", "webhookevent", "zipkin",
];

#[rustfmt::skip]
const READERS_OF_QUEUES: &[&str] = &[
    "awsfirehose", "awss3", "azureblob", "azureeventhub", "azure_event_hub",
    "googlecloudpubsub", "kafka", "otlpjsonfile", "otlp_json_file", "pulsar", "rabbitmq",
    "solace",
];

const RECEIVER: &[Known] = &[
    Known::both(Receivers, &["otlp"], Supported),
    Known::both(Receivers, &["nop"], NotNeeded("it receives nothing")),
    Known::both(Receivers, OTHER_RECEIVERS, Refused(OTHER_PROTOCOLS)),
    Known::both(
        Receivers,
        &["awsxray"],
        Refused(
            "keep it in your agent (the collector beside your applications), which takes the \
             segments of X-Ray SDKs and sends OTLP here",
        ),
    ),
    Known::both(Receivers, READERS_OF_QUEUES, Refused(QUEUES)),
    Known::both(Receivers, NO_SPAN_RECEIVERS, Refused(NO_SPANS)),
];

#[rustfmt::skip]
const NO_SPAN_RECEIVERS: &[&str] = &[
    "active_directory_ds", "aerospike", "apache", "apachespark", "awscloudwatch",
    "awscontainerinsightreceiver", "awsecscontainermetrics", "awsecscontainermetricsd",
    "azuremonitor", "bigip", "carbon", "chrony", "cloudflare", "cloudfoundry", "collectd",
    "couchdb", "docker_stats", "elasticsearch", "envoyals", "expvar", "file_log", "filelog",
    "filestats", "flinkmetrics", "fluentforward", "github", "googlecloudmonitoring",
    "googlecloudspanner", "haproxy", "host_metrics", "hostmetrics", "httpcheck", "icmpcheck", "iis",
    "influxdb", "jmx", "journald", "k8s_cluster", "k8s_events", "k8sobjects", "k8s_objects",
    "kafkametrics", "kubeletstats", "loki", "memcached", "mongodb", "mongodbatlas", "mysql",
    "namedpipe", "netflow", "nginx", "nsxt", "ntp", "oracledb", "podman_stats",
    "postgresql", "prometheus", "prometheus_simple", "prometheusremotewrite", "purefa",
    "purefb", "receiver_creator", "redis", "riak", "saphana", "snmp", "snowflake",
    "splunkenterprise", "sqlquery", "sqlserver", "sshcheck", "statsd", "syslog", "systemd",
    "tcpcheck", "tcplog", "tlscheck", "udplog", "vcenter", "wavefront", "windowseventlog",
    "windowsperfcounters", "zookeeper",
];

#[rustfmt::skip]
const NOT_OF_SPANS_PROCESSORS: &[&str] = &[
    "cumulativetodelta", "deltatocumulative", "deltatorate", "elasticinframetrics",
    "experimental_metricsgeneration", "interval", "log_dedup", "logdedup", "logstransform",
    "metricsgeneration", "metricstarttime", "metricstransform",
];

const PROCESSOR: &[Known] = &[
    Known::both(Processors, &["memory_limiter"], Supported),
    sampler(
        Processors,
        &["tail_sampling"],
        Refused("a load balancer does not sample: put it into the samplers' file"),
    ),
    Known::both(
        Processors,
        &["batch"],
        NotNeeded("requests are put together by the sending queue"),
    ),
    Known::both(Processors, &["groupbytrace"], NotNeeded("tail_sampling holds whole traces")),
    Known::both(
        Processors,
        &["remotetap"],
        LeftOut("spans pass unchanged; nobody can look at them on their way"),
    ),
    Known::both(
        Processors,
        &["attributes", "geoip", "redaction", "schema", "span", "transform", "unroll"],
        Refused(FRONT),
    ),
    Known::both(
        Processors,
        &["resource", "groupbyattrs"],
        Refused(
            "keep it in your agent, or a collector in front: resources are passed on as they came \
             in; take it out of this pipeline",
        ),
    ),
    Known::both(
        Processors,
        &["resourcedetection", "resource_detection", "ecsattributes", "dockerattributes"],
        Refused(
            "keep it in your agent: here it would describe this machine, not that of the \
             application; take it out of this pipeline",
        ),
    ),
    Known::both(
        Processors,
        &["k8sattributes", "k8s_attributes"],
        Refused(
            "keep it in the agent of each node, which sees the pods' addresses; take it out of \
             this pipeline",
        ),
    ),
    Known::both(
        Processors,
        &["filter"],
        Refused(
            "keep it in your agent, or a collector in front; to drop whole traces, use policies \
             of tail_sampling; take it out of this pipeline",
        ),
    ),
    Known::both(Processors, &["probabilistic_sampler"], Refused(SAMPLED_TWICE)),
    Known::both(
        Processors,
        &["spanmetrics", "servicegraph", "service_graph", "signozspanmetrics"],
        Refused(SPAN_METRICS),
    ),
    Known::both(
        Processors,
        &["routing"],
        Refused("route behind this gateway: list all exporters, or run one gateway for each"),
    ),
    Known::both(
        Processors,
        &["queued_retry"],
        Refused("it is gone from the collector: use sending_queue and retry_on_failure"),
    ),
    Known::both(
        Processors,
        &["coralogix", "datadog", "elasticapm", "elastictrace", "isolationforest", "sumologic"],
        Refused(FRONT),
    ),
    Known::both(Processors, NOT_OF_SPANS_PROCESSORS, Refused(NOT_OF_SPANS)),
];

#[rustfmt::skip]
const BACKENDS: &[&str] = &[
    "alertmanager", "alibabacloud_logservice", "azuredataexplorer", "azuremonitor",
    "azure_monitor", "bmchelix", "cassandra", "clickhouse", "coralogix", "datadog",
    "dataset", "doris", "dynatrace", "elasticsearch", "elasticapm", "faro", "googlecloud",
    "honeycomb", "honeycombmarker", "influxdb", "instana", "logicmonitor", "logzio",
    "mezmo", "newrelic", "opensearch", "otelarrow", "sapm", "sentry", "signalfx",
    "skywalking", "splunk_hec", "stef", "sumologic", "tencentcloud_logservice", "tinybird",
];

const EXPORTER: &[Known] = &[
    Known {
        section: Exporters,
        kinds: &["load_balancing", "loadbalancing"],
        load_balancer: Supported,
        sampler: Refused("start this file with `tailgate loadbalancer`"),
    },
    exporter(&["awsxray", "otlp_grpc", "otlp", "otlp_http", "otlphttp", "file"], Supported),
    sampler(Exporters, &["debug", "nop"], LeftOut(NO_LOGS)),
    Known::both(
        Exporters,
        &["logging"],
        Refused("it is gone from the collector: use debug, its name since v0.86"),
    ),
    exporter(
        &["jaeger", "jaeger_thrift", "jaeger_thrift_http", "opencensus", "zipkin"],
        Refused("use otlp_grpc: Jaeger and Tempo take OTLP; for others, to a collector behind"),
    ),
    exporter(
        &["awskinesis", "awss3", "azureblob", "googlecloudpubsub", "kafka", "pulsar", "rabbitmq"],
        Refused("use otlp_grpc to a collector behind this one that has it"),
    ),
    exporter(BACKENDS, Refused(BEHIND)),
    Known::both(
        Exporters,
        &[
            "awscloudwatchlogs",
            "awsemf",
            "carbon",
            "googlemanagedprometheus",
            "loki",
            "prometheus",
            "prometheus_remote_write",
            "prometheusremotewrite",
            "syslog",
        ],
        Refused(METRICS_BACKEND),
    ),
];

#[rustfmt::skip]
const OBSERVERS: &[&str] = &[
    "cfgardenobserver", "docker_observer", "ecs_observer", "ecs_task_observer",
    "host_observer", "k8s_leader_elector", "k8s_observer", "kafkatopics_observer",
];

#[rustfmt::skip]
const ENCODINGS: &[&str] = &[
    "ack", "awscloudwatchmetricstreams_encoding", "awslogs_encoding", "avro_log_encoding",
    "googlecloudlogentry_encoding", "jaeger_encoding", "json_log_encoding", "otlp_encoding",
    "skywalking_encoding", "text_encoding", "zipkin_encoding",
];

const EXTENSION: &[Known] = &[
    Known::both(
        Extensions,
        &[
            "health_check",
            "bearertokenauth",
            "bearer_token_auth",
            "basicauth",
            "basic_auth",
            "sigv4auth",
        ],
        Supported,
    ),
    Known::both(Extensions, &["zpages"], NotNeeded("see tailgate.admin")),
    Known::both(Extensions, &["pprof"], NotNeeded("this is not a Go program")),
    Known::both(
        Extensions,
        &["memory_ballast", "cgroupruntime"],
        NotNeeded("there is no garbage collector"),
    ),
    Known::both(
        Extensions,
        &["headers_setter"],
        LeftOut("headers are fixed here: write headers: {...} on the exporter"),
    ),
    Known::both(
        Extensions,
        &[
            "asapclient",
            "azure_auth",
            "azureauth",
            "googleclientauth",
            "oauth2client",
            "oidc",
            "oidcauth",
        ],
        LeftOut(AUTH),
    ),
    Known::both(Extensions, &["file_storage", "db_storage", "redis_storage"], LeftOut(STORAGE)),
    Known::both(Extensions, OBSERVERS, LeftOut(OBSERVER)),
    Known::both(Extensions, ENCODINGS, LeftOut(ENCODING)),
    Known::both(
        Extensions,
        &["opamp", "datadog", "remotetap", "sumologic"],
        LeftOut("this process is not managed through it; see its metrics and health"),
    ),
    Known::both(
        Extensions,
        &["awsproxy", "jaegerremotesampling", "jaeger_remote_sampling"],
        Refused(
            "SDKs get their sampling rules through it, and would send other spans without: keep \
             it in your agent, beside the applications, and take it out of service.extensions",
        ),
    ),
    Known::both(
        Extensions,
        &["http_forwarder"],
        Refused("keep it in your agent, and take it out of service.extensions"),
    ),
    Known::both(
        Extensions,
        &["health_check_v2", "healthcheckv2"],
        Refused("use health_check, whose answer says what is degraded"),
    ),
];

const CONNECTOR: &[Known] = &[
    Known::both(
        Connectors,
        &[
            "count",
            "datadog",
            "elasticapm",
            "exceptions",
            "grafanacloud",
            "metricsaslogs",
            "service_graph",
            "servicegraph",
            "signal_to_metrics",
            "signaltometrics",
            "slowsql",
            "span_metrics",
            "spanmetrics",
            "sum",
        ],
        LeftOut(SPAN_METRICS),
    ),
    Known::both(
        Connectors,
        &["forward"],
        Refused(
            "write one traces pipeline in place of those that it joins: the receivers of the \
             first, the processors of both in this order, the exporters of both but for it",
        ),
    ),
    Known::both(
        Connectors,
        &["failover", "otlpjson", "otlp_json", "roundrobin", "round_robin"],
        Refused(JOIN),
    ),
    Known::both(Connectors, &["routing"], Refused(ROUTE)),
];
