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
    """The geometry in a GLB file.

    Parameters
    ----------
    data : bytes
        The file. Nothing else is opened: a file that refers to others is refused before trimesh sees it.
    path : str
        Where it came from, for messages.

    Returns
    -------
    trimesh.parent.Geometry
        A scene, as copick gives it; coordinates in angstrom.

    Raises
    ------
    FormatError
        It is no GLB file, broken, refers to something outside itself, or needs a feature that is not decoded; the
        message names it.
    """
    data = inflated(data, path=path)
    check_glb(data, path=path)
    import trimesh

    try:
        return trimesh.load_scene(io.BytesIO(data), file_type="glb")
    # trimesh meets broken files with whatever the broken part happens to raise.
    except Exception as error:
        raise FormatError(f"{path} is a broken GLB file ({type(error).__name__}: {error}).", path=path) from error


def encode_mesh(geometry: Geometry | None) -> bytes:
    """The GLB file of a geometry.

    Parameters
    ----------
    geometry : trimesh.parent.Geometry, optional
        Mesh, scene, point cloud or path; None and a scene without geometry are written as an empty mesh.

    Raises
    ------
    ValueError
        It is no geometry, or trimesh cannot write it as GLB.
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
