"""Promises of our zarr store beyond zarr's own tests of a store, which the rows of reliability run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.buffer.cpu import Buffer as CpuBuffer
from zarr.storage import MemoryStore

from aiocopick.errors import InvalidNameError, ReadOnlyError
from aiocopick.storage.zarr_store import StorageStore
from aiocopick.volumes import abilities
from tests.volumes.places import Place

PREFIX = "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr"


def value(content: bytes = b"1234") -> Buffer:
    return CpuBuffer.from_bytes(content)


@pytest.mark.asyncio
async def test_a_read_only_store_refuses_every_change_before_a_request(place: Place) -> None:
    writer = place.storage()
    await writer.write(f"{PREFIX}/zarr.json", b"1234")
    storage = place.storage(read_only=True)
    store = StorageStore(storage, PREFIX)
    assert store.read_only
    changes: list[Callable[[], Any]] = [
        lambda: store.set("zarr.json", value()),
        lambda: store.set_if_not_exists("other", value()),
        lambda: store._set_many([("zarr.json", value())]),
        lambda: store.delete("zarr.json"),
        lambda: store.delete_many(["zarr.json"]),
        lambda: store.delete_dir(""),
        lambda: store.clear(),
    ]
    for change in changes:
        with pytest.raises(ReadOnlyError, match="read-only"):
            await change()
    with pytest.raises(ReadOnlyError):
        store.with_read_only(False)
    assert store.with_read_only(True) == store
    assert not {"write", "delete", "copy"} & {verb for verb, count in storage.stats.requests.items() if count}
    assert (await store.get("zarr.json")) == value()
    await storage.aclose()
    await writer.aclose()


@pytest.mark.asyncio
async def test_our_store_has_every_ability_and_zarrs_own_has_none(memory: Place) -> None:
    known = [
        item for item in vars(abilities).values() if isinstance(item, type) and item.__module__ == abilities.__name__
    ]
    assert len(known) == 7
    ours, others = StorageStore(memory.storage(), PREFIX), MemoryStore()
    assert all(isinstance(ours, ability) for ability in known)
    assert not any(isinstance(others, ability) for ability in known)
    await ours.storage.aclose()


@pytest.mark.asyncio
async def test_a_missing_value_takes_one_request(place: Place) -> None:
    storage = place.storage()
    store = StorageStore(storage, PREFIX)
    assert await store.get("c/0", default_buffer_prototype()) is None
    assert storage.stats.total == 1
    await storage.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["../outside.json", "a/../../b", "/etc/passwd", "", "a//b", "."])
async def test_keys_cannot_leave_the_hierarchy(memory: Place, key: str) -> None:
    storage = memory.storage()
    store = StorageStore(storage, PREFIX)
    with pytest.raises(InvalidNameError):
        await store.set(key, value())
    with pytest.raises(InvalidNameError):
        await store.get(key)
    assert storage.stats.total == 0
    await storage.aclose()


@pytest.mark.asyncio
async def test_deleting_a_directory_leaves_its_neighbours(place: Place) -> None:
    storage = place.storage()
    await storage.write(f"{PREFIX}-old/zarr.json", b"1")
    await storage.write("ExperimentRuns/TS_1/.meta", b"{}")
    store = StorageStore(storage, PREFIX)
    for number in range(3):
        await store.set(f"0/{number}", value())
    await store.set("zarr.json", value())
    assert await store.getsize_prefix("0") == 12
    assert await store.getsize_prefix("") == 16
    await store.clear()
    assert await store.is_empty("")
    assert await storage.read(f"{PREFIX}-old/zarr.json") == b"1"
    assert await storage.read("ExperimentRuns/TS_1/.meta") == b"{}"
    await storage.aclose()
