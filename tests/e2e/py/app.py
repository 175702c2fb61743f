"""A shop of four services in three processes, traced as an application would be.

Sends one trace that goes through all of them and fails in the last, and dull ones. How and where
to is said by the SDK's own variables, OTEL_EXPORTER_OTLP_PROTOCOL, _ENDPOINT and so on. Prints the
ids of what it sent; fails when an export did.

    app.py [DULL]                      the front process
    app.py SERVICE TRACEPARENT         the processes that it starts
"""

import json
import os
import subprocess
import sys

from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

sent = []
failures = []
providers = []


class Watched(SpanExporter):
    """Remembers what was sent and what failed: the SDK only logs it."""

    def __init__(self):
        self.inner = OTLPSpanExporter()

    def export(self, spans):
        result = self.inner.export(spans)
        if result is not SpanExportResult.SUCCESS:
            failures.append(str(result))
        for span in spans:
            ids = f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"
            sent.append([*ids, span.resource.attributes["service.name"]])
        return result

    def shutdown(self):
        self.inner.shutdown()

    def force_flush(self, timeout_millis=30000):
        return self.inner.force_flush(timeout_millis)


def tracer(service):
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(Watched()))
    providers.append(provider)
    return provider.get_tracer("shop")


def call(service):
    """Starts a service as a process of its own, inside the current trace."""
    carrier = {}
    TraceContextTextMapPropagator().inject(carrier)
    command = [sys.executable, __file__, service, carrier["traceparent"]]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    sent.extend(json.loads(answer.stdout)["sent"])


def front(dull):
    frontend, cart = tracer("frontend"), tracer("cart")
    with frontend.start_as_current_span("POST /buy", kind=SpanKind.SERVER) as span:
        error = f"{span.get_span_context().trace_id:032x}"
        span.set_attributes({"http.request.method": "POST", "url.path": "/buy"})
        with cart.start_as_current_span("total", kind=SpanKind.SERVER):
            with cart.start_as_current_span("prices"):
                pass
        with frontend.start_as_current_span("call orders", kind=SpanKind.CLIENT):
            call("orders")
    for _ in range(dull):
        with frontend.start_as_current_span("GET /", kind=SpanKind.SERVER):
            with frontend.start_as_current_span("call cart", kind=SpanKind.CLIENT):
                with cart.start_as_current_span("count", kind=SpanKind.SERVER):
                    pass
    return error


def orders():
    of = tracer("orders")
    with of.start_as_current_span("POST /orders", kind=SpanKind.SERVER):
        with of.start_as_current_span("reserve"):
            pass
        with of.start_as_current_span("call payments", kind=SpanKind.CLIENT):
            call("payments")


def payments():
    try:
        with tracer("payments").start_as_current_span("charge", kind=SpanKind.SERVER):
            raise ValueError("card declined")
    except ValueError:
        pass


def main():
    error = None
    if len(sys.argv) > 2:
        carrier = {"traceparent": sys.argv[2]}
        context.attach(TraceContextTextMapPropagator().extract(carrier))
        {"orders": orders, "payments": payments}[sys.argv[1]]()
    else:
        error = front(int(sys.argv[1]))
    for provider in providers:
        provider.shutdown()
    print(json.dumps({"error": error, "sent": sent}))
    if failures:
        sys.exit(f"failed exports: {failures}")


main()
