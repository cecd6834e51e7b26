"""Mesh files: geometry from bytes, and nothing from anywhere else."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings, strategies as st

from aiocopick.errors import FormatError
from aiocopick.formats.mesh import decode_mesh, encode_mesh


def glb(header: Any) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<IIIII", 0x46546C67, 2, 20 + len(text), len(text), 0x4E4F534A) + text


def test_a_mesh_round_trips() -> None:
    box = trimesh.creation.box(extents=(10, 20, 30))
    scene = decode_mesh(encode_mesh(box), path="p")
    assert isinstance(scene, trimesh.parent.Geometry)
    mesh = next(iter(scene.geometry.values()))
    assert np.allclose(mesh.vertices, box.vertices)
    assert np.array_equal(mesh.faces, box.faces)
    assert len(decode_mesh(encode_mesh(scene), path="p").geometry) == 1


def test_several_meshes_round_trip() -> None:
    scene = trimesh.Scene([trimesh.creation.box(), trimesh.creation.icosphere(subdivisions=1)])
    assert len(decode_mesh(encode_mesh(scene), path="p").geometry) == 2


EMPTY = {
    "nothing": None,
    "mesh": trimesh.Trimesh(),
    "scene": trimesh.Scene(),
    "scene of an empty mesh": trimesh.Trimesh().scene(),
    "one vertex, one face of one index": trimesh.Trimesh(vertices=[[0, 0, 0]], faces=[[0]]),
}


@pytest.mark.parametrize("geometry", EMPTY.values(), ids=EMPTY.keys())
def test_empty_meshes_can_be_stored_and_read(geometry: Any) -> None:
    scene = decode_mesh(encode_mesh(geometry), path="p")
    assert isinstance(scene, trimesh.Scene)
    assert len(scene.geometry) == 0
    assert encode_mesh(scene) == encode_mesh(None)


def test_clouds_and_paths_can_be_stored() -> None:
    cloud = trimesh.PointCloud(np.arange(6.0).reshape(2, 3))
    (read,) = decode_mesh(encode_mesh(cloud), path="p").geometry.values()
    assert np.allclose(read.vertices, cloud.vertices)


@pytest.mark.parametrize("value", [3, "mesh", np.zeros((3, 3))])
def test_what_is_no_geometry_cannot_be_stored(value: Any) -> None:
    with pytest.raises(ValueError, match="trimesh geometry"):
        encode_mesh(value)


ATTRIBUTES = {"primitives": [{"attributes": {"POSITION": 0}}]}
VIEW = {"buffer": 0, "byteLength": 12}
ACCESSOR = {"count": 1, "type": "VEC3", "componentType": 5126}

BROKEN = {
    "empty": b"",
    "text": b"solid cube",
    "too short": b"glTF\x02\x00\x00\x00",
    "no json": struct.pack("<IIIII", 0x46546C67, 2, 20, 0, 0x004E4942),
    "version 1": struct.pack("<IIIII", 0x46546C67, 1, 20, 0, 0x4E4F534A),
    "truncated": struct.pack("<IIIII", 0x46546C67, 2, 99, 79, 0x4E4F534A) + b"{}",
    "broken json": glb(b"{"),
    "list": glb([]),
    "deep": glb(b"[" * 100_000),
    "missing accessor": glb({"meshes": [ATTRIBUTES]}),
    "missing buffer": glb({"accessors": [ACCESSOR | {"bufferView": 0}], "bufferViews": [VIEW], "meshes": [ATTRIBUTES]}),
    "no attributes": glb({"meshes": [{"primitives": [{}]}]}),
    "unknown type": glb({"accessors": [ACCESSOR | {"type": "VEC9"}]}),
    "negative count": glb({"accessors": [ACCESSOR | {"count": -1}]}),
    "buffers are not a list": glb({"buffers": {"uri": "file:///etc/passwd"}}),
    "infinite index": glb(b'{"meshes": [{"primitives": [{"attributes": {"POSITION": Infinity}}]}]}'),
    "two parents": glb({"nodes": [{"children": [2]}, {"children": [2]}, {}], "scenes": [{"nodes": [0, 1]}]}),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_broken_files(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"some/mesh\.glb") as caught:
        decode_mesh(data, path="some/mesh.glb")
    assert caught.value.path == "some/mesh.glb"


BOMBS = {
    "huge accessor": {"accessors": [ACCESSOR | {"count": 10**12}], "meshes": [ATTRIBUTES]},
    "many accessors": {"accessors": [ACCESSOR | {"count": 100_000}] * 1000, "meshes": [ATTRIBUTES]},
    "many primitives": {
        "accessors": [ACCESSOR | {"count": 10_000}],
        "meshes": [{"primitives": ATTRIBUTES["primitives"] * 1000}],
    },
    "many views": {"bufferViews": [{"buffer": 0, "byteLength": 100_000}] * 1000},
    "many nodes": {"nodes": [{"aaaaa": 0}] * 200_000},
}


@pytest.mark.parametrize("header", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_refused(header: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match="is refused"):
        decode_mesh(glb(header), path="p")


BOX = encode_mesh(trimesh.creation.box())


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(BOX) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_mutated_file_is_read_or_refused(changes: list[tuple[int, int]]) -> None:
    data = bytearray(BOX)
    for place, value in changes:
        data[place] = value
    try:
        scene = decode_mesh(bytes(data), path="p")
    except FormatError:
        return
    assert isinstance(scene, trimesh.parent.Geometry)
