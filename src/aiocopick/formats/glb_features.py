"""Features of a GLB file that trimesh does not decode: it replaces them by zeros, or leaves them out silently.

Source: glTF 2.0 specification, sections 3.6.2 (accessors), 3.7.2 (meshes), 3.7.3 (skins), 3.12 (extensions) and 4.4.3.3
(binary buffer); the readers of trimesh 5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

# Both affect only the appearance of a surface, and trimesh supports them.
_UNDERSTOOD = frozenset({"EXT_texture_webp", "KHR_materials_pbrSpecularGlossiness"})
_INSTANCES = "EXT_mesh_gpu_instancing"

_BINARY_CHUNK = 0x004E4942
_CHUNK = struct.Struct("<II")
_FLOAT = 5126
_POINTS, _LINES = 0, 1
_NOT_DRAWN = {2: "line loops", 3: "line strips", 6: "triangle fans"}


def undecoded_features(header: dict[str, Any], rest: bytes | memoryview) -> list[str]:
    """Return the features of a file that would be lost, by their names in the glTF specification; none for most files.

    Parameters
    ----------
    header : dict
        The description, whose counts and types have been checked.
    rest : bytes
        The bytes after the description: the binary chunk, if there is one.

    Raises
    ------
    TypeError, KeyError, IndexError, AttributeError, ValueError
        The description is broken.
    """
    found = [str(name) for name in header.get("extensionsRequired", []) if name not in _UNDERSTOOD]
    # Primitives that trimesh does not draw are not decoded either; the name of the primitive is the clearest message.
    for mesh in header.get("meshes", []):
        for primitive in mesh["primitives"]:
            found += _of_primitive(header, mesh, primitive, rest)
    for node in header.get("nodes", []):
        if "mesh" in node and "skin" in node:
            found.append("skins")
        if "mesh" in node and any(node.get("weights", ())):
            found.append("morph targets")
        if _INSTANCES in node.get("extensions", {}):
            found.append(_INSTANCES)
    return list(dict.fromkeys(map(str, found)))


def _of_primitive(
    header: dict[str, Any], mesh: dict[str, Any], primitive: dict[str, Any], rest: bytes | memoryview
) -> Iterator[str]:
    mode = primitive.get("mode", 4)
    if mode not in (_POINTS, _LINES, 4, 5):
        yield _NOT_DRAWN.get(mode, f"primitives of mode {mode}")
    if "indices" in primitive and mode in (_POINTS, _LINES):
        yield "indices of points and lines"
    # A shape key with weight 0 changes nothing.
    if primitive.get("targets") and any(mesh.get("weights", ())):
        yield "morph targets"
    accessors = header.get("accessors", [])
    position = primitive["attributes"].get("POSITION")
    if (
        position is not None
        and accessors[position].get("normalized")
        and accessors[position]["componentType"] != _FLOAT
    ):
        yield "KHR_mesh_quantization"
    indices = [primitive["indices"]] if "indices" in primitive else []
    for index in (*primitive["attributes"].values(), *indices):
        accessor = accessors[index]
        if "sparse" in accessor:
            yield "sparse accessors"
        elif "bufferView" not in accessor:
            # Allowed by glTF with the meaning of zeros, but a mesh with all vertices in one point is never intended.
            if accessor["count"]:
                yield from primitive.get("extensions", ()) or ["accessors without data"]
        else:
            view = header["bufferViews"][accessor["bufferView"]]
            if not _has_data(header["buffers"], view["buffer"], rest):
                yield from view.get("extensions", ()) or ["buffers without data"]


def _has_data(buffers: list[dict[str, Any]], index: int, rest: bytes | memoryview) -> bool:
    buffer = buffers[index]
    if any(isinstance(said, dict) and said.get("fallback") for said in buffer.get("extensions", {}).values()):
        return False
    if "uri" in buffer:
        return True
    # The binary chunk follows the description at once, and is the first buffer.
    return index == 0 and len(rest) >= _CHUNK.size and _CHUNK.unpack_from(rest)[1] == _BINARY_CHUNK
