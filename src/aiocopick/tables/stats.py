"""Statistics of files: the columns that need the files to be read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.errors import NotFoundError

if TYPE_CHECKING:
    from aiocopick.entities import AsyncFilaments, AsyncMesh, AsyncPicks
    from aiocopick.entities.base import AsyncEntity
    from aiocopick.entities.volume import AsyncVolume


async def stats_of(entity: AsyncEntity) -> dict[str, Any]:
    """Return the statistics that apply to one entity; one file is read, or the metadata of a volume.

    Raises
    ------
    NotFoundError
        The file is gone.
    FormatError
        It cannot be decoded.
    """
    read = _READERS.get(entity.kind)
    return {} if read is None else await read(entity)


async def _picks(picks: AsyncPicks) -> dict[str, Any]:
    positions, scores = await picks.to_numpy()
    return {"points": len(positions)} | _range(scores)


async def _filaments(filaments: AsyncFilaments) -> dict[str, Any]:
    lines = (await filaments.load()).filaments
    return {"points": sum(len(line.points) for line in lines)} | _range([line.score for line in lines])


async def _mesh(mesh: AsyncMesh) -> dict[str, Any]:
    geometry = await mesh.load()
    parts = geometry.geometry.values() if hasattr(geometry, "geometry") else [geometry]
    return {"faces": sum(len(getattr(part, "faces", ())) for part in parts)}


async def _volume(volume: AsyncVolume) -> dict[str, Any]:
    try:
        levels = await volume.levels()
    except NotFoundError:
        # Created, but not written yet.
        return {"levels": 0}
    finest = levels[0]
    return {"levels": len(levels), "shape": list(finest.shape), "dtype": str(np.dtype(finest.dtype))}


def _range(scores: Any) -> dict[str, Any]:
    """Return the lowest and highest score; empty if there are none."""
    known = np.asarray(scores if scores is not None else (), dtype=np.float64)
    known = known[np.isfinite(known)]
    return {"score_min": float(known.min()), "score_max": float(known.max())} if known.size else {}


_READERS: dict[str, Callable[[Any], Awaitable[dict[str, Any]]]] = {
    "picks": _picks,
    "filaments": _filaments,
    "mesh": _mesh,
    "tomogram": _volume,
    "features": _volume,
    "segmentation": _volume,
    "object": _volume,
}

__all__ = ["stats_of"]
