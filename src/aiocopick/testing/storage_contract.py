"""The contract of every storage, as pytest classes: derive from one and add a fixture that returns your storage.

Long because it is one contract, with a test for each promise.

::

    class TestMine(StorageContract):
        @pytest_asyncio.fixture
        async def storage(self):
            storage = open_storage(config_of_an_empty_root)
            yield storage
            await storage.aclose()
"""

# ruff: noqa: D102 - tests speak through their names
from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Iterable
from typing import Any

import pytest
import pytest_asyncio

from aiocopick.errors import (
    AlreadyExistsError,
    ConflictError,
    CopickError,
    FormatError,
    InvalidNameError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
)
from aiocopick.storage.base import Buffer, Entry, Storage
from aiocopick.storage.scan import LAST
from aiocopick.testing.contents import CONTENTS, HOSTILE_KEYS, VOLUMES

RUN = "ExperimentRuns/TS_1"
PICKS = f"{RUN}/Picks/user_0_ribosome.json"


def _children(prefix: str) -> dict[str, bool]:
    """Return the keys of the immediate children in the contents, and true for prefixes."""
    start = f"{prefix}/" if prefix else ""
    found: dict[str, bool] = {}
    for key in CONTENTS:
        if key.startswith(start):
            name, slash, _ = key[len(start) :].partition("/")
            found[start + name] = bool(slash)
    return dict(sorted(found.items()))


async def _scanned(storage: Storage, prefix: str, collapse: str | None = ".zarr/", **bounds: Any) -> list[Entry]:
    async with storage.scan(prefix, collapse, **bounds) as pages:
        return [entry async for page in pages for entry in page]


async def _read_all(storage: Storage, items: Iterable[Any]) -> dict[Any, bytes | CopickError]:
    async with storage.read_many(items) as results:
        return {item: result async for item, result in results}


class ReadContract:
    """Tests of reading and listing. Needs an async fixture ``filled``: a storage that holds ``CONTENTS`` and nothing
    else.
    """

    @pytest.mark.asyncio
    async def test_reads_what_is_there(self, filled: Storage) -> None:
        for key, content in CONTENTS.items():
            assert await filled.read(key) == content

    @pytest.mark.asyncio
    @pytest.mark.parametrize(
        ("span", "expected"),
        [
            ((0, 10), slice(0, 10)),
            ((250, 300), slice(250, 300)),
            ((10_000, None), slice(10_000, None)),
            ((10_000, 99_999), slice(10_000, None)),
            ((-7, None), slice(-7, None)),
            ((-99_999, None), slice(None)),
            ((5, 5), slice(0, 0)),
            ((99_999, None), slice(0, 0)),
        ],
    )
    async def test_reads_a_range(self, filled: Storage, span: tuple[int, int | None], expected: slice) -> None:
        assert await filled.read(PICKS, span) == CONTENTS[PICKS][expected]

    @pytest.mark.asyncio
    async def test_reads_many_and_marks_what_is_missing(self, filled: Storage) -> None:
        wanted = [*CONTENTS, "ExperimentRuns/missing", (PICKS, (3, 9)), "../outside"]
        results = await _read_all(filled, wanted)
        assert {key: results[key] for key in CONTENTS} == CONTENTS
        assert results[(PICKS, (3, 9))] == CONTENTS[PICKS][3:9]
        assert isinstance(results["ExperimentRuns/missing"], NotFoundError)
        assert isinstance(results["../outside"], InvalidNameError)
        assert len(results) == len(wanted)

    @pytest.mark.asyncio
    async def test_leaving_a_bulk_read_early_leaves_nothing_behind(self, filled: Storage) -> None:
        async with filled.read_many(key for _ in range(50) for key in CONTENTS) as results:
            async for _ in results:
                break
        assert filled.stats.in_flight == 0

    @pytest.mark.asyncio
    async def test_reads_with_the_version(self, filled: Storage) -> None:
        content, etag = await filled.read_versioned(PICKS)
        assert content == CONTENTS[PICKS]
        assert etag == (await filled.stat(PICKS)).etag
        assert etag is not None or not filled.capabilities.etags

    @pytest.mark.asyncio
    async def test_reads_what_has_another_version(self, filled: Storage) -> None:
        content, etag = await filled.read_versioned(PICKS)
        assert await filled.read_unless(PICKS, None) == (content, etag)
        part = await filled.read_unless(PICKS, None, (1, 3))
        assert part is not None
        assert part[0] == content[1:3]
        if etag is not None:
            before = filled.stats.as_dict()
            assert await filled.read_unless(PICKS, etag) is None
            assert await filled.read_unless(PICKS, etag, (1, 3)) is None
            after = filled.stats.as_dict()
            assert after["bytes_read"] == before["bytes_read"]
            assert after["requests"]["read"] == before["requests"]["read"] + 2
        assert await filled.read_unless(PICKS, "1") == (content, etag)
        with pytest.raises(NotFoundError):
            await filled.read_unless("missing", "1")

    @pytest.mark.asyncio
    async def test_reads_many_with_their_versions(self, filled: Storage) -> None:
        async with filled.read_many_versioned([*CONTENTS, "missing"]) as results:
            found = {key: result async for key, result in results}
        assert isinstance(found.pop("missing"), NotFoundError)
        assert found == {key: await filled.read_versioned(key) for key in CONTENTS}

    @pytest.mark.asyncio
    async def test_puts_contents_through_a_function_off_the_loop(self, filled: Storage) -> None:
        threads: set[int] = set()

        def use(key: str, data: Buffer) -> tuple[str, int]:
            threads.add(threading.get_ident())
            if key == PICKS:
                raise FormatError("it means nothing", path=key)
            return key, len(data)

        async with filled.read_through([*CONTENTS, "missing", "../outside"], use, limit=3) as results:
            found = {key: result async for key, result in results}
        assert isinstance(found.pop("missing"), NotFoundError)
        assert isinstance(found.pop("../outside"), InvalidNameError)
        assert isinstance(found.pop(PICKS), FormatError)
        assert found == {key: (key, len(content)) for key, content in CONTENTS.items() if key != PICKS}
        assert threading.get_ident() not in threads

    @pytest.mark.asyncio
    async def test_errors_of_a_function_on_contents_are_its_own(self, filled: Storage) -> None:
        async with filled.read_through([PICKS], lambda _key, data: len(data) // 0) as results:
            with pytest.raises(ZeroDivisionError):
                await anext(results)
        assert filled.stats.retries == 0
        assert filled.stats.in_flight == 0

    @pytest.mark.asyncio
    @pytest.mark.parametrize("start_after", ["", RUN, "ExperimentRuns/TS_"])
    async def test_says_how_a_scan_begins_or_that_it_cannot(self, filled: Storage, start_after: str) -> None:
        before = filled.stats.requests["list"]
        first = await filled.first_page("ExperimentRuns", start_after=start_after)
        assert filled.stats.requests["list"] - before <= 1
        expected = await _scanned(filled, "ExperimentRuns", start_after=start_after)
        # Such a small amount fits in one page.
        assert first is None or list(first.entries) == expected
        assert first is None or all(first.reached > f"{entry.key}/{LAST}" for entry in expected)
        children = await filled.first_children("ExperimentRuns", start_after=start_after)
        listed = [entry for entry in await filled.list("ExperimentRuns") if f"{entry.key}/" > start_after]
        assert children is None or (sorted(children.entries), children.reached) == (listed, LAST)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("details", [True, False])
    async def test_lists_directories_with_what_is_in_some_of_them(self, filled: Storage, details: bool) -> None:
        runs = ["ExperimentRuns/TS_10", RUN, "ExperimentRuns/missing", "../outside"]
        found = await filled.list_nested(runs, lambda name: name in ("Picks", "VoxelSpacing10.000"), details=details)
        assert isinstance(found.pop(), InvalidNameError)
        assert len(found) == 3
        assert found.pop() == []
        for run, entries in zip(runs, found, strict=False):
            assert not isinstance(entries, CopickError)
            expected: dict[str, bool] = {}
            for key, is_prefix in _children(run).items():
                inner = _children(key) if key.endswith(("/Picks", "/VoxelSpacing10.000")) else {}
                expected |= inner or {key: is_prefix}
            assert {entry.key: entry.is_prefix for entry in entries} == expected
            assert len(entries) == len(expected)
            if details:
                listed = {
                    entry
                    for key in {run, *(entry.key.rpartition("/")[0] for entry in entries)}
                    for entry in await filled.list(key)
                }
                assert set(entries) <= listed

    @pytest.mark.asyncio
    @pytest.mark.parametrize("key", ["missing", RUN, f"{PICKS}/below", "ExperimentRuns/TS_"])
    async def test_missing_objects_are_not_found(self, filled: Storage, key: str) -> None:
        with pytest.raises(NotFoundError) as caught:
            await filled.read(key)
        assert caught.value.path == filled.path_of(key)
        assert filled.path_of(key) in str(caught.value)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("key", [PICKS, RUN, "ExperimentRuns/TS_10", "ExperimentRuns", "empty", ""])
    async def test_exists(self, filled: Storage, key: str) -> None:
        assert await filled.exists(key)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("key", ["missing", "ExperimentRuns/TS_", f"{PICKS}x", "Experiment"])
    async def test_does_not_exist(self, filled: Storage, key: str) -> None:
        assert not await filled.exists(key)
        with pytest.raises(NotFoundError):
            await filled.stat(key)

    @pytest.mark.asyncio
    async def test_stat_tells_objects_from_directories(self, filled: Storage) -> None:
        entry = await filled.stat(PICKS)
        assert (entry.key, entry.is_prefix, entry.size) == (PICKS, False, len(CONTENTS[PICKS]))
        entry = await filled.stat(RUN)
        assert (entry.key, entry.is_prefix) == (RUN, True)

    @pytest.mark.asyncio
    @pytest.mark.parametrize(
        "prefix", ["", "ExperimentRuns", RUN, f"{RUN}/", f"{RUN}/Picks", f"{VOLUMES[0]}/0", "ExperimentRuns/TS_10"]
    )
    async def test_lists_children_in_order(self, filled: Storage, prefix: str) -> None:
        entries = await filled.list(prefix)
        expected = _children(prefix.removesuffix("/"))
        assert [(entry.key, entry.is_prefix) for entry in entries] == list(expected.items())
        for entry in entries:
            assert entry.size in ((None,) if entry.is_prefix else (None, len(CONTENTS[entry.key])))

    @pytest.mark.asyncio
    @pytest.mark.parametrize("prefix", ["missing", "ExperimentRuns/TS_", "ExperimentRuns/missing/Picks", PICKS])
    async def test_lists_nothing_where_nothing_is(self, filled: Storage, prefix: str) -> None:
        assert list(await filled.list(prefix)) == []
        assert await _scanned(filled, prefix) == []

    @pytest.mark.asyncio
    async def test_listed_etags_are_those_of_the_objects(self, filled: Storage) -> None:
        for entry in await filled.list(f"{RUN}/Picks"):
            assert (entry.etag is not None) == filled.capabilities.etags
            if filled.capabilities.etags:
                assert entry.etag == (await filled.stat(entry.key)).etag

    @pytest.mark.asyncio
    async def test_scan_collapses_volumes(self, filled: Storage) -> None:
        entries = await _scanned(filled, RUN)
        inside = tuple(f"{volume}/" for volume in VOLUMES)
        expected = {key for key in CONTENTS if key.startswith(f"{RUN}/") and not key.startswith(inside)}
        assert sorted(entry.key for entry in entries) == sorted(expected | set(VOLUMES))
        assert {entry.key for entry in entries if entry.is_prefix} == set(VOLUMES)

    @pytest.mark.asyncio
    async def test_scan_shows_everything_when_nothing_is_collapsed(self, filled: Storage) -> None:
        entries = await _scanned(filled, "", None)
        assert sorted(entry.key for entry in entries) == sorted(CONTENTS)

    @pytest.mark.asyncio
    async def test_scan_starts_below_a_collapsed_name(self, filled: Storage) -> None:
        run = next(key for key in CONTENTS if "odd name" in key).rpartition("/Picks")[0]
        assert [entry.key for entry in await _scanned(filled, run)] == [f"{run}/Picks/u_s_o.json"]
        assert [entry.key for entry in await _scanned(filled, "ExperimentRuns") if "odd" in entry.key] == [run]

    @pytest.mark.asyncio
    async def test_scan_keeps_to_its_bounds(self, filled: Storage) -> None:
        whole = {entry.key + "/" * entry.is_prefix for entry in await _scanned(filled, "ExperimentRuns")}
        for bound in sorted(whole):
            below = await _scanned(filled, "ExperimentRuns", stop_before=bound)
            above = await _scanned(filled, "ExperimentRuns", start_after=bound)
            assert {entry.key + "/" * entry.is_prefix for entry in below} == {name for name in whole if name < bound}
            assert {entry.key + "/" * entry.is_prefix for entry in above} == {name for name in whole if name > bound}

    @pytest.mark.asyncio
    async def test_leaving_a_scan_early_leaves_nothing_behind(self, filled: Storage) -> None:
        async with filled.scan("", None) as pages:
            async for _ in pages:
                break
        assert filled.stats.in_flight == 0

    @pytest.mark.asyncio
    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    async def test_refuses_keys_that_lead_elsewhere(self, filled: Storage, key: str) -> None:
        before = filled.stats.total
        with pytest.raises(InvalidNameError):
            await filled.read(key)
        if key not in ("", "a/"):
            # These name the root and a directory.
            with pytest.raises(InvalidNameError):
                await filled.list(key)
            with pytest.raises(InvalidNameError):
                await filled.stat(key)
        assert filled.stats.total == before

    @pytest.mark.asyncio
    async def test_counts_requests_and_bytes(self, filled: Storage) -> None:
        before = filled.stats.as_dict()
        await filled.read(PICKS)
        await filled.list(RUN)
        after = filled.stats.as_dict()
        assert after["requests"]["read"] == before["requests"].get("read", 0) + 1
        assert after["requests"]["list"] == before["requests"].get("list", 0) + 1
        assert after["bytes_read"] == before["bytes_read"] + len(CONTENTS[PICKS])

    @pytest.mark.asyncio
    async def test_a_view_shares_the_counters(self, filled: Storage) -> None:
        view = filled.options(max_concurrency=2, timeout=30, retries=1)
        before = filled.stats.total
        assert await view.read(PICKS) == CONTENTS[PICKS]
        assert filled.stats.total == before + 1
        assert view.url == filled.url

    @pytest.mark.asyncio
    async def test_never_more_under_way_than_allowed(self, filled: Storage) -> None:
        view = filled.options(max_concurrency=3)
        filled.stats.peak_in_flight = 0
        results = await _read_all(view, list(CONTENTS) * 3)
        assert {key: results[key] for key in CONTENTS} == CONTENTS
        assert 1 <= filled.stats.peak_in_flight <= 3

    @pytest.mark.asyncio
    async def test_works_again_after_closing(self, filled: Storage) -> None:
        await filled.read(PICKS)
        await filled.aclose()
        assert await filled.read(PICKS) == CONTENTS[PICKS]

    @pytest.mark.asyncio
    async def test_pickles_as_its_recipe(self, filled: Storage) -> None:
        copy: Storage = pickle.loads(pickle.dumps(filled))
        try:
            assert (copy.url, copy.read_only) == (filled.url, filled.read_only)
            assert await copy.read(PICKS) == CONTENTS[PICKS]
        finally:
            await copy.aclose()

    @pytest.mark.asyncio
    async def test_works_from_another_loop_at_the_same_time(self, filled: Storage) -> None:
        assert await filled.read(PICKS) == CONTENTS[PICKS]
        elsewhere = await asyncio.to_thread(asyncio.run, filled.read(PICKS))
        assert elsewhere == CONTENTS[PICKS]
        assert await filled.read("empty") == b""


class StorageContract(ReadContract):
    """Tests of all operations. Needs an async fixture ``storage``: one with an empty root that can be written."""

    @pytest_asyncio.fixture
    async def filled(self, storage: Storage) -> Storage:
        """The storage with the contents in it."""
        await storage.write_many(CONTENTS.items())
        return storage

    @pytest.mark.asyncio
    async def test_an_empty_root_is_empty(self, storage: Storage) -> None:
        assert list(await storage.list("")) == []
        assert list(await storage.list("ExperimentRuns")) == []
        assert await _scanned(storage, "") == []

    @pytest.mark.asyncio
    @pytest.mark.parametrize("data", [b"bytes", bytearray(b"bytearray"), memoryview(b"memory view"), b""])
    async def test_writes_any_buffer(self, storage: Storage, data: bytes | bytearray | memoryview) -> None:
        await storage.write("a/b/c", data)
        assert await storage.read("a/b/c") == bytes(data)

    @pytest.mark.asyncio
    async def test_replaces(self, filled: Storage) -> None:
        first = (await filled.stat(PICKS)).etag
        etag = await filled.write(PICKS, b"new")
        assert await filled.read_versioned(PICKS) == (b"new", etag)
        assert etag != first or not filled.capabilities.etags
        assert [entry.key for entry in await filled.list(f"{RUN}/Picks")] == list(_children(f"{RUN}/Picks"))

    @pytest.mark.asyncio
    async def test_creates_only_once(self, storage: Storage) -> None:
        if not storage.capabilities.conditional_writes:
            with pytest.raises(StorageError, match="conditional"):
                await storage.write("a/new", b"1", create=True)
            return
        etag = await storage.write("a/new", b"1", create=True)
        with pytest.raises(AlreadyExistsError) as caught:
            await storage.write("a/new", b"2", create=True)
        assert caught.value.path == storage.path_of("a/new")
        assert await storage.read_versioned("a/new") == (b"1", etag)

    @pytest.mark.asyncio
    async def test_one_of_many_creators_wins(self, storage: Storage) -> None:
        if not storage.capabilities.conditional_writes:
            pytest.skip("this storage has no conditional writes")

        async def create(number: int) -> bool:
            try:
                await storage.write("a/new", b"%d" % number, create=True)
            except AlreadyExistsError:
                return False
            return True

        tasks = [asyncio.ensure_future(create(number)) for number in range(10)]
        won = [await task for task in tasks]
        assert won.count(True) == 1
        assert await storage.read("a/new") == b"%d" % won.index(True)

    @pytest.mark.asyncio
    async def test_replaces_only_what_was_read(self, filled: Storage) -> None:
        if not filled.capabilities.conditional_writes:
            with pytest.raises(StorageError, match="conditional"):
                await filled.write(PICKS, b"1", if_match="etag")
            return
        _, etag = await filled.read_versioned(PICKS)
        second = await filled.write(PICKS, b"second", if_match=etag)
        with pytest.raises(ConflictError) as caught:
            await filled.write(PICKS, b"third", if_match=etag)
        assert caught.value.path == filled.path_of(PICKS)
        assert await filled.read_versioned(PICKS) == (b"second", second)
        await filled.delete_many([PICKS])
        with pytest.raises(ConflictError):
            await filled.write(PICKS, b"fourth", if_match=second)
        assert not await filled.exists(PICKS)

    @pytest.mark.asyncio
    async def test_no_update_is_lost(self, storage: Storage) -> None:
        if not storage.capabilities.conditional_writes:
            pytest.skip("this storage has no conditional writes")
        await storage.write("count", b"")

        async def add(number: int) -> None:
            while True:
                content, etag = await storage.read_versioned("count")
                try:
                    await storage.write("count", content + bytes([number]), if_match=etag)
                except ConflictError:
                    continue
                return

        tasks = [asyncio.ensure_future(add(number)) for number in range(8)]
        for task in tasks:
            await task
        assert sorted(await storage.read("count")) == list(range(8))

    @pytest.mark.asyncio
    async def test_deletes_and_forgives_what_is_missing(self, filled: Storage) -> None:
        await filled.delete_many([PICKS, "missing", "ExperimentRuns/missing/too", "empty"])
        assert not await filled.exists(PICKS)
        assert not await filled.exists("empty")
        assert await filled.exists(f"{RUN}/Picks")
        await filled.delete_many([])

    @pytest.mark.asyncio
    async def test_deletes_a_tree_and_nothing_beside_it(self, filled: Storage) -> None:
        count = await filled.delete_tree(RUN)
        inside = [key for key in CONTENTS if key.startswith(f"{RUN}/")]
        assert count == len(inside)
        assert not await filled.exists(RUN)
        for key in CONTENTS.keys() - set(inside):
            assert await filled.exists(key)
        assert await filled.delete_tree(RUN) == 0

    @pytest.mark.asyncio
    async def test_never_deletes_the_whole_root(self, filled: Storage) -> None:
        with pytest.raises(InvalidNameError):
            await filled.delete_tree("")
        assert await filled.exists(PICKS)

    @pytest.mark.asyncio
    async def test_copies(self, filled: Storage) -> None:
        await filled.copy(PICKS, "another/place.json")
        assert await filled.read("another/place.json") == CONTENTS[PICKS]
        assert await filled.read(PICKS) == CONTENTS[PICKS]
        with pytest.raises(NotFoundError):
            await filled.copy("missing", "nowhere/at/all")
        assert not await filled.exists("nowhere")

    @pytest.mark.asyncio
    @pytest.mark.parametrize(
        "key",
        [
            "c/0/0/0",
            "0.0.0",
            "zarr.json",
            ".zattrs",
            "a b/c+d&e=f",
            "per%20cent/%2e%2e/%41",
            "quest?ion#mark",
            "ünïcode/日本語/🦠",
            "semi;colon,comma'quote\"",
            "tilde~*!()[]{}",
            "name.",
            "..name",
            "-",
        ],
    )
    async def test_keeps_unusual_names(self, storage: Storage, key: str) -> None:
        await storage.write(key, key.encode())
        assert await storage.read(key) == key.encode()
        assert [entry.key for entry in await _scanned(storage, "", None)] == [key]
        parent = key.rpartition("/")[0]
        assert [entry.key for entry in await storage.list(parent)] == [key]
        assert await storage.exists(key)
        await storage.delete_many([key])
        assert not await storage.exists(key)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    async def test_refuses_to_write_elsewhere(self, storage: Storage, key: str) -> None:
        with pytest.raises(InvalidNameError):
            await storage.write(key, b"x")
        with pytest.raises(InvalidNameError):
            await storage.delete_many([key])
        with pytest.raises(InvalidNameError):
            await storage.copy("empty", key)
        if key != "a/":
            with pytest.raises(InvalidNameError):
                await storage.delete_tree(key)
        assert storage.stats.total == 0

    @pytest.mark.asyncio
    async def test_a_read_only_view_changes_nothing(self, filled: Storage) -> None:
        view = filled.options(read_only=True)
        before = filled.stats.total
        for change in (
            lambda: view.write(PICKS, b"x"),
            lambda: view.write_many([(PICKS, b"x")]),
            lambda: view.delete_many([PICKS]),
            lambda: view.delete_tree(RUN),
            lambda: view.copy(PICKS, "copy"),
            lambda: view.delete_linked(RUN),
            lambda: view.sync([PICKS]),
        ):
            with pytest.raises(ReadOnlyError):
                await change()
        with pytest.raises(ReadOnlyError):
            view.options(read_only=False)
        assert filled.stats.total == before
        assert await view.read(PICKS) == CONTENTS[PICKS]

    @pytest.mark.asyncio
    async def test_a_failure_in_a_bulk_write_is_raised_bare(self, storage: Storage) -> None:
        with pytest.raises(InvalidNameError):
            await storage.write_many([("a", b"1"), ("../b", b"2"), ("c", b"3")])

    @pytest.mark.asyncio
    async def test_readers_never_see_half_an_object(self, storage: Storage) -> None:
        contents = [bytes([number]) * 50_000 for number in range(6)]
        await storage.write("a/torn", contents[0])

        async def write() -> None:
            for content in contents:
                await storage.write("a/torn", content)

        writer = asyncio.ensure_future(write())
        while not writer.done():
            assert await storage.read("a/torn") in contents
        await writer
