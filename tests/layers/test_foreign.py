"""Foreign layers on something that implements the abstract API and is not ours to look into."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from aiocopick import (
    AsyncRoot,
    CopickConfigForeign,
    CopickConfigMultilayer,
    CopickRootFS,
    LayerError,
    LayerSkippedWarning,
    ReadOnlyError,
    StorageError,
)
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.layers.foreign import ForeignLayer
from tests.layers.strangers import POSITIONS, PROJECT, Stranger, memory, stranger


@pytest.mark.asyncio
async def test_it_is_called_in_threads_only() -> None:
    foreign, threads = stranger()
    root = AsyncRoot.stack([foreign])
    async with root.crawl() as runs:
        assert [run.name async for run in runs] == ["TS_1"]
    (run,) = await root.query()
    (picks,) = await run.picks()
    np.testing.assert_array_equal((await picks.numpy())[0], POSITIONS)
    assert threads
    assert threading.get_ident() not in threads
    assert root.stats.requests["list"] == 4
    assert root.config.user_id == "someone"
    assert [item.name for item in root.config.pickable_objects] == ["ribosome", "membrane", "actin"]


@pytest.mark.asyncio
async def test_a_blocking_root_of_ours_is_its_async_twin() -> None:
    facade = CopickRootFS.stack([{"root": memory(), **PROJECT}])
    root = AsyncRoot.stack([facade])
    assert root.layers == facade.aio.layers
    assert isinstance(root.layers[0], FilesystemLayer)


@pytest.mark.asyncio
async def test_a_read_only_layer_refuses_before_it_asks() -> None:
    foreign, threads = stranger()
    config = CopickConfigForeign(config_type="object", read_only=True)
    root = AsyncRoot.stack([ForeignLayer(foreign, config)])
    root.user_id = "someone"
    (run,) = await root.query()
    (picks,) = await run.picks()
    threads.clear()
    with pytest.raises(ReadOnlyError, match="copick"):
        await picks.from_numpy(POSITIONS)
    with pytest.raises(ReadOnlyError, match="copick"):
        await root.new_run("TS_2")
    with pytest.raises(ReadOnlyError, match="copick"):
        await run.delete()
    assert not threads


@pytest.mark.asyncio
async def test_a_layer_that_fails_is_raised_or_left_out_with_a_warning() -> None:
    broken = True

    def fail(name: str) -> None:
        if broken:
            raise OSError("the disk is gone")

    broken = False
    foreign, _ = stranger(fail)
    broken = True
    ours = AsyncRoot.stack([{"root": memory(), **PROJECT}])
    await ours.new_run("TS_2")
    with pytest.raises(StorageError, match="the disk is gone"):
        await AsyncRoot.stack([ours, foreign]).query()
    root = AsyncRoot.stack([ours, foreign], on_layer_error="skip")
    with pytest.warns(LayerSkippedWarning, match=r"copick.*the disk is gone"):
        runs = await root.query()
    assert [run.name for run in runs] == ["TS_2"]
    assert list(root.skipped_layers) == ["copick"]
    assert isinstance(root.skipped_layers["copick"], StorageError)
    # It is said once; and a layer that answers again is there again.
    assert len(await root.query()) == 1
    broken = False
    assert [run.name for run in await root.query()] == ["TS_1", "TS_2"]
    assert root.skipped_layers == {}
    broken = True
    with pytest.warns(LayerSkippedWarning, match="copick"):
        names = [run.name async for run in root.crawl()]
    assert names == ["TS_2"]
    # All of them failing is no empty project.
    with pytest.raises(StorageError, match="the disk is gone"):
        await AsyncRoot.stack([foreign], on_layer_error="skip").query()


def test_without_copick_its_configs_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiocopick.layers.foreign.layer.find_spec", lambda name: None)
    for kind in ("cryoet_data_portal", "mlcroissant"):
        with pytest.raises(LayerError, match=r"pip install .*copick"):
            AsyncRoot(CopickConfigForeign(config_type=kind, overlay_root="/nowhere"))


@pytest.mark.asyncio
async def test_configs_that_only_copick_understands_are_opened_by_it_once_and_read_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import json
    import sys
    from types import ModuleType

    foreign, _ = stranger()
    opened: list[dict[str, Any]] = []
    module = ModuleType("copick.ops.open")

    def from_string(text: str) -> Stranger:
        opened.append(json.loads(text))
        return foreign

    module.from_string = from_string  # type: ignore[attr-defined]
    for name in ("copick", "copick.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "copick.ops.open", module)
    monkeypatch.setattr("aiocopick.layers.foreign.layer.find_spec", lambda name: True)
    portal = {"config_type": "cryoet_data_portal", "dataset_ids": [1], "overlay_root": "/nowhere"}
    config = CopickConfigMultilayer(layers=[memory(), portal], **PROJECT)
    root = AsyncRoot(config)
    assert not opened
    (run,) = await root.query()
    assert len(await run.picks()) == 1
    (given,) = opened
    assert (given["dataset_ids"], given["config_type"]) == ([1], "cryoet_data_portal")
    assert not {"layer_name", "timeout"} & given.keys()
    assert [layer.read_only for layer in root.layers] == [False, True]
    with pytest.raises(ReadOnlyError, match="copick"):
        await (await run.picks())[0].delete()


def test_members_that_cannot_be_layers_are_refused() -> None:
    with pytest.raises(LayerError, match="int"):
        AsyncRoot.stack([1])
    with pytest.raises(LayerError, match="elsewhere"):
        AsyncRoot.stack([memory()], default_write_layer="elsewhere")
    with pytest.raises(LayerError, match="sometimes"):
        AsyncRoot.stack([memory()], on_layer_error="sometimes")  # type: ignore[arg-type]


def test_names_are_numbered_and_layers_of_one_root_stay_together() -> None:
    pair = AsyncRoot.stack([memory(), memory()])
    root = AsyncRoot.stack([memory(), pair, {"root": memory(), "layer_name": "first", "priority": 3}])
    assert [layer.name for layer in root.layers] == ["first", "filesystem", "filesystem-1", "filesystem-1-1"]
    assert [layer.url for layer in root.layers][2:] == [layer.url for layer in pair.layers]
    assert [layer.priority for layer in root.layers] == [3, 2, 1, 0]
