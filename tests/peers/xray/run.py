#!/usr/bin/env python3
"""Random spans through the collector's X-Ray translation and ours; prints what differs, made small.

    tests/peers/xray/run.py [--seed 1] [--cases 3000]

Builds `oracle/` (the collector's awsxray exporter, v0.161.0) and sampler/xray's example. A case that
the collector answers in more than one way, or not at all, only has to be answered.
"""

import argparse
import copy
import json
import math
import pathlib
import random
import re
import subprocess
import sys

import generate

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
INVENTED = re.compile("[0-9a-f]{16}")


def own_ids(document):
    """What is not invented of a document's ids."""
    parsed = json.loads(document)
    return parsed["trace_id"], parsed["start_time"]


class Program:
    """Answers a line with a line."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, line):
        self.process.stdin.write(line)
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.process.args[0]} ended on {line.decode()}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def comparable(documents, given):
    """The documents as data; invented ids are numbered in the order in which they are met."""
    ids = {}

    def walk(value, key=None):
        if isinstance(value, dict):
            return {k: walk(value[k], k) for k in sorted(value)}
        if isinstance(value, list):
            return [walk(item, key) for item in value]
        if isinstance(value, str) and key in ("id", "parent_id", "cause") \
                and INVENTED.fullmatch(value) and value not in given:
            return ids.setdefault(value, f"invented {len(ids)}")
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            return int(value)
        return value

    return [walk(json.loads(document)) for document in documents]


def judge(case, oracle, ours, repeated=False):
    """What differs (nothing if all is well), and what sort of case it is."""
    line = generate.line(case)
    mine = ours.ask(line)["documents"]
    runs = oracle.ask(line)["runs"]
    if repeated:
        runs += [run for _ in range(20) for run in oracle.ask(line)["runs"]]
    if any("crash" in run for run in runs):
        return None, "crashes"
    given = set(re.findall(r'"([0-9a-f]{16})"', line.decode()))
    if any(run["errors"] for run in runs):
        # A span with NaN: ours is sent, and all others are as theirs.
        theirs = {own_ids(document) for document in runs[0]["documents"]}
        mine = [document for document in mine if own_ids(document) in theirs]
        runs = [run for run in runs if len(run["documents"]) == len(runs[0]["documents"])]
        if len(mine) != len(theirs):
            return None, "dropped"
    mine = comparable(mine, given)
    theirs = [comparable(run["documents"], given) for run in runs]
    if mine in theirs:
        return None, "agree"
    if any(run != theirs[0] for run in theirs):
        return None, "unsettled"
    if not repeated:
        # The order of a hash map rarely changes.
        return judge(case, oracle, ours, repeated=True)
    return (theirs[0], mine), "differ"


def difference(theirs, mine, path=""):
    """The first difference, as text."""
    if isinstance(theirs, dict) and isinstance(mine, dict):
        for key in sorted(set(theirs) | set(mine)):
            if theirs.get(key, math) != mine.get(key, math):
                if key not in theirs or key not in mine:
                    side = "theirs" if key in theirs else "ours"
                    return f"{path}/{key}: only {side}: {theirs.get(key, mine.get(key))!r}"
                return difference(theirs[key], mine[key], f"{path}/{key}")
    if isinstance(theirs, list) and isinstance(mine, list) and len(theirs) == len(mine):
        for i, (a, b) in enumerate(zip(theirs, mine)):
            if a != b:
                return difference(a, b, f"{path}/{i}")
    return f"{path}: theirs {theirs!r}, ours {mine!r}"


def lists(node):
    """All lists of a case that can lose items."""
    if isinstance(node, dict):
        for value in node.values():
            yield from lists(value)
    elif isinstance(node, list):
        yield node
        for value in node:
            yield from lists(value)


def smaller(case, differs):
    """The case without all that is not needed for the difference."""
    shrunk = True
    while shrunk:
        shrunk = False
        for n, items in enumerate(lists(case)):
            for i in range(len(items) - 1, -1, -1):
                attempt = copy.deepcopy(case)
                del list(lists(attempt))[n][i]
                if attempt["request"]["resourceSpans"] and differs(attempt):
                    case, shrunk = attempt, True
                    break
            if shrunk:
                break
    return case


def build():
    # The collector's packages are given by go.mod and go.sum.
    subprocess.run(["go", "build", "-o", ROOT / "target/xray-oracle", "."], cwd=HERE / "oracle",
                   check=True)
    subprocess.run(["cargo", "build", "-q", "-p", "tailgate-xray", "--example", "documents"],
                   cwd=ROOT, check=True)
    return Program(ROOT / "target/xray-oracle"), Program(ROOT / "target/debug/examples/documents")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=3000)
    args = parser.parse_args()
    oracle, ours = build()
    counts = {}
    for n in range(args.cases):
        case = generate.case(random.Random(f"{args.seed}/{n}"))
        found, sort = judge(case, oracle, ours)
        counts[sort] = counts.get(sort, 0) + 1
        if found and counts[sort] <= 20:
            case = smaller(case, lambda attempt: judge(attempt, oracle, ours)[0])
            found, _ = judge(case, oracle, ours)
            print(f"case {args.seed}/{n}: {difference(*found)}")
            print(json.dumps(case, ensure_ascii=False))
    oracle.close()
    ours.close()
    print(", ".join(f"{sort} {count}" for sort, count in sorted(counts.items())))
    sys.exit("differ" in counts)


if __name__ == "__main__":
    main()
