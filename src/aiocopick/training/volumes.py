"""The volume of a run that boxes are cut from, at a voxel size."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose
from typing import TYPE_CHECKING, TypeVar

from aiocopick.errors import NotFoundError

if TYPE_CHECKING:
    from aiocopick.entities import AsyncRun, AsyncSegmentation, AsyncTomogram
    from aiocopick.layout.uris import UriPattern

Volume = TypeVar("Volume", "AsyncTomogram", "AsyncSegmentation")

_TOLERANCE = 1e-4
"""Sizes of coarser levels are multiples of a rounded one."""


async def tomograms_of(run: AsyncRun, tomo_type: str) -> list[AsyncTomogram]:
    """Return the tomograms of a type, at all voxel spacings."""
    return [
        tomogram
        for spacing in await run.voxel_spacings()
        for tomogram in await spacing.tomograms()
        if tomogram.tomo_type == tomo_type
    ]


async def segmentations_of(run: AsyncRun, pattern: UriPattern) -> list[AsyncSegmentation]:
    """Return the segmentations that a URI selects."""
    return [item for item in await run.segmentations() if pattern.matches(item.ref)]


async def only_segmentation(run: AsyncRun, pattern: UriPattern) -> AsyncSegmentation:
    """Return the one segmentation that a URI selects.

    Raises
    ------
    NotFoundError
        There is none, or there are several.
    """
    found = await segmentations_of(run, pattern)
    if len(found) != 1:
        raise _none_or_several(run, "segmentation", [item.uri for item in found])
    return found[0]


async def at_voxel_size(run: AsyncRun, what: str, volumes: Sequence[Volume], size: float) -> tuple[Volume, str | None]:
    """Return the volume of a voxel size, and the level to read: its finest, or a coarser level of another volume.

    Volumes of that voxel size are preferred, and cost no request; else the levels of coarser to finer volumes are
    looked at.

    Parameters
    ----------
    run : AsyncRun
        The run, for messages.
    what : str
        The sought volume, for messages.
    volumes : sequence
        Those to choose from.
    size : float
        In angstrom.

    Raises
    ------
    NotFoundError
        There is no volume or level of that size, or there are several volumes.
    """
    exact = [volume for volume in volumes if round(volume.voxel_size, 3) == round(size, 3)]
    if len(exact) > 1:
        raise _none_or_several(run, what, [item.uri for item in exact])
    if exact:
        return exact[0], None
    finer = sorted((item for item in volumes if item.voxel_size < size), key=lambda item: -item.voxel_size)
    for volume in finer:
        for level in await volume.levels():
            if is_size(level.voxel_size, size):
                return volume, level.path
    raise not_there(run, f"{what} at {size:g} angstrom", [item.uri for item in volumes])


def is_size(found: tuple[float, float, float], size: float) -> bool:
    """Return True if the voxel size of a level is a size."""
    return all(isclose(along, size, rel_tol=_TOLERANCE) for along in found)


def not_there(run: AsyncRun, what: str, others: Sequence[str]) -> NotFoundError:
    """Return the error that a run lacks a volume."""
    there = f"there is {', '.join(others)}" if others else "there is none of any voxel size"
    return NotFoundError(f"{run.path} has no {what}; {there}.", path=run.path)


def _none_or_several(run: AsyncRun, what: str, found: Sequence[str]) -> NotFoundError:
    if not found:
        return NotFoundError(f"{run.path} has no {what} of this name; check the URI.", path=run.path)
    return NotFoundError(
        f"{run.path} has {len(found)} volumes that fit: {', '.join(found)}; name one by its user and session.",
        path=run.path,
    )
