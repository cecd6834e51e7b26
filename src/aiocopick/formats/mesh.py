"""Mesh files: binary glTF to trimesh geometry and back, from bytes only, which are checked first."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from aiocopick.errors import FormatError
from aiocopick.formats.json_bytes import inflated, parse_json

if TYPE_CHECKING:
    from trimesh.parent import Geometry


def decode_mesh(data: bytes, *, path: str) -> Geometry:
    """Decode the geometry in a GLB file.

    Parameters
    ----------
    data : bytes
        The file. Nothing else is opened: a file that refers to other files is refused before trimesh reads it.
    path : str
        Path for error messages.

    Returns
    -------
    trimesh.parent.Geometry
        A scene, as in copick; coordinates in angstrom.

    Raises
    ------
    FormatError
        It is not a GLB file, is broken, refers to another file, or needs a feature that is not decoded; the
        message names the feature.
    """
    data = inflated(data, path=path)
    check_glb(data, path=path)
    import trimesh

    try:
        scene = trimesh.load_scene(io.BytesIO(data), file_type="glb")
    # trimesh raises many types of exceptions for broken files.
    except Exception as error:
        raise FormatError(f"{path} is a broken GLB file ({type(error).__name__}: {error}).", path=path) from error
    for geometry in scene.geometry.values():
        faces: Any = getattr(geometry, "faces", ())
        # trimesh would fail later, when the faces are used.
        if len(faces) and not 0 <= faces.min() <= faces.max() < len(geometry.vertices):
            raise FormatError(
                f"{path} is a broken GLB file: a face has vertex {int(faces.max())} of {len(geometry.vertices)}.",
                path=path,
            )
    return scene


def encode_mesh(geometry: Geometry | None) -> bytes:
    """Encode a geometry as a GLB file.

    Parameters
    ----------
    geometry : trimesh.parent.Geometry, optional
        Mesh, scene, point cloud or path; None and a scene without geometry are written as an empty mesh.

    Raises
    ------
    ValueError
        It is not a geometry, or trimesh cannot write it as GLB.
    """
    import trimesh

    if geometry is None or (isinstance(geometry, trimesh.Scene) and not geometry.geometry):
        geometry = trimesh.Trimesh()
    if not isinstance(geometry, trimesh.parent.Geometry):
        raise ValueError(f"A mesh must be trimesh geometry, not {type(geometry).__name__}.")
    scene = geometry if isinstance(geometry, trimesh.Scene) else trimesh.Scene(geometry)
    export: Callable[..., bytes] = scene.export
    return export(file_type="glb")


# --- checks of GLB files ----------------------------------------------------------------------------------------------


_MAGIC = 0x46546C67
_JSON_CHUNK = 0x4E4F534A
_HEADER = struct.Struct("<IIIII")

_COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}

# Accessors share bytes in valid files as well (several primitives over one vertex buffer), but only to a limit.
_EXPANSION = 16
_ALWAYS_ALLOWED = 1 << 20

# Memory of a node of the scene, whatever its content.
_NODE_BYTES = 600


def check_glb(data: bytes, *, path: str) -> None:
    """Refuse data that is not binary glTF 2, refers to another file, would expand far beyond its size, or cannot be
    decoded in full.

    Raises
    ------
    FormatError
        With the path and the reason.
    """
    if len(data) < _HEADER.size:
        raise FormatError(f"{path} is not a GLB file: it has {len(data)} bytes.", path=path)
    magic, version, _, length, kind = _HEADER.unpack_from(data)
    if magic != _MAGIC or version != 2 or kind != _JSON_CHUNK:
        raise FormatError(f"{path} is not a GLB file of version 2.", path=path)
    if _HEADER.size + length > len(data):
        raise FormatError(f"{path} is truncated.", path=path)
    header = parse_json(bytes(data[_HEADER.size : _HEADER.size + length]), path=path)
    if not isinstance(header, dict):
        raise FormatError(f"{path} is not a GLB file: its description is not a JSON object.", path=path)
    _check_uris(header, path)
    try:
        expanded = _expanded_bytes(header)
        is_tree = _is_tree(header)
        features = _undecoded_features(header, memoryview(data)[_HEADER.size + length :])
    except (TypeError, KeyError, IndexError, AttributeError, ValueError, OverflowError) as error:
        raise FormatError(f"{path} is a broken GLB file ({type(error).__name__}: {error}).", path=path) from None
    if expanded > _ALWAYS_ALLOWED + _EXPANSION * len(data):
        raise FormatError(f"{path} is refused: {len(data)} bytes describe a scene of {expanded} bytes.", path=path)
    if not is_tree:
        raise FormatError(f"{path} is a broken GLB file: its nodes do not form a tree.", path=path)
    if features:
        raise FormatError(
            f"{path} cannot be read in full: {', '.join(features)} cannot be decoded here. Export the mesh as plain "
            "triangles, without compression and extensions.",
            path=path,
        )


def _check_uris(header: dict[str, Any], path: str) -> None:
    for section in ("buffers", "images"):
        entries = header.get(section, [])
        if not isinstance(entries, list):
            raise FormatError(f"{path} is a broken GLB file: {section} are not a list.", path=path)
        for entry in entries:
            uri = entry.get("uri") if isinstance(entry, dict) else None
            if uri is not None and not (isinstance(uri, str) and uri.startswith("data:") and "base64," in uri):
                raise FormatError(
                    f"{path} is refused: its {section} name a file outside it; export the mesh with everything "
                    "embedded.",
                    path=path,
                )


def _expanded_bytes(header: dict[str, Any]) -> int:
    """Return the bytes of everything that reading creates: nodes, views, accessors, and the copies made by each
    primitive.
    """
    sizes = []
    for accessor in header.get("accessors", []):
        count = _count(accessor["count"])
        sizes.append(count * _COMPONENTS[accessor["type"]] * _COMPONENT_BYTES[accessor["componentType"]])
    views = sum(_count(view["byteLength"]) for view in header.get("bufferViews", []))
    nodes = _NODE_BYTES * len(header.get("nodes", []))
    return (
        nodes + views + sum(sizes) + sum(sizes[index] for index in _used_accessors(header) if 0 <= index < len(sizes))
    )


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value


def _used_accessors(header: dict[str, Any]) -> Iterator[int]:
    for mesh in header.get("meshes", []):
        for primitive in mesh["primitives"]:
            yield from (int(index) for index in primitive["attributes"].values())
            if "indices" in primitive:
                yield int(primitive["indices"])


def _is_tree(header: dict[str, Any]) -> bool:
    children = [child for node in header.get("nodes", []) for child in node.get("children", [])]
    return len(children) == len(set(children))


# Both affect only the appearance of a surface, and trimesh supports them.
_UNDERSTOOD = frozenset({"EXT_texture_webp", "KHR_materials_pbrSpecularGlossiness"})
_INSTANCES = "EXT_mesh_gpu_instancing"

_BINARY_CHUNK = 0x004E4942
_CHUNK = struct.Struct("<II")
_FLOAT = 5126
_POINTS, _LINES = 0, 1
_NOT_DRAWN = {2: "line loops", 3: "line strips", 6: "triangle fans"}


def _undecoded_features(header: dict[str, Any], rest: bytes | memoryview) -> list[str]:
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
    required = header.get("extensionsRequired", [])
    if not isinstance(required, list):
        raise TypeError("extensionsRequired is not a list")
    found = [str(name) for name in required if name not in _UNDERSTOOD]
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
    if _has_hidden_meshes(header):
        found.append("meshes outside of the default scene")
    return list(dict.fromkeys(map(str, found)))


def _has_hidden_meshes(header: dict[str, Any]) -> bool:
    """Return True if a mesh, or one of its places, is not in the scene that is read."""
    nodes, scenes = header.get("nodes", []), header.get("scenes", [])
    left = list(scenes[header.get("scene", 0)].get("nodes", [])) if scenes else []
    seen: set[int] = set()
    while left:
        at = left.pop()
        if at not in seen:
            seen.add(at)
            left += nodes[at].get("children", [])
    shown = {node["mesh"] for at, node in enumerate(nodes) if "mesh" in node and at in seen}
    hidden = any("mesh" in node and at not in seen for at, node in enumerate(nodes))
    return hidden or not shown.issuperset(range(len(header.get("meshes", []))))


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
    if position is not None and accessors[position]["type"] != "VEC3":
        yield f"positions of type {accessors[position]['type']}"
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


__all__ = ["decode_mesh", "encode_mesh"]
