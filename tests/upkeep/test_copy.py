"""Copying between projects."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import aiocopick
from aiocopick.concurrency.gate import Gate
from aiocopick.entities import AsyncRoot
from aiocopick.errors import NotFoundError, ReadOnlyError
from aiocopick.layers.copying import lease_key
from aiocopick.sample import sample_config, write_sample
from aiocopick.storage import Storage, leases
from aiocopick.testing import WrappedStorage
from aiocopick.upkeep import copy, transfer
from tests.children import child
from tests.servers.s3 import MotoServer

PICKS = "ExperimentRuns/TS_001/Picks/curator_1_ribosome.json"
TOMOGRAM = "ExperimentRuns/TS_001/VoxelSpacing10.000/wbp.zarr"


def storage_of(root: AsyncRoot) -> Any:
    return root.layers[0].storage  # type: ignore[attr-defined]


async def contents(root: AsyncRoot, prefix: str = "") -> dict[str, bytes]:
    """All files of a project."""
    async with storage_of(root).scan(prefix, None) as pages:
        keys = [entry.key async for page in pages for entry in page if not entry.is_prefix]
    return {key: await storage_of(root).read(key) for key in keys}


def without_root_meta(files: dict[str, bytes]) -> dict[str, bytes]:
    return {key: content for key, content in files.items() if key != "ExperimentRuns/.meta"}


def empty_project() -> Any:
    return aiocopick.open(sample_config(f"memory://{uuid.uuid4().hex}"))


@pytest.mark.asyncio
async def test_a_whole_project_arrives_byte_by_byte(sample: AsyncRoot, s3_target: AsyncRoot) -> None:
    seen: list[str] = []
    report = await copy(sample, s3_target, progress=seen.append)
    assert report.errors == {}
    original = without_root_meta(await contents(sample))
    assert without_root_meta(await contents(s3_target)) == original
    assert (report.files, report.bytes) == (len(original), sum(map(len, original.values())))
    assert report.entities == len(seen) == 2 * 12 + 2
    # And nothing is done twice.
    writes = s3_target.stats.requests["write"]
    again = await copy(sample, s3_target)
    assert (again.files, again.skipped, again.errors) == (0, report.files, {})
    assert s3_target.stats.requests["write"] <= writes + 1


@pytest.mark.asyncio
async def test_what_a_store_checksums_is_not_read_back(sample: AsyncRoot, s3_target: AsyncRoot) -> None:
    await copy(sample, s3_target, kinds={"picks"})
    assert s3_target.stats.requests["read"] == 0


@pytest.mark.asyncio
async def test_what_is_there_is_not_fetched_again(sample: AsyncRoot, s3_target: AsyncRoot, tmp_path: Path) -> None:
    await copy(sample, s3_target, kinds={"picks"})
    async with aiocopick.open(tmp_path) as local:
        first = await copy(s3_target, local)
        before = s3_target.stats.requests["read"]
        again = await copy(s3_target, local)
        assert (again.skipped, again.files, again.errors) == (first.files, 0, {})
        assert s3_target.stats.requests["read"] == before


@pytest.mark.asyncio
async def test_uris_runs_and_kinds_choose(sample: AsyncRoot) -> None:
    async with empty_project() as target:
        report = await copy(sample, target, "ribosome:curator", runs="TS_001")
        # The run and the picks.
        assert report.entities == 2
        assert set(without_root_meta(await contents(target))) == {"ExperimentRuns/TS_001/.meta", PICKS}
    async with empty_project() as target:
        await copy(sample, target, kinds={"meshes", "voxel_spacings"})
        found = [key for key in without_root_meta(await contents(target)) if not key.endswith(".meta")]
        assert found == [f"ExperimentRuns/TS_00{run}/Meshes/curator_1_membrane.glb" for run in (1, 2)]
    async with empty_project() as target:
        report = await copy(sample, target, "wbp@10.0", runs="TS_001")
        assert report.errors == {}
        run = await target.get_run("TS_001")
        assert run is not None
        (spacing,) = await run.voxel_spacings()
        (tomogram,) = await spacing.tomograms()
        original = (await (await (await sample.get_run("TS_001")).voxel_spacings())[0].tomograms())[0]  # type: ignore[union-attr]
        assert np.array_equal(await tomogram.numpy(), await original.numpy())


@pytest.mark.asyncio
async def test_a_run_that_holds_nothing_is_copied_with_the_rest(tmp_path: Path) -> None:
    (tmp_path / "ExperimentRuns" / "bare").mkdir(parents=True)
    async with aiocopick.open(tmp_path) as source, empty_project() as target:
        await copy(source, target)
        assert [run.name for run in await target.query()] == ["bare"]


@pytest.mark.asyncio
async def test_nothing_is_written_on_a_dry_run(sample: AsyncRoot) -> None:
    async with empty_project() as target:
        report = await copy(sample, target, dry_run=True)
        original = without_root_meta(await contents(sample))
        assert (report.files, report.bytes) == (len(original), sum(map(len, original.values())))
        assert await contents(target) == {}
        assert target.stats.requests["write"] == 0


@pytest.mark.asyncio
async def test_what_is_different_is_replaced_only_when_asked(sample: AsyncRoot, s3_target: AsyncRoot) -> None:
    await copy(sample, s3_target)
    target = storage_of(s3_target)
    await target.write(PICKS, b"[]")
    await target.write(f"{TOMOGRAM}/0/9/9/9", b"stale chunk of a larger tomogram")
    report = await copy(sample, s3_target)
    assert {path.partition("ExperimentRuns")[2] for path in report.errors} == {
        PICKS.removeprefix("ExperimentRuns"),
        TOMOGRAM.removeprefix("ExperimentRuns"),
    }
    assert all("was kept" in message for message in report.errors.values())
    assert await target.read(PICKS) == b"[]"
    report = await copy(sample, s3_target, overwrite=True)
    assert report.errors == {}
    assert without_root_meta(await contents(s3_target)) == without_root_meta(await contents(sample))


@pytest.mark.asyncio
async def test_files_of_one_size_are_compared_unless_told_otherwise(sample: AsyncRoot) -> None:
    async with empty_project() as target:
        await copy(sample, target, "ribosome:curator", runs="TS_001")
        original = await storage_of(sample).read(PICKS)
        changed = original.replace(b"1", b"2")
        await storage_of(target).write(PICKS, changed)
        trusting = await copy(sample, target, "ribosome:curator", runs="TS_001", checksum=False)
        assert trusting.errors == {}
        suspicious = await copy(sample, target, "ribosome:curator", runs="TS_001")
        assert len(suspicious.errors) == 1
        await copy(sample, target, "ribosome:curator", runs="TS_001", overwrite=True)
        assert await storage_of(target).read(PICKS) == original


@pytest.mark.asyncio
async def test_files_of_one_size_whose_checksums_differ_are_different(
    s3_target: AsyncRoot, moto_server: MotoServer
) -> None:
    await write_sample(s3_target, runs=1, volumes=False)
    config = sample_config(f"s3://{moto_server.new_bucket()}/copy", fs_args=moto_server.fs_args())
    async with aiocopick.open(config) as target:
        assert (await copy(s3_target, target)).errors == {}
        original = await storage_of(s3_target).read(PICKS)
        await storage_of(target).write(PICKS, original.replace(b"1", b"2"))
        report = await copy(s3_target, target)
        assert [path.rpartition("/")[2] for path in report.errors] == [PICKS.rpartition("/")[2]]
        report = await copy(s3_target, target, overwrite=True)
        assert (report.files, report.errors) == (1, {})
        assert await storage_of(target).read(PICKS) == original


@pytest.mark.asyncio
@pytest.mark.parametrize("from_s3", [True, False])
async def test_files_of_one_size_differ_where_only_one_side_has_checksums(
    sample: AsyncRoot, s3_target: AsyncRoot, from_s3: bool
) -> None:
    await copy(sample, s3_target, "ribosome:curator", runs="TS_001")
    async with empty_project() as other:
        source, target = (s3_target, other) if from_s3 else (sample, s3_target)
        assert (await copy(source, target, "ribosome:curator", runs="TS_001")).errors == {}
        original = await storage_of(source).read(PICKS)
        await storage_of(target).write(PICKS, original.replace(b"1", b"2"))
        report = await copy(source, target, "ribosome:curator", runs="TS_001")
        assert [path.rpartition("/")[2] for path in report.errors] == [PICKS.rpartition("/")[2]]
        report = await copy(source, target, "ribosome:curator", runs="TS_001", overwrite=True)
        assert (report.files, report.errors) == (1, {})
        assert await storage_of(target).read(PICKS) == original


class Meanwhile(WrappedStorage):
    """A storage that looks for the metadata of the tomogram whenever a chunk of it is written."""

    seen: ClassVar[list[bool]] = []

    async def write(self, key: str, data: Any, *, if_match: str | None = None, create: bool = False) -> str | None:
        if key.startswith(f"{TOMOGRAM}/") and not key.rpartition("/")[2].startswith(".z"):
            with suppress(NotFoundError):
                await self.inner.stat(f"{TOMOGRAM}/.zattrs")
                self.seen.append(True)
            self.seen.append(False)
        return await self.inner.write(key, data, if_match=if_match, create=create)


@pytest.mark.asyncio
async def test_a_volume_is_empty_while_it_is_replaced(sample: AsyncRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Meanwhile, "seen", [])
    async with empty_project() as target:
        await copy(sample, target, runs="TS_001")
        layer: Any = target.layer
        await layer.storage.write(f"{TOMOGRAM}/0/0/0/0", b"of another tomogram")
        layer.storage = Meanwhile(layer.storage)
        assert (await copy(sample, target, runs="TS_001", overwrite=True)).errors == {}
        assert Meanwhile.seen == [False]
        whole = await contents(sample, TOMOGRAM)
        assert await contents(target, TOMOGRAM) == whole
        # Next to metadata that stay, nothing is removed.
        await layer.storage.delete_many([f"{TOMOGRAM}/0/0/0/0"])
        report = await copy(sample, target, runs="TS_001")
        assert (report.files, report.errors, Meanwhile.seen) == (1, {}, [False, True, False])
        assert await contents(target, TOMOGRAM) == whole


@pytest.mark.asyncio
async def test_a_file_counts_with_its_size_towards_the_limit(sample: AsyncRoot) -> None:
    weights: list[int] = []

    class Weighed(Gate):
        def passing(self, weight: int) -> Any:
            weights.append(weight)
            return super().passing(weight)

    async with empty_project() as target:
        source = storage_of(sample)
        copying = transfer.Transfer(
            source, storage_of(target), Weighed(1, 1), overwrite=False, checksum=True, dry_run=False
        )
        size = len(await source.read(PICKS))
        for _ in range(2):
            await copying.file(PICKS)
        # Both files are held against each other.
        assert weights == [size, 2 * size]
        assert (copying.files, copying.bytes, copying.skipped) == (1, size, 1)


@pytest.mark.asyncio
async def test_a_file_that_changed_since_is_older_in_the_target(sample: AsyncRoot) -> None:
    async with empty_project() as target:
        await copy(sample, target, "ribosome:curator", runs="TS_001")
        original = await storage_of(sample).read(PICKS)
        await storage_of(sample).write(PICKS, original.replace(b"1", b"2"))
        report = await copy(sample, target, "ribosome:curator", runs="TS_001")
        assert len(report.errors) == 1


@pytest.mark.asyncio
async def test_what_cannot_be_read_is_reported_and_the_rest_copied(tmp_path: Path) -> None:
    async with aiocopick.open(sample_config(tmp_path)) as source, empty_project() as target:
        await write_sample(source, runs=2, volumes=False)
        (tmp_path / PICKS).unlink()
        (tmp_path / PICKS).mkdir()
        (tmp_path / PICKS / "x").write_text("x")
        report = await copy(source, target, runs=["TS_001", "TS_002", "TS_099"])
        assert "TS_099" in report.errors
        assert len(await target.query()) == 2
        assert len(report.errors) <= 2


@pytest.mark.asyncio
async def test_a_read_only_target_is_refused_before_anything_is_read(sample: AsyncRoot) -> None:
    async with empty_project() as target:
        with pytest.raises(ReadOnlyError):
            await copy(sample, target.options(read_only=True))


@pytest.mark.asyncio
async def test_a_part_of_a_volume_reads_as_empty(sample: AsyncRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever write fails, the copy of a volume is absent, empty or whole."""
    run = await sample.get_run("TS_001")
    assert run is not None
    (segmentation,) = await run.get_segmentations(name="cell")
    whole = await segmentation.numpy()
    total = len(await contents(sample, segmentation.key))
    for failing in range(total):
        async with empty_project() as target:
            storage = storage_of(target)
            count = 0

            class Failing:
                def __getattr__(self, name: str, storage: Any = storage) -> Any:
                    return getattr(storage, name)

                def options(self, **changes: Any) -> Any:
                    return self

                async def write(
                    self, key: str, data: bytes, storage: Any = storage, at: int = failing, **condition: Any
                ) -> Any:
                    nonlocal count
                    count += key.startswith(segmentation.key)
                    if count == at + 1:
                        raise aiocopick.StorageError("the power is out", path=key)
                    return await storage.write(key, data, **condition)

            target.layers[0].storage = Failing()  # type: ignore[attr-defined]
            report = await copy(sample, target, segmentation.uri, runs="TS_001")
            target.layers[0].storage = storage  # type: ignore[attr-defined]
            assert len(report.errors) == 1
            there = await target.get_run("TS_001")
            assert there is not None
            for found in await there.get_segmentations(name="cell"):
                with suppress(aiocopick.NotFoundError):
                    assert np.array_equal(await found.numpy(), whole)
            again = await copy(sample, target, segmentation.uri, runs="TS_001")
            assert again.errors == {}
            there.refresh()
            (found,) = await there.get_segmentations(name="cell")
            assert np.array_equal(await found.numpy(), whole)


# It does not get further than it may, however late it is killed.
CHILD = """
import sys, anyio, aiocopick
from aiocopick.upkeep import copy

paths = []

def progress(path):
    paths.append(path)
    if len(paths) == 8:
        print("eight", flush=True)
        sys.stdin.read()

async def main():
    async with aiocopick.open(sys.argv[1]) as source, aiocopick.open(sys.argv[2]) as target:
        await copy(source, target, progress=progress)

anyio.run(main)
"""


@pytest.mark.asyncio
async def test_a_killed_copy_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The lease of the killed one is taken over once it is old: here at once.
    monkeypatch.setattr(leases, "LIFETIME", 0.0)
    async with aiocopick.open(sample_config(tmp_path / "source")) as source:
        await write_sample(source, runs=3)
        command = [sys.executable, "-c", CHILD, tmp_path / "source", tmp_path / "target"]
        with child(command, stdin=subprocess.PIPE) as copier:
            assert copier.stdout is not None
            assert copier.stdout.readline() == "eight\n"
        async with aiocopick.open(tmp_path / "target") as target:
            total = len(without_root_meta(await contents(source)))
            report = await copy(source, target)
            assert report.errors == {}
            assert report.files + report.skipped == total
            assert 0 < report.skipped < total
            assert without_root_meta(await contents(target)) == without_root_meta(await contents(source))


@pytest.mark.asyncio
@pytest.mark.parametrize("key", [PICKS, f"{TOMOGRAM}/0/0/0/0", "ExperimentRuns/TS_001/.meta"])
async def test_what_changed_with_an_older_time_is_copied(tmp_path: Path, key: str) -> None:
    async with aiocopick.open(tmp_path / "one") as source, aiocopick.open(tmp_path / "two") as target:
        await write_sample(source, runs=1)
        assert (await copy(source, target)).errors == {}
        changed = tmp_path / "one" / key
        content = changed.read_bytes()
        changed.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.utime(changed, (1, 1))
        assert len((await copy(source, target)).errors) == 1
        assert (await copy(source, target, checksum=False)).errors == {}
        assert (tmp_path / "two" / key).read_bytes() == content
        report = await copy(source, target, overwrite=True)
        assert report.errors == {}
        assert (tmp_path / "two" / key).read_bytes() == changed.read_bytes()


class Appearing(WrappedStorage):
    """A storage in which another program writes files just before they are written."""

    def __init__(self, inner: Storage, contents: dict[str, bytes]) -> None:
        super().__init__(inner)
        self.contents = contents

    async def write(self, key: str, data: Any, *, if_match: str | None = None, create: bool = False) -> str | None:
        if key in self.contents:
            await self.inner.write(key, self.contents.pop(key))
        return await self.inner.write(key, data, if_match=if_match, create=create)


@pytest.mark.asyncio
@pytest.mark.parametrize("key", [PICKS, f"{TOMOGRAM}/.zattrs", f"{TOMOGRAM}/0/0/0/0", "ExperimentRuns/TS_001/.meta"])
@pytest.mark.parametrize("kind", ["memory", "local", "s3"])
async def test_what_appears_after_the_look_is_not_replaced(
    sample: AsyncRoot, s3_target: AsyncRoot, tmp_path: Path, key: str, kind: str
) -> None:
    if kind == "s3":
        opened: Any = contextlib.nullcontext(s3_target)
    else:
        opened = empty_project() if kind == "memory" else aiocopick.open(tmp_path / "target")
    async with opened as target:
        layer: Any = target.layer
        layer.storage = Appearing(layer.storage, {key: b"of another program"})
        report = await copy(sample, target, runs="TS_001")
        assert len(report.errors) == 1
        assert "different" in next(iter(report.errors.values()))
        assert await layer.storage.read(key) == b"of another program"
        # With overwrite it may be replaced, and what is the same is no error.
        layer.storage.contents[key] = b"of another program"
        whole = await copy(sample, target, runs="TS_001", overwrite=True)
        assert whole.errors == {}
        original = await storage_of(sample).read(key)
        assert await layer.storage.read(key) == original
        await layer.storage.delete_many([key])
        layer.storage.contents[key] = original
        report = await copy(sample, target, runs="TS_001")
        assert (report.files, report.skipped, report.errors) == (0, whole.files + whole.skipped, {})


@pytest.mark.asyncio
async def test_two_copies_at_once_leave_one_whole_project(sample: AsyncRoot, s3_target: AsyncRoot) -> None:
    twin = AsyncRoot(s3_target.config)
    reports = await asyncio.gather(copy(sample, s3_target), copy(sample, twin))
    for report in reports:
        assert all("being written" in message for message in report.errors.values())
    assert (await copy(sample, s3_target)).errors == {}
    assert without_root_meta(await contents(s3_target)) == without_root_meta(await contents(sample))
    await twin.aclose()


class TakenOver(WrappedStorage):
    """A storage in which another writer takes a volume over while its chunks are copied."""

    async def write(self, key: str, data: Any, *, if_match: str | None = None, create: bool = False) -> str | None:
        if key == f"{TOMOGRAM}/0/0/0/0":
            await self.inner.write(lease_key(TOMOGRAM), b"{}")
        return await self.inner.write(key, data, if_match=if_match, create=create)


@pytest.mark.asyncio
async def test_a_copy_that_was_taken_over_shows_nothing(sample: AsyncRoot) -> None:
    async with empty_project() as target:
        layer: Any = target.layer
        layer.storage = TakenOver(layer.storage)
        report = await copy(sample, target, runs="TS_001", kinds={"tomograms"})
        assert len(report.errors) == 1
        assert "taken over" in next(iter(report.errors.values()))
        there = await contents(target, TOMOGRAM)
        assert f"{TOMOGRAM}/0/0/0/0" in there
        assert not [key for key in there if key.rpartition("/")[2].startswith(".z")]


@pytest.mark.asyncio
async def test_a_dry_run_makes_no_meta_where_the_source_has_none(tmp_path: Path) -> None:
    (tmp_path / "ExperimentRuns" / "bare").mkdir(parents=True)
    async with aiocopick.open(tmp_path) as source, empty_project() as target:
        await copy(source, target, dry_run=True)
        assert await contents(target) == {}
        await copy(source, target)
        assert await storage_of(target).read("ExperimentRuns/bare/.meta") == b"{}"


@pytest.mark.asyncio
@pytest.mark.parametrize("left", ["nothing", "chunks"])
async def test_a_volume_that_vanishes_from_the_source_stays_in_the_target(
    sample: AsyncRoot, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    target = await empty_project()
    await copy(sample, target)
    before = await contents(target)
    volumes = {key.partition(".zarr/")[0] for key in before if ".zarr/" in key}
    assert {name.split("/")[0] for name in volumes} == {"ExperimentRuns", "Objects"}
    listed = transfer._files

    async def deleted_meanwhile(storage: Storage, prefix: str) -> dict[str, Any]:
        found = await listed(storage, prefix)
        if storage is not storage_of(sample):
            return found
        return {key: entry for key, entry in found.items() if left == "chunks" and not transfer.is_document(key)}

    monkeypatch.setattr(transfer, "_files", deleted_meanwhile)
    report = await copy(sample, target, overwrite=True)
    assert len(report.errors) == len(volumes)
    assert all("was kept" in error for error in report.errors.values())
    assert await contents(target) == before
