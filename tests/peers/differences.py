"""What is answered differently, each with its reason, as a page."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

REASONS = Path(__file__).with_name("reasons.json")

INTRODUCTION = """\
Written by `tests/peers/answers.py --record`: the same requests to the OpenTelemetry Collector, to Tailgate's sampler
and to its load balancer, with good and malformed bodies, in each encoding, to right and wrong places, with and without
credentials, and when there is no room. *Alike* means: the same code, the same of the headers and forms that clients act on
(`retry-after`, `RetryInfo`, `allow`, `www-authenticate`, CORS; a Status in protobuf or JSON), the same number of rejected spans, and the same
spans held, field by field. Texts may differ. Both tiers of Tailgate answer alike.

The command fails when a difference has no reason in `tests/peers/reasons.json`, when either side's answer is not the one
that the reason is about, and when a reason has no difference any more. The requests are in `tests/peers/questions.py` and
`json_forms.py`; `--all` prints every answer with its text."""


@dataclass
class Group:
    """A reason, between which answers, for which requests; and the differences it was found for."""

    reason: str
    # [the collector's, Tailgate's]
    answers: list
    requests: list
    titles: list = field(default_factory=list)
    used: list = field(default_factory=list)

    def take(self, title, answers):
        """Whether this is a difference that the reason is about."""
        fits = [pattern for pattern in self.requests if matches(pattern, title)]
        if answers not in self.answers or not fits:
            return False
        self.titles.append(title)
        self.used += [answers, *fits]
        return True

    def unused(self):
        return [what for what in self.answers + self.requests if what not in self.used]


def matches(pattern, title):
    """`*` is any text, at the end of a pattern only: titles are full of brackets and stars."""
    return title.startswith(pattern[:-1]) if pattern.endswith("*") else title == pattern


def explain(asked):
    """The groups with what they explain, and what is wrong."""
    groups = [Group(**entry) for entry in json.loads(REASONS.read_text())]
    faults = []
    for question, answers in asked:
        title = question.title()
        collector, sampler, balancer = (answer.key() for answer in answers.values())
        told = " / ".join(answer.show() for answer in answers.values())
        if sampler != balancer:
            faults.append(f"{title}: our tiers differ: {told}")
        elif collector != sampler:
            taken = sum(group.take(title, [collector, sampler]) for group in groups)
            if taken != 1:
                faults.append(f"{title}: {taken} reasons instead of 1: {told}")
    for group in groups:
        for what in group.unused():
            faults.append(f"a reason without a difference: {what}: {group.reason}")
    return groups, faults


# === The page ===


def page(head, groups, asked):
    lines = ["# Answers, code by code", "", INTRODUCTION, "", *head, "", "## Differences", "",
             "| requests | collector | Tailgate | reason |", "|---|---|---|---|"]
    for group in groups:
        theirs, ours = ("<br>".join(map(cell, side)) for side in zip(*group.answers))
        lines.append(f"| {requests(group.titles)} | {theirs} | {ours} | {group.reason} |")
    lines += ["", "## All that was asked", "",
              "| about | requests | alike | answers that are alike |", "|---|---|---|---|"]
    for group in dict.fromkeys(question.group for question, _ in asked):
        of = [answers for question, answers in asked if question.group == group]
        keys = [{answer.key() for answer in answers.values()} for answers in of]
        alike = Counter(key for found in keys if len(found) == 1 for key in found)
        told = ", ".join(f"{cell(key)} \u00d7 {n}" for key, n in alike.most_common())
        lines.append(f"| {group} | {len(of)} | {alike.total()} | {told} |")
    return "\n".join(lines) + "\n"


def requests(titles):
    """The titles, by their groups."""
    groups = {}
    for title in titles:
        group, name = title.split(": ", 1)
        groups.setdefault(group, []).append(cell(name))
    return "<br>".join(f"{group}: {', '.join(names)}" for group, names in groups.items())


def cell(text):
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return text.replace("|", "\\|").replace("<", "&lt;")
