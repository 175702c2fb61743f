"""Looks around in an X-Ray endpoint as a person would: look.py URL.

Prints how many traces each filter finds, whether what was found is so in its documents, and who
called whom.
"""

import json
import sys
import time

import boto3

FILTERS = [
    "fault",
    "NOT fault",
    'service("checkout")',
    'service("checkout") { fault }',
    "responsetime > 1",
    "responsetime <= 1",
    'annotation.shop_story = "no such story"',
    'http.method = "GET" AND http.status = 200',
    # More may be stored between two questions: whatever is found above is among these.
    "",
]

xray = boto3.client(
    "xray",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
now = time.time()
window = {"StartTime": now - 600, "EndTime": now + 60}


def summaries(expression):
    pages = xray.get_paginator("get_trace_summaries").paginate(
        **window, FilterExpression=expression
    )
    return [summary for page in pages for summary in page["TraceSummaries"]]


def documents(ids):
    found = {}
    for first in range(0, len(ids), 5):
        for trace in xray.batch_get_traces(TraceIds=ids[first : first + 5])["Traces"]:
            found[trace["Id"]] = [json.loads(s["Document"]) for s in trace["Segments"]]
    return found


everything = {s["Id"] for s in summaries("")}
found = {expression: len(summaries(expression)) for expression in FILTERS}
faults = summaries("fault")
whole = documents([s["Id"] for s in faults[:20]])
refused = None
try:
    summaries("falt")
except xray.exceptions.InvalidRequestException as error:
    refused = str(error)

graph = xray.get_service_graph(**window)["Services"]
names = {service["ReferenceId"]: service["Name"] for service in graph}
edges = [
    [service["Name"], names[edge["ReferenceId"]]] for service in graph for edge in service["Edges"]
]
print(
    json.dumps(
        {
            "all": len(everything),
            "found": found,
            "faults_are_faults": all(any(d.get("fault") for d in ds) for ds in whole.values()),
            "whole": len(whole),
            "refused": refused,
            "types": {service["Name"]: service["Type"] for service in graph},
            "edges": sorted(edges),
        }
    )
)
