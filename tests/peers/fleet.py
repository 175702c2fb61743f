"""Processes on free ports of 127.0.0.1, their configuration and their metrics."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "benches"))
from compare import TARGET, machine, peer_binary, run  # noqa: E402,F401

# Below what the kernel gives to outgoing connections and beside what the other tests choose from.
PORTS = range(20_000, 24_000)


class Failed(Exception):
    """Something that ends a case before it can be judged."""


def wait(what, condition, seconds):
    """Whether the condition came true in time; `what` goes to stderr if not."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            print(f"still waiting for {what} after {seconds} s", file=sys.stderr)
            return False
        time.sleep(0.1)
    return True


class Binaries:
    """The programs, built unless OTELCOL, TAILGATE and TESTKIT say where they are."""

    def __init__(self):
        self.collector = peer_binary()
        ours = {"TAILGATE": "tailgate", "TESTKIT": "testkit"}
        if not all(variable in os.environ for variable in ours):
            run(["cargo", "build", "--locked", "-p", "tailgate", "-p", "tailgate-testkit"])
        self.tailgate, self.testkit = (
            Path(os.environ.get(variable, TARGET / "debug" / name)).resolve()
            for variable, name in ours.items()
        )

    def versions(self):
        for program in (self.collector, self.tailgate):
            command = [program, "--version"]
            yield subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Node:
    """A running program; ends, by its pid, with the `with` block."""

    def __init__(self, name, command, port, directory, env=None, metrics_port=None):
        self.name, self.port, self.metrics_port = name, port, metrics_port
        self.command = [str(part) for part in command]
        self.env = {**os.environ, **(env or {})}
        self.directory, self.log = directory, directory / f"{name}.log"

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                self.command,
                cwd=self.directory,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            if not wait(f"{self.name} to listen", self.listening, 30):
                raise Failed(f"{self.name} does not listen: {self.last_words()}")
        except BaseException:
            self.end(0)
            raise
        return self

    def __exit__(self, *_):
        self.end(0)

    def listening(self):
        if self.child.poll() is not None:
            raise Failed(f"{self.name} ended: {self.last_words()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def last_words(self):
        return self.log.read_text(errors="replace")[-2000:]

    def end(self, grace):
        """SIGTERM and that many seconds, then SIGKILL; the exit code."""
        if self.child.poll() is None and grace:
            self.child.send_signal(signal.SIGTERM)
            try:
                return self.child.wait(grace)
            except subprocess.TimeoutExpired:
                pass
        self.child.kill()
        return self.child.wait(10)

    def scrape(self):
        """The metrics as they are now."""
        return Metrics(get(self.metrics_port, "/metrics").decode())

    def stats(self):
        """A sink's numbers."""
        return json.loads(get(self.port, "/stats"))


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.read()
    except (urllib.error.URLError, OSError) as error:
        raise Failed(f"127.0.0.1:{port}{path}: {error}") from error


class Metrics:
    """A scrape: name -> [(labels, value)]."""

    def __init__(self, text):
        self.text, self.samples = text, defaultdict(list)
        for line in text.splitlines():
            found = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? (\S+)", line)
            if found:
                name, labels, value = found.groups()
                labels = dict(re.findall(r'(\w+)="([^"]*)"', labels or ""))
                self.samples[name].append((labels, float(value)))

    def sum(self, name, **labels):
        chosen = (v for have, v in self.samples[name] if labels.items() <= have.items())
        return int(sum(chosen))

    def values(self, name, label):
        return sorted({have[label] for have, _ in self.samples[name] if label in have})


class Fleet:
    """Starts the nodes of one case; their files are in `directory`."""

    def __init__(self, binaries, stack, directory, wait, percentage):
        self.binaries, self.stack, self.directory = binaries, stack, directory
        self.policy = {"WAIT": f"{wait}s", "PCT": str(percentage), "LIMIT_MIB": "4000"}
        self.taken, self.nodes = set(), []

    def free_port(self):
        for port in random.sample(PORTS, len(PORTS)):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            if port not in self.taken:
                self.taken.add(port)
                return port
        raise Failed("no free port")

    def sink(self, port=None):
        port = port or self.free_port()
        command = [self.binaries.testkit, "sink", "--listen", f"127.0.0.1:{port}"]
        return self.start(Node("sink", [*command, "--record", "record"], port, self.directory))

    def sampler(self, program, name, to, http_encoding=None):
        """benches/peer/sampler.yaml, exporting to the node `to`; by gRPC, unless by HTTP."""
        changes = {"127.0.0.1:14317": f"127.0.0.1:{to.port}"}
        if http_encoding:
            changes = {
                "127.0.0.1:14317": f"http://127.0.0.1:{to.http}",
                "otlp_grpc": "otlp_http",
                "tls: {insecure: true}": f"encoding: {http_encoding}",
            }
        text = read("benches/peer/sampler.yaml", changes)
        return self.program(program, "sampler", name, text, self.policy)

    def load_balancer(self, program, name, backends, compression):
        """benches/peer/lb.yaml over the two nodes."""
        metrics_port = self.free_port()
        first, second = backends
        text = read(
            "benches/peer/lb.yaml",
            {
                "127.0.0.1:24317": f"127.0.0.1:{first.port}",
                "127.0.0.1:24318": f"127.0.0.1:{second.port}",
                "port: 8887": f"port: {metrics_port}",
            },
        )
        env = {"COMPRESSION": compression}
        return self.program(program, "loadbalancer", name, text, env, metrics_port)

    def forwarder(self, name, to):
        """tests/peers/forward.yaml: a collector in front of the node `to`."""
        text, http = read("tests/peers/forward.yaml", {}), self.free_port()
        env = {"NEXT": str(to.port), "HTTP": str(http)}
        node = self.program("collector", None, name, text, env)
        node.http = http
        return node

    def program(self, program, tier, name, text, env, metrics_port=None):
        file = self.directory / f"{name}.yaml"
        file.write_text(text)
        port, metrics_port = self.free_port(), metrics_port or self.free_port()
        env = {**env, "PORT": str(port), "MPORT": str(metrics_port)}
        tier = [tier] if program == "tailgate" else []
        command = [getattr(self.binaries, program), *tier, "--config", file]
        return self.start(Node(name, command, port, self.directory, env, metrics_port), program)

    def start(self, node, program=None):
        node.program = program
        self.nodes.append(self.stack.enter_context(node))
        return node

    def ours(self):
        return [node for node in self.nodes if node.program == "tailgate"]

    def testkit(self, *arguments):
        """Runs `testkit` among the case's files."""
        command = [str(a) for a in (self.binaries.testkit, *arguments)]
        # A finding is one line; where in the program it was found does not matter here.
        env = {**os.environ, "RUST_BACKTRACE": "0"}
        try:
            return subprocess.run(
                command, cwd=self.directory, env=env, capture_output=True, text=True, timeout=90
            )
        except subprocess.TimeoutExpired as error:
            raise Failed(f"testkit {arguments[0]} did not end in {error.timeout:g} s") from error


def read(file, ports):
    """The text of a configuration, with other ports in it."""
    text = (ROOT / file).read_text()
    for old, new in ports.items():
        if old not in text:
            raise Failed(f"{file} has no {old} to put {new} for")
        text = text.replace(old, new)
    return text
