"""The ways through the library do not grow longer."""

from __future__ import annotations

import anyio
from benchmarks.call_counts import OPERATIONS, count_calls

MOST = {
    "picks.numpy() of a file not read yet": (9, 9),
    "tomogram.numpy() of one chunk": (15, 20),
    "crawl of three runs with six picks": (33, 135),
    "load of six picks": (14, 73),
}
"""Coroutine functions, and entries, of each operation; a task more or less may find something to do."""


def test_everyday_operations_enter_no_more_coroutine_functions_than_they_did() -> None:
    assert OPERATIONS.keys() == MOST.keys()
    found = {name: (entries.functions, entries.entries) for name, entries in anyio.run(count_calls).items()}
    longer = {name: counts for name, counts in found.items() if counts[0] > MOST[name][0] or counts[1] > MOST[name][1]}
    assert not longer, "see ``python -m benchmarks.call_counts --functions``"
