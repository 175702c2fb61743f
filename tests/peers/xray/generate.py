"""Random OTLP/JSON requests that dwell on what the X-Ray translation looks at."""

import base64
import json

import stacks

KEYS = """http.method http.request.method http.user_agent user_agent.original http.status_code
http.response.status_code http.client_ip http.url url.full http.scheme url.scheme http.host
http.target http.server_name net.host.port url.path url.query host.name net.host.name
net.peer.name server.address net.peer.port server.port net.peer.ip network.peer.address
client.address aws.operation rpc.method aws.account_id aws.region aws.request_id aws.requestId
aws.queue_url aws.queue.url aws.table_name aws.table.name db.connection_string db.system db.name
db.statement db.user aws.xray.inprogress aws.xray.annotations aws.span.kind aws.local.service
aws.remote.service aws.remote.operation remoteTarget K8s.RemoteNamespace aws.service
aws.dynamodb.table_names messaging.url message.type messaging.message_payload_size_bytes
peer.service rpc.system rpc.service http.status_text enduser.id http.route db.query.text
db.system.name exception.message aws.xray.retries aws.xray.metadata.ns aws.xray.metadata.default
aws.xray.metadata.DeFault aws.xray.metadata. aws.xray.metadata aws.xray.metadata.a.b
otel.resource.service.name otel.resource.k k a.b a-b a<b>&c ключ 漢字 messaging.system url.template
aws.local.operation network.protocol.version http.status_code.x Http.method""".split() + ["a b", ""]

RESOURCE_KEYS = """service.name service.version service.namespace service.instance.id
cloud.provider cloud.platform cloud.account.id cloud.availability_zone cloud.region host.id
host.type host.image.id host.name container.name container.id container.image.tag
container.image.tags container.image.name aws.ecs.container.arn aws.ecs.cluster.arn
aws.ecs.task.arn aws.ecs.task.family aws.ecs.launchtype k8s.cluster.name k8s.pod.name
k8s.namespace.name telemetry.sdk.name telemetry.sdk.language telemetry.sdk.version
telemetry.auto.version telemetry.distro.version aws.log.group.arns aws.log.group.names k a-b
process.pid""".split()

HOSTS = ["db.example.com", "DB", "10.0.0.7", "[::1]", "[fe80::1%25en0]", "[fe80::1]", "h1:3306,h2",
         "u:p@h", "u@x:y@h", "h%41", "h%C3%A9", "h h", "é.example", "a_b", "h%25", "h:99999", "h:x",
         "h:", "", "[::1", "::1", "a[b]", "[1.2.3.4]", "[::1]x", "[::1]:80", "h|x", "h\\x", "h^`"]
IPS = ["10.1.2.3", "::1", "2001:db8::1", "10.1.2.3:80", "fe80::1%eth0", "010.1.2.3", " 10.1.2.3",
       "1.2.3", "1.2.3.4.5", "::ffff:1.2.3.4", "::", "1::2::3", "256.1.1.1", "localhost", "",
       "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::1.2.3.4", "12345::", "1.2.3.4\n", "::ffff:01.2.3.4"]
STATUSES = [200, 301, 399, 400, 404, 429, 499, 500, 503, 599, 600, 0, -1, 100]

TEXTS = {
    "http.method": ["GET", "POST", "<&>", "get"],
    "http.request.method": ["GET", "PUT", "_OTHER"],
    "http.url": ["https://u:p@e.com:8443/a?b=c#d", "/x", "http://h/ü", "x"],
    "url.full": ["https://api.example.com/v1?q=1", "foo"],
    "http.scheme": ["http", "https", "HTTP", "ws"], "url.scheme": ["http", "https", "ftp"],
    "http.target": ["/a?b=c", "a", "?x"], "url.path": ["/p", "p", "/p?q"],
    "url.query": ["a=b", "?a=b", "??"], "net.host.port": ["80", "443", "8080"],
    "server.port": ["80", "443", "x"], "net.peer.port": ["80", "443", "5432"],
    "net.peer.ip": IPS, "network.peer.address": IPS, "client.address": IPS, "http.client_ip": IPS,
    "db.system": "db2 derby hive mariadb mssql mysql oracle postgresql sqlite teradata other_sql "
                 "redis mongodb dynamodb PostgreSQL cockroachdb".split(),
    "db.name": ["shop", "a/b", "<db>", "sh op"],
    "db.statement": ["SELECT * FROM t WHERE a < 1", "\u2028 SELECT"],
    "aws.span.kind": ["LOCAL_ROOT", "LOCAL_ROOT", "LOCAL_ROOT", "local_root", "REMOTE_ROOT"],
    "aws.remote.service": ["AWS.SDK.S3", "AWS::S3", "AWS.SDK.AWS::S3", "AWS.SDK.", "inventory"],
    "rpc.system": ["aws-api", "aws-api", "grpc", "AWS-API"],
    "aws.service": ["S3", "DynamoDB", "SQS"], "message.type": ["RECEIVED", "RECEIVED", "SENT"],
    "cloud.provider": ["aws", "aws", "aws", "gcp", "AWS", "azure"],
    "cloud.platform": ["aws_ec2", "aws_ecs", "aws_eks", "aws_elastic_beanstalk", "aws_lambda",
                       "aws_app_runner", "aws_ec2x", "gcp_compute_engine"],
    "aws.ecs.launchtype": ["ec2", "fargate", "EC2", "FARGATE", "external"],
    "service.instance.id": ["32", "+7", "-7", "x", "99999999999999999999", "007", "1_000", "0x10"],
    "telemetry.sdk.language": "java php python javascript dotnet go nodejs ruby Java".split(),
    "aws.log.group.arns": ["arn:aws:logs:us-east-1:1:log-group:g", "a&b", "&&", "a:b:c:d:e:f:",
                           "arn:aws:logs:us-east-1:1:log-group:g:*&x", "a:b:c:d:e:f:g:h"],
    "aws.log.group.names": ["g", "g&h", "&", "/aws/x"],
}
TEXTS["exception.message"] = ["boom", "a: b", "", "x\ny"]
NAMES = ["GET /a", "op", "a<b>", "Операция ½ Ⅳ ٣", "x\ty\\z", "🚀", "", " ", "é" * 130, "a" + "é" * 120,
         "x" * 300, "SELECT shop.orders", "a\u0301b\u00a0c", "日本語" * 40, "中" * 66 + "abc", "[]{}"]
JSONS = ['{"a":1}', '{"a":{"b":[1,2.50,null,true,"x"]},"k":2}', "null", "[]", "1", '"x"', "{", "",
         ' {"k": "v"} ', '{"a":1}x', '{"n":12345678901234567890,"f":1e400}', '{"f":1e-400}',
         '{"a":1,"a":2}', '{"s":"\\ud800","t":"\\ud83d\\ude00"}', '{"e":1e21,"d":-0.0,"z":-0}',
         '{"a\\u0000":"\\u2028<&>"}', '{"otel.resource.x":1,"y":2}', '{"x":01}', '{"x":1.}',
         '{"x":"a\tb"}', '{"x":+1}', '{"":{}}', "nul", " null ", '{"x":1E+2,"y":1e5}', "\ufeff{}",
         '{"a":1,}', '{"deep":[[[[[{}]]]]]}', "{}", '{"\\ud800":1}', '{"a":"\\x"}', "\x0b{}"]
NUMBERS = [0, 1, -1, 80, 443, 8080, 2**53 + 1, 2**63 - 1, -2**63, 42]
DOUBLES = [0.0, -0.0, 1.0, 1.5, 1e21, 1e20, 1e-7, 1e-6, 123456789.123, 5e-324, 1.7976931348623157e308,
           80.0, 404.0, 0.1, "NaN", 1e22, 123456789012345680000.0, -1e-7]


def string(text):
    return {"stringValue": text}


def any_value(rng, key, depth=0):
    """A value: mostly a text that suits the key, else of any type."""
    kind = rng.random()
    pool = TEXTS.get(key)
    if key.endswith(("status_code", "size_bytes", ".port", "status_code.x")) and kind < 0.6:
        return {"intValue": rng.choice(STATUSES if "status" in key else NUMBERS)}
    if key == "aws.xray.inprogress" and kind < 0.7:
        return {"boolValue": rng.random() < 0.6}
    if key.startswith("aws.xray.metadata.") and kind < 0.85:
        return string(rng.choice(JSONS))
    if key == "aws.xray.annotations" and kind < 0.7:
        return {"arrayValue": {"values": [annotation_key(rng) for _ in range(rng.randrange(5))]}}
    if key in ("aws.dynamodb.table_names", "container.image.tags") and kind < 0.5 \
            or key.startswith("aws.log.group") and kind < 0.4:
        names = [any_value(rng, "k", 2) if rng.random() < 0.2 else string(rng.choice("tuv"))
                 for _ in range(rng.randrange(4))]
        return {"arrayValue": {"values": names}}
    if key == "db.connection_string" and kind < 0.85:
        return string(url(rng))
    if pool and kind < 0.9:
        return string(rng.choice(pool))
    if kind < 0.5:
        return string(rng.choice(["v", "", "host.example", "a&b", "x\"\\\n\x01", "é🚀\u2029", "80"]))
    return of_any_type(rng, depth)


def of_any_type(rng, depth):
    choice = rng.randrange(9 if depth < 3 else 6)
    if choice == 0:
        return {"intValue": str(rng.choice(NUMBERS))}
    if choice == 1:
        double = rng.choice(DOUBLES)
        if double == "NaN" and rng.random() < 0.8:
            double = 1.0
        return {"doubleValue": double}
    if choice == 2:
        return {"boolValue": rng.random() < 0.5}
    if choice == 3:
        return {}
    if choice == 4:
        return {"bytesValue": base64.b64encode(bytes(rng.randrange(256) for _ in
                                                     range(rng.randrange(5)))).decode()}
    if choice == 5:
        return string(rng.choice(["", "text", "0", "true"]))
    if choice == 6:
        values = [of_any_type(rng, depth + 1) for _ in range(rng.randrange(3))]
        return {"arrayValue": {"values": values}}
    keys = [rng.choice(["a", "b", "", "a<", "z"]) for _ in range(rng.randrange(3))]
    # Of equal keys in a map the collector keeps the last as well.
    return {"kvlistValue": {"values": [{"key": k, "value": of_any_type(rng, depth + 1)}
                                       for k in keys]}}


def annotation_key(rng):
    if rng.random() < 0.1:
        return of_any_type(rng, 2)
    if rng.random() < 0.2:
        return string("otel.resource." + rng.choice(RESOURCE_KEYS))
    return string(rng.choice(KEYS))


def url(rng):
    scheme = rng.choice(["mysql:", "jdbc:mysql:", "postgresql:", "http:", "HTTPS:", "", "jdbc:", ":",
                         "1x:", "a+b.c-1:", "jdbc:jdbc:x:", "ü:", "Jdbc:mysql:"])
    slashes = rng.choice(["//", "//", "//", "//", "/", "", "///", "thin:@"])
    host = rng.choice(HOSTS)
    port = rng.choice(["", "", ":3306", ":0", ":x", ":-1", ":1,h2:2"])
    tail = rng.choice(["", "/db", "/db?x=%zz", "/%zz", "?a=b", "#f", "#%zz", "/a b", "/\x01", "#\x01",
                       "/db;user=x", "?x#y?z", "/a:b", "*"])
    return scheme + slashes + host + port + tail


def attributes(rng, keys, most):
    picked = [rng.choice(keys) for _ in range(rng.randrange(most + 1))]
    return [{"key": key, "value": any_value(rng, key)} for key in picked]


GROUPS = [
    "http.request.method url.scheme server.address server.port url.path url.query "
    "http.response.status_code client.address network.peer.address user_agent.original",
    "http.method http.scheme http.host http.target http.status_code net.peer.ip http.client_ip "
    "net.host.name net.host.port http.server_name host.name http.user_agent",
    "http.method http.url net.peer.name net.peer.port net.peer.ip http.status_code http.status_text",
    "url.full server.address server.port http.request.method http.response.status_code",
    "db.system db.name db.connection_string db.statement db.user net.peer.name peer.service",
    "rpc.system rpc.method rpc.service aws.service aws.operation aws.region aws.request_id "
    "aws.table_name aws.dynamodb.table_names aws.queue_url messaging.url aws.account_id",
    "aws.span.kind aws.local.service aws.remote.service aws.remote.operation remoteTarget "
    "rpc.system aws.region K8s.RemoteNamespace enduser.id",
    "aws.xray.annotations aws.xray.metadata.ns aws.xray.metadata.default k otel.resource.k a-b",
    "message.type messaging.message_payload_size_bytes http.method k",
]


def span_attributes(rng):
    out = []
    for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3])):
        group = rng.choice(GROUPS).split()
        chosen = [key for key in group if rng.random() < 0.6]
        out += [{"key": key, "value": any_value(rng, key)} for key in chosen]
    out += attributes(rng, KEYS, rng.choice([0, 2, 4]))
    if rng.random() < 0.5:
        rng.shuffle(out)
    return out


def event(rng, language):
    name = rng.choice(["exception"] * 5 + ["HTTP request failure", "Exception", "x", "message"])
    found = []
    if rng.random() < 0.8:
        found += [("exception.type", string(rng.choice(["java.lang.Error", "ValueError", "", "a:b"]))),
                  ("exception.message", string(rng.choice(TEXTS["exception.message"]))),
                  ("exception.stacktrace", string(stacks.stack(rng, language)))]
    if rng.random() < 0.5:
        found += [("http.response.status_code", of_any_type(rng, 3)),
                  ("aws.http.error_message", any_value(rng, "k"))]
    if rng.random() < 0.3:
        found += [("message.type", string("RECEIVED")),
                  ("messaging.message_payload_size_bytes", {"intValue": rng.choice(NUMBERS)})]
    if rng.random() < 0.4:
        rng.shuffle(found)
        found = found[:rng.randrange(len(found) + 1)] + found[:rng.randrange(2)]
    at = rng.choice([0, 1_700_000_000_123_456_789, 1_700_000_000_999_999_999, 5, 2**63 + 5])
    return {"name": name, "timeUnixNano": str(at),
            "attributes": [{"key": k, "value": v} for k, v in found]}


def link(rng):
    return {"traceId": f"{rng.getrandbits(128):032x}" if rng.random() < 0.9 else "",
            "spanId": f"{rng.getrandbits(64):016x}" if rng.random() < 0.9 else "",
            "attributes": attributes(rng, KEYS, 2)}


def span(rng, language):
    out = {"traceId": f"6553f100{rng.getrandbits(96):024x}", "spanId": f"{rng.getrandbits(64):016x}",
           "name": rng.choice(NAMES), "kind": rng.choice([0, 1, 2, 2, 3, 3, 4, 5, 5, 7]),
           "startTimeUnixNano": str(1_700_000_000_000_000_000 + rng.getrandbits(40)),
           "endTimeUnixNano": str(rng.choice([0, 1_700_000_001_000_000_001, 2**64 - 1])),
           "attributes": span_attributes(rng)}
    for key in ("traceId", "spanId"):
        if rng.random() < 0.02:
            out[key] = ""
    if rng.random() < 0.6:
        out["parentSpanId"] = rng.choice([f"{rng.getrandbits(64):016x}", "0" * 16, ""])
    if rng.random() < 0.5:
        out["status"] = {"code": rng.randrange(4), "message": rng.choice(["", "", "failed <x>"])}
    if rng.random() < 0.5:
        out["events"] = [event(rng, language) for _ in range(rng.randrange(1, 4))]
    if rng.random() < 0.2:
        out["links"] = [link(rng) for _ in range(rng.randrange(1, 3))]
    return out


def case(rng):
    """One request with the exporter's options."""
    language = rng.choice(["java", "php", "python", "javascript", "dotnet", "go", None])
    resource = attributes(rng, RESOURCE_KEYS, 10)
    if language:
        resource.append({"key": "telemetry.sdk.language", "value": string(language)})
    spans = [span(rng, language) for _ in range(rng.choice([1, 1, 2]))]
    options = {}
    if rng.random() < 0.35:
        options["indexed_attributes"] = [rng.choice(KEYS) if rng.random() < 0.8 else
                                         "otel.resource." + rng.choice(RESOURCE_KEYS)
                                         for _ in range(rng.randrange(1, 8))]
    if rng.random() < 0.15:
        options["index_all_attributes"] = True
    if rng.random() < 0.2:
        options["aws_log_groups"] = [rng.choice(["g1", "g2", ""]) for _ in range(rng.randrange(3))]
    if rng.random() < 0.15:
        options["no_dots"] = True
    if rng.random() < 0.1:
        resource.clear()
    resource_spans = {"resource": {"attributes": resource}, "scopeSpans": [{"spans": spans}]}
    return {"request": {"resourceSpans": [resource_spans]}, "options": options}


def line(found):
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
