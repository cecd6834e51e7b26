"""The storages for tests do what they say."""

from __future__ import annotations

import anyio
import pytest

from aiocopick.errors import StorageError
from aiocopick.storage import Storage, open_storage
from aiocopick.storage.settings import Settings
from aiocopick.testing import CountingStorage, FaultStorage, LatencyStorage


@pytest.fixture
def inner() -> Storage:
    return open_storage(Settings(root="memory://wrappers"))


async def scanned(storage: Storage) -> list[str]:
    async with storage.scan("", None) as pages:
        return [entry.key async for page in pages for entry in page]


@pytest.mark.asyncio
async def test_all_are_storages(inner: Storage) -> None:
    for storage in (inner, CountingStorage(inner), LatencyStorage(inner, 0), FaultStorage(inner, 0)):
        assert isinstance(storage, Storage)


@pytest.mark.asyncio
async def test_counting_notes_every_call_of_every_view(inner: Storage) -> None:
    storage = CountingStorage(inner)
    await storage.write("a", b"1")
    await storage.options(timeout=1).read("a")
    await storage.exists("b")
    assert storage.calls == [("write", "a"), ("read", "a"), ("stat", "b")]
    assert (storage.count(), storage.count("read")) == (3, 1)
    await storage.delete_tree("a")
    await storage.delete_many(["a"])


@pytest.mark.asyncio
async def test_latency_waits_before_each_request(inner: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(anyio, "sleep", sleep)
    storage = LatencyStorage(inner, 0.25)
    await storage.write("a", b"1")
    await storage.read("a")
    assert waited == [0.25, 0.25]
    await inner.delete_many(["a"])


@pytest.mark.asyncio
@pytest.mark.parametrize("after", [False, True])
async def test_a_fault_at_every_request_in_turn(inner: Storage, after: bool) -> None:
    for at in range(1, 10):
        storage = FaultStorage(inner, at, after=after)
        try:
            await storage.write_many([("a", b"1"), ("b", b"2"), ("c", b"3")])
        except StorageError:
            # What came before it was done, what comes after it was not.
            assert await scanned(inner) == ["a", "b", "c"][: at if after else at - 1]
            await inner.delete_many(["a", "b", "c"])
            continue
        assert (at, storage.made) == (4, 3)
        break
    await inner.delete_many(["a", "b", "c"])


@pytest.mark.asyncio
async def test_a_cancellation_at_a_request(inner: Storage) -> None:
    with anyio.CancelScope() as scope:
        storage = FaultStorage(inner, 2, cancel=scope.cancel)
        await storage.write_many([("a", b"1"), ("b", b"2")])
    assert scope.cancelled_caught
    assert await scanned(inner) == ["a"]
    await inner.delete_many(["a"])
