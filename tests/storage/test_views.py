"""Views of one storage: each has limits of its own, and their requests do not add up."""

from __future__ import annotations

import uuid
from typing import Any

import anyio
import pytest

from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.gate import Gate
from aiocopick.errors import FormatError, StorageError
from aiocopick.storage import open_storage
from aiocopick.storage.backends.base import Content
from aiocopick.storage.backends.memory import MemoryBackend
from aiocopick.storage.managed import ManagedStorage
from aiocopick.storage.settings import Settings

SIZE = 1000


class Watched(MemoryBackend):
    """A backend that notes how much is under way, by view."""

    now = peak = 0
    waits = 50

    async def read(self, key: str, span: Any, most: int | None = None) -> Content:
        Watched.now += 1
        Watched.peak = max(Watched.peak, Watched.now)
        try:
            for _ in range(self.waits):
                await anyio.sleep(0)
            return Content(bytes(SIZE))
        finally:
            Watched.now -= 1


@pytest.fixture
def storage() -> ManagedStorage:
    Watched.now = Watched.peak = 0
    settings = Settings(root=f"memory://{uuid.uuid4().hex}", max_concurrency=8, max_bytes_in_flight=100 * SIZE)
    return ManagedStorage.make(settings, Watched)


async def read_together(*storages: Any, times: int = 50) -> int:
    """Read from all at once; the most requests that were under way."""
    Watched.peak = 0

    async def read(item: tuple[Any, int]) -> None:
        await item[0].read("key", (0, SIZE))

    items = [(storage, index) for index in range(times) for storage in storages]
    await gather(read, items, limit=len(items))
    return Watched.peak


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("limits", "most"), [([], 8), ([8], 8), ([5], 8), ([12], 12), ([3, 5, 7], 8), ([1], 8), ([2, 20], 20)]
)
async def test_requests_of_views_do_not_add_up(storage: ManagedStorage, limits: list[int], most: int) -> None:
    views = [storage.options(max_concurrency=limit) for limit in limits]
    assert await read_together(storage, *views) == most
    for view, limit in zip(views, limits, strict=True):
        assert await read_together(view) == limit
    assert await read_together(storage) == 8


@pytest.mark.asyncio
async def test_bytes_of_views_do_not_add_up(storage: ManagedStorage) -> None:
    small, large = storage.options(max_bytes_in_flight=3 * SIZE), storage.options(max_bytes_in_flight=5 * SIZE)
    assert await read_together(small, large) == 5
    assert await read_together(small) == 3


@pytest.mark.asyncio
async def test_chunks_of_unknown_size_weigh_no_more_than_they_can_have(
    storage: ManagedStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watched, "waits", 500)
    view = storage.options(max_concurrency=32, max_chunk_bytes=3 * SIZE)
    keys = [f"volume.zarr/0/{number}" for number in range(32)]
    async with view.read_through(keys, lambda _, data: len(data)) as results:
        assert [size async for _, size in results] == [SIZE] * 32
    assert Watched.peak == 32


@pytest.mark.asyncio
async def test_another_root_of_the_same_place_is_a_view_too(storage: ManagedStorage) -> None:
    settings = Settings(root=storage._core.settings.root, max_concurrency=5)
    other = ManagedStorage.make(settings, Watched)
    assert await read_together(storage, other) == 8


@pytest.mark.asyncio
async def test_views_take_turns() -> None:
    gates: list[Gate] = []
    wide, narrow = Gate(4, 100, gates), Gate(1, 100, gates)
    admitted: list[str] = []

    async def work(gate: Gate, name: str) -> None:
        async with gate.passing(10):
            admitted.append(name)
            await anyio.sleep(0)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(work, wide, "wide")
        for _ in range(3):
            group.start_soon(work, narrow, "narrow")
    # The narrow one is not left until the end, and keeps nobody waiting while it is full itself.
    assert sorted(admitted) == ["narrow"] * 3 + ["wide"] * 8
    assert admitted.index("narrow") < 9
    assert not any(gate.inside or gate.bytes_inside for gate in gates)


@pytest.mark.asyncio
async def test_a_large_request_of_one_view_is_not_passed_for_ever() -> None:
    gates: list[Gate] = []
    one, other = Gate(4, 100, gates), Gate(4, 90, gates)
    assert one.admit(60)
    # Too much beside the first one: it waits, and later ones wait behind it.
    async with anyio.create_task_group() as group:
        group.start_soon(other.wait, 80)
        await anyio.sleep(0)
        assert not one.admit(10)
        one.leave(60)
    assert other.inside == 1
    other.leave(80)
    assert one.admit(100)


@pytest.mark.asyncio
async def test_a_cancelled_turn_is_given_to_another_view() -> None:
    gates: list[Gate] = []
    one, other = Gate(1, 100, gates), Gate(1, 100, gates)
    assert one.admit(1)
    async with anyio.create_task_group() as group:
        with anyio.move_on_after(0):
            await other.wait(1)
        group.start_soon(one.wait, 1)
        await anyio.sleep(0)
        one.leave(1)
    assert (one.inside, other.inside) == (1, 0)


@pytest.mark.asyncio
async def test_what_a_chunk_can_have_limits_chunks_alone() -> None:
    storage = open_storage(Settings(root=f"memory://{uuid.uuid4().hex}"))
    chunk, metadata = "a.zarr/0/0.0.0", "a.zarr/0/.zarray"
    await storage.write(chunk, bytes(SIZE))
    await storage.write(metadata, bytes(SIZE))
    exact, short = (storage.options(max_chunk_bytes=size) for size in (SIZE, SIZE - 1))
    for view in (storage, exact):
        assert await view.read(chunk) == bytes(SIZE)
    with pytest.raises(FormatError, match=f"larger than {SIZE - 1} bytes, which no chunk of this array can be"):
        await short.read(chunk)
    assert await short.read(metadata) == bytes(SIZE)
    limited = storage.options(max_file_bytes={"chunks": SIZE - 1})
    with pytest.raises(StorageError, match=f"{SIZE - 1} bytes that max_file_bytes allows for chunks"):
        await limited.read(chunk)
