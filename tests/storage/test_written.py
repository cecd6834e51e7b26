"""The count of this process's own changes to a storage."""

from __future__ import annotations

import uuid

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
