"""What groups and arrays say of themselves: levels, units, axes, chunks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from aiocopick.errors import FormatError
from aiocopick.volumes.ome import OmeGroup, parse_group, spatial_axes
from aiocopick.volumes.ome_arrays import array_documents, describe_array, parse_array
from aiocopick.volumes.ome_writing import axis_names, empty_group_documents, group_documents
from aiocopick.volumes.voxel_sizes import ANGSTROM_PER_UNIT, angstrom_per, voxel_sizes
from aiocopick.volumes.writing import chunking

AXES = [{"name": name, "type": "space", "unit": "angstrom"} for name in "zyx"]


def parse_v2(attributes: Any) -> OmeGroup | None:
    return parse_group({".zattrs": json.dumps(attributes).encode()}, path="v.zarr")


def one_level(path: Any = "0", scale: Any = (10.0, 10.0, 10.0), **entry: Any) -> dict[str, Any]:
    dataset: dict[str, Any] = {"path": path}
    if scale is not None:
        dataset["coordinateTransformations"] = [{"type": "scale", "scale": list(scale)}]
    return {"multiscales": [{"axes": AXES, "datasets": [dataset], **entry}]}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("ndim", [3, 4])
def test_what_we_write_is_what_we_read(zarr_format: int, ndim: int) -> None:
    axes = axis_names(zarr_format, ndim)
    documents = group_documents(zarr_format, ["0", "1"], 7.84, axes=axes, metadata={"a": 1})
    group = parse_group(documents, path="v.zarr")
    assert group is not None
    assert group.zarr_format == zarr_format
    assert group.axes == axes
    assert group.metadata == {"a": 1}
    assert [dataset.path for dataset in group.datasets] == ["0", "1"]
    assert voxel_sizes(group, None, [None] * 2) == [(7.84,) * 3, (15.68,) * 3]


def test_channels_are_a_channel_axis_in_both_formats() -> None:
    for zarr_format in (2, 3):
        assert axis_names(zarr_format, 4, channels=True)[0] == "c"
    assert axis_names(3, 4)[0] == "feature"


@pytest.mark.parametrize(("zarr_format", "names"), [(2, {".zgroup", ".zattrs"}), (3, {"zarr.json"})])
def test_an_empty_group_has_no_level(zarr_format: int, names: set[str]) -> None:
    documents = empty_group_documents(zarr_format)
    assert documents.keys() == names
    group = parse_group(documents, path="v.zarr")
    assert group == OmeGroup(zarr_format=zarr_format)
    if zarr_format == 2:
        assert json.loads(documents[".zattrs"]) == {}


def test_no_documents_are_no_group() -> None:
    assert parse_group({}, path="v.zarr") is None


def test_zarr_json_wins() -> None:
    documents = {**group_documents(2, ["0"], 10.0), **group_documents(3, ["a"], 10.0)}
    group = parse_group(documents, path="v.zarr")
    assert group is not None
    assert group.datasets[0].path == "a"


@pytest.mark.parametrize(
    ("unit", "angstrom"), [("Angstrom", 1.0), (None, 1.0), ("nanometers", 10.0), ("micrometre", 1e4)]
)
def test_other_spellings(unit: str | None, angstrom: float) -> None:
    assert angstrom_per(unit) == angstrom


def test_every_unit_of_the_specification_has_a_length() -> None:
    for unit, length in ANGSTROM_PER_UNIT.items():
        assert angstrom_per(unit) == length


def test_axes_in_another_order_are_found_by_name() -> None:
    for names in ("xyz", "XYZ"):
        entry = {**one_level(scale=(1, 2, 3))["multiscales"][0], "axes": [{"name": name} for name in names]}
        group = parse_v2({"multiscales": [entry]})
        assert group is not None
        assert group.datasets[0].transform.scale == (3.0, 2.0, 1.0)
        assert spatial_axes(group.axes, 3, path="v.zarr") == (2, 1, 0)


@pytest.mark.parametrize(
    ("names", "ndim", "expected"),
    [("zyx", 4, (1, 2, 3)), ("czyx", 3, (0, 1, 2)), ("xyz", 4, (3, 2, 1)), ("zyxc", 3, (0, 1, 2)), ("", 4, (1, 2, 3))],
)
def test_axes_of_another_number_are_those_at_the_end(names: str, ndim: int, expected: Any) -> None:
    assert spatial_axes(tuple(names), ndim, path="v.zarr") == expected


@pytest.mark.parametrize(
    ("scales", "shapes", "expected"),
    [
        ([1, 2, 8], [None, (8, 8, 8), (2, 2, 2)], [10, 20, 80]),
        ([None] * 3, [None, (8, 8, 8), (2, 2, 2)], [10, 20, 80]),
        ([None] * 3, [(16, 16, 16), None, (2, 2, 2)], [10, 20, 80]),
        ([None] * 3, [None, None, None], [10, 20, 40]),
        ([1e-30, 2e-30, 8e-30], [None] * 3, [10, 20, 80]),
        ([1e-90, 1e90, 1e90], [(16, 16, 16), (8, 8, 8), (2, 2, 2)], [10, 20, 80]),
        ([1, None, 8], [(16, 16, 16), (4, 4, 4), (2, 2, 2)], [10, 40, 80]),
        ([None, 2, 4], [(16, 16, 16), (4, 4, 4), (1, 1, 1)], [10, 40, 160]),
    ],
)
def test_the_first_level_that_is_listed_has_the_size_of_the_path(scales: Any, shapes: Any, expected: Any) -> None:
    datasets: list[dict[str, Any]] = [{"path": str(index)} for index in range(3)]
    for dataset, scale in zip(datasets, scales, strict=True):
        if scale is not None:
            dataset["coordinateTransformations"] = [{"type": "scale", "scale": [scale] * 3}]
    group = parse_v2({"multiscales": [{"datasets": datasets}]})
    assert group is not None
    assert voxel_sizes(group, 10.0, shapes) == [(size,) * 3 for size in expected]


def test_plain_axis_names_of_old_versions() -> None:
    group = parse_v2({"multiscales": [{"axes": ["t", "c", "z", "y", "x"], "datasets": [{"path": "0"}]}]})
    assert group is not None
    assert spatial_axes(group.axes, 5, path="v.zarr") == (2, 3, 4)


@pytest.mark.parametrize(
    "attributes",
    [
        {"multiscales": {}},
        {"multiscales": ["0"]},
        {"ome": 3},
        {"multiscales": [{"axes": AXES, "datasets": "0"}]},
        one_level(path=None),
        one_level(path="../outside"),
        one_level(path=""),
        one_level(path="0\0"),
        {"multiscales": [{"axes": AXES, "datasets": [{"path": "0"}] * 1000}]},
    ],
    ids=repr,
)
def test_bad_group_metadata_names_the_file(attributes: Any) -> None:
    with pytest.raises(FormatError, match=r"v\.zarr/\.zattrs"):
        parse_v2(attributes)


def test_what_a_message_quotes_is_cut() -> None:
    with pytest.raises(FormatError, match="names nothing") as caught:
        parse_v2(one_level(path=["0"] * 100_000))
    assert len(str(caught.value)) < 1000
    group = parse_v2(one_level(scale=(0,) * 100_000))
    assert group is not None
    assert len(group.notes[0]) < 1000


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_documents_that_are_no_objects_are_refused(content: bytes) -> None:
    for name in (".zattrs", "zarr.json"):
        with pytest.raises(FormatError, match=r"v\.zarr"):
            parse_group({name: content}, path="v.zarr")


@pytest.mark.parametrize("document", [{"zarr_format": 2}, {"zarr_format": 3, "node_type": "file"}, {}])
def test_a_zarr_json_that_is_no_group_is_refused(document: Any) -> None:
    with pytest.raises(FormatError, match=r"zarr\.json"):
        parse_group({"zarr.json": json.dumps(document).encode()}, path="v.zarr")


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint32", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize(("zarr_format", "shards"), [(2, None), (3, None), (3, (20, 20, 20))])
def test_arrays_survive_being_written(dtype: str, zarr_format: int, shards: tuple[int, ...] | None) -> None:
    written = describe_array(
        zarr_format, (33, 50, 41), np.dtype(dtype), chunks=(10, 10, 10), shards=shards, axes=("z", "y", "x")
    )
    [content] = array_documents(written).values()
    read = parse_array(content, zarr_format, path="v.zarr/0", max_bytes=2**30)
    assert read == written
    assert read.chunks == (shards or (10, 10, 10))
    assert read.sharded is (shards is not None)


def document(written_as: int, **changes: Any) -> bytes:
    array = describe_array(written_as, (8, 8, 8), np.dtype("f4"), chunks=(4, 4, 4), axes=("z", "y", "x"))
    return json.dumps(array.document | changes).encode()


@pytest.mark.parametrize(
    ("zarr_format", "changes"),
    [
        (2, {"shape": [8, 8]}),
        (2, {"shape": [8, 8, -1]}),
        (2, {"shape": [8, 8, 2**70]}),
        (2, {"shape": "8"}),
        (2, {"shape": [8, 8, True]}),
        (2, {"chunks": [4, 4, 0]}),
        (2, {"chunks": [2**20, 2**20, 2**20]}),
        (2, {"dtype": "|O"}),
        (2, {"dtype": "<U4"}),
        (2, {"dtype": [["a", "<i4"]]}),
        (2, {"dtype": None}),
        (2, {"order": "K"}),
        (2, {"dimension_separator": ":"}),
        (2, {"zarr_format": 3}),
        (2, {"compressor": {"id": "pickle"}}),
        (2, {"filters": [{"id": "json2"}]}),
        (2, {"filters": [{"id": "vlen-utf8"}]}),
        (2, {"compressor": 4}),
        (3, {"data_type": "string"}),
        (3, {"data_type": {"name": "numpy.datetime64"}}),
        (3, {"chunk_grid": {"name": "rectilinear", "configuration": {}}}),
        (3, {"codecs": []}),
        (3, {"codecs": [{"name": "numcodecs.pickle"}]}),
        (3, {"codecs": [{"name": "vlen-utf8"}]}),
        (3, {"codecs": [{"name": "sharding_indexed", "configuration": {"codecs": [{"name": "numcodecs.json2"}]}}]}),
        (3, {"node_type": "group"}),
        (3, {"storage_transformers": [{"name": "x"}]}),
    ],
    ids=lambda value: str(value),
)
def test_bad_arrays_name_the_file(zarr_format: int, changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match=r"v\.zarr/0"):
        parse_array(document(zarr_format, **changes), zarr_format, path="v.zarr/0", max_bytes=2**30)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1000, 1000, 300), ((256, 256, 256), None)),
        ((33, 50, 41), ((33, 50, 41), None)),
        ((2, 300, 300, 300), ((1, 256, 256, 256), None)),
    ],
)
def test_chunks_of_zarr_2_are_those_of_copick_1_and_not_larger_than_the_level(shape: Any, expected: Any) -> None:
    assert chunking(2, shape) == expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1000, 1000, 300), ((128, 128, 128), (256, 256, 256))),
        ((100, 100, 100), ((100, 100, 100), None)),
        ((200, 100, 1000), ((128, 100, 128), (256, 100, 256))),
        ((3, 300, 300, 300), ((1, 128, 128, 128), (1, 256, 256, 256))),
    ],
)
def test_shards_of_zarr_3_are_bounded(shape: Any, expected: Any) -> None:
    assert chunking(3, shape) == expected


def test_chunks_and_shards_as_asked_for() -> None:
    assert chunking(3, (100, 100, 100), chunks=(16, 16, 16), shards=(32, 64, 16)) == ((16, 16, 16), (32, 64, 16))
    assert chunking(3, (100, 100, 100), chunks=(16, 16, 16)) == ((16, 16, 16), None)
    assert chunking(3, (100, 40, 9), chunks=(16, 16, 16), shards=(10_000,) * 3) == ((16, 16, 9), (112, 48, 9))
    assert chunking(2, (4, 100, 100, 100), chunks=(16, 16, 16)) == ((1, 16, 16, 16), None)
    assert chunking(2, (4, 100, 100, 100), chunks=(2, 16, 16, 16)) == ((2, 16, 16, 16), None)


@pytest.mark.parametrize(
    ("zarr_format", "arguments"),
    [
        (2, {"shards": (32, 32, 32)}),
        (3, {"chunks": (16, 16, 16), "shards": (24, 32, 32)}),
        (3, {"chunks": (16, 16)}),
        (3, {"chunks": (0, 16, 16)}),
        (3, {"chunks": (1.5, 16, 16)}),
        (3, {"chunks": (True, 16, 16)}),
    ],
)
def test_chunks_that_cannot_be(zarr_format: int, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"chunks|shards"):
        chunking(zarr_format, (100, 100, 100), **arguments)
