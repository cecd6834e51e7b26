"""Several writers of one thing: none of them undoes what another one did, and what is new is made by one of them."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiocopick import CopickRootFS
from aiocopick.entities import AsyncRoot
from aiocopick.errors import AlreadyExistsError
from aiocopick.models import CopickConfigFS

MANY = 10


@pytest.fixture(
    params=[
        "memory",
        "local",
        "moto",
        pytest.param("minio", marks=pytest.mark.minio),
        "gcs",
        "azure",
    ],
)
def config(request: pytest.FixtureRequest, tmp_path: Path) -> CopickConfigFS:
    """A new project on each backend that has conditional writes."""
    kind = request.param
    if kind == "memory":
        return CopickConfigFS(root=f"memory://{uuid.uuid4().hex}/project", user_id="someone", session_id="1")
    if kind == "local":
        return CopickConfigFS(root=str(tmp_path / "project"), user_id="someone", session_id="1")
    server = request.getfixturevalue(f"{kind}_server")
    root = f"{ {'gcs': 'gs', 'azure': 'az'}.get(kind, 's3') }://{server.new_bucket()}/project"
    return CopickConfigFS(root=root, fs_args=server.fs_args(), user_id="someone", session_id="1", timeout=30)


@pytest.fixture
def roots(config: CopickConfigFS) -> list[AsyncRoot]:
    """The same project, opened many times: none knows what another one did."""
    return [AsyncRoot(config.model_copy(deep=True)) for _ in range(MANY)]


async def attempts(make: Callable[[AsyncRoot], Awaitable[Any]], roots: list[AsyncRoot]) -> list[Any]:
    return await asyncio.gather(*map(make, roots), return_exceptions=True)


async def run_of(root: AsyncRoot) -> Any:
    return await root.get_run("TS_1")


async def spacing_of(root: AsyncRoot) -> Any:
    return await (await run_of(root)).get_voxel_spacing(10)


async def tomogram_of(root: AsyncRoot) -> Any:
    return await (await spacing_of(root)).get_tomogram("wbp")


async def prepare(root: AsyncRoot) -> None:
    run = await root.new_run("TS_1")
    await (await run.new_voxel_spacing(10)).new_tomogram("wbp")


PARENTS = {"run": run_of, "spacing": spacing_of, "tomogram": tomogram_of}

NEW: dict[str, tuple[str | None, Callable[..., Awaitable[Any]]]] = {
    "new_run": (None, lambda root, exist_ok: root.new_run("TS_2", exist_ok=exist_ok)),
    "new_voxel_spacing": ("run", lambda run, exist_ok: run.new_voxel_spacing(20, exist_ok=exist_ok)),
    "new_tomogram": ("spacing", lambda spacing, exist_ok: spacing.new_tomogram("denoised", exist_ok=exist_ok)),
    "new_features": ("tomogram", lambda tomogram, exist_ok: tomogram.new_features("edges", exist_ok=exist_ok)),
    "new_segmentation": ("run", lambda run, exist_ok: run.new_segmentation(10, "membrane", exist_ok=exist_ok)),
    "new_picks": ("run", lambda run, exist_ok: run.new_picks("ribosome", exist_ok=exist_ok)),
    "new_mesh": ("run", lambda run, exist_ok: run.new_mesh("ribosome", exist_ok=exist_ok)),
    "new_filaments": ("run", lambda run, exist_ok: run.new_filaments("ribosome", exist_ok=exist_ok)),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("exist_ok", [False, True])
@pytest.mark.parametrize("verb", NEW)
async def test_what_is_new_is_made_by_one_of_many(roots: list[AsyncRoot], verb: str, exist_ok: bool) -> None:
    await prepare(roots[0])
    parent, create = NEW[verb]
    # All have looked before any of them makes it: a list that is known is not asked for again.
    parents = list(roots) if parent is None else [await PARENTS[parent](root) for root in roots]
    for item in parents:
        for name in (
            "voxel_spacings",
            "segmentations",
            "picks",
            "meshes",
            "filaments",
            "tomograms",
            "features",
            "runs",
        ):
            if hasattr(item, name):
                await getattr(item, name)()
    results = await asyncio.gather(*(create(item, exist_ok) for item in parents), return_exceptions=True)
    if exist_ok:
        assert not [result for result in results if isinstance(result, Exception)]
        assert len(set(results)) == 1
    else:
        assert len([result for result in results if not isinstance(result, Exception)]) == 1
        assert {type(result) for result in results if isinstance(result, Exception)} == {AlreadyExistsError}
        assert "exist_ok=True" in str(next(result for result in results if isinstance(result, Exception)))
    for root in roots:
        await root.aclose()


@pytest.mark.asyncio
async def test_ten_new_objects_of_one_name_make_one(config: CopickConfigFS) -> None:
    root = AsyncRoot(config)
    results = await attempts(lambda _: root.new_object("ribosome", is_particle=True), [root] * MANY)
    assert len([result for result in results if not isinstance(result, Exception)]) == 1
    assert {type(result) for result in results if isinstance(result, Exception)} == {AlreadyExistsError}
    await root.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("what", ["run", "spacing", "root"])
async def test_ten_writers_of_different_keys_keep_all_of_them(roots: list[AsyncRoot], what: str) -> None:
    await prepare(roots[0])

    async def change(pair: tuple[int, AsyncRoot]) -> None:
        number, root = pair
        if what == "root":
            await root.store_meta({f"key_{number}": number})
            return
        entity = await PARENTS[what](root)
        await entity.load_meta()
        setattr(entity.meta, f"key_{number}", number)
        await entity.store_meta()

    await asyncio.gather(*map(change, enumerate(roots)))
    if what == "root":
        content = await roots[0].load_meta()
    else:
        content = (await (await PARENTS[what](roots[0])).load_meta()).model_dump()
    assert {name for name in content if name.startswith("key_")} == {f"key_{number}" for number in range(MANY)}
    for root in roots:
        await root.aclose()


@pytest.mark.asyncio
async def test_a_value_that_was_read_does_not_undo_a_newer_one(roots: list[AsyncRoot]) -> None:
    await prepare(roots[0])
    first, second = [await run_of(root) for root in roots[:2]]
    first.meta.microscope = "Krios"
    await first.store_meta()
    await second.load_meta()
    first.meta.microscope = "Glacios"
    await first.store_meta()
    second.meta.operator = "someone"
    await second.store_meta()
    content = json.loads(await roots[0].layer.storage.read("ExperimentRuns/TS_1/.meta"))
    assert content == {"name": "TS_1", "microscope": "Glacios", "operator": "someone"}
    for root in roots:
        await root.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize(("mine", "theirs"), list(itertools.product((2, 3), (2, 3))))
@pytest.mark.parametrize("then", ["wrote it", "deleted it", "deleted and made it"])
async def test_a_new_volume_is_not_taken_for_empty_once_another_one_changed_it(
    config: CopickConfigFS, mine: int, theirs: int, then: str
) -> None:
    async with (
        AsyncRoot(config.model_copy(update={"zarr_format": mine})) as root,
        AsyncRoot(config.model_copy(update={"zarr_format": theirs})) as other,
    ):
        spacing = await (await root.new_run("TS_1")).new_voxel_spacing(10)
        tomogram = await spacing.new_tomogram("wbp")
        same = await tomogram_of(other)
        if then == "wrote it":
            await same.from_numpy(np.ones((20, 20, 20), np.float32), chunks=(5, 5, 5), levels=3)
        else:
            await same.delete()
        if then == "deleted and made it":
            await (await spacing_of(other)).new_tomogram("wbp")
        data = np.arange(8.0**3, dtype=np.float32).reshape(8, 8, 8)
        await tomogram.from_numpy(data, chunks=(8, 8, 8), levels=1)
        same = await tomogram_of(AsyncRoot(config))
        assert np.array_equal(await same.numpy(), data)
        assert len(await same.levels()) == 1
        documents = [".zgroup", ".zattrs", "0/.zarray"] if mine == 2 else ["zarr.json", "0/zarr.json"]
        assert sorted([key async for key in tomogram.zarr().list()]) == sorted([*documents, "0/0/0/0"])
        await same.root.aclose()


def test_ten_new_runs_of_one_name_through_the_facade(config: CopickConfigFS) -> None:
    from concurrent.futures import ThreadPoolExecutor

    opened = [CopickRootFS(config.model_copy(deep=True)) for _ in range(MANY)]

    def make(root: Any) -> bool:
        try:
            root.new_run("TS_1")
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(MANY) as pool:
        assert sorted(pool.map(make, opened)) == [False] * (MANY - 1) + [True]
    for root in opened:
        root.close()
