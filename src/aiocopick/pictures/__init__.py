"""Pictures of volumes and runs: a slice, with picks and the outlines of segmentations drawn on it.

Needs the extra ``pictures``. Entities are read through their own methods, so that this room knows none of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiocopick.concurrency.threads import in_thread
from aiocopick.extras import optional
from aiocopick.pictures.drawing import Scene, draw, draw_message, encode_png, encode_thumbnail
from aiocopick.pictures.reading import DEPTH, Choice, chosen_tomogram, read_scene, read_slice

MOST_SIZE = 4096
"""Pixels along the longer side of a picture, at most."""


async def thumbnail(tomogram: Any, zarr_group: str | None, size: int) -> bytes:
    """Return the PNG of :meth:`aiocopick.AsyncTomogram.thumbnail`."""
    check_size(size)
    require_pillow()
    scene = Scene(title=tomogram.ref.run, slice=await read_slice(tomogram, zarr_group))
    return await in_thread(_png, scene, size, False)


async def picture(
    run: Any, tomogram: str | None, annotations: str | Iterable[str] | None, size: int, depth: float, legend: bool
) -> bytes:
    """Return the PNG of :meth:`aiocopick.AsyncRun.picture`."""
    check_size(size)
    choice = Choice.of(tomogram, annotations, depth)
    require_pillow()
    return await in_thread(_png, await read_scene(run, choice), size, legend)


def _png(scene: Scene, size: int, legend: bool) -> bytes:
    return encode_png(draw(scene, size, legend=legend))


def check_size(size: int) -> None:
    """Refuse a picture without pixels, or with too many for the memory.

    Raises
    ------
    ValueError
        Names the limits.
    """
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MOST_SIZE:
        raise ValueError(f"size must be a number of pixels, from 1 to {MOST_SIZE}, not {size!r}")


def require_pillow() -> None:
    """Say how Pillow is installed, before anything is read.

    Raises
    ------
    MissingPackageError
        It is not there.
    """
    optional("PIL", "A picture")


__all__ = [
    "DEPTH",
    "MOST_SIZE",
    "Choice",
    "Scene",
    "check_size",
    "chosen_tomogram",
    "draw",
    "draw_message",
    "encode_png",
    "encode_thumbnail",
    "picture",
    "read_scene",
    "read_slice",
    "require_pillow",
    "thumbnail",
]
