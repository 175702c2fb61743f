"""Prints the documents of traces that an X-Ray endpoint knows, by trace: traces.py URL ID..."""

import json
import sys

import boto3

# As many as BatchGetTraces takes.
BATCH = 5

xray = boto3.client(
    "xray",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
ids = sys.argv[2:]
found = {}
for first in range(0, len(ids), BATCH):
    answer = xray.batch_get_traces(TraceIds=ids[first : first + BATCH])
    for trace in answer["Traces"]:
        documents = [json.loads(segment["Document"]) for segment in trace["Segments"]]
        found.setdefault(trace["Id"], []).extend(documents)
print(json.dumps(found))
