"""A collector, a sampler, and a load balancer with a sampler of its own, that are asked the same."""

from dataclasses import dataclass

import spans
from fleet import Failed, Fleet, Node, wait
from questions import TOKEN

TIERS = ("collector", "sampler", "load balancer")

RECEIVER = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}"{auth}}}
      http: {{endpoint: "127.0.0.1:{http}", cors: {{allowed_origins: ["https://shop.test"]}}{auth}}}
processors:
  memory_limiter: {{check_interval: 100ms, limit_mib: {limit}}}
extensions:
  bearertokenauth: {{token: {token}}}
exporters:
  {exporter}: {settings}
service:
  extensions: [{extension}]
  telemetry:
    logs: {{level: error}}
    metrics:
      level: normal
      readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {metrics}}}}}}}}}]
  pipelines:
    traces: {{receivers: [otlp], processors: [{processor}], exporters: [{exporter}]}}
"""
OURS = """
tailgate:
  instance: {instance}
  members: [{{name: behind, endpoint: "127.0.0.1:{internal}"}}]
  internal: {{{endpoint}secret: between-us}}
"""
FILE = ("file", "{path: held.json}")
BALANCING = ("load_balancing", "{routing_key: traceID}")
# Nobody listens there, and it is tried for ever: what is held stays.
NOWHERE = ("otlp_grpc", '{endpoint: "127.0.0.1:9", tls: {insecure: true}, '
                        "retry_on_failure: {max_elapsed_time: 0s}}")


@dataclass
class Setting:
    """What is not so with all programs: whether they want a token, and whether they are full."""

    auth: bool = False
    full: bool = False


class Programs:
    def __init__(self, binaries, stack, directory, setting):
        self.fleet = Fleet(binaries, stack, directory, 1, 0)
        self.setting, self.ports = setting, {}
        internal = self.fleet.free_port()
        self.start("collector", [binaries.collector])
        self.start("sampler", [binaries.tailgate, "sampler"])
        own = OURS.format(instance="behind", internal=internal,
                          endpoint=f'endpoint: "127.0.0.1:{internal}", ')
        self.start("behind", [binaries.tailgate, "sampler"], own)
        front = OURS.format(instance="front", internal=internal, endpoint="")
        self.start("load balancer", [binaries.tailgate, "loadbalancer"], front)

    def start(self, name, command, more=""):
        grpc, http, metrics = (self.fleet.free_port() for _ in range(3))
        auth, full = self.setting.auth, self.setting.full
        balances = name == "load balancer"
        exporter, settings = BALANCING if balances else NOWHERE if full else FILE
        text = RECEIVER.format(
            **{"grpc": grpc, "http": http, "metrics": metrics, "token": TOKEN},
            auth=", auth: {authenticator: bearertokenauth}" if auth else "",
            extension="bearertokenauth" if auth else "",
            processor="memory_limiter" if full and not balances else "",
            **{"limit": 1, "exporter": exporter, "settings": settings},
        )
        directory = self.fleet.directory / name.replace(" ", "-")
        directory.mkdir()
        (directory / "config.yaml").write_text(text + more)
        command = [*command, "--config", "config.yaml"]
        self.fleet.start(Node(name.replace(" ", "-"), command, http, directory))
        self.ports[name] = (grpc, http)

    def fill(self, refused):
        """Sends to each until `refused(ports)`: what it takes, it keeps."""
        for tier, ports in self.ports.items():
            if not wait(f"{tier} to be full", lambda p=ports: refused(p), 30):
                raise Failed(f"{tier} takes all")

    def held(self):
        """Ends all; of each tier, trace number -> its spans."""
        if self.setting.full:
            return {tier: {} for tier in TIERS}
        for node in reversed(self.fleet.nodes):
            if node.end(grace=30):
                raise Failed(f"{node.name}: {node.last_words()}")
        of = {"load balancer": "behind"}
        return {tier: spans.by_trace(self.fleet.directory / of.get(tier, tier) / "held.json")
                for tier in TIERS}
