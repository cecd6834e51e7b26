"""Metadata that only describes voxels: the path decides the voxel size, and nonsense makes nothing unreadable."""

from __future__ import annotations

import json
from typing import Any

import anyio
import numpy as np
import pytest
import zarr
from zarr.core.buffer import default_buffer_prototype

import aiocopick
from aiocopick import AsyncRoot
from aiocopick.errors import FormatError
from aiocopick.upkeep import examine
from aiocopick.volumes.voxel_sizes import ANGSTROM_PER_UNIT, ratio_of_shapes
from tests.volumes.places import Place
from tests.volumes.projects import SIZE, project, requests, spacing_of, write_document

pytestmark = pytest.mark.asyncio

BUFFERS = default_buffer_prototype()
FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])
VOLUMES = ("tomogram", "features", "segmentation", "object")
UNITS = {"z": "angstrom", "y": "angstrom", "x": "angstrom"}


def scaled(*values: Any) -> list[dict[str, Any]]:
    return [{"type": "scale", "scale": list(values)}]


def axes(names: str = "zyx", unit: Any = None) -> list[dict[str, Any]]:
    spoken = {} if unit is None else {"unit": unit}
    return [{"name": name, "type": "space"} | (spoken if name in "zyx" else {}) for name in names]


async def volume_of(root: AsyncRoot, kind: str) -> Any:
    """A volume of each kind, with values from 1 and two levels where it may have them."""
    data = np.arange(1, 1 + 16 * 8 * 12).reshape(16, 8, 12)
    if kind == "object":
        found: Any = await root.get_object("ribosome")
        await found.from_numpy(data, SIZE)
        return found
    tomogram = await (await spacing_of(root)).new_tomogram("wbp", exist_ok=True)
    await tomogram.from_numpy(data, levels=2)
    if kind == "tomogram":
        return tomogram
    if kind == "features":
        features = await tomogram.new_features("edges")
        await features.from_numpy(np.stack([data, data]).astype("f4"), levels=2)
        return features
    segmentation = await (await spacing_of(root)).run.new_segmentation(SIZE, "membrane", "1")
    await segmentation.from_numpy(data, levels=2)
    return segmentation


async def describe(volume: Any, *datasets: Any, entry: Any = None, **described: Any) -> None:
    """Replace the description of a volume: what its datasets say, and what its image says."""
    paths = [{"path": str(index)} | (item or {}) for index, item in enumerate(datasets)]
    multiscales = [{"version": "0.4", "datasets": paths} | described] if entry is None else entry
    if await volume.zarr().exists(".zgroup"):
        await write_document(volume, ".zattrs", {"multiscales": multiscales})
        return
    attributes = {"ome": {"version": "0.5", "multiscales": multiscales}}
    await write_document(volume, "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": attributes})


async def sizes(volume: Any) -> list[tuple[float, ...]]:
    return [level.voxel_size for level in await volume.levels()]


def at(z: int, y: int, x: int) -> int:
    """The value of :func:`volume_of` at a voxel of the finest level."""
    return 1 + (z * 8 + y) * 12 + x


@FORMATS
@pytest.mark.parametrize("kind", VOLUMES[:3])
@pytest.mark.parametrize(
    "unit", [None, "angstrom", "nanometer", "nm", "Nanometres", "pixel", "micrometer", "light-year", ""]
)
async def test_every_reader_takes_the_size_from_the_path(
    memory: Place, kind: str, unit: str | None, zarr_format: int
) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        volume = await volume_of(root, kind)
        leading = [1] if kind == "features" else []
        await describe(
            volume,
            *({"coordinateTransformations": scaled(*leading, *[factor] * 3)} for factor in (1, 2)),
            axes=axes("c" * len(leading) + "zyx", unit),
        )
        assert await sizes(volume) == [(10.0,) * 3, (20.0,) * 3]
        assert (await volume.level_for(20)).path == "1"
        assert (await volume.level_for(19)).path == "0"
        boxes = await volume.extract([[70.0, 50.0, 110.0]], 1, fill=0)
        assert set(boxes.ravel().tolist()) == {at(11, 5, 7)}
        _, keywords, _ = await aiocopick.layer_data(volume)
        assert keywords["scale"] == (1.0,) * len(leading) + (10.0,) * 3
        _, keywords, _ = await aiocopick.layer_data(volume, zarr_group="1")
        assert keywords["scale"] == (1.0,) * len(leading) + (20.0,) * 3


@pytest.mark.parametrize(
    "described",
    [
        {},
        {"version": "0.1"},
        {"axes": ["z", "y", "x"], "version": "0.3"},
        {"axes": axes(), "version": "0.4"},
        {"axes": axes(), "coordinateTransformations": scaled(3, 3, 3)},
        {"axes": axes(unit="nanometer"), "coordinateTransformations": scaled(5, 7, 9)},
    ],
    ids=repr,
)
@pytest.mark.parametrize("scales", [None, ([1] * 3, [2] * 3), ([0.5, 0.25, 3], [1, 0.5, 6])])
async def test_every_version_of_the_specification(memory: Place, described: Any, scales: Any) -> None:
    async with project(memory) as root:
        tomogram = await volume_of(root, "tomogram")
        transforms = [None, None] if scales is None else [{"coordinateTransformations": scaled(*s)} for s in scales]
        await describe(tomogram, *transforms, **described)
        assert await sizes(tomogram) == [(10.0,) * 3, (20.0,) * 3]
        assert (await tomogram.numpy(x=1, y=2, z=3)) == at(3, 2, 1)


async def test_ratios_are_for_each_axis_and_in_the_order_of_the_axes(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await volume_of(root, "tomogram")
        await describe(
            tomogram,
            {"coordinateTransformations": scaled(1, 2, 3)},
            {"coordinateTransformations": scaled(2, 6, 15)},
            axes=axes("xyz"),
        )
        assert await sizes(tomogram) == [(10.0,) * 3, (50.0, 30.0, 20.0)]
        assert (await tomogram.numpy(x=1, y=2, z=3)) == at(1, 2, 3)


@FORMATS
@pytest.mark.parametrize("kind", VOLUMES[:3])
@pytest.mark.parametrize("scales", [(4, 8), (1, 2), (None, None), (0, 0)])
async def test_a_finest_level_that_is_listed_and_absent_has_the_size_of_the_path(
    memory: Place, kind: str, scales: Any, zarr_format: int
) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        volume = await volume_of(root, kind)
        leading = [1] if kind == "features" else []
        given = [None if scale is None else scaled(*leading, *[scale] * 3) for scale in scales]
        await describe(
            volume, *({"coordinateTransformations": item} for item in given), axes=axes("c" * len(leading) + "zyx")
        )
        [_, coarse] = await volume.levels()
        value = (await volume.extract([[60.0, 40.0, 100.0]], 1, "1")).ravel().tolist()
        await root.layers[0].storage.delete_tree(f"{volume.key}/0")  # type: ignore[attr-defined]
        volume.refresh()
        assert await volume.levels() == (coarse,)
        assert coarse.voxel_size == (20.0,) * 3
        assert await volume.level_for(10) == coarse
        assert (await volume.extract([[60.0, 40.0, 100.0]], 1)).ravel().tolist() == value
        for group in (None, "1"):
            _, keywords, _ = await aiocopick.layer_data(volume, zarr_group=group)
            assert keywords["scale"] == (1.0,) * len(leading) + (20.0,) * 3


@pytest.mark.parametrize(
    ("unit", "size"),
    [(None, 10.0), ("", 10.0), ("pixel", 1.0), *((unit, 10 * length) for unit, length in ANGSTROM_PER_UNIT.items())],
)
async def test_the_path_of_an_object_map_says_nothing(memory: Place, unit: str | None, size: float) -> None:
    async with project(memory) as root:
        density = await volume_of(root, "object")
        await describe(density, {"coordinateTransformations": scaled(10, 10, 10)}, axes=axes(unit=unit))
        assert await sizes(density) == [pytest.approx((size,) * 3)]
        outer = scaled(2, 3, 4)
        await describe(
            density,
            {"coordinateTransformations": scaled(10, 10, 10)},
            axes=axes(unit=unit),
            coordinateTransformations=outer,
        )
        expected = (size,) * 3 if unit == "pixel" else (2 * size, 3 * size, 4 * size)
        assert await sizes(density) == [pytest.approx(expected)]
        assert await examine(root) == []


async def test_an_object_map_that_says_nothing_has_voxels_of_an_angstrom(memory: Place) -> None:
    async with project(memory) as root:
        density = await volume_of(root, "object")
        for transforms in (None, scaled(0, 0, 0), scaled(1e99, 1e99, 1e300)):
            await describe(density, {"coordinateTransformations": transforms}, axes=axes(unit="nanometer"))
            assert await sizes(density) == [(1.0,) * 3]


async def found_by_doctor(root: AsyncRoot, problem: str) -> list[str]:
    return [finding.detail for finding in await examine(root) if finding.problem == problem]


@pytest.mark.parametrize("kind", VOLUMES[:3])
@pytest.mark.parametrize(
    ("unit", "size", "told"),
    [
        ("angstrom", 10.0, None),
        ("angstrom", 10.0004, None),
        ("angstrom", np.float32(10.0001).item(), None),
        ("angstrom", 10.012, "10.012 angstrom along z"),
        ("nanometer", 1.0, None),
        ("nanometer", 10.0, "100 angstrom along z"),
        ("micrometer", 1e-3, None),
        (None, 1.0, None),
        ("pixel", 1.0, None),
    ],
)
async def test_doctor_reports_lengths_that_contradict_the_path(
    memory: Place, kind: str, unit: str | None, size: float, told: str | None
) -> None:
    async with project(memory) as root:
        volume = await volume_of(root, kind)
        leading = [1] if kind == "features" else []
        await describe(
            volume,
            *({"coordinateTransformations": scaled(*leading, *[factor * size] * 3)} for factor in (1, 2)),
            axes=axes("c" * len(leading) + "zyx", unit),
        )
        found = await found_by_doctor(root, "contradicting metadata")
        if told is None:
            assert await examine(root) == []
        else:
            assert len(found) == 1
            assert told in found[0]


@pytest.mark.parametrize(
    ("first", "second", "described", "told"),
    [
        (scaled(10, 10, 10), scaled(20, 20, 20), {}, None),
        (scaled(10, 10, 10), [*scaled(20, 20, 20), {"type": "translation", "translation": [5, 5, 5]}], {}, None),
        (
            [*scaled(10, 10, 10), {"type": "translation", "translation": [0, 0, 30]}],
            scaled(20, 20, 20),
            {},
            "(0.0, 0.0, 30.0)",
        ),
        (
            scaled(10, 10, 10),
            scaled(20, 20, 20),
            {"coordinateTransformations": [{"type": "translation", "translation": [-400, 0, 0]}]},
            "(-400.0, 0.0, 0.0)",
        ),
        (scaled(10, 10, 10), [*scaled(20, 20, 20), {"type": "translation", "translation": [0, 50, 0]}], {}, "'1'"),
        (scaled(5, 5, 5), scaled(10, 10, 10), {"coordinateTransformations": scaled(2, 2, 2)}, None),
        (scaled(10, 10, 10), scaled(20, 20, 20), {"coordinateTransformations": scaled(2, 2, 2)}, "20 angstrom"),
        (scaled(10, 10, 10), scaled(10, 10, 10), {}, "(16, 8, 12)"),
    ],
)
async def test_positions_begin_at_the_first_voxel_and_doctor_reports_what_says_otherwise(
    memory: Place, first: Any, second: Any, described: Any, told: str | None
) -> None:
    async with project(memory) as root:
        tomogram = await volume_of(root, "tomogram")
        await describe(
            tomogram,
            {"coordinateTransformations": first},
            {"coordinateTransformations": second},
            axes=axes(unit="angstrom"),
            **described,
        )
        assert (await sizes(tomogram))[0] == (10.0,) * 3
        assert (await tomogram.extract([[70.0, 50.0, 110.0]], 1)).item() == at(11, 5, 7)
        found = await found_by_doctor(root, "contradicting metadata")
        assert [told in detail for detail in found if told] == ([] if told is None else [True])
        assert bool(found) == (told is not None)


@FORMATS
@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(16, 32, 32), (4, 8, 8)], [40.0] * 3),
        ([(16, 32, 32), (16, 8, 16)], [10.0, 40.0, 20.0]),
        ([(15, 31, 33), (8, 16, 11)], [20.0, 20.0, 30.0]),
        ([(15, 31, 33), (7, 15, 16)], [20.0] * 3),
        ([(30, 30, 30), (20, 20, 20)], [15.0] * 3),
        ([(33, 33, 33), (17, 17, 17), (9, 9, 9), (5, 5, 5)], [80.0] * 3),
    ],
)
async def test_levels_without_a_scale_are_as_coarse_as_their_shapes(
    memory: Place, shapes: Any, expected: Any, zarr_format: int
) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await volume_of(root, "tomogram")
        await write_levels(tomogram, [np.full(shape, index, "f4") for index, shape in enumerate(shapes)])
        last = str(len(shapes) - 1)
        for first, rest in ((None, None), (scaled(7, 7, 7), None), (None, 3)):
            others = [
                {"coordinateTransformations": None if rest is None else scaled(*[3 * 2**index] * 3)}
                for index in range(len(shapes) - 1)
            ]
            await describe(tomogram, {"coordinateTransformations": first}, *others, axes=axes())
            assert (await sizes(tomogram))[-1] == tuple(expected)
            tomogram.refresh()
            _, keywords, _ = await aiocopick.layer_data(tomogram, zarr_group=last)
            assert keywords["scale"] == tuple(expected)
        assert await examine(root) == []
        # A group need not name all that is in it.
        await describe(tomogram, None)
        _, keywords, _ = await aiocopick.layer_data(tomogram, zarr_group=last)
        z, y, x = shapes[0]
        direct = ratio_of_shapes((z, y, x), shapes[-1])
        assert keywords["scale"] == tuple(SIZE * ratio for ratio in direct)


async def write_levels(volume: Any, levels: list[Any]) -> None:
    """Replace the arrays of a volume."""

    def write() -> None:
        group: Any = zarr.open_group(volume.zarr(), mode="r+")
        for index, data in enumerate(levels):
            group.create_array(str(index), data=data, chunks=(4,) * data.ndim, overwrite=True)

    await anyio.to_thread.run_sync(write)
    volume.refresh()


async def test_scales_cost_no_look_at_other_levels(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await volume_of(root, "tomogram")
        tomogram.refresh()
        requests(root)
        await aiocopick.layer_data(tomogram, zarr_group="1")
        described = requests(root)
        await describe(tomogram, None, None, axes=axes())
        requests(root)
        await aiocopick.layer_data(tomogram, zarr_group="1")
        assert requests(root)["read"] == described["read"] + 1


NONSENSE: list[Any] = [
    scaled(0, 0, 0),
    scaled(float("nan"), 1, 1),
    scaled(1, 1, float("inf")),
    scaled(1, None, 1),
    scaled("1", "1", "1"),
    scaled(-1, 1, 1),
    scaled(True, True, True),
    scaled(1, 1),
    scaled(1, 1, 1, 1),
    scaled(),
    scaled(1, 1, 5e-324),
    scaled(1, 1, 10**400),
    [{"type": "scale", "scale": None}],
    [{"type": "scale", "scale": {"z": 1}}],
    [{"type": "translation", "translation": [None, 0, 0]}],
    [{"type": "translation", "translation": "0"}],
    ["scale"],
    "scale",
    {"type": "scale", "scale": [1, 1, 1]},
    7,
]


@FORMATS
@pytest.mark.parametrize("nonsense", NONSENSE, ids=lambda value: repr(value)[:60])
async def test_nonsense_in_transformations_makes_nothing_unreadable(
    memory: Place, nonsense: Any, zarr_format: int
) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        for kind in VOLUMES[:3]:
            if kind == "features" and nonsense == scaled(1, 1, 1, 1):
                # There it is right.
                continue
            volume = await volume_of(root, kind)
            expected = await volume.numpy()
            own = {"coordinateTransformations": nonsense}
            good = {"coordinateTransformations": scaled(*[1] * (expected.ndim - 3), 10, 10, 10)}
            names = axes("c" * (expected.ndim - 3) + "zyx", "angstrom")
            for datasets, described in (
                ((own, own), {"axes": names}),
                ((good, own), {"axes": names}),
                ((own, None), {"axes": names}),
                ((None, None), {"axes": names} | own),
            ):
                await describe(volume, *datasets, **described)
                np.testing.assert_array_equal(await volume.numpy(), expected)
                assert await sizes(volume) == [(10.0,) * 3, (20.0,) * 3]
                assert (await volume.extract([[70.0, 50.0, 110.0]], 1)).max() == at(11, 5, 7)
                [finding] = await examine(root, kinds={"features" if kind == "features" else f"{kind}s"})
                assert finding.problem == "nonsense in metadata"


@FORMATS
@pytest.mark.parametrize(
    "described",
    [
        {"axes": [{"type": "space", "unit": "angstrom"}] * 3},
        {"axes": 7},
        {"axes": "zyx"},
        {"axes": []},
        {"axes": [None, None, None]},
        {"axes": axes("zz")},
        {"axes": axes("zzz")},
        {"axes": [{"name": 1}, {"name": 2}, {"name": 3}]},
        {"axes": [{"name": name, "unit": 3} for name in "zyx"]},
        {"axes": axes("zyxc")},
    ],
    ids=repr,
)
async def test_nonsense_in_axes_makes_nothing_unreadable(memory: Place, described: Any, zarr_format: int) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await volume_of(root, "tomogram")
        scales = [{"coordinateTransformations": scaled(*[factor] * 3)} for factor in (10, 20)]
        await describe(tomogram, *scales, **described)
        assert (await tomogram.numpy(x=1, y=2, z=3)) == at(3, 2, 1)
        assert await sizes(tomogram) == [(10.0,) * 3, (20.0,) * 3]
        [finding] = await examine(root)
        assert finding.problem == "nonsense in metadata"
        assert finding.path == tomogram.path


@FORMATS
@pytest.mark.parametrize(
    "described",
    [
        {"version": 4},
        {"version": "eleven"},
        {"name": 7},
        {"name": None},
        {"type": ["gaussian"]},
        {"metadata": "none"},
        {"omero": {"channels": "red"}},
        {"coordinateTransformations": None},
        {"axes": None},
    ],
    ids=repr,
)
async def test_what_no_reader_needs_is_not_looked_at(memory: Place, described: Any, zarr_format: int) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await volume_of(root, "tomogram")
        await describe(tomogram, None, None, **described)
        assert await sizes(tomogram) == [(10.0,) * 3, (20.0,) * 3]
        assert await examine(root) == []


@FORMATS
@pytest.mark.parametrize("spelling", ["{}/", "./{}", "/{}", "././{}//", "{}/."])
async def test_paths_of_levels_in_other_spellings(memory: Place, spelling: str, zarr_format: int) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await volume_of(root, "tomogram")
        await describe(tomogram, *({"path": spelling.format(index)} for index in range(2)))
        assert [level.path for level in await tomogram.levels()] == ["0", "1"]
        assert (await tomogram.numpy(x=1, y=2, z=3)) == at(3, 2, 1)
        await describe(tomogram, {"path": 0}, {"path": 1})
        assert [level.path for level in await tomogram.levels()] == ["0", "1"]
        assert (await tomogram.numpy("1/")).shape == (8, 4, 6)


@FORMATS
@pytest.mark.parametrize("path", [None, "", ".", "..", "../wbp", "0/../../x", "a\\b", True, ["0"], "0\0"])
async def test_paths_that_leave_the_volume_are_refused(memory: Place, path: Any, zarr_format: int) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await volume_of(root, "tomogram")
        await describe(tomogram, {"path": path})
        with pytest.raises(FormatError, match=r"wbp\.zarr"):
            await tomogram.numpy()


@FORMATS
@pytest.mark.parametrize("entry", [None, [], [{}], [{"name": "/"}], [{"datasets": None}], [{"datasets": []}]], ids=repr)
async def test_a_group_that_lists_no_levels_has_its_plain_one(memory: Place, entry: Any, zarr_format: int) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await volume_of(root, "tomogram")
        await describe(tomogram, entry=entry if entry is not None else [])
        assert (await tomogram.numpy(x=1, y=2, z=3)) == at(3, 2, 1)
        assert (await sizes(tomogram))[0] == (10.0,) * 3


@pytest.mark.parametrize(
    "nonsense",
    [
        {"dimension_names": [1, 2, 3]},
        {"dimension_names": "zyx"},
        {"dimension_names": ["z"]},
        {"attributes": "none"},
        {"attributes": [1]},
    ],
    ids=repr,
)
async def test_nonsense_in_the_description_of_an_array(memory: Place, nonsense: Any) -> None:
    async with project(memory, zarr_format=3) as root:
        tomogram = await volume_of(root, "tomogram")
        storage: Any = root.layers[0].storage  # type: ignore[attr-defined]
        document = json.loads(await storage.read(f"{tomogram.key}/0/zarr.json"))
        await write_document(tomogram, "0/zarr.json", document | nonsense)
        assert (await tomogram.numpy(x=1, y=2, z=3)) == at(3, 2, 1)
        [finding] = await examine(root)
        assert finding.problem == "nonsense in metadata"


async def test_picks_are_measured_against_tomograms_whose_axes_are_in_another_order(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await volume_of(root, "tomogram")
        await describe(tomogram, None, None, axes=axes("xyz"))
        picks = await (await spacing_of(root)).run.new_picks("ribosome", "1")
        await picks.from_numpy([[160, 80, 120]])
        assert await examine(root) == []
        await picks.from_numpy([[120, 80, 160]])
        assert [finding.problem for finding in await examine(root)] == ["outside tomogram"]


async def test_doctor_reports_levels_that_are_not_finest_first(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await volume_of(root, "tomogram")
        await describe(tomogram, {"path": "1"}, {"path": "0"}, axes=axes())
        assert await sizes(tomogram) == [(10.0,) * 3, (5.0,) * 3]
        [detail] = await found_by_doctor(root, "contradicting metadata")
        assert "'0' is listed after a coarser one" in detail


@pytest.mark.parametrize("scales", [None, ([1, 2, 3], [2, 6, 15])], ids=["without scales", "with scales"])
@pytest.mark.parametrize("where", ["dimension_names", "coordinateSystems", "a single array", "_ARRAY_DIMENSIONS"])
async def test_axes_that_are_named_elsewhere_count_as_well(memory: Place, where: str, scales: Any) -> None:
    single = where in ("a single array", "_ARRAY_DIMENSIONS")
    async with project(memory, zarr_format=2 if where == "_ARRAY_DIMENSIONS" else 3) as root:
        tomogram = await volume_of(root, "tomogram")
        named = ["x", "y", "z"]
        store = tomogram.zarr()
        if single:
            data = await tomogram.numpy()
            await store.delete_dir("")
            array = {"dimension_names": named} if where == "a single array" else {"zarr_format": 2}
            await anyio.to_thread.run_sync(lambda: zarr.create_array(store, data=data, **array))
            if where == "_ARRAY_DIMENSIONS":
                await write_document(tomogram, ".zattrs", {where: named})
        elif where == "dimension_names":
            for level in ("0", "1"):
                document = json.loads((await store.get(f"{level}/zarr.json", BUFFERS)).to_bytes())
                await write_document(tomogram, f"{level}/zarr.json", document | {"dimension_names": named})
        systems = [{"name": "other", "axes": axes("zyx")}, {"name": "own", "axes": axes("xyz")}]
        described = {"coordinateSystems": systems} if where == "coordinateSystems" else {}
        if not single:
            datasets: list[Any] = [{}, {}]
            if scales is not None:
                datasets = [{"coordinateTransformations": scaled(*scale)} for scale in scales]
            for item in datasets if described else ():
                item.setdefault("coordinateTransformations", [{"type": "identity"}])[0]["output"] = "own"
            await describe(tomogram, *datasets, **described)
        tomogram.refresh()
        assert await tomogram.numpy(x=1, y=2, z=3) == at(1, 2, 3)
        box = await tomogram.extract([[10.0, 20.0, 30.0]], 1)
        assert box.ravel().tolist() == [at(1, 2, 3)]
        if not single:
            expected = (50.0, 30.0, 20.0) if scales is not None else (20.0,) * 3
            assert await sizes(tomogram) == [(10.0,) * 3, expected]
            _, level = await tomogram._level("1")
            assert level.voxel_size == expected


async def test_doctor_reports_dimensions_that_are_not_the_axes(memory: Place) -> None:
    async with project(memory, zarr_format=3) as root:
        tomogram = await volume_of(root, "tomogram")
        document = json.loads((await tomogram.zarr().get("0/zarr.json", BUFFERS)).to_bytes())
        await write_document(tomogram, "0/zarr.json", document | {"dimension_names": ["x", "y", "z"]})
        assert await tomogram.numpy(x=1, y=2, z=3) == at(3, 2, 1)
        [finding] = await examine(root)
        assert "x, y, z" in finding.detail
