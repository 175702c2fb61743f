#!/usr/bin/env python3
"""Runs both tiers of Tailgate and of the OpenTelemetry collector under one load, side by side.

Prints a markdown table: CPU per span (CPU time of the process, user and kernel, from before the
first span to when all is decided or delivered), spans a second, and memory per held span (slope of
RSS over the number of spans held). Load generator, sink and configuration files are the same for
both; they take turns, and the median of the rounds counts.

    benches/compare.py                    # everything; about 15 minutes, the first time more
    benches/compare.py --rounds 1 --only collector

Environment: OTELCOL, TAILGATE, TESTKIT: binaries to use instead of building them.
Needs python3, cargo, and go (to build the collector once, into target/peer).
"""

import argparse
import http.server
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCHES = ROOT / "benches"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.161.0"
TICK = os.sysconf("SC_CLK_TCK")
SINK, BACKENDS, LB = 14317, (24317, 24318), 34317
DECISION_WAIT = 10
SECRET = "side-by-side"


# === Binaries ===


def run(command, cwd=ROOT, env=None):
    print("+", " ".join(map(str, command)), file=sys.stderr)
    subprocess.run(command, cwd=cwd, env={**os.environ, **(env or {})}, check=True)


def cargo_binary(variable, package, name):
    if variable in os.environ:
        return Path(os.environ[variable]).resolve()
    run(["cargo", "build", "--release", "-p", package])
    return TARGET / "release" / name


def peer_binary():
    if "OTELCOL" in os.environ:
        return Path(os.environ["OTELCOL"]).resolve()
    peer = TARGET.resolve() / "peer"
    binary = peer / "otelcol-anchor" / "otelcol-anchor"
    if not binary.exists():
        peer.mkdir(parents=True, exist_ok=True)
        run(["go", "install", BUILDER], env={"GOBIN": str(peer / "bin")})
        run([peer / "bin" / "builder", "--config", BENCHES / "peer" / "build.yaml"], cwd=peer)
    return binary


# === Processes ===


class Process:
    """A child with its output in a file; ends with the `with` block."""

    def __init__(self, command, port, env=None):
        self.command, self.port, self.env = [str(c) for c in command], port, env or {}

    def __enter__(self):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                sys.exit(f"port {self.port} is in use; this run needs it")
        self.log = tempfile.NamedTemporaryFile(prefix="compare-", suffix=".log")
        env = {**os.environ, **self.env}
        self.child = subprocess.Popen(
            self.command, env=env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        try:
            wait(f"port {self.port} of {self.command[0]}", self.listening, 30)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        self.log.close()

    def listening(self):
        if self.child.poll() is not None:
            text = Path(self.log.name).read_text()[-2000:]
            sys.exit(f"{' '.join(self.command)} ended: {text}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def cpu(self):
        """Seconds of CPU so far, in user and kernel mode."""
        stat = Path(f"/proc/{self.child.pid}/stat").read_text()
        fields = stat.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def rss(self):
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return next(int(l.split()[1]) << 10 for l in status.splitlines() if l.startswith("VmRSS"))

    def until_idle(self, at_least=0.0):
        """Waits that long, then until two seconds in a row took less than 3 % of a core."""
        time.sleep(at_least)
        quiet, before = 0, self.cpu()

        def idle():
            nonlocal quiet, before
            time.sleep(1)
            now = self.cpu()
            quiet, before = (quiet + 1 if now - before < 0.03 else 0), now
            return quiet >= 2

        wait(f"{self.command[0]} to be idle", idle, 60)


def wait(what, condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"still waiting for {what} after {seconds} s")
        time.sleep(0.05)


class Bench:
    """Binaries and sizes of a run."""

    def __init__(self, args):
        self.testkit = cargo_binary("TESTKIT", "tailgate-testkit", "testkit")
        self.spans = args.spans
        self.binaries = {}
        if "collector" in args.only:
            self.binaries["collector"] = peer_binary()
        if "tailgate" in args.only:
            self.binaries["tailgate"] = cargo_binary("TAILGATE", "tailgate", "tailgate")
        self.seed = 0

    def sink(self, port):
        return Process([self.testkit, "sink", "--listen", f"127.0.0.1:{port}"], port)

    def program(self, name, tier, config, port, env):
        mode = [] if name == "collector" else [tier]
        env = {"PORT": str(port), "LIMIT_MIB": "9000", **env}
        return Process([self.binaries[name], *mode, "--config", config], port, env)

    def sampler(self, name, port=BACKENDS[0], config=None, **env):
        env = {"WAIT": f"{DECISION_WAIT}s", **env}
        return self.program(name, "sampler", config or BENCHES / "peer/sampler.yaml", port, env)

    def load_balancer(self, name, config=None):
        config = config or BENCHES / "peer/lb.yaml"
        return self.program(name, "loadbalancer", config, LB, {"COMPRESSION": "none"})

    def load(self, port, per_request, spans=None):
        """Sends spans that no load of this run has sent before; the load's report."""
        self.seed += 1
        command = [self.testkit, "load", "--target", f"http://127.0.0.1:{port}"]
        command += ["--traces", (spans or self.spans) // 12, "--seed", self.seed]
        command += ["--spans-per-request", per_request]
        output = subprocess.run([str(c) for c in command], check=True, capture_output=True)
        report = json.loads(output.stdout)
        if report["acked"] != report["spans"]:
            print(f"only {report['acked']} of {report['spans']} acked", file=sys.stderr)
        return report


def received(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=5) as answer:
        return json.load(answer)["spans"]


def micros(seconds, spans):
    return seconds * 1e6 / spans


# === Measurements; each gives a dict of figure -> number ===


def measure_sampler(bench, name, per_request):
    with bench.sink(SINK), bench.sampler(name) as sampler:
        bench.load(BACKENDS[0], per_request, spans=bench.spans // 10)
        sampler.until_idle(at_least=DECISION_WAIT + 1)
        before, kept = sampler.cpu(), received(SINK)
        report = bench.load(BACKENDS[0], per_request)
        sampler.until_idle(at_least=DECISION_WAIT + 1)
        share = (received(SINK) - kept) / report["acked"]
        if not 0.003 < share < 0.03:
            print(f"{name} kept {share:.2%} instead of about 1 %", file=sys.stderr)
        return {
            f"sampler, CPU per span (us), {per_request}": micros(
                sampler.cpu() - before, report["acked"]
            ),
            f"sampler, spans a second, {per_request}": report["spans_per_second"],
        }


def measure_load_balancer(bench, name, per_request):
    with bench.sink(BACKENDS[0]), bench.sink(BACKENDS[1]), bench.load_balancer(name) as lb:
        total = lambda: sum(map(received, BACKENDS))
        warm = bench.load(LB, per_request, spans=bench.spans // 10)
        wait("the first spans to arrive", lambda: total() >= warm["acked"], 30)
        lb.until_idle()
        before, already = lb.cpu(), total()
        report = bench.load(LB, per_request)
        wait("all spans to arrive", lambda: total() - already >= report["acked"], 60)
        return {
            f"load balancer, CPU per span (us), {per_request}": micros(
                lb.cpu() - before, report["acked"]
            ),
            f"load balancer, spans a second, {per_request}": report["spans_per_second"],
        }


def measure_both_tiers(bench, per_request):
    """Tailgate only: its load balancer over the internal protocol to two of its samplers."""
    name = "tailgate"
    with tempfile.TemporaryDirectory() as directory:
        lb_config, sampler_configs = internal_configs(Path(directory))
        first, second = (
            bench.sampler(name, port, config, MPORT=str(8888 + n))
            for n, (port, config) in enumerate(zip(BACKENDS, sampler_configs))
        )
        with bench.sink(SINK), first, second, bench.load_balancer(name, lb_config) as lb:
            samplers = lambda: first.cpu() + second.cpu()
            bench.load(LB, per_request, spans=bench.spans // 10)
            first.until_idle(at_least=DECISION_WAIT + 1)
            before, of_samplers = lb.cpu(), samplers()
            report = bench.load(LB, per_request)
            cpu = lb.cpu() - before
            first.until_idle(at_least=DECISION_WAIT + 1)
            return {
                f"load balancer to own samplers, CPU per span (us), {per_request}": micros(
                    cpu, report["acked"]
                ),
                f"samplers behind it, CPU per span (us), {per_request}": micros(
                    samplers() - of_samplers, report["acked"]
                ),
                f"both tiers, spans a second, {per_request}": report["spans_per_second"],
            }


class XRay(http.server.ThreadingHTTPServer):
    """Takes all documents and counts them; its CPU is this program's."""

    daemon_threads = True

    def __init__(self):
        self.documents, self.calls, self.lock = 0, 0, threading.Lock()
        super().__init__(("127.0.0.1", SINK), XRayCall)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class XRayCall(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # The answer in one packet: Nagle would hold its second part back.
    wbufsize = -1

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.documents += len(body["TraceSegmentDocuments"])
            self.server.calls += 1
        answer = b'{"UnprocessedTraceSegments":[]}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()

    def log_message(self, *_):
        pass


def measure_xray(bench, name, per_request):
    """From OTLP to documents that X-Ray has answered for; nothing is sampled."""
    key = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
    config = BENCHES / "peer/xray.yaml"
    with XRay() as xray, bench.sampler(name, config=config, **key) as sampler:
        bench.load(BACKENDS[0], per_request, spans=bench.spans // 10)
        sampler.until_idle()
        before, documents, calls = sampler.cpu(), xray.documents, xray.calls
        report = bench.load(BACKENDS[0], per_request)
        sampler.until_idle()
        documents, calls = xray.documents - documents, xray.calls - calls
        if documents < report["acked"]:
            print(f"{name}: {documents} documents of {report['acked']} spans", file=sys.stderr)
        return {
            f"OTLP to X-Ray, CPU per span (us), {per_request}": micros(
                sampler.cpu() - before, report["acked"]
            ),
            f"OTLP to X-Ray, documents a call, {per_request}": documents / calls,
            f"OTLP to X-Ray, RSS at the end (MiB), {per_request}": sampler.rss() / 2**20,
        }


def internal_configs(directory):
    """The peer's files with a `tailgate:` section behind them."""
    ports = [4319, 4320]
    members = ", ".join(f"{{name: s{n}, endpoint: '127.0.0.1:{p}'}}" for n, p in enumerate(ports))

    def write(name, base, instance, internal):
        section = f"""
tailgate:
  instance: {instance}
  members: [{members}]
  internal: {{{internal}secret: {SECRET}}}
"""
        path = directory / name
        # A request of two tiers has to fit into a frame between them.
        text = (BENCHES / "peer" / base).read_text().replace("size_mib: 64", "size_mib: 31")
        path.write_text(text + section)
        return path

    samplers = [
        write(f"s{n}.yaml", "sampler.yaml", f"s{n}", f"endpoint: '127.0.0.1:{p}', ")
        for n, p in enumerate(ports)
    ]
    return write("lb.yaml", "lb.yaml", "lb", ""), samplers


def measure_memory(bench, name, steps=6):
    with bench.sink(SINK), bench.sampler(name, WAIT="3600s") as sampler:
        step = bench.spans // 4
        held, rss = 0, []
        for _ in range(steps):
            held += bench.load(BACKENDS[0], 60, spans=step)["acked"]
            sampler.until_idle()
            rss.append((held, sampler.rss()))
        # The first step also pays for what every process has once.
        slope = statistics.linear_regression(*zip(*rss)).slope
        return {"sampler, memory per held span (KiB)": slope / 1024}


# === The table ===


def ours_per_theirs(key, theirs, ours):
    if not theirs or not ours:
        return ""
    more_is_better = "a second" in key or "a call" in key
    factor = ours / theirs if more_is_better else theirs / ours
    return f"{factor:.1f}x {'more' if more_is_better else 'less'}"


def show(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"


def table(rounds):
    keys = dict.fromkeys(key for figures in rounds.values() for key in figures)
    lines = ["| spans a request after the comma | collector | tailgate | |", "|---|---|---|---|"]
    for key in keys:
        values = [
            statistics.median(rounds[name][key]) if key in rounds.get(name, {}) else None
            for name in ("collector", "tailgate")
        ]
        cells = [key, *map(show, values), ours_per_theirs(key, *values)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def machine():
    git = lambda *a: subprocess.run(["git", *a], cwd=ROOT, capture_output=True, text=True).stdout
    cpu = next(
        (l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?"
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    dirty = " with changes" if git("status", "--porcelain").strip() else ""
    return (
        f"Commit {git('rev-parse', '--short', 'HEAD').strip()}{dirty}; {os.cpu_count()} x {cpu}, "
        f"{memory} GiB, Linux {platform.release()}; {time.strftime('%Y-%m-%d %H:%M')}."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--spans", type=int, default=480_000, help="of each measured load")
    parser.add_argument("--rounds", type=int, default=3, help="the median of these is shown")
    parser.add_argument("--only", nargs="+", default=["collector", "tailgate"])
    parser.add_argument("--skip", nargs="+", default=[], help="sampler, lb, tiers, memory, xray")
    parser.add_argument("--requests", nargs="+", type=int, default=[60, 600])
    args = parser.parse_args()
    bench = Bench(args)
    rounds = {name: {} for name in args.only}
    parts = {
        "sampler": lambda name, r: measure_sampler(bench, name, r),
        "lb": lambda name, r: measure_load_balancer(bench, name, r),
        "tiers": lambda name, r: measure_both_tiers(bench, r) if name == "tailgate" else {},
        "memory": lambda name, r: measure_memory(bench, name) if r == args.requests[0] else {},
        "xray": lambda name, r: measure_xray(bench, name, r),
    }
    for number in range(args.rounds):
        for part, measure in parts.items():
            if part in args.skip:
                continue
            for per_request in args.requests:
                for name in args.only:
                    for key, value in measure(name, per_request).items():
                        rounds[name].setdefault(key, []).append(value)
                        print(f"round {number + 1} {name} {key}: {value:.2f}", file=sys.stderr)
    print(machine())
    print(f"{args.spans} spans a load, median of {args.rounds} rounds.\n")
    print(table(rounds))


if __name__ == "__main__":
    main()
