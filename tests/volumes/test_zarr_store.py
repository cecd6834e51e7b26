"""zarr's own tests of a store, on ours, and what ours promises beyond them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.buffer.cpu import Buffer as CpuBuffer
from zarr.testing.store import StoreTests

from aiocopick.errors import InvalidNameError, ReadOnlyError
from aiocopick.storage.zarr_store import StorageStore
from tests.volumes.places import Place


def mark_coroutines(cls: type[Any]) -> type[Any]:
    """Mark inherited coroutines: zarr's tests rely on a mode that guesses."""
    for name in dir(cls):
        function = getattr(cls, name)
        if name.startswith("test_") and inspect.iscoroutinefunction(function):
            setattr(cls, name, pytest.mark.asyncio(_copy(function)))
    return cls


def _copy(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def copy(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return copy


PREFIX = "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr"


@mark_coroutines
class TestStore(StoreTests[StorageStore, Buffer]):
    store_cls = StorageStore
    buffer_cls = CpuBuffer

    async def set(self, store: StorageStore, key: str, value: Buffer) -> None:
        await store.storage.write(f"{PREFIX}/{key}", value.to_bytes())

    async def get(self, store: StorageStore, key: str) -> Buffer:
        return self.buffer_cls.from_bytes(await store.storage.read(f"{PREFIX}/{key}"))

    @pytest.fixture
    def store_kwargs(self, place: Place) -> dict[str, Any]:
        return {"storage": place.storage(), "prefix": PREFIX}

    @pytest_asyncio.fixture
    async def store(self, open_kwargs: dict[str, Any]) -> AsyncIterator[StorageStore]:
        store = await StorageStore.open(**open_kwargs)
        yield store
        await store.storage.aclose()

    @pytest_asyncio.fixture
    async def store_not_open(self, store_kwargs: dict[str, Any]) -> AsyncIterator[StorageStore]:
        yield StorageStore(**store_kwargs)
        await store_kwargs["storage"].aclose()

    def test_store_repr(self, store: StorageStore) -> None:
        assert repr(store) == f"StorageStore({store.url!r})"
        assert store.url.endswith(PREFIX)

    def test_store_supports_writes(self, store: StorageStore) -> None:
        assert store.supports_writes

    def test_store_supports_listing(self, store: StorageStore) -> None:
        assert store.supports_listing


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
    assert await store.getsize_prefix("0") == 12
    await store.clear()
    assert await store.is_empty("")
    assert await storage.read(f"{PREFIX}-old/zarr.json") == b"1"
    assert await storage.read("ExperimentRuns/TS_1/.meta") == b"{}"
    await storage.aclose()
