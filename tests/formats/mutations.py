"""Documents of strangers: sound ones with something in them changed, as values and as bytes."""

from __future__ import annotations

import json
import random
from typing import Any

VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    3,
    2**40,
    1.5,
    float("nan"),
    "",
    "x",
    "../..",
    [],
    [0],
    {},
    {"name": "gzip"},
    "|O",
]
HUGE: list[Any] = [10**400, -(10**400), float("inf"), 2**63, "\ud800", "a" * 5000, [[]], [None] * 10, {"": {}}]


def mutate(value: Any, rng: random.Random, values: list[Any] = VALUES) -> Any:
    """A document with something in it replaced, removed or doubled."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        if rng.random() < 0.15:
            return {name: item for name, item in value.items() if name != key}
        return value | {key: mutate(value[key], rng, values)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        if rng.random() < 0.2:
            return [*value, value[at]]
        return [*value[:at], mutate(value[at], rng, values), *value[at + 1 :]]
    return rng.choice(values)


def mutated_document(document: Any, rng: random.Random) -> bytes:
    """JSON of a document, changed in one way or the other."""
    if rng.random() < 0.4:
        return mutated_bytes(json.dumps(document).encode(), rng)
    for _ in range(rng.randint(1, 4)):
        document = mutate(document, rng, VALUES + HUGE)
    return json.dumps(document).encode()


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bytes of which some are changed, removed, doubled or cut off."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(changed) or 1)
        how = rng.random()
        if how < 0.5 and changed:
            changed[at] = rng.randrange(256)
        elif how < 0.7:
            del changed[at : at + rng.randint(1, 40)]
        elif how < 0.9:
            changed[at:at] = changed[max(0, at - 30) : at]
        else:
            del changed[at:]
    return bytes(changed)
