from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import anyio
import pytest

import aiocopick
from aiocopick.entities import AsyncRun
from aiocopick.errors import CopickError, FormatError, StorageError
from aiocopick.layers import filesystem
from aiocopick.models import CopickRunMeta
from tests.entities.projects import Counted, write_run

META = "ExperimentRuns/TS_1/.meta"


@pytest.mark.asyncio
@pytest.mark.parametrize("content", [None, b"meta", b"", b"{}"], ids=["missing", "copick", "empty", "object"])
async def test_without_metadata_the_path_says_it(counted: Counted, content: bytes | None) -> None:
    run = await write_run(counted.root, volumes=False)
    await counted.storage.delete_many([META])
    if content is not None:
        await counted.storage.write(META, content)
    with counted.requests(read=1):
        assert await run.load_meta() == CopickRunMeta(name="TS_1")


@pytest.mark.asyncio
async def test_unknown_keys_survive_and_the_path_wins(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    await counted.storage.write(META, b'{"name": "another", "microscope": "Krios"}')
    meta = await run.load_meta()
    assert (meta.name, meta.microscope) == ("TS_1", "Krios")
    assert run.meta is meta
    other = (await counted.fresh().query())[0]
    with counted.requests(read=1, write=1):
        await other.store_meta()
    assert json.loads(await counted.storage.read(META)) == {"name": "TS_1", "microscope": "Krios"}


@pytest.mark.asyncio
@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"name": 5}', b"\xff\xfe"])
async def test_broken_metadata_fails_alone(counted: Counted, content: bytes) -> None:
    run = await write_run(counted.root, volumes=False)
    await counted.storage.write(META, content)
    with pytest.raises(FormatError, match=r"TS_1/\.meta"):
        await run.load_meta()
    root = counted.fresh()
    assert [item.name for item in await root.query()] == ["TS_1"]
    assert len(await (await root.runs())[0].picks()) == 2


@pytest.mark.asyncio
async def test_metadata_of_new_entities(counted: Counted) -> None:
    run = await counted.root.new_run("TS_1", microscope="Krios")
    assert (await (await counted.fresh().query())[0].load_meta()).microscope == "Krios"
    spacing = await run.new_voxel_spacing(10, detector="K3")
    assert json.loads(await counted.storage.read(f"{spacing.key}/.meta")) == {"voxel_size": 10.0, "detector": "K3"}
    run.meta.microscope = "Glacios"
    await run._store_metadata()
    assert json.loads(await counted.storage.read(META))["microscope"] == "Glacios"


@pytest.mark.asyncio
async def test_metadata_of_the_root(counted: Counted) -> None:
    root = counted.root
    assert await root.load_meta() == {}
    await root.store_meta({"owner": "somebody"})
    await root.store_meta()
    assert await root.load_meta() == {
        "owner": "somebody",
        "name": "CoPick",
        "description": "Let's CoPick!",
        "version": "0.2.0",
    }
    assert await root.query() == []


@pytest.mark.asyncio
async def test_the_static_loader_of_the_specification(tmp_path) -> None:
    import fsspec

    fs = fsspec.filesystem("file")
    assert await AsyncRun._load_metadata(str(tmp_path), fs) == {}
    (tmp_path / ".meta").write_text('{"name": "x"}')
    assert await AsyncRun._load_metadata(f"{tmp_path}/", fs) == {"name": "x"}
    (tmp_path / ".meta").write_text("{")
    with pytest.raises(CopickError):
        await AsyncRun._load_metadata(str(tmp_path), fs)


@pytest.mark.asyncio
async def test_a_run_made_by_hand_can_be_created(counted: Counted) -> None:
    run = AsyncRun(root=counted.root, meta=CopickRunMeta(name="TS_1"))
    assert run.key == "ExperimentRuns/TS_1"
    assert await run.ensure() is False
    with counted.requests(stat=1, write=1):
        assert await run.ensure(create=True) is True
    assert run in await counted.root.query()
    with counted.requests(stat=1):
        assert await run.ensure(create=True) is True


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["folder", "pipe"])
@pytest.mark.parametrize("place", ["", "ExperimentRuns/TS_1", "ExperimentRuns/TS_1/VoxelSpacing10.000"])
async def test_what_is_no_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, place: str
) -> None:
    monkeypatch.setattr(filesystem, "pause", lambda attempt: 0.0)
    async with aiocopick.open(tmp_path, user_id="someone", session_id="1") as root:
        run = await write_run(root)
        [spacing] = await run.voxel_spacings()
        path = tmp_path / place / ".meta"
        path.unlink(missing_ok=True)
        (path.mkdir if kind == "folder" else partial(os.mkfifo, path))()
        entity = {0: root, 2: run, 3: spacing}[len(Path(place).parts)]
        with (
            anyio.fail_after(30),
            pytest.raises(StorageError, match=r"\.meta (cannot be written: its name is taken|is not a file)"),
        ):
            await entity.store_meta()
        assert path.exists()
