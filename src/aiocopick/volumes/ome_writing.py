"""The group metadata that we write: OME 0.4 in CoPick 1's layout, OME 0.5 in CoPick 2's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from aiocopick.volumes.ome import GROUP_DOCUMENTS, SPATIAL
from aiocopick.volumes.ome_arrays import ARRAY_DOCUMENT
from aiocopick.volumes.ome_documents import encode_document


def empty_group_documents(zarr_format: int) -> dict[str, bytes]:
    """Metadata of a group without anything in it: what makes a new volume listed.

    Parameters
    ----------
    zarr_format : int
        2 or 3.

    Returns
    -------
    dict
        Name below the group -> content. Nothing more than this: CoPick's writers refuse what they find as "not empty".
    """
    if zarr_format == 2:
        return {".zgroup": encode_document({"zarr_format": 2}), ".zattrs": encode_document({})}
    return {"zarr.json": encode_document({"zarr_format": 3, "node_type": "group", "attributes": {}})}


def hiding_document(zarr_format: int) -> bytes:
    """Metadata of a group that names one level that does not exist, so that nothing in it is taken for a volume.

    Parameters
    ----------
    zarr_format : int
        2 for ``.zattrs``, 3 for ``zarr.json``.
    """
    entry = {"multiscales": [{"datasets": [{"path": "unfinished"}]}]}
    if zarr_format == 2:
        return encode_document(entry)
    return encode_document({"zarr_format": 3, "node_type": "group", "attributes": {"ome": entry}})


def axis_names(zarr_format: int, ndim: int, *, channels: bool = False) -> tuple[str, ...]:
    """Names of the axes of the arrays that we write.

    Parameters
    ----------
    zarr_format : int
        2 or 3.
    ndim : int
        3, or 4 with a leading axis.
    channels : bool
        Whether the leading axis holds channels (panoptic segmentations) rather than features.
    """
    if ndim == 3:
        return SPATIAL
    # CoPick 2 calls the leading axis of feature maps "feature", without a type; OME 0.4 wants a type.
    return ("c" if channels or zarr_format == 2 else "feature", *SPATIAL)


def group_documents(
    zarr_format: int,
    levels: Sequence[str],
    voxel_size: float,
    *,
    axes: Sequence[str] = SPATIAL,
    metadata: dict[str, Any] | None = None,
) -> dict[str, bytes]:
    """Metadata of a complete volume's group.

    Parameters
    ----------
    zarr_format : int
        2 for OME 0.4, 3 for OME 0.5.
    levels : sequence of str
        Paths of the levels, finest first, each a factor 2 coarser than the one before.
    voxel_size : float
        Of the finest level, angstrom.
    axes : sequence of str
        As :func:`axis_names` gives them.
    metadata : dict, optional
        The ``metadata`` object of the multiscale entry.

    Raises
    ------
    ValueError
        Metadata that JSON cannot hold.
    """
    if metadata is not None:
        _check_metadata(metadata)
    entry: dict[str, Any] = {
        "axes": [_axis(name) for name in axes],
        "datasets": [
            {
                "coordinateTransformations": [
                    {"scale": [1.0] * (len(axes) - 3) + [float(voxel_size) * 2**index] * 3, "type": "scale"}
                ],
                "path": path,
            }
            for index, path in enumerate(levels)
        ],
        "name": "/",
    }
    if metadata is not None or zarr_format == 2:
        entry["metadata"] = metadata or {}
    if zarr_format == 2:
        document: dict[str, Any] = {"multiscales": [{**entry, "version": "0.4"}]}
        return {".zgroup": encode_document({"zarr_format": 2}), ".zattrs": _readable(document)}
    document = {
        "attributes": {"ome": {"version": "0.5", "multiscales": [entry]}},
        "zarr_format": 3,
        "node_type": "group",
    }
    return {"zarr.json": _readable(document)}


def _check_metadata(metadata: Any) -> None:
    try:
        if isinstance(metadata, dict):
            json.dumps(metadata, allow_nan=False)
            return
        reason = f"it is a {type(metadata).__name__}"
    except (TypeError, ValueError, RecursionError) as error:
        reason = str(error)
    raise ValueError(f"metadata must be a dict of what JSON can hold: {reason}")


def _axis(name: str) -> dict[str, str]:
    if name in SPATIAL:
        return {"name": name, "type": "space", "unit": "angstrom"}
    return {"name": "c", "type": "channel"} if name == "c" else {"name": name}


def _readable(document: dict[str, Any]) -> bytes:
    # Small, written once, and the file people open when they wonder what a volume is.
    return json.dumps(document, indent=2).encode()


FINEST = tuple(f"{level}/{name}" for level in ("0", "s0") for name in ARRAY_DOCUMENT.values())
"""Metadata of the finest level, by the names that it usually has."""

SHOWN_BY = ((*GROUP_DOCUMENTS, ".zarray"), FINEST)
"""All these files, relative to the volume, in steps: all of the first step are deleted before any of the second.

Remaining coarse levels are not a volume if the group does not name them; while it does, they are a part of one.
"""
