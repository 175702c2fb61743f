"""What benches/peer/sampler.yaml keeps of testkit's traffic, worked out from the ledger alone.

Neither program under test has a part in this: ids and kinds of the traces follow from the shape at
the head of the ledger (tests/testkit/src/traffic.rs), and each policy is a line here.
"""

import json
from fractions import Fraction

MASK = 2**64 - 1


def mix(n):
    """SplitMix64, as the load generator has it."""
    z = (n + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def fnv(data):
    """FNV-1a, 64 bits: what the `probabilistic` policy compares with its threshold."""
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def traces(shape):
    """Of each trace: its id, whether one span is an ERROR with code 500, whether it lasts 6 s."""
    salts = {salt: mix(shape["seed"] ^ salt) for salt in (1, 2, 3, 5)}
    for number in range(shape["traces"]):
        draw = {salt: mix(mixed ^ number) for salt, mixed in salts.items()}
        error = draw[3] % 1000 < shape["errors_per_mille"]
        slow = draw[5] % 1000 < shape["slow_per_mille"]
        yield draw[1].to_bytes(8, "big") + draw[2].to_bytes(8, "big"), error, slow


def kept(ledger, percentage):
    """Policy name -> ids of the traces that it keeps."""
    with open(ledger) as file:
        shape = json.loads(file.readline())
    at_most = int(Fraction(percentage / 100) * MASK)
    by = {"errors": set(), "slow": set(), "checkout": set(), "base": set()}
    for trace, error, slow in traces(shape):
        if error:
            # Every trace has spans of the service `checkout`, and code 500 comes with the ERROR.
            by["errors"].add(trace)
            by["checkout"].add(trace)
        if slow:
            by["slow"].add(trace)
        if fnv(b"default-hash-seed" + trace) <= at_most:
            by["base"].add(trace)
    return by
