//! The attribute keys that mean something to X-Ray, and a fast way to recognise them.
//!
//! Source of the names: the OpenTelemetry semantic conventions (several generations), and the AWS
//! X-Ray exporter of the OpenTelemetry Collector.

use tailgate_proto::view::key_tail;

macro_rules! keys {
    ($($variant:ident = $text:literal,)*) => {
        /// A key that the translation knows, or one of the last three for all others.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub(crate) enum Key {
            $($variant,)*
            /// `aws.xray.metadata.*`
            MetadataNamespace,
            /// A key that could meet a resource's `otel.resource.*` annotation or metadata.
            ResourceLike,
            Other,
        }

        const KNOWN: &[(&str, Key)] = &[$(($text, Key::$variant),)*];
    };
}

keys! {
    // Consumed by `http`: the first group, see `Key::is_http`.
    HttpMethod = "http.method",
    HttpRequestMethod = "http.request.method",
    HttpUserAgent = "http.user_agent",
    UserAgentOriginal = "user_agent.original",
    HttpStatusCode = "http.status_code",
    HttpResponseStatusCode = "http.response.status_code",
    HttpClientIp = "http.client_ip",
    HttpUrl = "http.url",
    UrlFull = "url.full",
    HttpScheme = "http.scheme",
    UrlScheme = "url.scheme",
    HttpHost = "http.host",
    HttpTarget = "http.target",
    HttpServerName = "http.server_name",
    NetHostPort = "net.host.port",
    UrlPath = "url.path",
    UrlQuery = "url.query",
    HostName = "host.name",
    NetHostName = "net.host.name",
    NetPeerName = "net.peer.name",
    ServerAddress = "server.address",
    NetPeerPort = "net.peer.port",
    ServerPort = "server.port",
    NetPeerIp = "net.peer.ip",
    NetworkPeerAddress = "network.peer.address",
    ClientAddress = "client.address",
    // Consumed by `aws`: the second group, see `Key::is_aws_call`.
    AwsOperation = "aws.operation",
    RpcMethod = "rpc.method",
    AwsAccountId = "aws.account_id",
    AwsRegion = "aws.region",
    AwsRequestId = "aws.request_id",
    AwsRequestIdCamel = "aws.requestId",
    AwsQueueUrl = "aws.queue_url",
    AwsQueueUrlDot = "aws.queue.url",
    AwsTableName = "aws.table_name",
    AwsTableNameDot = "aws.table.name",
    // Consumed by `sql`: the third group, see `Key::is_sql`.
    DbConnectionString = "db.connection_string",
    DbSystem = "db.system",
    DbName = "db.name",
    DbStatement = "db.statement",
    DbUser = "db.user",
    // Other attributes of spans.
    InProgress = "aws.xray.inprogress",
    Annotations = "aws.xray.annotations",
    AwsSpanKind = "aws.span.kind",
    AwsLocalService = "aws.local.service",
    AwsRemoteService = "aws.remote.service",
    AwsRemoteOperation = "aws.remote.operation",
    RemoteTarget = "remoteTarget",
    RemoteNamespace = "K8s.RemoteNamespace",
    AwsService = "aws.service",
    AwsTableNames = "aws.dynamodb.table_names",
    MessagingUrl = "messaging.url",
    MessageType = "message.type",
    PayloadSize = "messaging.message_payload_size_bytes",
    PeerService = "peer.service",
    RpcSystem = "rpc.system",
    RpcService = "rpc.service",
    HttpStatusText = "http.status_text",
    EndUserId = "enduser.id",
    // Attributes of events.
    ExceptionType = "exception.type",
    ExceptionMessage = "exception.message",
    ExceptionStacktrace = "exception.stacktrace",
    AwsHttpErrorMessage = "aws.http.error_message",
    // Attributes of resources.
    ServiceName = "service.name",
    ServiceVersion = "service.version",
    ServiceNamespace = "service.namespace",
    ServiceInstanceId = "service.instance.id",
    CloudProvider = "cloud.provider",
    CloudPlatform = "cloud.platform",
    CloudAccountId = "cloud.account.id",
    CloudAvailabilityZone = "cloud.availability_zone",
    HostId = "host.id",
    HostType = "host.type",
    HostImageId = "host.image.id",
    ContainerName = "container.name",
    ContainerId = "container.id",
    ContainerImageTag = "container.image.tag",
    ContainerImageTags = "container.image.tags",
    EcsContainerArn = "aws.ecs.container.arn",
    EcsClusterArn = "aws.ecs.cluster.arn",
    EcsTaskArn = "aws.ecs.task.arn",
    EcsTaskFamily = "aws.ecs.task.family",
    EcsLaunchType = "aws.ecs.launchtype",
    K8sClusterName = "k8s.cluster.name",
    K8sPodName = "k8s.pod.name",
    SdkName = "telemetry.sdk.name",
    SdkLanguage = "telemetry.sdk.language",
    SdkVersion = "telemetry.sdk.version",
    AutoVersion = "telemetry.auto.version",
    DistroVersion = "telemetry.distro.version",
    LogGroupArns = "aws.log.group.arns",
    LogGroupNames = "aws.log.group.names",
    // Of today's conventions, see `stable`.
    DbSystemName = "db.system.name",
    DbNamespace = "db.namespace",
    DbQueryText = "db.query.text",
    RpcSystemName = "rpc.system.name",
    RpcResponseStatusCode = "rpc.response.status_code",
    MessagingDestination = "messaging.destination.name",
    ServicePeerName = "service.peer.name",
    SqsQueueUrl = "aws.sqs.queue.url",
    CloudRegion = "cloud.region",
    ErrorType = "error.type",
    ResponseBodySize = "http.response.body.size",
}

/// What comes before the namespace in `aws.xray.metadata.*`.
pub(crate) const METADATA_PREFIX: &[u8] = b"aws.xray.metadata.";

/// What comes before a resource attribute's key in annotations and metadata.
pub(crate) const RESOURCE_PREFIX: &[u8] = b"otel.resource.";

/// A power of two, and several times as many as there are known keys: most others meet none.
const SLOT_COUNT: usize = 512;
const EMPTY: u8 = u8::MAX;

/// Indexes into `KNOWN`: each key is at its slot, or behind it with no empty one between.
static SLOTS: [u8; SLOT_COUNT] = slots();

const fn slots() -> [u8; SLOT_COUNT] {
    assert!(KNOWN.len() < EMPTY as usize);
    let mut slots = [EMPTY; SLOT_COUNT];
    let mut i = 0;
    while i < KNOWN.len() {
        let mut at = slot(KNOWN[i].0.as_bytes());
        while slots[at] != EMPTY {
            at = (at + 1) % SLOT_COUNT;
        }
        slots[at] = i as u8;
        i += 1;
    }
    slots
}

/// By length and last eight bytes, in which keys differ sooner than in their first.
const fn slot(key: &[u8]) -> usize {
    // Fibonacci hashing: the high bits depend on all others.
    let mixed = (key_tail(key) ^ key.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - SLOT_COUNT.ilog2())) as usize
}

// === impl Key ===

impl Key {
    /// How many different keys there are, the three catch-alls included.
    pub(crate) const COUNT: usize = KNOWN.len() + 3;

    /// Recognises a key.
    pub(crate) fn of(key: &[u8]) -> Key {
        let mut at = slot(key);
        while SLOTS[at] != EMPTY {
            let (text, known) = KNOWN[SLOTS[at] as usize];
            if text.as_bytes() == key {
                return known;
            }
            at = (at + 1) % SLOT_COUNT;
        }
        if key.starts_with(METADATA_PREFIX) {
            Key::MetadataNamespace
        } else if key.starts_with(b"otel") && key[4..].get(1..).is_some_and(resource_tail) {
            Key::ResourceLike
        } else {
            Key::Other
        }
    }

    /// The `http` block takes it out, if there is one or always, as the conventions want it.
    pub(crate) fn is_http(self) -> bool {
        self <= Key::ClientAddress
    }

    /// The `aws` block takes it out, always.
    pub(crate) fn is_aws_call(self) -> bool {
        (Key::AwsOperation..=Key::AwsTableNameDot).contains(&self)
    }

    /// The `sql` block takes it out, if there is one.
    pub(crate) fn is_sql(self) -> bool {
        (Key::DbConnectionString..=Key::DbUser).contains(&self)
    }
}

fn resource_tail(tail: &[u8]) -> bool {
    tail.starts_with(b"resource")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_known_key() {
        for (text, key) in KNOWN {
            assert_eq!(Key::of(text.as_bytes()), *key, "{text}");
        }
    }

    #[test]
    fn others_are_told_apart() {
        assert_eq!(Key::of(b""), Key::Other);
        assert_eq!(Key::of(b"http.methoe"), Key::Other);
        assert_eq!(Key::of(b"aws.xray.metadata."), Key::MetadataNamespace);
        assert_eq!(Key::of(b"otel.resource.a"), Key::ResourceLike);
        assert_eq!(Key::of(b"otel resource a"), Key::ResourceLike);
        assert_eq!(Key::of(b"otel"), Key::Other);
        assert_eq!(Key::of("otel\u{e9}".as_bytes()), Key::Other);
    }

    #[test]
    fn groups() {
        let count = |f: fn(Key) -> bool| KNOWN.iter().filter(|(_, key)| f(*key)).count();
        assert_eq!(count(Key::is_http), 26);
        assert_eq!(count(Key::is_aws_call), 10);
        assert_eq!(count(Key::is_sql), 5);
    }
}
