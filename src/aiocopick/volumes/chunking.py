"""Chunks and shards of a volume: CoPick's sizes, bounded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aiocopick.volumes.whole_number import whole_number

CHUNK_EDGE = {2: 256, 3: 128}
"""Voxels along each axis of a chunk: CoPick 1's in zarr 2, CoPick 2's in zarr 3."""

SHARD_EDGE = 256
"""Voxels along each axis of a shard. CoPick 2 makes one shard of a whole level, which a region write must rewrite."""


def chunking(
    zarr_format: int,
    shape: tuple[int, ...],
    *,
    chunks: Sequence[int] | None = None,
    shards: Sequence[int] | None = None,
) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Chunks and shards of one level.

    Parameters
    ----------
    zarr_format : int
        2 or 3; only 3 has shards.
    shape : tuple of int
        Of the level; the axes before the last three are cut into single entries.
    chunks, shards : sequence of int, optional
        As the caller wants them: one number per axis, or per spatial axis.

    Returns
    -------
    tuple
        Chunks, and shards or None. Neither is larger than the level takes: a smaller array is not padded to them.

    Raises
    ------
    ValueError
        Not positive whole numbers, another number of axes, shards in zarr 2, shards that chunks do not fill evenly.
    """
    leading = len(shape) - 3
    if chunks is None:
        wanted = (1,) * leading + (CHUNK_EDGE[zarr_format],) * 3
    else:
        wanted = _per_axis(chunks, leading, "chunks")
    cut = tuple(max(1, min(size, edge)) for size, edge in zip(shape, wanted, strict=True))
    if zarr_format == 2:
        if shards is not None:
            raise ValueError("shards exist in zarr 3 only; leave them out or set zarr_format=3")
        return cut, None
    if shards is not None:
        given = _per_axis(shards, leading, "shards")
        if any(shard % chunk for shard, chunk in zip(given, wanted, strict=True)):
            raise ValueError(f"shards {given} must be multiples of chunks {wanted} along every axis")
        # So many chunks as asked for, but none beyond the level.
        return cut, tuple(
            edge * min(shard // chunk, _chunks_along(size, edge))
            for size, edge, shard, chunk in zip(shape, cut, given, wanted, strict=True)
        )
    if chunks is not None:
        return cut, None
    bounded = tuple(
        edge * max(1, min(_chunks_along(size, edge), SHARD_EDGE // edge if axis >= leading else 1))
        for axis, (size, edge) in enumerate(zip(shape, cut, strict=True))
    )
    return cut, None if bounded == cut else bounded


def _chunks_along(size: int, edge: int) -> int:
    return -(-size // edge)


def _per_axis(value: Sequence[int], leading: int, what: str) -> tuple[int, ...]:
    items: tuple[Any, ...] = tuple(value) if isinstance(value, Iterable) else (value,)
    if len(items) == 3:
        items = (1,) * leading + items
    if len(items) != leading + 3:
        wanted = f"3 or {leading + 3}" if leading else "3"
        raise ValueError(f"{what} must be {wanted} numbers, one per axis, not {value!r}")
    return tuple(whole_number(item, f"each of the {what}") for item in items)
