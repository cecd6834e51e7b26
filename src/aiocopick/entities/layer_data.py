"""Entities as napari's layer data tuples. napari itself is not imported, nor Qt.

A tuple is what ``napari.layers.Layer.create(*tuple)`` takes and what a reader plugin returns: data, keyword arguments,
type of layer. All coordinates are zyx in angstrom, so that volumes of any voxel size, points and meshes of a run
overlap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.concurrency.misuse import refuse_unawaited
from aiocopick.entities.filaments import AsyncFilaments
from aiocopick.entities.mesh import AsyncMesh
from aiocopick.entities.picks import AsyncPicks
from aiocopick.entities.segmentation import AsyncSegmentation
from aiocopick.entities.volume import AsyncVolume

if TYPE_CHECKING:
    from aiocopick.entities.base import AsyncEntity

LayerData: TypeAlias = tuple[Any, dict[str, Any], str]

_POINT_SIZE = 100.0
"""Diameter in angstrom of what has no radius: about that of a ribosome, halved."""


async def layer_data(
    entity: AsyncEntity, *, zarr_group: str | None = None, channel: str | int | None = None, lazy: bool = False
) -> LayerData:
    """An entity as napari shows it.

    Parameters
    ----------
    entity : AsyncEntity
        A tomogram, feature map or object map (an image layer), a segmentation (labels), picks (points), a mesh
        (surface) or filaments (shapes).
    zarr_group : str, optional
        Level of a volume; None is the finest one.
    channel : str or int, optional
        Of a panoptic segmentation; None is ``"label"``.
    lazy : bool
        Give a volume as dask arrays of all its levels, of which napari reads what it shows. Needs the extra ``dask``.

    Returns
    -------
    tuple
        Data, keyword arguments and type of the layer.

    Raises
    ------
    NotFoundError
        There is nothing stored.
    TypeError
        The entity cannot be shown, or is of the facade (its attribute ``aio`` can).
    ValueError
        One level, and all of them lazily, are asked for at once.
    """
    refuse_unawaited(entity, "An entity")
    twin = getattr(entity, "aio", None)
    if twin is not None:
        raise TypeError(f"{type(entity).__name__} is of the facade; pass its async twin, which is its attribute aio")
    common: dict[str, Any] = {"name": entity.uri, "metadata": {"uri": entity.uri, "path": entity.path}}
    if isinstance(entity, AsyncVolume):
        return await _volume(entity, common, zarr_group, channel, lazy)
    color = getattr(entity, "color", None)
    shown = None if color is None else [value / 255 for value in color]
    if isinstance(entity, AsyncPicks):
        return await _points(entity, common, shown)
    if isinstance(entity, AsyncMesh):
        vertices, faces = await entity.to_napari()
        colors = (
            {} if shown is None else {"vertex_colors": np.tile(np.asarray(shown, dtype=np.float32), (len(vertices), 1))}
        )
        return (vertices, faces), common | colors, "surface"
    if isinstance(entity, AsyncFilaments):
        lines = [line[:, ::-1] for line in await entity.numpy()]
        edges = {} if shown is None else {"edge_color": [shown] * len(lines)}
        return lines, common | {"shape_type": "path", "edge_width": _POINT_SIZE / 4} | edges, "shapes"
    raise TypeError(f"{type(entity).__name__} is nothing that napari shows")


async def _points(entity: AsyncPicks, common: dict[str, Any], color: list[float] | None) -> LayerData:
    positions = (await entity.full_positions())[:, ::-1]
    known = entity.root._object_meta(entity.pickable_object_name)
    radius = None if known is None else known.radius
    keywords = common | {
        "size": 2 * radius if radius else _POINT_SIZE,
        "features": {"score": await entity.scores(), "instance_id": await entity.instance_ids()},
    }
    return positions, keywords | ({} if color is None else {"face_color": color}), "points"


async def _volume(
    entity: AsyncVolume, common: dict[str, Any], zarr_group: str | None, channel: str | int | None, lazy: bool
) -> LayerData:
    channels = isinstance(entity, AsyncSegmentation) and entity.is_panoptic
    if lazy and zarr_group is not None:
        raise ValueError("lazy=True gives all levels; leave zarr_group out")
    array, record = await entity._level(zarr_group)
    leading = len(record.shape) - 3 - channels
    keywords = common | {"scale": (1.0,) * leading + record.voxel_size}
    where = array.spatial_axes
    others = tuple(axis for axis in range(len(record.shape)) if axis not in where)
    if lazy:
        arrays = [_in_zyx(await entity.to_dask(item.path), (*others, *where)) for item in await entity.levels()]
        if channels:
            from aiocopick.volumes.labels import channel_index

            index = channel_index("label" if channel is None else channel)
            arrays = [array[index] for array in arrays]
        return arrays, keywords | {"multiscale": True}, entity.layer_type
    reader: Any = entity
    data = await (
        reader.numpy(zarr_group, channel="label" if channel is None else channel)
        if channels
        else reader.numpy(zarr_group)
    )
    return data if channels else _in_zyx(data, (*others, *where)), keywords, entity.layer_type


def _in_zyx(array: Any, order: tuple[int, ...]) -> Any:
    """Return an array with z, y and x last, so that it has the same position as points and meshes."""
    return array if order == tuple(range(array.ndim)) else array.transpose(order)
