"""Spans as they are in the files of `file` exporters, to be compared."""

import json
import sys

# The collector holds values nested without limit.
sys.setrecursionlimit(20_000)


def by_trace(file):
    """Number of a trace -> its spans in order."""
    found = {}
    for _, _, span in read(file):
        found.setdefault(int(span.get("traceId") or "0", 16), []).append(span)
    return {trace: sorted(spans, key=json.dumps) for trace, spans in found.items()}


def read(file):
    """(resource, scope, span) of each, without what is there by default."""
    text = file.read_text(errors="replace") if file.exists() else ""
    for line in filter(None, text.split("\n")):
        for resource in json.loads(line).get("resourceSpans", []):
            of = plain(resource.get("resource", {}))
            for scope in resource.get("scopeSpans", []):
                by = plain(scope.get("scope", {}))
                for span in scope.get("spans", []):
                    yield of, by, plain(span)


def plain(value, inside_value=False):
    """JSON without what is there by default; the value of an attribute is never a default."""
    if isinstance(value, dict):
        items = {key: plain(v, key == "value" or (inside_value and key != "values"))
                 for key, v in value.items()}
        default = () if inside_value else (None, "", 0, "0", [], {}, False)
        return {k: v for k, v in sorted(items.items())
                if not any(v is d or (v == d and type(v) is type(d)) for d in default)}
    if isinstance(value, list):
        return [plain(item, inside_value) for item in value]
    return float(value) if isinstance(value, float) else value
