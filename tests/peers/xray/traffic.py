#!/usr/bin/env python3
"""The same requests to the collector and to Tailgate, each exporting by `awsxray` to a server that
stores; prints whether the same documents came, and in how many calls.

    tests/peers/xray/traffic.py [--seed 1] [--cases 1500] [--record]

Builds the collector v0.161.0 (target/peer), Tailgate and `oracle/`, which leaves out what the
collector crashes on, drops, or answers in more than one way: what comes of those is in
docs/XRAY.md. Exits with 1 if documents differ.

Environment: OTELCOL, TAILGATE, TESTKIT: binaries to use instead of building them.
"""

import argparse
import collections
import http.server
import json
import pathlib
import random
import re
import sys
import tempfile
import threading
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

import generate  # noqa: E402
from fleet import ROOT, Binaries, Failed, Node, machine, wait  # noqa: E402
from run import INVENTED, build  # noqa: E402

OUTPUT = ROOT / "docs" / "peers" / "xray.txt"
# What a configuration can say that changes documents.
VARIANTS = [
    {},
    {"index_all_attributes": True},
    {"indexed_attributes": ["http.route", "rpc.service", "otel.resource.service.name", "k"]},
    {"indexed_attributes": ["a.b", "enduser.id"], "aws_log_groups": ["g1", "g2"]},
]
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}


class Store(http.server.ThreadingHTTPServer):
    """An X-Ray endpoint that takes everything."""

    daemon_threads = True

    def __init__(self):
        self.calls, self.lock = [], threading.Lock()
        super().__init__(("127.0.0.1", 0), Call)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def documents(self):
        with self.lock:
            return [document for call in self.calls for document in call]


class Call(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.calls.append(body["TraceSegmentDocuments"])
        answer = b'{"UnprocessedTraceSegments":[]}'
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def configuration(port, store, options):
    receiver = {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}
    endpoint = f"http://127.0.0.1:{store.server_port}"
    exporter = {"region": "eu-west-1", "endpoint": endpoint, "local_mode": True, **options}
    pipeline = {"receivers": ["otlp"], "exporters": ["awsxray"]}
    # JSON is YAML.
    return json.dumps({
        "receivers": {"otlp": receiver},
        "exporters": {"awsxray": exporter},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": pipeline},
        },
    })


def post(port, body):
    url = f"http://127.0.0.1:{port}/v1/traces"
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


def settled(oracle, case):
    """Why the collector's answer to a case cannot be compared, or nothing; and its documents."""
    # The order of a hash map rarely changes.
    runs = [run for _ in range(20) for run in oracle.ask(generate.line(case))["runs"]]
    if any("crash" in run for run in runs):
        return "the collector crashes", 0
    if any(run["errors"] for run in runs):
        return "the collector drops a span", 0
    given = given_ids([case])
    first, *rest = ([comparable(d, given) for d in run["documents"]] for run in runs)
    if any(other != first for other in rest):
        return "the collector's answers differ", 0
    return None, len(first)


def has_ids(case):
    """Whether its spans have valid ids: others are refused at the door, and the client is told."""

    def valid(text, digits):
        return re.fullmatch("[0-9a-fA-F]+", text) and len(text) == digits and set(text) != {"0"}

    spans = case["request"]["resourceSpans"][0]["scopeSpans"][0]["spans"]
    return all(
        valid(span.get("traceId", ""), 32)
        and valid(span.get("spanId", ""), 16)
        and len(span.get("parentSpanId", "")) in (0, 16)
        for span in spans
    )


def given_ids(cases):
    return {i for case in cases for i in re.findall(rb'"([0-9a-f]{16})"', generate.line(case))}


def comparable(document, given):
    """The document as a text that is the same if it says the same; ids that were invented look
    alike."""

    def walk(value, key=None):
        if isinstance(value, dict):
            return {k: walk(value[k], k) for k in sorted(value)}
        if isinstance(value, list):
            return [walk(item, key) for item in value]
        if isinstance(value, str) and key in ("id", "parent_id", "cause"):
            if INVENTED.fullmatch(value) and value.encode() not in given:
                return "invented"
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            return int(value)
        return value

    return json.dumps(walk(json.loads(document)))


def run(command, name, options, cases, directory):
    """The documents and the number of calls that come of these cases."""
    expected = sum(documents for _, documents in cases)
    port, store = random.randrange(20_000, 24_000), Store()
    file = directory / f"{name}.yaml"
    file.write_text(configuration(port, store, options))
    with Node(name, [*command, "--config", file], port, directory, CREDENTIALS) as node:
        for case, _ in cases:
            post(port, json.dumps(case["request"], ensure_ascii=False).encode("utf-8", "replace"))
        wait(f"{name}'s documents", lambda: len(store.documents()) >= expected, 60)
        if node.end(20) != 0:
            raise Failed(f"{name} ended badly: {node.last_words()}")
    store.shutdown()
    store.server_close()
    given = given_ids([case for case, _ in cases])
    return collections.Counter(comparable(d, given) for d in store.documents()), len(store.calls)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=1500, help="of each configuration")
    parser.add_argument("--record", action="store_true", help=f"write {OUTPUT.relative_to(ROOT)}")
    args = parser.parse_args()
    programs = Binaries()
    oracle, ours = build()
    ours.close()
    commands = {
        "collector": [programs.collector],
        "tailgate": [programs.tailgate, "sampler"],
    }
    lines, failed = [machine(), f"seed {args.seed}, {args.cases} requests a configuration", ""], False
    for number, options in enumerate(VARIANTS):
        cases, left_out = [], collections.Counter()
        for n in range(args.cases):
            case = generate.case(random.Random(f"{args.seed}/{number}/{n}"))
            case["options"] = options
            reason, documents = settled(oracle, case)
            reason = reason or (None if has_ids(case) else "a span has no valid id")
            if reason:
                left_out[reason] += 1
            else:
                cases.append((case, documents))
        with tempfile.TemporaryDirectory() as directory:
            directory = pathlib.Path(directory)
            found = {name: run(command, name, options, cases, directory)
                     for name, command in commands.items()}
        (theirs, their_calls), (mine, my_calls) = found["collector"], found["tailgate"]
        same = theirs == mine
        failed |= not same
        lines.append(json.dumps(options))
        lines += [f"  left out: {reason}: {count}" for reason, count in sorted(left_out.items())]
        lines.append(f"  {len(cases)} requests, {theirs.total()} documents of the collector in "
                     f"{their_calls} calls, {mine.total()} of Tailgate in {my_calls}: "
                     f"{'the same' if same else 'NOT THE SAME'}")
        lines += [f"  only the collector's: {text}" for text in list(theirs - mine)[:5]]
        lines += [f"  only Tailgate's: {text}" for text in list(mine - theirs)[:5]]
    oracle.close()
    print("\n".join(lines))
    if args.record:
        OUTPUT.write_text("\n".join(lines) + "\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
