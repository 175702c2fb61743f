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
            of = plain([resource.get("resource"), resource.get("schemaUrl")])
            for scope in resource.get("scopeSpans", []):
                by = plain([scope.get("scope"), scope.get("schemaUrl")])
                for span in scope.get("spans", []):
                    yield of, by, plain(span)


def plain(value):
    """JSON without what is there by default."""
    if isinstance(value, dict):
        items = {key: any_value(v) if key == "value" else plain(v) for key, v in value.items()}
        default = (None, "", 0, "0", [], {}, False)
        return {k: v for k, v in sorted(items.items()) if v not in default}
    return [plain(item) for item in value] if isinstance(value, list) else value


def any_value(value):
    """An attribute's value: what is empty in it is not nothing."""
    for kind, held in (value or {}).items():
        if kind == "arrayValue":
            return {kind: [any_value(item) for item in held.get("values") or []]}
        if kind == "kvlistValue":
            return {kind: [plain(item) for item in held.get("values") or []]}
        # Names of what JSON has no number for stay strings.
        number = kind == "doubleValue" and not isinstance(held, str)
        return {kind: float(held) if number else held}
    return {}
