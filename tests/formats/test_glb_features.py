"""Mesh files that ask for more than is decoded: refused by the name of what they ask for, never read as zeros."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import trimesh

from aiocopick.errors import FormatError
from aiocopick.formats.mesh import decode_mesh, encode_mesh

Change = Callable[[dict[str, Any]], None]

BOX = encode_mesh(trimesh.creation.box())
_LENGTH = struct.unpack_from("<I", BOX, 12)[0]
HEADER: dict[str, Any] = json.loads(BOX[20 : 20 + _LENGTH])
BINARY = BOX[20 + _LENGTH :]


def changed(change: Change, *, binary: bytes = BINARY) -> bytes:
    header = copy.deepcopy(HEADER)
    change(header)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    total = 20 + len(text) + len(binary)
    return struct.pack("<IIIII", 0x46546C67, 2, total, len(text), 0x4E4F534A) + text + binary


def primitive(header: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = header["meshes"][0]["primitives"][0]
    return found


def position(header: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = header["accessors"][primitive(header)["attributes"]["POSITION"]]
    return found


def requires(name: str) -> Change:
    return lambda header: header.update(extensionsUsed=[name], extensionsRequired=[name])


def draco(header: dict[str, Any]) -> None:
    header.update(extensionsUsed=["KHR_draco_mesh_compression"])
    for accessor in header["accessors"]:
        accessor.pop("bufferView")
    primitive(header)["extensions"] = {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}


def meshopt(header: dict[str, Any], name: str = "EXT_meshopt_compression") -> None:
    # The compressed bytes are in the binary chunk; the buffer that the views name has none.
    header["buffers"].append({"byteLength": 10_000, "extensions": {name: {"fallback": True}}})
    for view in header["bufferViews"]:
        view["extensions"] = {name: {"buffer": 0, "byteLength": view["byteLength"], "mode": "ATTRIBUTES", "count": 8}}
        view["buffer"] = 1


def meshopt_first(header: dict[str, Any]) -> None:
    header["buffers"][0]["extensions"] = {"KHR_meshopt_compression": {"fallback": True}}
    for view in header["bufferViews"]:
        view["extensions"] = {"KHR_meshopt_compression": {"buffer": 0}}


def no_data(header: dict[str, Any]) -> None:
    header["buffers"].append({"byteLength": 10_000})
    header["bufferViews"][position(header)["bufferView"]]["buffer"] = 1


def without_view(accessor: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    return lambda header: accessor(header).pop("bufferView")


def sparse(header: dict[str, Any]) -> None:
    position(header)["sparse"] = {"count": 1, "indices": {}, "values": {}}


def sparse_alone(header: dict[str, Any]) -> None:
    sparse(header)
    position(header).pop("bufferView")


def quantized(header: dict[str, Any]) -> None:
    position(header).update(componentType=5122, normalized=True)


def mode(number: int) -> Change:
    return lambda header: primitive(header).update(mode=number)


def morphed(header: dict[str, Any]) -> None:
    primitive(header)["targets"] = [{"POSITION": primitive(header)["attributes"]["POSITION"]}]
    header["meshes"][0]["weights"] = [0.5]


def morphed_by_node(header: dict[str, Any]) -> None:
    next(node for node in header["nodes"] if "mesh" in node)["weights"] = [1.0]


def skinned(header: dict[str, Any]) -> None:
    header["skins"] = [{"joints": [0]}]
    next(node for node in header["nodes"] if "mesh" in node)["skin"] = 0


def instances(header: dict[str, Any]) -> None:
    next(node for node in header["nodes"] if "mesh" in node)["extensions"] = {"EXT_mesh_gpu_instancing": {}}


def another_scene(header: dict[str, Any]) -> None:
    header["scenes"].append({"nodes": header["scenes"][0]["nodes"]})
    header["scenes"][0] = {"nodes": []}


def without(*names: str) -> Change:
    def change(header: dict[str, Any]) -> None:
        for name in names:
            header.pop(name)

    return change


def second_place(header: dict[str, Any]) -> None:
    header["nodes"].append({"mesh": 0, "translation": [100, 0, 0]})


LOST: dict[str, tuple[Change, str]] = {
    "draco, required": (requires("KHR_draco_mesh_compression"), "KHR_draco_mesh_compression"),
    "draco, used": (draco, "KHR_draco_mesh_compression"),
    "meshopt, required": (requires("EXT_meshopt_compression"), "EXT_meshopt_compression"),
    "meshopt, used": (meshopt, "EXT_meshopt_compression"),
    "meshopt by its other name": (meshopt_first, "KHR_meshopt_compression"),
    "quantization, required": (requires("KHR_mesh_quantization"), "KHR_mesh_quantization"),
    "normalized positions": (quantized, "KHR_mesh_quantization"),
    "something new": (requires("ACME_folded_space"), "ACME_folded_space"),
    "sparse accessor": (sparse, "sparse accessors"),
    "sparse accessor over zeros": (sparse_alone, "sparse accessors"),
    "positions without data": (without_view(position), "accessors without data"),
    "indices without data": (
        without_view(lambda header: header["accessors"][primitive(header)["indices"]]),  # type: ignore[no-any-return]
        "accessors without data",
    ),
    "buffer without data": (no_data, "buffers without data"),
    "line loop": (mode(2), "line loops"),
    "line strip": (mode(3), "line strips"),
    "triangle fan": (mode(6), "triangle fans"),
    "no mode": (mode(9), "mode 9"),
    "indexed lines": (mode(1), "indices of points and lines"),
    "indexed points": (mode(0), "indices of points and lines"),
    "morph target": (morphed, "morph targets"),
    "morph target of a node": (morphed_by_node, "morph targets"),
    "skin": (skinned, "skins"),
    "another scene": (another_scene, "meshes outside of the default scene"),
    "no scenes": (without("scene", "scenes"), "meshes outside of the default scene"),
    "no nodes": (without("scene", "scenes", "nodes"), "meshes outside of the default scene"),
    "a place outside of the scene": (second_place, "meshes outside of the default scene"),
    "positions in the plane": (lambda header: position(header).update(type="VEC2"), "positions of type VEC2"),
    "instances": (instances, "EXT_mesh_gpu_instancing"),
}


@pytest.mark.parametrize(("change", "name"), LOST.values(), ids=LOST.keys())
def test_what_would_be_lost_is_named(change: Change, name: str) -> None:
    with pytest.raises(FormatError, match=name) as caught:
        decode_mesh(changed(change), path="some/mesh.glb")
    assert caught.value.path == "some/mesh.glb"


def test_a_missing_binary_chunk_is_named() -> None:
    with pytest.raises(FormatError, match="buffers without data"):
        decode_mesh(changed(lambda header: None, binary=b""), path="p")


@pytest.mark.parametrize("required", ["KHR_draco_mesh_compression", None, {"KHR_draco_mesh_compression": {}}])
def test_requirements_that_are_no_list_are_broken(required: Any) -> None:
    with pytest.raises(FormatError, match="broken GLB"):
        decode_mesh(changed(lambda header: header.update(extensionsRequired=required)), path="p")


def test_faces_of_vertices_that_there_are_not() -> None:
    with pytest.raises(FormatError, match=r"a face has vertex 7 of \d"):
        decode_mesh(changed(lambda header: position(header).update(count=5)), path="p")


def used_draco(header: dict[str, Any]) -> None:
    primitive(header)["extensions"] = {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}


def used_meshopt(header: dict[str, Any]) -> None:
    for view in header["bufferViews"]:
        view["extensions"] = {"EXT_meshopt_compression": {"buffer": 0, "byteLength": 1}}


def switched_off(header: dict[str, Any]) -> None:
    morphed(header)
    header["meshes"][0]["weights"] = [0.0]


def unused(header: dict[str, Any]) -> None:
    header["accessors"].append({"count": 2, "type": "VEC3", "componentType": 5126, "sparse": {}})


KEPT: dict[str, Change] = {
    "as it was": lambda header: None,
    "no default scene": without("scene"),
    "draco beside plain data": used_draco,
    "meshopt beside plain data": used_meshopt,
    "texture": requires("EXT_texture_webp"),
    "extension that may be ignored": lambda header: header.update(extensionsUsed=["ACME_note"]),
    "morph target that is off": switched_off,
    "accessor that nothing uses": unused,
}


@pytest.mark.parametrize("change", KEPT.values(), ids=KEPT.keys())
def test_what_loses_nothing_is_read(change: Change) -> None:
    (mesh,) = decode_mesh(changed(change), path="p").geometry.values()
    assert np.allclose(mesh.vertices, trimesh.creation.box().vertices)
