"""The public API and the requests of everyday operations are what the record says.

A change that is meant is recorded by ``AIOCOPICK_RECORD=1 python -m pytest -n0 tests/project/test_record.py``; its
difference belongs to the commit.
"""

from __future__ import annotations

import difflib
import json
import os
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiocopick import AsyncRoot, CopickConfigFS, CopickRootFS
from aiocopick.sync.bridge import call
from tests.project import everyday
from tests.project.signatures import SIDES, described
from tests.servers.s3 import MotoServer

RECORD = Path(__file__).with_name("record")
HOW = f"; if that is meant, record it: {(__doc__ or '').split('``')[1]}"


def compare(name: str, found: str) -> None:
    """The text is what the record of that name says; or the record becomes it."""
    path = RECORD / name
    if os.environ.get("AIOCOPICK_RECORD"):
        path.write_text(found, encoding="utf-8")
    recorded = path.read_text(encoding="utf-8")
    changes = list(
        difflib.unified_diff(recorded.splitlines(), found.splitlines(), "recorded", "found", lineterm="", n=0)
    )
    assert not changes, "\n".join([*changes, f"{name} has changed{HOW}"])


@pytest.mark.parametrize("side", SIDES)
def test_the_public_api_is_what_was_recorded(side: str) -> None:
    compare(f"{side}.txt", described(side))


# --- requests ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The files of a project with something of each kind, by key."""
    config = CopickConfigFS(root=f"memory://record-{uuid.uuid4().hex[:12]}", **everyday.SETTINGS)
    everyday.fill(CopickRootFS(config))
    filesystem = config.fs()
    start = len(filesystem._strip_protocol(config.root)) + 1
    return {path[start:]: filesystem.cat_file(path) for path in filesystem.find(config.root)}


@contextmanager
def counted_by_stats(root: AsyncRoot) -> Iterator[Counter[str]]:
    """Requests of a block, as the storage counts them."""
    before = Counter(root.stats.requests)
    counts: Counter[str] = Counter()
    yield counts
    counts.update(Counter(root.stats.requests) - before)


def as_json(counted: dict[str, Counter[str]]) -> str:
    return json.dumps({name: dict(sorted(counts.items())) for name, counts in counted.items()}, indent=1) + "\n"


def run_on(root: CopickRootFS, name: str) -> None:
    """Do an everyday operation, asynchronous or not."""
    if name in everyday.ASYNC:
        call(everyday.ASYNC[name], root.aio)
    else:
        everyday.BLOCKING[name](root)


def test_everyday_operations_send_the_requests_that_were_recorded(files: dict[str, bytes]) -> None:
    counted = {}
    for name in (*everyday.ASYNC, *everyday.BLOCKING):
        config = CopickConfigFS(root=f"memory://record-{uuid.uuid4().hex[:12]}", **everyday.SETTINGS)
        config.fs().pipe({f"{config.root}/{key}": content for key, content in files.items()})
        root = CopickRootFS(config)
        with counted_by_stats(root.aio) as counted[name]:
            run_on(root, name)
    compare("requests_in_memory.json", as_json(counted))


def test_everyday_operations_send_a_bucket_the_requests_that_were_recorded(
    files: dict[str, bytes], moto_server: MotoServer
) -> None:
    counted = {}
    for name in (*everyday.ASYNC, *everyday.BLOCKING):
        bucket = moto_server.new_bucket("record")
        moto_server.seed(bucket, {f"project/{key}": content for key, content in files.items()})
        config = CopickConfigFS(root=f"s3://{bucket}/project", fs_args=moto_server.fs_args(), **everyday.SETTINGS)
        with CopickRootFS(config) as root, moto_server.counting() as counted[name]:
            run_on(root, name)
    compare("requests_of_a_bucket.json", as_json(counted))
