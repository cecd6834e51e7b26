"""Projects that only copick opens, as layers of ours. Run in copick's Python; nothing here leaves the machine."""

from __future__ import annotations

import json
import traceback
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import copick
import numpy as np
import pytest

import aiocopick
from aiocopick import AsyncRoot, LayerError, NotFoundError, ReadOnlyError, StorageError
from aiocopick.testing import CONTRACT_OBJECTS
from tests.interop.foreign_projects import copick_config

POSITIONS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
VOLUME = np.arange(60, dtype=np.float32).reshape(3, 4, 5)


def croissant(folder: Path) -> dict[str, Any]:
    """A project of copick's, described by copick as a croissant, and the config that opens it."""
    from copick.ops.croissant import export_croissant

    place = folder / "described"
    config = copick_config(place, "described")
    root = copick.from_string(json.dumps(config))
    run = root.new_run("TS_1")
    run.new_picks("ribosome", "1").from_numpy(POSITIONS)
    run.new_voxel_spacing(10.0).new_tomogram("wbp").from_numpy(VOLUME)
    run.new_segmentation(10.0, "membrane", "1").from_numpy((VOLUME > 3).astype(np.uint8))
    described = export_croissant(
        copick.from_string(json.dumps(config)), str(place), base_url=f"file://{place}", validate=False
    )
    return {
        "config_type": "mlcroissant",
        "croissant_url": described,
        "overlay_root": f"local://{folder / 'overlay'}",
        "overlay_fs_args": {"auto_mkdir": True},
        "pickable_objects": [],
        "user_id": "someone",
    }


@pytest.mark.asyncio
async def test_a_croissant_is_read_alone_and_under_a_project_of_ours(tmp_path: Path) -> None:
    config = croissant(tmp_path)
    root = await aiocopick.open(config)
    assert root.read_only
    (run,) = await root.query()
    assert [picks.uri for picks in await run.picks()] == ["ribosome:someone/1"]
    assert [item.uri for item in await run.segmentations()] == ["membrane:someone/1@10.0"]
    with pytest.raises(ReadOnlyError, match="copick"):
        await root.new_run("TS_2")
    with pytest.raises(ReadOnlyError, match="copick"):
        await run.delete()
    members = [{"root": f"memory://{uuid.uuid4().hex}/ours"}, config]
    stack = AsyncRoot.stack(members)
    (run,) = await stack.query()
    (picks,) = await run.picks()
    np.testing.assert_array_equal((await picks.numpy())[0], POSITIONS)
    await picks.from_numpy(POSITIONS[:1])
    (spacing,) = await run.voxel_spacings()
    (tomogram,) = await spacing.tomograms()
    np.testing.assert_array_equal(await tomogram.numpy(), VOLUME)
    await tomogram.set_region(-1, z=slice(0, 1))
    (run,) = await AsyncRoot.stack(members).query()
    assert [(item.uri, item.layer.name) for item in await run.picks()] == [("ribosome:someone/1", "filesystem")]
    (spacing,) = await run.voxel_spacings()
    (tomogram,) = await spacing.tomograms()
    assert (tomogram.layer.name, (await tomogram.numpy()).min()) == ("filesystem", -1)
    # What copick describes is as it was, and its own overlay was not written to.
    assert not list((tmp_path / "overlay").rglob("*.json"))
    (run,) = await (await aiocopick.open(config)).query()
    np.testing.assert_array_equal((await (await run.picks())[0].numpy())[0], POSITIONS)


@pytest.mark.asyncio
async def test_a_croissant_that_is_not_there_says_so(tmp_path: Path) -> None:
    config = {
        "config_type": "mlcroissant",
        "croissant_url": str(tmp_path / "metadata.json"),
        "pickable_objects": [],
    }
    with pytest.raises((NotFoundError, LayerError), match=r"metadata\.json|mlcroissant"):
        await (await aiocopick.open(config)).query()


class Offline(Exception):
    """What stands for the errors of the portal's client, which copick does not repeat."""


@pytest.fixture
def portal(tmp_path: Path) -> dict[str, Any]:
    return {
        "config_type": "cryoet_data_portal",
        "dataset_ids": [10301],
        "overlay_root": f"local://{tmp_path / 'overlay'}",
        "overlay_fs_args": {"auto_mkdir": True},
        "pickable_objects": CONTRACT_OBJECTS,
        "user_id": "someone",
    }


@pytest.mark.asyncio
async def test_the_data_portal_is_asked_by_copicks_own_class(
    portal: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import cryoet_data_portal
    from copick.impl.cryoet_data_portal import CopickRootCDP

    asked = []

    class Client:
        """Answers from memory."""

        def find(self, kind: type, filters: Any = None) -> list[Any]:
            asked.append(kind)
            found = SimpleNamespace(id=7, name="TS_7", dataset_id=10301)
            return [found] if kind is cryoet_data_portal.Run else []

    monkeypatch.setattr(cryoet_data_portal, "Client", Client)
    root = await aiocopick.open({"layers": [{"root": f"memory://{uuid.uuid4().hex}/ours"}, portal]})
    assert not asked
    assert [run.name for run in await root.query()] == ["7"]
    assert cryoet_data_portal.Run in asked
    assert [(layer.name, layer.read_only) for layer in root.layers] == [("filesystem", False), ("copick", True)]
    assert isinstance(root.layers[1]._opened.get(), CopickRootCDP)


@pytest.mark.parametrize("error", [Offline("no route to the portal"), PermissionError("no route to the portal")])
@pytest.mark.asyncio
async def test_a_data_portal_that_does_not_answer_is_our_error(
    portal: dict[str, Any], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    import cryoet_data_portal
    from copick.impl import cryoet_data_portal as theirs

    class Client:
        """Reaches nobody."""

        def find(self, kind: type, filters: Any = None) -> list[Any]:
            raise error

    monkeypatch.setattr(cryoet_data_portal, "Client", Client)
    # copick waits for seconds between its attempts.
    monkeypatch.setattr(theirs.time, "sleep", lambda seconds: None)
    with pytest.raises((LayerError, StorageError), match=r"cryoet_data_portal.*no route to the portal"):
        await (await aiocopick.open(portal)).query()


@pytest.mark.asyncio
async def test_a_config_that_copick_refuses_names_what_is_wrong(portal: dict[str, Any]) -> None:
    del portal["dataset_ids"]
    portal["overlay_fs_args"] = {"secret": "tell-nobody"}
    with pytest.raises(LayerError, match=r"cryoet_data_portal.*dataset_ids") as caught:
        await (await aiocopick.open(portal)).query()
    assert "tell-nobody" not in "".join(traceback.format_exception(caught.value))
