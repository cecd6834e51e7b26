from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from aiocopick.errors import (
    AlreadyExistsError,
    ConflictError,
    CopickError,
    FormatError,
    LayerError,
    NotFoundError,
    ReadOnlyError,
)
from aiocopick.formats.picks_table import PicksTable
from aiocopick.layers import Stack, filesystem
from aiocopick.layers.codecs import THREAD_BYTES, decode_here
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.layout.listing import Located
from aiocopick.layout.refs import PicksRef, RunRef, TomogramRef, VoxelSpacingRef
from aiocopick.models import CopickConfigFS
from aiocopick.storage import open_storage
from aiocopick.storage.base import Capabilities
from aiocopick.testing import WrappedStorage

REF = PicksRef(run="TS_1", user_id="someone", session_id="1", object_name="ribosome")


class Unconditional(WrappedStorage):
    """A storage that cannot decide on a write by what is there."""

    @property
    def capabilities(self) -> Capabilities:
        return dataclasses.replace(self.inner.capabilities, conditional_writes=False)


@pytest.fixture(params=[False, True], ids=["conditional", "asking first"])
def layer(request: pytest.FixtureRequest) -> FilesystemLayer:
    config = CopickConfigFS(root=f"memory://{uuid.uuid4().hex}/project")
    storage = open_storage(config)
    return FilesystemLayer(config, Unconditional(storage) if request.param else storage)


@pytest.mark.asyncio
async def test_writes_under_a_condition(layer: FilesystemLayer) -> None:
    place, empty = layer.locate(REF), PicksTable.empty()
    first = await layer.save(place, empty, create=True)
    with pytest.raises(AlreadyExistsError, match="ribosome"):
        await layer.save(place, empty, create=True)
    loaded = await layer.load(place)
    assert loaded.etag is not None
    second = await layer.save(place, PicksTable.from_arrays([[1, 2, 3]]), if_match=loaded.etag)
    assert first.etag != second.etag
    with pytest.raises(ConflictError, match="ribosome"):
        await layer.save(place, empty, if_match=loaded.etag)
    assert len((await layer.load(place)).payload) == 1
    await layer.delete(place)
    with pytest.raises(ConflictError):
        await layer.save(place, empty, if_match=second.etag)
    await layer.save(place, empty)


@pytest.mark.asyncio
async def test_what_is_found(layer: FilesystemLayer) -> None:
    refs = [
        RunRef(run="TS_1"),
        VoxelSpacingRef(run="TS_1", voxel_size=10),
        TomogramRef(run="TS_1", voxel_size=10, tomo_type="wbp"),
    ]
    for ref in (*refs, REF):
        assert await layer.find(ref) is None
    for ref in refs:
        created = await layer.create(ref)
        # The version that the writer of a new volume needs is not found again.
        assert await layer.find(ref) == created._replace(etag=None)
    saved = await layer.save(layer.locate(REF), PicksTable.empty())
    found = await layer.find(REF)
    assert found is not None
    assert (found.key, found.size, found.etag) == (saved.key, saved.size, saved.etag)
    assert (await layer.list_run(layer.locate(refs[0]), frozenset({"picks"}))).located == (found,)
    with pytest.raises(NotFoundError):
        await layer.load(layer.locate(PicksRef(run="TS_1", user_id="a", session_id="b", object_name="c")))


@pytest.mark.asyncio
async def test_views(layer: FilesystemLayer) -> None:
    view = layer.options(read_only=True, zarr_format=3)
    assert view == layer
    assert view.read_only
    assert not layer.read_only
    with pytest.raises(ReadOnlyError):
        await view.create(RunRef(run="TS_1"))
    with pytest.raises(ReadOnlyError):
        view.options(read_only=False)
    with pytest.raises(TypeError, match="colour"):
        layer.options(colour="blue")


def test_a_stack_needs_layers_of_different_names() -> None:
    config = CopickConfigFS(root="memory://x/project")
    with pytest.raises(LayerError, match="at least one"):
        Stack([])
    with pytest.raises(LayerError, match="filesystem"):
        Stack([FilesystemLayer(config), FilesystemLayer(config)])


async def _picks_files(layer: FilesystemLayer, contents: Sequence[bytes]) -> list[Located]:
    """Write files of picks, and return them as a listing shows them."""
    for index, content in enumerate(contents):
        await layer.storage.write(f"ExperimentRuns/TS_1/Picks/u_{index}_ribosome.json", content)
    run = await layer.find(RunRef(run="TS_1"))
    assert run is not None
    return list((await layer.list_run(run)).located)


@pytest.mark.asyncio
@pytest.mark.parametrize("largest", [10, 1000], ids=["small", "one is large"])
async def test_files_of_any_size_are_loaded_with_an_error_in_place_of_what_cannot_be_decoded(largest: int) -> None:
    layer = FilesystemLayer(CopickConfigFS(root=f"memory://{uuid.uuid4().hex}"))
    point = {"location": {"x": 1.0, "y": 2.0, "z": 3.0}}
    contents = [json.dumps({"points": [point] * count}).encode() for count in (1, 2, largest)]
    located = await _picks_files(layer, [*contents, b"{", b"[]"])
    assert any(item.size > THREAD_BYTES for item in located if item.size) is (largest == 1000)
    async with layer.load_many(located) as arriving:
        loaded = {item.key: result async for item, result in arriving}
    sizes = [result if isinstance(result, CopickError) else len(result.payload) for _, result in sorted(loaded.items())]
    assert sizes[:3] + sizes[4:] == [1, 2, largest, 0]
    assert isinstance(sizes[3], FormatError)
    assert located[3].key in str(sizes[3])


@pytest.mark.asyncio
async def test_a_file_whose_decoding_is_cancelled_is_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = FilesystemLayer(CopickConfigFS(root=f"memory://{uuid.uuid4().hex}"))
    located = await _picks_files(layer, [b"[]"] * 3)
    waits = [True]

    async def slow(kind: str, data: bytes, *, path: str) -> Any:
        if waits:
            waits.pop()
            scope.cancel()
            await anyio.sleep_forever()
        return decode_here(kind, data, path=path)

    monkeypatch.setattr(filesystem, "decode", slow)
    async with layer.load_many(located) as arriving:
        with anyio.CancelScope() as scope:
            await anext(arriving)
        assert scope.cancelled_caught
        assert {item.key async for item, _ in arriving} == {item.key for item in located}
