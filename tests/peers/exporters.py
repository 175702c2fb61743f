#!/usr/bin/env python3
"""Sends through each of the collector's OTLP exporters to Tailgate, in each compression it has.

    tests/peers/exporters.py             # builds what is missing, then about four minutes
    tests/peers/exporters.py --record    # and writes the output to docs/peers/exporters.txt

A collector writes what it exports into a file as well, and so does the sampler behind Tailgate's load
balancer: both files must have the same spans, field by field, with their resources and scopes, each
once. Then the door is closed for a while, and all has to arrive in the end.

Environment and needs: as tests/peers/run.py, and openssl for the certificates.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import chain
import spans
from fleet import ROOT, Binaries, Failed, Fleet, machine, wait

OUTPUT = ROOT / "docs" / "peers" / "exporters.txt"
RICH = ROOT / "tests" / "peers" / "rich.json"
TRACES, RICH_SPANS = 200, 2
SPANS = TRACES * 12 + RICH_SPANS
# More than a sampler of 32 MiB has room for.
TOO_MANY = 9_000
REFUSED = "otelcol_receiver_refused_spans"
SENT = "otelcol_exporter_sent_spans"
FAILED = ("otelcol_exporter_send_failed_spans", "otelcol_exporter_enqueue_failed_spans")

GRPC = ["none", "gzip", "zstd", "snappy"]
HTTP = ["none", "gzip", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed", "lz4"]


def forms():
    """(exporter, encoding, compression, TLS)"""
    for compression in GRPC:
        yield "otlp_grpc", "proto", compression, "none"
    for encoding in ("proto", "json"):
        for compression in HTTP:
            yield "otlp_http", encoding, compression, "none"
    for security in ("TLS", "mutual TLS"):
        yield "otlp_grpc", "proto", "gzip", security
        yield "otlp_http", "proto", "gzip", security
        yield "otlp_http", "json", "gzip", security


def load(fleet, collector, traces):
    """From testkit to the collector, which acks before it exports."""
    done = fleet.testkit("load", "--target", f"http://127.0.0.1:{collector.port}", "--ledger",
                         "ledger", "--traces", traces, "--seed", 1)
    if done.returncode or json.loads(done.stdout)["acked"] != traces * 12:
        raise Failed(f"testkit load: {done.stdout} {done.stderr}")


def exported(collector, form, due):
    """Waits until so many are exported; how many were, and how many were given up."""
    of = lambda name: collector.scrape().sum(name, exporter=form[0])
    wait("all to be exported", lambda: of(SENT) >= due, 90)
    return of(SENT), sum(of(name) for name in FAILED)


def end(nodes):
    for node in nodes:
        if code := node.end(grace=60):
            raise Failed(f"{node.name} ended with {code}: {node.last_words()}")


def pass_through(fleet, form):
    """One load in one form; the figures, and what is wrong."""
    collector, balancer, sampler = chain.start(fleet, form, chain.file_exporter())
    load(fleet, collector, TRACES)
    rich = urllib.request.Request(f"http://127.0.0.1:{collector.http}/v1/traces",
                                  RICH.read_bytes(), {"content-type": "application/json"})
    urllib.request.urlopen(rich, timeout=10).close()
    _, failed = exported(collector, form, SPANS)
    refused = sum(node.scrape().sum(REFUSED) for node in (balancer, sampler))
    end([collector, balancer, sampler])
    sent, held = (Counter(json.dumps(span, sort_keys=True) for span in
                          spans.read(fleet.directory / file)) for file in ("sent.json", "held.json"))
    ids = {(span["traceId"], span["spanId"])
           for _, _, span in spans.read(fleet.directory / "held.json")}
    found = {"sent": sent.total(), "arrived": held.total(), "different ids": len(ids),
             "missing or changed": (sent - held).total(), "more": (held - sent).total(),
             "failed": failed, "refused": refused}
    due = {"sent": SPANS, "arrived": SPANS, "different ids": SPANS}
    return found, all(figure == due.get(what, 0) for what, figure in found.items())


def closed_door(fleet, form):
    """The sink is not there, so the sampler fills and refuses; then the sink comes."""
    port = fleet.free_port()
    collector, balancer, sampler = chain.start(fleet, form, chain.sink_exporter(port), 32)
    load(fleet, collector, TOO_MANY)
    if not wait("a closed door", lambda: balancer.scrape().sum(REFUSED) > 0, 60):
        raise Failed("nothing was refused")
    refused = balancer.scrape().sum(REFUSED)
    sink = fleet.sink(port)
    sent, failed = exported(collector, form, TOO_MANY * 12)
    found = {"sent": sent, "failed": failed, "refused before the sink came": refused}
    wait("all at the sink", lambda: sink.stats()["spans"] >= TOO_MANY * 12, 30)
    end([collector, balancer, sampler])
    # A copy of what was sent again may be among it: short of memory, hashes go first.
    judged = fleet.testkit("check", "--ledger", "ledger", "--record", "record", "--allow", "D")
    found["checker"] = " ".join([judged.stdout.strip(), judged.stderr.strip()]).strip()
    passed = not judged.returncode and not found["failed"] and found["sent"] == TOO_MANY * 12
    return found, passed


def run(binaries, name, case, form):
    """The line of a case, and whether it passed."""
    with tempfile.TemporaryDirectory(prefix="exporters-") as directory, ExitStack() as stack:
        fleet = Fleet(binaries, stack, Path(directory), 1, 100)
        try:
            found, passed = case(fleet, form)
        except (Failed, subprocess.SubprocessError, OSError, ValueError) as error:
            found, passed = {"error": str(error).replace(directory, "")}, False
    figures = ", ".join(f"{what} {figure}" for what, figure in found.items())
    return f"{'PASS' if passed else 'FAIL'} {name} {figures}", passed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--record", action="store_true", help="write docs/peers/exporters.txt")
    args = parser.parse_args()
    # So that the processes end with this one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    binaries, lines, results = Binaries(), [], []

    def say(text):
        print(text, flush=True)
        lines.append(text)

    say(machine())
    say("; ".join(binaries.versions()))
    say(f"collector -> load balancer -> sampler; {SPANS} spans of {TRACES + 1} traces in each form\n")
    for form in forms():
        name = "{:9} {:5} {:15} TLS: {:10}".format(*form)
        line, passed = run(binaries, name, pass_through, form)
        say(line)
        results.append(passed)
    say(f"\n{TOO_MANY * 12} spans, more than the sampler has room for until its sink is there\n")
    for exporter in ("otlp_grpc", "otlp_http"):
        form = (exporter, "proto", "gzip", "none")
        line, passed = run(binaries, exporter, closed_door, form)
        say(line)
        results.append(passed)
    say(f"\n{results.count(True)} of {len(results)} passed")
    if args.record:
        OUTPUT.write_text("\n".join(lines) + "\n")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
