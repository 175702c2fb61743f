#!/usr/bin/env python3
"""Asks the OpenTelemetry Collector and both tiers of Tailgate the same, and compares the answers.

    tests/peers/answers.py             # builds what is missing, then about a minute
    tests/peers/answers.py --record    # and writes docs/peers/ANSWERS.md
    tests/peers/answers.py --all       # and prints each answer

Codes and the headers that clients act on must be the same, and so must be what the programs hold of
a request that they took; wording may differ. Each difference needs a reason in reasons.json, which
names both answers, and each reason a difference: else the exit code is 1.

Environment and needs: as tests/peers/run.py, and curl with HTTP/2.
"""

import argparse
import json
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import differences
import json_forms
import questions
from ask import ask
from fleet import ROOT, Binaries, machine
from programs import TIERS, Programs, Setting

OUTPUT = ROOT / "docs" / "peers" / "ANSWERS.md"


def asked(binaries, setting, *abouts):
    """(question, answers by tier) of all that `abouts` ask."""
    book, found = questions.Book(), []
    for about in abouts:
        about(book)
    with tempfile.TemporaryDirectory(prefix="answers-") as directory, ExitStack() as stack:
        programs = Programs(binaries, stack, Path(directory), setting)
        if setting.full:
            programs.fill(lambda ports: ask(questions.filler(), ports).code == "503")
        for question in book.questions:
            found.append((question, {tier: ask(question, programs.ports[tier]) for tier in TIERS}))
        spans = programs.held()
    for question, answers in found:
        mark_held(question.trace, answers, spans)
    return found


def mark_held(trace, answers, spans):
    """Says what each holds, where that is not the same."""
    of = {tier: spans[tier].get(trace, []) for tier in TIERS}
    if all(of[tier] == of["collector"] for tier in TIERS):
        return
    for tier, answer in answers.items():
        others = [of[other] for other in TIERS if other != tier]
        answer.marks.append(show_held(of[tier], others))


def show_held(spans, others):
    """How many spans, or the fields of them that are not so with all."""
    if all(len(other) == len(spans) for other in others):
        fields = [{key: value for key, value in span.items()
                   if any(other[at].get(key) != value for other in others)}
                  for at, span in enumerate(spans)]
        return "holds " + json.dumps(fields)
    return f"holds {len(spans)} span{'s' * (len(spans) != 1)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--record", action="store_true", help="write docs/peers/ANSWERS.md")
    parser.add_argument("--all", action="store_true", help="print each answer")
    args = parser.parse_args()
    # So that the processes end with this one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    binaries = Binaries()
    all_of_it = [
        *asked(binaries, Setting(), questions.encodings, questions.http_heads, questions.raw_http,
               questions.messages, questions.grpc, json_forms.ask),
        *asked(binaries, Setting(auth=True), questions.credentials),
        *asked(binaries, Setting(full=True), questions.no_room),
    ]
    if args.all:
        for question, answers in all_of_it:
            print(question.title(), *(f"\n    {tier}: {answer.show()}"
                                      for tier, answer in answers.items()))
    groups, faults = differences.explain(all_of_it)
    differ = sum(len(group.titles) for group in groups)
    summary = (f"{len(all_of_it)} requests: {len(all_of_it) - differ} answered alike, "
               f"{differ} differently, in {len(groups)} groups.")
    if args.record and not faults:
        head = [machine(), "; ".join(binaries.versions()) + ".", summary]
        OUTPUT.write_text(differences.page(head, groups, all_of_it))
    print(*faults, f"{summary} {len(faults)} faults.", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
