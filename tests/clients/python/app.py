"""The order of tests/clients/order.rs, traced by the Python SDK as its variables say.

Prints name -> [trace id, span id, parent's span id] of what it made; fails when an export did.
"""

import json
import logging
import os
import sys

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

# opentelemetry-instrument chooses these by the variable; without it an application does.
protocol = os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"]
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
elif protocol == "http/json":
    from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

failures = []
made = {}


class Watched(SpanExporter):
    """Remembers what failed: the SDK only logs it."""

    def __init__(self):
        self.inner = OTLPSpanExporter()

    def export(self, spans):
        result = self.inner.export(spans)
        if result is not SpanExportResult.SUCCESS:
            failures.append(str(result))
        return result

    def shutdown(self):
        self.inner.shutdown()

    def force_flush(self, timeout_millis=30000):
        return self.inner.force_flush(timeout_millis)


def ids(span):
    context = span.get_span_context()
    parent = f"{span.parent.span_id:016x}" if span.parent else ""
    return [f"{context.trace_id:032x}", f"{context.span_id:016x}", parent]


def order(tracer):
    start = tracer.start_as_current_span
    with start("visit", kind=SpanKind.SERVER) as visit:
        made["visit"] = ids(visit)
    with start("POST /buy", kind=SpanKind.SERVER) as buy:
        made["POST /buy"] = ids(buy)
        buy.set_attribute("http.request.method", "POST")
        buy.set_attribute("http.response.status_code", 402)
        buy.set_attribute("shop.member", True)
        buy.set_attribute("shop.total", 12.5)
        buy.set_attribute("shop.items", ["tea", "K\u00e4se \u2615"])
        links = [Link(visit.get_span_context())]
        with start("charge", kind=SpanKind.CLIENT, links=links) as charge:
            made["charge"] = ids(charge)
            charge.add_event("retry", {"attempt": 2})
        with start("prices") as prices:
            made["prices"] = ids(prices)
        buy.set_status(Status(StatusCode.ERROR, "card declined"))
    for number in range(int(sys.argv[1])):
        name = f"GET /item/{number}"
        with start(name, kind=SpanKind.SERVER) as item:
            made[name] = ids(item)
            item.set_attribute("item", number)


logging.basicConfig(level=logging.WARNING)
provider = TracerProvider(resource=Resource.create({}))
provider.add_span_processor(BatchSpanProcessor(Watched()))
order(provider.get_tracer("shop", "1.0"))
provider.shutdown()
print(json.dumps(made))
if failures:
    sys.exit(f"failed exports: {failures}")
