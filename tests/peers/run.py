#!/usr/bin/env python3
"""Runs Tailgate with the OpenTelemetry Collector in each place around it; checks what comes out.

    tests/peers/run.py             # builds what is missing, then about two minutes
    tests/peers/run.py --record    # and writes the output to docs/peers/output.txt
    tests/peers/run.py --only a-gzip b-none

Each case sends one load through a few processes on free ports of 127.0.0.1, prints its figures and
PASS or FAIL. Exits with 1 if a case failed. docs/peers/README.md says what the figures mean.

Environment: OTELCOL, TAILGATE, TESTKIT: binaries to use instead of building them; WAIT: seconds of
decision_wait (4); PCT: percentage of the probabilistic policy (10).
Needs python3, cargo, and go (to build the collector once, into target/peer).
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import expected
from fleet import ROOT, Binaries, Failed, Fleet, machine, wait

WAIT = float(os.environ.get("WAIT", "4").rstrip("s"))
PCT = float(os.environ.get("PCT", "10"))
OUTPUT = ROOT / "docs" / "peers" / "output.txt"
# A trace's spans are sent over one second by four services, so that it takes many requests.
LOAD = ["--spread", 1, "--retry-for", 5, "--errors-per-mille", 20, "--slow-per-mille", 20]
VOTES = "otelcol_processor_tail_sampling_count_traces_sampled"
DECISIONS = "otelcol_processor_tail_sampling_global_count_traces_sampled"
NEW_TRACES = "otelcol_processor_tail_sampling_new_trace_id_received"
ACCEPTED = "otelcol_receiver_accepted_spans"
ON_MEMORY = "otelcol_processor_tail_sampling_sampling_traces_on_memory"
BACKENDS = "otelcol_loadbalancer_backend_outcome"

lines = []


def say(text=""):
    """To the terminal now, to the record at the end."""
    print(text, flush=True)
    lines.append(text)


# === Cases: start a fleet; what the load sends to, and who samples ===


def balanced(front, behind, compression):
    def start(fleet):
        sink = fleet.sink()
        samplers = [fleet.sampler(behind, f"{behind}-sampler-{n}", sink) for n in (1, 2)]
        return fleet.load_balancer(front, f"{front}-lb", samplers, compression), samplers

    return start


def exporting_to_collector(http_encoding):
    def start(fleet):
        collector = fleet.forwarder("collector", fleet.sink())
        sampler = fleet.sampler("tailgate", "tailgate-sampler", collector, http_encoding)
        return sampler, [sampler]

    return start


def collector_exporting(fleet):
    sampler = fleet.sampler("tailgate", "tailgate-sampler", fleet.sink())
    return fleet.forwarder("collector", sampler), [sampler]


def alone(program):
    def start(fleet):
        sampler = fleet.sampler(program, f"{program}-sampler", fleet.sink())
        return sampler, [sampler]

    return start


class Case:
    """A fleet, how much is sent to it and how fast, and what has to come of it."""

    def __init__(self, title, start, seed, traces=6_000, rate=18_000):
        self.title, self.start, self.seed, self.traces, self.rate = title, start, seed, traces, rate
        self.kept, self.votes, self.failures = None, None, []

    def check(self, what, got, due):
        if got != due:
            self.failures.append(f"{what}: {got} instead of {due}")

    def run(self, binaries):
        """Prints the figures; whether all is as it has to be."""
        say(f"== {self.title}")
        with tempfile.TemporaryDirectory(prefix="peers-") as directory, ExitStack() as stack:
            fleet = Fleet(binaries, stack, Path(directory), WAIT, PCT)
            try:
                self.measure(fleet, *self.start(fleet))
            except (Failed, subprocess.SubprocessError, OSError, ValueError) as error:
                for secret in (directory, str(ROOT)):
                    error = str(error).replace(secret, "")
                self.failures.append(error)
        for failure in self.failures:
            say(f"   {failure}")
        say(f"{'FAIL' if self.failures else 'PASS'} {self.title}\n")
        return not self.failures

    def measure(self, fleet, entry, samplers):
        report = self.load(fleet, entry)
        at_ack = sum(s.scrape().sum(ACCEPTED) for s in samplers)
        sink = fleet.nodes[0]
        self.settle(samplers, sink)
        due = expected.kept(fleet.directory / "ledger", PCT)
        self.show_spans(report, at_ack, entry, samplers)
        self.show_sink(fleet, sink, set().union(*due.values()))
        self.show_votes(samplers, due)
        self.show_ledgers(fleet)
        self.end(fleet)

    def load(self, fleet, entry):
        done = fleet.testkit(
            *("load", "--target", f"http://127.0.0.1:{entry.port}", "--ledger", "ledger"),
            *("--traces", self.traces, "--rate", self.rate, "--seed", self.seed, *LOAD),
        )
        if done.returncode:
            raise Failed(f"testkit load: {done.stderr}")
        report = json.loads(done.stdout)
        self.check("acked spans", report["acked"], self.traces * 12)
        return report

    def settle(self, samplers, sink):
        """Until all traces are decided and nothing has come to the sink for two seconds."""
        decided = lambda: sum(s.scrape().sum(DECISIONS) for s in samplers) >= self.traces
        wait("all traces to be decided", decided, WAIT + 30)
        last, since = None, time.monotonic()

        def quiet():
            nonlocal last, since
            now = sink.stats()["spans"]
            if now != last:
                last, since = now, time.monotonic()
            return time.monotonic() - since > 2

        wait("the sink to be quiet", quiet, 30)

    def show_spans(self, report, at_ack, entry, samplers):
        say(f"sent {report['sent']} spans of {self.traces} traces, acked {report['acked']}, "
            f"failed attempts {report['failed_attempts']}")
        if entry not in samplers:
            outcome = lambda success: entry.scrape().sum(BACKENDS, success=success)
            calls = f"{outcome('true')} calls to backends, {outcome('false')} failed; "
            say(f"front: {calls if entry.scrape().samples[BACKENDS] else ''}"
                f"{at_ack} spans were with the samplers when the last ack came")
        accepted = [s.scrape().sum(ACCEPTED) for s in samplers]
        traces = [s.scrape().sum(NEW_TRACES) for s in samplers]
        plus = lambda counts: " + ".join(map(str, counts))
        on_memory = [s.scrape().sum(ON_MEMORY) for s in samplers]
        say(f"samplers: received {plus(accepted)} spans of {plus(traces)} traces; "
            f"{plus(on_memory)} traces in memory after all decisions")
        self.check("spans at the samplers", sum(accepted), report["acked"])
        # A trace that went to both samplers is a new one twice.
        self.check("traces at the samplers", sum(traces), self.traces)

    def show_sink(self, fleet, sink, due):
        record = (fleet.directory / "record").read_bytes()
        self.kept = {record[at : at + 16] for at in range(0, len(record), 24)}
        say(f"sink: received {sink.stats()['spans']} spans of {len(self.kept)} traces, "
            f"expected {len(due) * 12} of {len(due)}; "
            f"{len(self.kept - due)} unexpected, {len(due - self.kept)} missing traces")
        self.check("spans at the sink", sink.stats()["spans"], len(due) * 12)
        self.check("unexpected traces at the sink", len(self.kept - due), 0)
        self.check("missing traces at the sink", len(due - self.kept), 0)

    def show_votes(self, samplers, due):
        scrapes = [s.scrape() for s in samplers]
        self.votes = {
            name: [s.sum(VOTES, policy=name, sampled="true") for s in scrapes]
            for name in scrapes[0].values(VOTES, "policy")
        }
        self.votes["(any)"] = [s.sum(DECISIONS, sampled="true") for s in scrapes]
        due = {**due, "(any)": set().union(*due.values())}
        due = {name: len(ids) for name, ids in due.items()}
        say("traces kept by policy, expected and by the metrics: " + ", ".join(
            f"{name} {due.get(name)} = {' + '.join(map(str, votes))}"
            for name, votes in sorted(self.votes.items())
        ))
        self.votes = {name: sum(votes) for name, votes in self.votes.items()}
        self.check("traces kept by policy", self.votes, due)
        decided = sum(s.sum(DECISIONS) for s in scrapes)
        self.check("traces decided", decided, self.traces)

    def show_ledgers(self, fleet):
        """The testkit's checker judges the sink and, of our nodes, whether the ledger balances."""
        arguments = ["--ledger", "ledger", "--record", "record", "--keep", "errors-slow-and-chance"]
        for node in fleet.ours():
            scrape = node.scrape()
            (fleet.directory / f"{node.name}.prom").write_text(scrape.text)
            arguments += ["--node", f"{node.name}.prom"]
            of = lambda outcome: scrape.sum("tailgate_ledger_spans", outcome=outcome)
            ends = of("exported") + of("sampled_out") + of("forwarded")
            self.check(f"{node.name}: exported, sampled out or forwarded", ends, of("received"))
        checker = fleet.testkit("check", *arguments)
        for line in checker.stdout.splitlines():
            say(f"checker: {line}")
        self.check("the checker's findings", checker.stderr.strip(), "")
        self.check("the checker's exit code", checker.returncode, 0)

    def end(self, fleet):
        """Those who send first, so that nobody loses whom it sends to."""
        for node in reversed(fleet.nodes[1:]):
            self.check(f"exit code of {node.name}", node.end(grace=30), 0)


def cases():
    sides = [("a", "collector", "tailgate"), ("b", "tailgate", "collector")]
    found = {}
    for letter, front, behind in sides:
        for compression in ("gzip", "none"):
            name = f"{letter}-{compression}"
            title = f"{name}: {front} load balancer, {compression} -> two {behind} samplers"
            found[name] = Case(title, balanced(front, behind, compression), seed=10)
    for way, http_encoding in (("grpc", None), ("http", "proto"), ("json", "json")):
        name = f"c-{way}"
        exporter = "otlp_http" if http_encoding else "otlp_grpc"
        title = f"{name}: tailgate sampler, {exporter} -> collector -> sink"
        found[name] = Case(title, exporting_to_collector(http_encoding), seed=20)
    found["d"] = Case("d: collector -> tailgate sampler -> sink", collector_exporting, seed=21)
    for program in ("collector", "tailgate"):
        title = f"e-{program}: {program} sampler alone"
        found[f"e-{program}"] = Case(title, alone(program), seed=30, traces=20_000, rate=36_000)
    return found


def compare(theirs, ours):
    """Case e: the same traces through either sampler; whether they keep the same ones."""
    title = "e: the same input under the same policies"
    say(f"== {title}")
    if theirs.kept is None or ours.kept is None:
        say(f"FAIL {title}: a run is missing")
        return False
    for name in sorted({**theirs.votes, **ours.votes}):
        say(f"kept by {name}: collector {theirs.votes.get(name)}, tailgate {ours.votes.get(name)}")
    only = (len(theirs.kept - ours.kept), len(ours.kept - theirs.kept))
    say(f"trace ids at the sink: {len(theirs.kept & ours.kept)} from both, "
        f"{only[0]} only from the collector, {only[1]} only from tailgate")
    same = theirs.kept == ours.kept and theirs.votes == ours.votes and len(ours.kept) > 0
    say(f"{'PASS' if same else 'FAIL'} {title}\n")
    return same


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(cases()), default=list(cases()))
    parser.add_argument("--record", action="store_true", help="write docs/peers/output.txt")
    args = parser.parse_args()
    # So that the processes end with this one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    binaries = Binaries()
    say(machine())
    say("; ".join(binaries.versions()))
    say(f"decision_wait {WAIT:g} s, probabilistic {PCT:g} %, 12 spans of 416 bytes a trace\n")
    chosen = {name: case for name, case in cases().items() if name in args.only}
    passed = [case.run(binaries) for case in chosen.values()]
    if {"e-collector", "e-tailgate"} <= chosen.keys():
        passed.append(compare(chosen["e-collector"], chosen["e-tailgate"]))
    say(f"{passed.count(True)} of {len(passed)} passed")
    if args.record:
        OUTPUT.write_text("\n".join(lines) + "\n")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
