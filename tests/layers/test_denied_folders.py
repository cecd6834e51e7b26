"""One folder that may not be listed: its kind says so, and hides no other."""

from __future__ import annotations

import dataclasses
import os
import sys
import textwrap
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from anyio import run_process

import aiocopick
from aiocopick import AsyncRoot
from aiocopick.errors import AccessDeniedError, LayerError, LayerSkippedWarning
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.layers.stack import Stack
from aiocopick.models import CopickConfigFS
from aiocopick.tables import catalog
from aiocopick.tables.opened import with_catalog
from aiocopick.testing import WrappedStorage
from aiocopick.upkeep import copy, examine
from tests.entities.projects import write_run

pytestmark = pytest.mark.asyncio

NOUNS = ("picks", "meshes", "filaments", "segmentations", "voxel_spacings")
FOLDERS = {
    "Picks": "picks",
    "Meshes": "meshes",
    "Filaments": "filaments",
    "Segmentations": "segmentations",
    "PanopticSegmentations": "segmentations",
}


class Denying(WrappedStorage):
    """Denies what lies in a folder, and listings that would go into it."""

    folder = ""
    by_pages = True

    @property
    def capabilities(self) -> Any:
        found = self.inner.capabilities
        return found if self.by_pages else dataclasses.replace(found, delimiter=False)

    async def around(self, verb: str, key: str, call: Callable[[], Any]) -> Any:
        below = f"{key}/".startswith(f"{self.folder}/")
        if below:
            raise AccessDeniedError(f"Cannot {verb} {key}: denied", path=key)
        return await call()

    @asynccontextmanager
    async def scan(self, prefix: str, collapse: str | None = ".zarr/", **options: Any) -> Any:
        # A listing of everything in a run, or in all runs, goes into the folder.
        if collapse != "/" and f"{self.folder}/".startswith(f"{prefix}/"):
            raise AccessDeniedError(f"Cannot list {prefix}: denied", path=prefix)
        async with super().scan(prefix, collapse, **options) as pages:
            yield pages

    async def first_page(self, prefix: str, **options: Any) -> Any:
        raise AccessDeniedError(f"Cannot list {prefix}: denied", path=prefix)


def denying(config: CopickConfigFS, folder: str, *, by_pages: bool = True) -> AsyncRoot:
    return AsyncRoot._over(config, Stack([denied_layer(config, folder, by_pages=by_pages)]))


def denied_layer(config: CopickConfigFS, folder: str, *, by_pages: bool = True) -> FilesystemLayer:
    storage = Denying(FilesystemLayer(config).storage)
    storage.folder, storage.by_pages = folder, by_pages
    return FilesystemLayer(config, storage)


@pytest.fixture
def config(tmp_path: Path) -> CopickConfigFS:
    return CopickConfigFS(root=f"memory://{tmp_path.name}-denied/project", user_id="someone")


async def check(run: Any, noun: str, folder: str) -> None:
    """A kind is denied by the name of its folder, and the others are there."""
    for other in NOUNS:
        if other != noun:
            assert await getattr(run, other)()
    for _ in range(2):
        with pytest.raises(AccessDeniedError, match=folder):
            await getattr(run, noun)()


@pytest.mark.parametrize("by_pages", [True, False])
@pytest.mark.parametrize("folder", FOLDERS)
async def test_the_other_kinds_are_listed(config: CopickConfigFS, folder: str, by_pages: bool) -> None:
    await write_run(AsyncRoot(config))
    await write_run(AsyncRoot(config), "TS_2")
    root = denying(config, f"ExperimentRuns/TS_1/{folder}", by_pages=by_pages)
    run, other = await root.runs()
    assert await run.meshes() if folder != "Meshes" else await run.picks()
    await check(run, FOLDERS[folder], folder)
    for noun in NOUNS:
        assert await getattr(other, noun)()


@pytest.mark.parametrize("by_pages", [True, False])
async def test_a_voxel_spacing_hides_no_other(config: CopickConfigFS, by_pages: bool) -> None:
    run = await write_run(AsyncRoot(config))
    await (await run.new_voxel_spacing(20.0)).new_tomogram("coarse")
    root = denying(config, "ExperimentRuns/TS_1/VoxelSpacing10.000", by_pages=by_pages)
    [run] = await root.runs()
    assert await run.picks()
    fine, coarse = await run.voxel_spacings()
    assert [tomogram.tomo_type for tomogram in await coarse.tomograms()] == ["coarse"]
    with pytest.raises(AccessDeniedError, match="VoxelSpacing10"):
        await fine.tomograms()


@pytest.mark.parametrize("by_pages", [True, False])
@pytest.mark.parametrize("load", [(), "picks", "meta"])
async def test_a_crawl_says_so_on_the_run(config: CopickConfigFS, load: Any, by_pages: bool) -> None:
    for number in range(12):
        await write_run(AsyncRoot(config), f"TS_{number:02}")
    root = denying(config, "ExperimentRuns/TS_03/Meshes", by_pages=by_pages)
    async with root.crawl(load=load) as crawl:
        runs = [run async for run in crawl]
    runs += [run async for run in root.crawl(load=load)]
    assert [run.name for run in runs if run.error is not None] == ["TS_03", "TS_03"]
    for run in runs:
        if run.name == "TS_03":
            assert isinstance(run.error, AccessDeniedError)
            assert "Meshes" in str(run.error)
            assert len(await run.picks()) == 2
            with pytest.raises(AccessDeniedError):
                await run.meshes()
    async with root.crawl(kinds="picks") as crawl:
        assert [run.error async for run in crawl if run.error is not None] == []


async def test_a_run_hides_no_other(config: CopickConfigFS) -> None:
    for name in ("TS_1", "TS_2"):
        await write_run(AsyncRoot(config), name)
    root = denying(config, "ExperimentRuns/TS_1", by_pages=False)
    first, second = [run async for run in root.crawl()]
    assert isinstance(first.error, AccessDeniedError)
    assert second.error is None
    assert await second.picks()


async def test_everything_that_goes_through_a_project_says_so(config: CopickConfigFS, tmp_path: Path) -> None:
    await write_run(AsyncRoot(config))
    root = denying(config, "ExperimentRuns/TS_1/Picks", by_pages=False)
    rows = (await catalog(root)).to_pylist()
    assert {row["kind"] for row in rows if row["kind"] != "object"} >= {"run", "mesh", "tomogram", "segmentation"}
    assert "picks" not in {row["kind"] for row in rows}
    [row] = [row for row in rows if row["kind"] == "run"]
    assert "Picks" in row["error"]
    findings = [finding for finding in await examine(root) if finding.problem == "unreadable folder"]
    assert len(findings) == 1
    assert "Picks" in findings[0].path
    async with aiocopick.open(f"memory://{tmp_path.name}-target/project") as target:
        report = await copy(root, target)
        assert "Picks" in report.errors["TS_1"]
        [copied] = await target.runs()
        assert await copied.meshes()
        assert await copied.picks() == []


async def test_objects_hide_no_run(config: CopickConfigFS) -> None:
    await write_run(AsyncRoot(config))
    root = denying(config, "Objects", by_pages=False)
    [run] = [run async for run in root.crawl()]
    assert run.error is None
    assert [finding.problem for finding in await examine(root) if "Objects" in finding.path] == ["unreadable folder"]


async def test_objects_cost_a_catalogue_and_a_copy_nothing_else(config: CopickConfigFS, tmp_path: Path) -> None:
    await write_run(AsyncRoot(config))
    ribosome = await AsyncRoot(config).new_object("ribosome", is_particle=True)
    await ribosome.from_numpy(np.ones((4, 4, 4), np.float32), 10)
    complete = await catalog(AsyncRoot(config))
    root = denying(config, "Objects", by_pages=False)
    table = await catalog(root, stats=True)
    [objects] = [row for row in table.to_pylist() if row["kind"] == "object"]
    assert (objects["name"], objects["key"]) == (None, "Objects")
    assert "denied" in objects["error"]
    assert table.num_rows == complete.num_rows
    # The map is not gone: nobody could see it.
    assert aiocopick.changes(complete, table).num_rows == 0
    assert aiocopick.changes(table, complete).num_rows == 0
    listed = await with_catalog(AsyncRoot(config), table)
    [run] = await listed.runs()
    assert await run.picks()
    with pytest.raises(LayerError, match="when the catalogue was made"):
        await listed.pickable_objects()
    async with aiocopick.open(f"memory://{tmp_path.name}-objects/project") as target:
        report = await copy(root, target)
        assert [path for path in report.errors if path.endswith("Objects")] == list(report.errors) != []
        [copied] = await target.runs()
        assert await copied.picks()


@pytest.mark.parametrize("rule", ["raise", "skip"])
async def test_a_layer_of_a_stack(config: CopickConfigFS, tmp_path: Path, rule: Any) -> None:
    below = CopickConfigFS(root=f"memory://{tmp_path.name}-below/project", layer_name="below", user_id="someone")
    above = config.model_copy(update={"layer_name": "above", "priority": 1})
    await write_run(AsyncRoot(above))
    await write_run(AsyncRoot(below))
    layers = [FilesystemLayer(above), denied_layer(below, "ExperimentRuns/TS_1/Picks", by_pages=False)]
    root = AsyncRoot._over(above, Stack(layers, on_layer_error=rule))
    [run] = await root.runs()
    if rule == "raise":
        await check(run, "picks", "Picks")
        return
    with pytest.warns(LayerSkippedWarning, match="Picks"):
        assert len(await run.picks()) == 2
    assert list(run.skipped_layers) == ["below"]


@pytest.mark.skipif(os.name == "nt", reason="this system has no rights of POSIX on folders")
async def test_on_a_local_disk() -> None:
    program = """
        import asyncio, os, sys
        from pathlib import Path

        import aiocopick
        from aiocopick.errors import AccessDeniedError

        async def main(root):
            async with aiocopick.open(str(root), user_id="someone") as project:
                for name in ("TS_1", "TS_2"):
                    run = await project.new_run(name)
                    await (await run.new_picks("ribosome", "1")).from_numpy([[1.0, 2, 3]])
                    await run.new_mesh("membrane", "1")
                    await (await run.new_voxel_spacing(10.0)).new_tomogram("wbp")
            closed = root / "ExperimentRuns" / "TS_1" / "Picks"
            closed.chmod(0)
            if os.geteuid() == 0:
                # The superuser is never denied anything: go on as nobody.
                os.seteuid(65534)
            async with aiocopick.open(str(root)) as project:
                first, second = [run async for run in project.crawl()]
                print(isinstance(first.error, AccessDeniedError), "Picks" in first.error.path, second.error)
                run = (await project.query())[0]
                [spacing] = await run.voxel_spacings()
                print(len(await run.meshes()), len(await spacing.tomograms()))
                try:
                    await run.picks()
                except AccessDeniedError as error:
                    print(error.path.endswith("TS_1/Picks"))
            os.seteuid(os.getuid())
            closed.chmod(0o755)

        asyncio.run(main(Path(sys.argv[1])))
    """
    # Not below the directory of the test: others may not look into that.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        arguments = [sys.executable, "-c", textwrap.dedent(program), f"{folder}/project"]
        answer = await run_process(arguments, check=False)
    assert answer.stdout.decode().split("\n")[:-1] == ["True True None", "1 1", "True"], answer.stderr.decode()
