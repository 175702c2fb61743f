"""What answers.py asks: the same requests for each program, as data.

A question is sent by curl, or as raw bytes where it is about how HTTP itself is spoken. `trace` is
the number of its own trace, by which its spans are found again.
"""

import itertools
from dataclasses import dataclass, field as of

import packed
from packed import framed, request, span

PROTOBUF, JSON, GRPC = "application/x-protobuf", "application/json", "application/grpc"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MIB = 1 << 20
TOKEN = "the-right-token"
FILLERS = itertools.count(1_000_000)


@dataclass
class Question:
    group: str
    name: str
    trace: int
    path: str = "/v1/traces"
    method: str = "POST"
    headers: dict = of(default_factory=dict)
    body: bytes = b""
    # Beside the port of OTLP/HTTP or of OTLP/gRPC; by HTTP/2, with curl's own options.
    grpc_port: bool = False
    http2: bool = False
    options: tuple = ()
    # Instead of all that: these bytes, and how many answers are awaited.
    raw: bytes = b""
    answers: int = 1

    def title(self):
        return f"{self.group}: {self.name}"


class Book:
    """All questions, each with a trace of its own."""

    def __init__(self):
        self.questions = []

    def add(self, group, name, **how):
        trace = len(self.questions) + 1
        how = {key: value(trace) if callable(value) else value for key, value in how.items()}
        self.questions.append(Question(group, name, trace, **how))

    def http(self, group, name, body=None, kind=PROTOBUF, encoding=None, headers=None, **how):
        headers = dict(headers or {})
        if kind is not None:
            headers["content-type"] = kind
        if encoding is not None:
            headers["content-encoding"] = encoding
        self.add(group, name, body=body or good, headers=headers, **how)

    def grpc(self, group, name, body=None, headers=None, kind=GRPC, **how):
        headers = {"te": "trailers", **(headers or {})}
        if kind is not None:
            headers["content-type"] = kind
        how = {"path": EXPORT, "http2": True, "grpc_port": True, **how}
        self.add(group, name, body=body or framed_good, headers=headers, **how)


def good(trace):
    return request(span(trace))


def good_json(trace):
    return json_span(trace, '"name":"n"')


def framed_good(trace):
    return framed(good(trace))


def json_span(trace, fields, ids=True):
    own = f'"traceId":"{trace:032x}","spanId":"eee19b7ec3c1b174",' if ids else ""
    times = '"startTimeUnixNano":"1767225600000000000","endTimeUnixNano":"1767225600010000000",'
    text = f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{own}{times}{fields}}}]}}]}}]}}'
    return text.encode()


def encodings(book):
    group = "Content encodings"
    for name, pack in [
        ("identity", packed.identity), ("gzip", packed.gzipped), ("zstd", packed.zstd),
        ("zlib", packed.zlib.compress), ("deflate", packed.zlib.compress),
        ("snappy", packed.snappy), ("x-snappy-framed", packed.snappy_framed),
        ("lz4", packed.lz4), ("br", packed.identity), ("GZIP", packed.gzipped),
        ("x-gzip", packed.gzipped), ("gzip, gzip", lambda d: packed.gzipped(packed.gzipped(d))),
        ("", packed.identity), ("nonsense", packed.identity),
    ]:
        book.http(group, f"`{name}`", lambda t, p=pack: p(good(t)), encoding=name)
    more = [
        ("`deflate` without zlib's frame", "deflate", lambda t: packed.raw_deflate(good(t))),
        ("`snappy` with frames", "snappy", lambda t: packed.snappy_framed(good(t))),
        ("`gzip` of two members", "gzip",
         lambda t: packed.gzipped(good(t)[:20]) + packed.gzipped(good(t)[20:])),
        ("`gzip` and garbage after it", "gzip", lambda t: packed.gzipped(good(t)) + b"garbage"),
        ("`gzip` cut short", "gzip", lambda t: packed.gzipped(good(t))[:-12]),
        ("`gzip` of nothing", "gzip", lambda t: packed.gzipped(b"")),
        ("`gzip`, but an empty body", "gzip", lambda t: b""),
        ("gzip bomb, 64 MiB of zeros", "gzip", lambda t: packed.gzipped(bytes(64 * MIB))),
        ("zstd bomb, 64 MiB of zeros", "zstd", lambda t: packed.zstd_bomb(64)),
    ]
    for name in ("gzip", "zstd", "zlib", "snappy", "x-snappy-framed", "lz4"):
        more.append((f"`{name}`, but it is not", name, good))
    for name, encoding, body in more:
        book.http(group, name, body, encoding=encoding)
    book.http(group, "`gzip` of JSON", lambda t: packed.gzipped(good_json(t)), JSON, "gzip")


def http_heads(book):
    group = "Paths, methods, types"
    for kind in [
        PROTOBUF, f"{PROTOBUF}; charset=utf-8", "application/x-protobuf;messageType=x",
        "Application/X-Protobuf", "application/protobuf", "application/vnd.google.protobuf",
        "application/x-protobuf, application/x-protobuf", "application/x-protobuf; a=b; a=c",
        "application/x-protobuf;", "application/x-www-form-urlencoded", "text/plain",
        "application/grpc", "application/octet-stream", "/", None,
    ]:
        book.http(group, f"content-type `{kind}`" if kind else "no content-type", kind=kind)
    for kind in [JSON, f"{JSON}; charset=utf-8", f"{JSON}; charset=latin1", "application/json+x",
                 "text/json"]:
        book.http(group, f"JSON as `{kind}`", good_json, kind)
    book.http(group, "protobuf as `application/json`", kind=JSON)
    book.http(group, "JSON as `application/x-protobuf`", good_json)
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"]:
        book.http(group, f"method {method}", method=method)
    book.http(group, "method HEAD", lambda t: b"", method="HEAD", options=("--head",))
    for path in ["/", "/v1/trace", "/v1/traces/", "//v1/traces", "/V1/TRACES", "/v1/traces?a=b",
                 "/v1/./traces", "/v1/x/../traces", "/v1/traces%2f", "/v1/tr%61ces", EXPORT]:
        book.http(group, f"path `{path}`", path=path)
    for path in ["/v1/metrics", "/v1/logs", "/v1development/profiles"]:
        book.http(group, f"path `{path}`, protobuf", lambda t: b"", path=path)
        book.http(group, f"path `{path}`, JSON", lambda t: b"{}", JSON, path=path)
    book.http(group, "GET `/v1/metrics`", lambda t: b"", path="/v1/metrics", method="GET")
    group = "CORS for `https://shop.test`"
    for origin in ["https://shop.test", "https://other.test"]:
        asked = {"origin": origin, "access-control-request-method": "POST",
                 "access-control-request-headers": "content-type"}
        book.http(group, f"preflight from {origin}", lambda t: b"", None, None, asked,
                  method="OPTIONS")
        book.http(group, f"POST from {origin}", headers={"origin": origin})


def raw_http(book):
    group = "HTTP itself"

    def head(trace, more=(), version="1.1", length=True, body=None, target="/v1/traces"):
        body = good(trace) if body is None else body
        lines = [f"POST {target} HTTP/{version}", f"content-type: {PROTOBUF}", *more]
        lines += [f"content-length: {len(body)}"] if length else []
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    host, close = "host: x", "connection: close"

    def chunks(data, size=40):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"

    def raw(name, bytes_of, answers=1):
        book.add(group, name, raw=bytes_of, answers=answers)

    chunked = ("transfer-encoding: chunked", host)
    raw("keep-alive: two requests, one after the other, on one connection",
        lambda t: (head(t, [host]) + good(t)) * 2, answers=2)
    raw("`connection: close`", lambda t: head(t, [host, close]) + good(t))
    raw("chunks", lambda t: head(t, chunked, length=False) + chunks(good(t)))
    raw("chunks and a trailer", lambda t: head(t, chunked, length=False)
        + chunks(good(t))[:-2] + b"x-sum: 1\r\n\r\n")
    raw("chunks with extensions", lambda t: head(t, chunked, length=False)
        + b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(good(t)), good(t)))
    raw("chunks that are none", lambda t: head(t, chunked, length=False) + b"zz\r\n\r\n")
    raw("chunks and a content-length", lambda t: head(t, chunked) + chunks(good(t)))
    raw("two lengths that differ", lambda t: head(t, [host, "content-length: 5"]) + good(t))
    raw("a length that is none", lambda t: head(t, [host, "content-length: ten"], length=False))
    raw("no length and no chunks", lambda t: head(t, [host], length=False))
    raw("HTTP/1.0", lambda t: head(t, [], "1.0") + good(t))
    raw("HTTP/1.1 without host", lambda t: head(t, []) + good(t))
    raw("HTTP/1.1 with two hosts", lambda t: head(t, [host, "host: y"]) + good(t))
    raw("HTTP/2.5", lambda t: head(t, [host], "2.5") + good(t))
    raw("no HTTP", lambda t: b"hello\r\n\r\n")
    raw("the whole address as target",
        lambda t: head(t, [host], target="http://x/v1/traces") + good(t))
    raw("`expect: 100-continue`, a good body",
        lambda t: head(t, [host, "expect: 100-continue"]) + good(t), answers=2)
    raw("`expect: something-else`", lambda t: head(t, [host, "expect: more"]) + good(t))
    raw("a space before a header's colon", lambda t: head(t, [host, "x : y"]) + good(t))
    raw("a folded header", lambda t: head(t, [host, "x: y\r\n  z"]) + good(t))
    raw("a header of 70 KiB", lambda t: head(t, [host, "x: " + "y" * (70 << 10)]) + good(t))
    raw("150 headers", lambda t: head(t, [host, *[f"x-{n}: y" for n in range(150)]]) + good(t))
    raw("a header with a NUL", lambda t: head(t, [host, "x: a\0b"]) + good(t))
    book.http(group, "HTTP/2 from the first byte", http2=True)
    book.http(group, "a body of 21 MiB", lambda t: bytes(21 * MIB))
    book.http(group, "a body of 21 MiB in chunks", lambda t: bytes(21 * MIB),
              headers={"transfer-encoding": "chunked"})


def messages(book):
    """What the protobuf message says, over either protocol."""
    deep = lambda depth: lambda t: request(span(t, packed.nested_value(depth)))
    table = [
        ("a good request", good),
        ("an empty message", lambda t: b""),
        ("a resource without spans", lambda t: request()),
        ("60 spans", lambda t: request(*[span(t, span_id=(n + 1).to_bytes(8, "big"))
                                         for n in range(60)])),
        ("garbage", lambda t: b"\xff\xff\xff garbage"),
        ("cut short", lambda t: good(t)[:-3]),
        ("a byte more", lambda t: good(t) + b"\x0a"),
        ("field number 0", lambda t: good(t) + b"\x00\x00"),
        ("an unknown field", lambda t: good(t) + packed.field(99, b"later")),
        ("an unknown group", lambda t: good(t) + b"\x9b\x06\x9c\x06"),
        ("a group without end", lambda t: good(t) + b"\x9b\x06"),
        ("wire type 7", lambda t: good(t) + b"\x9f\x06"),
        ("a varint of 11 bytes", lambda t: good(t) + b"\x98\x06" + b"\xff" * 10 + b"\x01"),
        ("a name as a number", lambda t: request(span(t) + packed.field(5, 7))),
        ("a name that is no UTF-8", lambda t: request(span(t, name=b"\xff\xfe"))),
        ("trace id of zeros", lambda t: request(span(t, trace_id=bytes(16)))),
        ("trace id of 8 bytes", lambda t: request(span(t, trace_id=bytes(7) + b"\x01"))),
        ("trace id of 17 bytes", lambda t: request(span(t, trace_id=b"\x01" * 17))),
        ("no trace id", lambda t: request(span(t, trace_id=b""))),
        ("span id of zeros", lambda t: request(span(t, span_id=bytes(8)))),
        ("span id of 4 bytes", lambda t: request(span(t, span_id=b"abcd"))),
        ("no span id", lambda t: request(span(t, span_id=b""))),
        ("a good span and one without ids", lambda t: request(span(t), span(t, span_id=b""))),
        ("an attribute of 10 nested lists", deep(10)),
        ("an attribute of 32 nested lists", deep(32)),
        ("an attribute of 40 nested lists", deep(40)),
        ("an attribute of 200 nested lists", deep(200)),
    ]
    for name, body in table:
        book.http("Messages, over HTTP", name, body)
        book.grpc("Messages, over gRPC", name, lambda t, b=body: framed(b(t)))


def grpc(book):
    group = "gRPC frames and heads"
    packing = [("identity", packed.identity), ("gzip", packed.gzipped), ("zstd", packed.zstd),
               ("snappy", packed.snappy_framed), ("deflate", packed.zlib.compress),
               ("nonsense", packed.identity), ("GZIP", packed.gzipped), ("", packed.identity)]
    for name, pack in packing:
        for flag in (1, 0):
            body = lambda t, p=pack, f=flag: framed(p(good(t)) if f else good(t), f)
            said = "compressed" if flag else "the message is not compressed"
            book.grpc(group, f"grpc-encoding `{name}`, {said}", body, {"grpc-encoding": name})
    gzip = {"grpc-encoding": "gzip"}
    for name, body, headers in [
        ("compressed, but no grpc-encoding", lambda t: framed(packed.gzipped(good(t)), 1), {}),
        ("gzip, but it is not", lambda t: framed(good(t), 1), gzip),
        ("gzip cut short", lambda t: framed(packed.gzipped(good(t))[:-12], 1), gzip),
        ("gzip bomb, 64 MiB of zeros", lambda t: framed(packed.gzipped(bytes(64 * MIB)), 1), gzip),
        ("flag 2", lambda t: framed(good(t), 2), {}),
        ("no message", lambda t: b"", {}),
        ("half a header", lambda t: b"\0\0\0", {}),
        ("half a message", lambda t: framed(good(t), 0, len(good(t)) + 10), {}),
        ("two messages", lambda t: framed_good(t) * 2, {}),
        ("a byte after the message", lambda t: framed_good(t) + b"x", {}),
        ("a length of 5 MiB", lambda t: framed(good(t), 0, 5 * MIB), {}),
        ("a length of 4 GiB", lambda t: framed(good(t), 0, 0xFFFF_FFFF), {}),
    ]:
        book.grpc(group, name, body, headers)
    for value in ["0S", "10S", "123456789S", "abc", "", "-1S"]:
        book.grpc(group, f"grpc-timeout `{value}`", headers={"grpc-timeout": value})
    for kind in ["application/grpc+proto", "application/grpc;charset=utf-8",
                 "application/grpc+json", "application/grpc-web", "application/grpcx", PROTOBUF,
                 None]:
        book.grpc(group, f"content-type `{kind}`" if kind else "no content-type", kind=kind)
    book.grpc(group, "method GET", method="GET")
    book.grpc(group, "no `te`", headers={"te": ""})
    book.grpc(group, "metadata of 12 KiB", headers={"x-more": "y" * (12 << 10)})
    service = "/opentelemetry.proto.collector."
    for path in ["/", "/shop.Shop/Buy", service + "trace.v1.TraceService/Import",
                 service + "metrics.v1.MetricsService/Export",
                 service + "logs.v1.LogsService/Export",
                 service + "profiles.v1development.ProfilesService/Export",
                 "/grpc.health.v1.Health/Check",
                 "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/v1/traces"]:
        book.grpc(group, f"path `{path}`", lambda t: framed(b""), path=path)
    book.grpc(group, "by HTTP/1.1", http2=False)
    book.grpc(group, "gRPC to the port of OTLP/HTTP", grpc_port=False)
    book.http(group, "OTLP/HTTP to the port of gRPC", grpc_port=True)


def credentials(book):
    group = "Credentials (`bearertokenauth`)"
    for name, value in [
        ("none", None), ("the right token", f"Bearer {TOKEN}"), ("a wrong token", "Bearer no"),
        ("the right token as `bearer`", f"bearer {TOKEN}"), ("the token alone", TOKEN),
        ("as Basic", f"Basic {TOKEN}"), ("an empty one", ""),
    ]:
        headers = {} if value is None else {"authorization": value}
        book.http(group, f"HTTP: {name}", headers=headers)
        book.grpc(group, f"gRPC: {name}", headers=headers)
    book.http(group, "HTTP: JSON and none", good_json, JSON)
    book.http(group, "HTTP: another path and none", path="/nowhere")
    book.http(group, "HTTP: GET and none", method="GET")


def no_room(book):
    group = "No room"
    for name, proto, json in [
        ("a good request", good, good_json),
        ("an empty message", lambda t: b"", lambda t: b"{}"),
        ("a malformed message", lambda t: good(t)[:-3], lambda t: good_json(t)[:-3]),
    ]:
        book.http(group, f"HTTP: {name}", proto)
        book.http(group, f"JSON: {name}", json, JSON)
        book.grpc(group, f"gRPC: {name}", lambda t, p=proto: framed(p(t)))


def filler():
    """A large request with a trace that nobody has asked about."""
    book, trace = Book(), next(FILLERS)
    attribute = packed.field(9, packed.field(1, b"k") + packed.field(2, packed.field(1, b"x" * 50_000)))
    book.http("No room", "more", lambda t: request(span(trace, attribute)))
    return book.questions[0]
