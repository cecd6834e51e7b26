from __future__ import annotations

import logging

import pytest
from pydantic import ValidationError

from aiocopick.entities import AsyncRoot
from aiocopick.errors import AlreadyExistsError, InvalidNameError
from aiocopick.models import PickableObject
from tests.entities.projects import Counted, write_run


@pytest.mark.asyncio
async def test_objects_of_the_config_are_live(counted: Counted) -> None:
    root = counted.root
    assert await root.pickable_objects() == []
    root.config.pickable_objects.append(PickableObject(name="ribosome", is_particle=True, radius=125))
    objects = await root.pickable_objects()
    assert [item.name for item in objects] == ["ribosome"]
    assert (await root.pickable_objects())[0] is objects[0]
    assert objects[0].meta is root.config.pickable_objects[0]
    assert (objects[0].radius, objects[0].key) == (125, "Objects/ribosome.zarr")
    with counted.requests():
        found = await root.get_object("ribosome")
    assert found is objects[0]


@pytest.mark.asyncio
async def test_a_project_that_names_no_objects_has_those_with_a_map(root: AsyncRoot) -> None:
    async with root:
        storage = root.layer.storage
        await storage.write("Objects/ribosome.zarr/.zgroup", b"{}")
        await storage.write("Objects/apo.zarr/zarr.json", b"{}")
        await storage.write("Objects/readme.txt", b"")
        objects = await root.query_objects()
        assert [item.name for item in objects] == ["apo", "ribosome"]
        assert objects[0].is_particle
        assert objects[0].path == f"{root.url}/Objects/apo.zarr"
        root.config.pickable_objects.append(PickableObject(name="ribosome", is_particle=True))
        assert [item.name for item in await root.pickable_objects()] == ["ribosome"]


@pytest.mark.asyncio
async def test_new_objects(counted: Counted) -> None:
    root = counted.root
    first = await root.new_object("ribosome", True, emdb_id="EMD-1", filament=None)
    assert (first.label, first.color, first.emdb_id) == (1, (100, 100, 100, 255), "EMD-1")
    second = await root.new_object("microtubule", True, color=(1, 2, 3, 4), filament={"polar": True})
    assert second.label == 2
    assert second.is_filament
    assert await root.pickable_objects() == [first, second]
    assert [item.name for item in root.config.pickable_objects] == ["ribosome", "microtubule"]
    await (await root.new_run("TS_1")).new_picks("ribosome", "1")

    with pytest.raises(AlreadyExistsError, match="name ribosome already exists"):
        await root.new_object("ribosome", True)
    with pytest.raises(AlreadyExistsError, match="label 2 already exists"):
        await root.new_object("other", True, label=2)
    with pytest.raises(InvalidNameError, match="invalid characters"):
        await root.new_object("other_one", True)
    with pytest.raises(ValidationError, match="Label 0 is reserved"):
        await root.new_object("other", True, label=0)
    with pytest.raises(ValidationError, match="Field required"):
        await root.new_object("other", True, color=(1, 2, 3))  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="Color values must be in the range"):
        await root.new_object("other", True, color=(1, 2, 3, 400))
    assert len(root.config.pickable_objects) == 2


@pytest.mark.asyncio
async def test_an_object_is_changed_in_place_or_not_at_all(counted: Counted) -> None:
    root = counted.root
    first = await root.new_object("ribosome", True, radius=100, metadata={"a": 1})
    changed = await root.new_object("ribosome", True, radius=125, exist_ok=True)
    assert changed is first
    assert (first.radius, first.metadata, first.label) == (125, {"a": 1}, 1)
    before = first.meta.model_dump()
    with pytest.raises(ValueError, match="is_particle"):
        await root.new_object("ribosome", False, radius=1, exist_ok=True, filament={"polar": True})
    assert first.meta.model_dump() == before


@pytest.mark.asyncio
async def test_a_name_like_a_segmentation_type_is_warned_about(counted: Counted, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        await counted.root.new_object("x-multilabel", False)
    assert "segmentation type suffix" in caplog.text


@pytest.mark.asyncio
async def test_names_in_use_are_discovered(counted: Counted) -> None:
    await write_run(counted.root)
    await counted.storage.write("Objects/apo.zarr/.zgroup", b"{}")
    assert await counted.fresh().discover_objects() == ["apo", "membrane", "microtubule", "ribosome"]
    assert counted.root.config.pickable_objects == []


@pytest.mark.asyncio
async def test_a_deleted_map_leaves_the_object(counted: Counted) -> None:
    root = counted.root
    root.config.pickable_objects.append(PickableObject(name="apo", is_particle=True))
    await counted.storage.write("Objects/apo.zarr/.zgroup", b"{}")
    found = await root.get_object("apo")
    assert found is not None
    await found.delete()
    assert [item.name for item in await root.query_objects()] == ["apo"]
    assert await counted.storage.list("Objects") == []
