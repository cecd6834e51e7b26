"""Mesh files: binary glTF to trimesh geometry and back, from bytes only."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiocopick.errors import FormatError
from aiocopick.formats.glb_check import check_glb
from aiocopick.formats.json_bytes import inflated

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
        return trimesh.load_scene(io.BytesIO(data), file_type="glb")
    # trimesh raises many types of exceptions for broken files.
    except Exception as error:
        raise FormatError(f"{path} is a broken GLB file ({type(error).__name__}: {error}).", path=path) from error


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


__all__ = ["decode_mesh", "encode_mesh"]
