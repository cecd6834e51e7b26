"""Picks as data frames: lookups in the run that are needed to compute the columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.concurrency.threads import in_thread

if TYPE_CHECKING:
    import pandas as pd

    from aiocopick.entities.picks import AsyncPicks
    from aiocopick.entities.run import AsyncRun
    from aiocopick.formats import relion

FORMATS = ("relion",)


def check_format(format: str) -> None:
    """Refuse a format that is not known.

    Raises
    ------
    ValueError
        It is none of those that picks can be written as.
    """
    if format not in FORMATS:
        raise ValueError(f"Format {format} is not supported; use one of {', '.join(FORMATS)}.")


async def to_frame(
    picks: AsyncPicks,
    *,
    voxel_spacing: float | None = None,
    tilt_series_pixel_size: float | None = None,
    tomogram_center: Sequence[float] | None = None,
    tomo_type: str | None = None,
    filament: bool | Literal["auto"] = "auto",
    polarity_known: bool | Sequence[bool] | np.ndarray = False,
) -> pd.DataFrame:
    """Picks as a RELION particle table; parameters as for :meth:`AsyncPicks.df`."""
    from aiocopick.formats import relion

    positions, transforms = await picks.numpy()
    ids = await picks.instance_ids()
    if tomogram_center is None:
        tomogram_center = await find_center(picks.run, voxel_spacing, tomo_type)
    unit = None
    if tomogram_center is None and tilt_series_pixel_size is None:
        unit = voxel_spacing if voxel_spacing is not None else await smallest_size(picks.run)
    known = picks.root._object_meta(picks.pickable_object_name)
    as_filament = filament if isinstance(filament, bool) else known is not None and known.is_filament
    return await in_thread(
        lambda: relion.picks_to_frame(
            positions,
            transforms,
            run_name=picks.run.name,
            tomogram_center=tomogram_center,
            tilt_series_pixel_size=tilt_series_pixel_size,
            voxel_size=unit,
            instance_ids=ids,
            filament=as_filament,
            polarity_known=polarity_known,
        )
    )


async def from_frame(
    picks: AsyncPicks,
    frame: pd.DataFrame,
    *,
    optics: pd.DataFrame | None = None,
    tilt_series_pixel_size: float | None = None,
    tomogram_center: Sequence[float] | None = None,
    relion_version: str | None = None,
) -> None:
    """Replace picks by those of a RELION particle table, and store them; parameters as for ``AsyncPicks.from_df``."""
    picks._stack.writer()
    particles = await read_frame(
        picks.run,
        frame,
        optics=optics,
        tilt_series_pixel_size=tilt_series_pixel_size,
        tomogram_center=tomogram_center,
        relion_version=relion_version,
    )
    await picks.from_numpy(particles.positions, particles.transforms, particles.instance_ids)


async def read_frame(
    run: AsyncRun,
    frame: pd.DataFrame,
    *,
    optics: pd.DataFrame | None = None,
    tilt_series_pixel_size: float | None = None,
    tomogram_center: Sequence[float] | None = None,
    relion_version: str | None = None,
) -> relion.Particles:
    """Return the picks of a RELION particle table whose rows all belong to a run; nothing is written."""
    from aiocopick.formats import relion

    if tomogram_center is None and relion_version != "relion4" and relion.needs_center(frame):
        tomogram_center = await find_center(run)
    size = await smallest_size(run)
    return await in_thread(
        lambda: relion.frame_to_picks(
            frame,
            voxel_size=size,
            tomogram_center=tomogram_center,
            tilt_series_pixel_size=tilt_series_pixel_size,
            optics=optics,
            relion_version=relion_version,
        )
    )


async def smallest_size(run: AsyncRun) -> float | None:
    """The smallest voxel size of a run, in angstrom; None when it has no voxel spacing."""
    return min((spacing.voxel_size for spacing in await run.voxel_spacings()), default=None)


async def find_center(
    run: AsyncRun, voxel_spacing: float | None = None, tomo_type: str | None = None
) -> tuple[float, float, float] | None:
    """The centre of a run's tomogram.

    Parameters
    ----------
    run : AsyncRun
        The run.
    voxel_spacing : float, optional
        Prefer a tomogram of this voxel size; else the one of the smallest counts.
    tomo_type : str, optional
        Only a tomogram of this type counts, then at `voxel_spacing` alone where that is given.

    Returns
    -------
    tuple of float or None
        x, y, z in angstrom: half the shape times the voxel size. None if there is no such tomogram.
    """
    spacings = sorted(await run.voxel_spacings(), key=lambda spacing: spacing.voxel_size)
    if voxel_spacing is not None:
        chosen = [spacing for spacing in spacings if spacing.voxel_size == round(float(voxel_spacing), 3)]
        others = [] if tomo_type is not None else [spacing for spacing in spacings if spacing not in chosen]
        spacings = chosen + others
    for spacing in spacings:
        for tomogram in await spacing.get_tomograms(tomo_type):
            array, level = await tomogram._level(None)
            lengths = [level.shape[axis] for axis in array.spatial_axes]
            z, y, x = (length / 2 * size for length, size in zip(lengths, level.voxel_size, strict=True))
            return (x, y, z)
    return None
