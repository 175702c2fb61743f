"""A collector that exports to Tailgate's load balancer, with a sampler behind it."""

import subprocess

from fleet import Node

METRICS = """
service:
  telemetry:
    logs: {{level: warn}}
    metrics:
      level: normal
      readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {metrics}}}}}}}}}]
"""
RECEIVERS = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}"{tls}}}
      http: {{endpoint: "127.0.0.1:{http}"{tls}}}
"""
COLLECTOR = RECEIVERS + """
processors: {{batch: {{timeout: 200ms, send_batch_size: 1024}}}}
exporters:
  {exporter}:
    endpoint: {endpoint}
    compression: {compression}
    tls: {trust}{more}
  file: {{path: sent.json}}
""" + METRICS + """
  pipelines:
    traces: {{receivers: [otlp], processors: [batch], exporters: [{exporter}, file]}}
"""
BALANCER = RECEIVERS + "exporters: {{load_balancing: {{}}}}" + METRICS + """
  pipelines:
    traces: {{receivers: [otlp], exporters: [load_balancing]}}
tailgate:
  instance: front
  members: [{{name: behind, endpoint: "127.0.0.1:{internal}"}}]
  internal: {{secret: between-us}}
"""
SAMPLER = RECEIVERS + """
processors:
  memory_limiter: {{check_interval: 1s, limit_mib: {memory}}}
  tail_sampling: {{decision_wait: 1s, policies: [{{name: all, type: always_sample}}]}}
exporters:
  {exporter}: {settings}
""" + METRICS + """
  pipelines:
    traces: {{receivers: [otlp], processors: [memory_limiter, tail_sampling], exporters: [{exporter}]}}
tailgate:
  instance: behind
  members: [{{name: behind, endpoint: "127.0.0.1:{internal}"}}]
  internal: {{endpoint: "127.0.0.1:{internal}", secret: between-us}}
"""
# Beside the receiver: its own certificate; beside the exporter: whom to trust, or nothing.
CERTIFICATE = "cert_file: node.pem, key_file: node.key"
SECURITIES = {
    "none": ("", "{insecure: true}"),
    "TLS": (f", tls: {{{CERTIFICATE}}}", "{ca_file: ca.pem}"),
    "mutual TLS": (
        f", tls: {{{CERTIFICATE}, client_ca_file: ca.pem}}",
        f"{{ca_file: ca.pem, {CERTIFICATE}}}",
    ),
}


def file_exporter():
    return {"exporter": "file", "settings": "{path: held.json}"}


def sink_exporter(port):
    # Without the last, what is worth least is given up to take more.
    settings = (f'{{endpoint: "127.0.0.1:{port}", tls: {{insecure: true}}, '
                "sending_queue: {block_on_overflow: true}}")
    return {"exporter": "otlp_grpc", "settings": settings}


def start(fleet, form, behind, memory=1000):
    """The three nodes, in the order of the spans; the last exports to `behind`."""
    exporter, encoding, compression, security = form
    tls, trust = SECURITIES[security]
    internal = fleet.free_port()
    ours = [fleet.binaries.tailgate]
    sampler = node(fleet, "sampler", [*ours, "sampler"], SAMPLER, tls="", internal=internal,
                   memory=memory, **behind)
    if security != "none":
        certificates(fleet.directory)
    balancer = node(fleet, "balancer", [*ours, "loadbalancer"], BALANCER, tls=tls,
                    internal=internal)
    http = exporter == "otlp_http"
    scheme = "" if not http else "http://" if security == "none" else "https://"
    collector = node(
        fleet, "collector", [fleet.binaries.collector], COLLECTOR, tls="", trust=trust,
        exporter=exporter, compression=compression,
        endpoint=f"{scheme}127.0.0.1:{balancer.http if http else balancer.port}",
        more=f"\n    encoding: {encoding}" if http else "",
    )
    return collector, balancer, sampler


def node(fleet, name, command, text, **settings):
    """A running node; `port` is that of gRPC, `http` the other."""
    grpc, http, metrics = (fleet.free_port() for _ in range(3))
    text = text.format(grpc=grpc, http=http, metrics=metrics, **settings)
    (fleet.directory / f"{name}.yaml").write_text(text)
    command = [*command, "--config", f"{name}.yaml"]
    started = fleet.start(Node(name, command, grpc, fleet.directory, metrics_port=metrics))
    started.http = http
    return started


def certificates(directory):
    """An authority, and one certificate for both sides."""
    run = lambda *arguments: subprocess.run(
        ["openssl", *arguments], cwd=directory, check=True, capture_output=True
    )
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    run("req", *new, "-keyout", "node.key", "-out", "node.csr", "-subj", "/CN=node")
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    run("x509", "-req", "-in", "node.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-out", "node.pem", "-extfile", "names")
