"""The count of this process's own changes to a storage."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from aiocopick.storage.written import changes_of, note_change


@pytest.mark.parametrize("protocol", ["s3", "gs", "memory"])
def test_a_change_counts_for_roots_in_the_changed_one_and_around_it(protocol: str) -> None:
    bucket = f"{protocol}://{uuid.uuid4().hex}"
    concerned = [bucket, f"{bucket}/project", f"{bucket}/project/part", f"{bucket}/project/part/inner"]
    others = [f"{bucket}/other", f"{bucket}/project/part2", f"{bucket}/project/par", f"http://{bucket}/project/part"]
    before = {url: changes_of(url) for url in [*concerned, *others]}
    note_change(f"{bucket}/project/part")
    assert [changes_of(url) - before[url] for url in concerned] == [1, 1, 1, 1]
    assert [changes_of(url) - before[url] for url in others] == [0, 0, 0, 0]


def test_all_of_a_protocol_is_a_root_as_well() -> None:
    project = f"memory://{uuid.uuid4().hex}/project"
    before = {url: changes_of(url) for url in ("memory://", project)}
    note_change(project)
    note_change("memory://")
    assert [changes_of(url) - count for url, count in before.items()] == [2, 2]


class Counted(Counter[tuple[str, str]]):
    """A counter that says how often it was looked at, and cannot be looked through."""

    looks = 0

    def __getitem__(self, key: tuple[str, str]) -> int:
        Counted.looks += 1
        return super().__getitem__(key)

    def __missing__(self, key: tuple[str, str]) -> int:
        return 0

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError

    items = values = keys = __iter__  # type: ignore[assignment]


def test_other_roots_of_the_process_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_counts", "_inside"):
        monkeypatch.setattr(f"aiocopick.storage.written.{name}", Counted())
    for number in range(500):
        note_change(f"s3://bucket/projects/{number}")
    Counted.looks = 0
    assert changes_of("s3://bucket/projects/7") == 1
    assert changes_of("s3://bucket") == 500
    # A root, and each place around it.
    assert Counted.looks == (4 + 2)
