"""Entities of a project into files of other programs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.threads import in_thread
from aiocopick.convert import mrc, star
from aiocopick.convert.report import ConvertReport, each
from aiocopick.errors import AlreadyExistsError, CopickError, FormatError, InvalidNameError, NotFoundError
from aiocopick.formats.relion import CENTERED
from aiocopick.layout.uris import parse_uri
from aiocopick.tables.select import Selection, select

if TYPE_CHECKING:
    import pandas as pd

    from aiocopick.entities import AsyncPicks, AsyncRoot, AsyncSegmentation, AsyncTomogram

_VOLUMES_AT_ONCE = 2
"""One slab of chunks of each is in memory."""

_READS_AT_ONCE = 16


async def export(
    root: AsyncRoot,
    uri: str,
    out: str | PathLike[str],
    *,
    runs: str | None = None,
    level: str | None = None,
    pixel_size: float | None = None,
    overwrite: bool = False,
    progress: Callable[[str], None] | None = None,
) -> ConvertReport:
    """Write tomograms and segmentations to MRC files, picks to a STAR file, several runs at a time.

    A file is there under its name when it is complete. Nothing is replaced unless asked for.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    uri : str
        The entities, as for :func:`aiocopick.select`: its form decides the kind.
    out : path
        Of volumes, a folder: each becomes ``RUN_TYPE_SIZE.mrc`` or ``RUN_NAME_USER_SESSION_SIZE.mrc``. Of picks, a
        ``.star`` file for the particles of one object in all runs, or a folder for one file of each object.
    runs : str, optional
        A glob.
    level : str, optional
        Level of volumes; None is the finest.
    pixel_size : float, optional
        Of the tilt series in angstrom: writes an optics table, and ``rlnCoordinate{X,Y,Z}`` in pixels of this size. The
        centred coordinates of RELION 5, in angstrom, are there where a run has a tomogram.
    overwrite : bool
        Replace files that exist.
    progress : callable, optional
        Called with the path of each volume, or the name of each run with picks, when it is done.

    Returns
    -------
    ConvertReport

    Raises
    ------
    InvalidNameError
        It is not a URI of tomograms, segmentations or picks, or one file is asked for picks of several objects.
    """
    kind = parse_uri(uri).kind
    selection = select(root._apart(), uri, runs, on_error="skip")
    report = ConvertReport()
    folder = Path(out)
    if kind == "picks":
        await _export_picks(selection, folder, pixel_size, overwrite, report, progress)
    elif kind in ("tomogram", "segmentation"):
        await _export_volumes(selection, folder, level, overwrite, report, progress)
    else:
        raise InvalidNameError(f"{uri!r} names {kind}, which no file is written of.", path=uri)
    report.errors |= selection.errors
    return report


# --- volumes ----------------------------------------------------------------------------------------------------------


async def _export_volumes(
    selection: Selection,
    folder: Path,
    level: str | None,
    overwrite: bool,
    report: ConvertReport,
    progress: Callable[[str], None] | None,
) -> None:
    found: list[AsyncTomogram | AsyncSegmentation] = []
    async with selection as entities:
        async for entity in entities:
            found.append(entity)

    taken: dict[str, str] = {}

    async def work(volume: AsyncTomogram | AsyncSegmentation) -> None:
        array, record = await volume._level(level)
        if len(record.shape) != 3:
            raise FormatError(f"{volume.path}: an MRC file holds one volume, not {record.shape}", path=volume.path)
        path = folder / _file_name(volume, record.voxel_size[0])
        other = taken.setdefault(path.name, volume.path)
        if other != volume.path:
            raise AlreadyExistsError(
                f"{volume.path}: its file {path} is that of {other}; export them into different folders.",
                path=volume.path,
            )
        axes = array.spatial_axes
        shape = tuple(record.shape[axis] for axis in axes)
        slabs = _turned(volume.slabs("z", zarr_group=level), axes)
        await mrc.write(path, slabs, shape, record.dtype, record.voxel_size, overwrite)
        report.done[str(path)] = [_named(volume)]

    await each(work, found, lambda volume: volume.path, report, limit=_VOLUMES_AT_ONCE, progress=progress)


async def _turned(slabs: AsyncIterator[Any], axes: tuple[int, int, int]) -> AsyncIterator[np.ndarray[Any, Any]]:
    async for slab in slabs:
        yield np.transpose(slab, axes)


def _file_name(volume: Any, size: float) -> str:
    ref = volume.ref
    if ref.kind == "tomogram":
        return f"{ref.run}_{ref.tomo_type}_{size:g}.mrc"
    flag = "" if ref.segmentation_type == "binary" else f"-{ref.segmentation_type}"
    return f"{ref.run}_{ref.name}{flag}_{ref.user_id}_{ref.session_id}_{size:g}.mrc"


def _named(entity: Any) -> str:
    return f"{entity.ref.run} {entity.uri}"


# --- picks ------------------------------------------------------------------------------------------------------------


async def _export_picks(
    selection: Selection,
    out: Path,
    pixel_size: float | None,
    overwrite: bool,
    report: ConvertReport,
    progress: Callable[[str], None] | None,
) -> None:
    found: dict[str, list[AsyncPicks]] = {}
    async with selection as entities:
        async for picks in entities:
            found.setdefault(picks.pickable_object_name, []).append(picks)
    is_file = out.suffix.lower() in star.SUFFIXES
    if is_file and len(found) > 1:
        raise InvalidNameError(
            f"{out} is one STAR file, and there are picks of {', '.join(sorted(found))}: name one object, or give a "
            "folder.",
            path=str(out),
        )

    async def frame(picks: AsyncPicks) -> pd.DataFrame:
        try:
            table = await picks.df("relion", tilt_series_pixel_size=pixel_size)
        except CopickError:
            raise
        except ValueError as error:
            raise FormatError(f"{picks.path}: {error}", path=picks.path) from error
        if progress is not None:
            progress(picks.run.name)
        return table

    async def work(name: str) -> None:
        path = out if is_file else out / f"{name}.star"
        frames = await gather(frame, found[name], limit=_READS_AT_ONCE)
        filled = [table for table in frames if len(table)]
        if not filled:
            raise NotFoundError(f"There are no points of {name} to write to {path}.", path=str(path))
        # Centred coordinates are only there where the run has a tomogram.
        columns = [column for column in filled[0].columns if all(column in table.columns for table in filled)]
        if pixel_size is None and CENTERED[0] not in columns:
            raise FormatError(
                f"{path}: a run has no tomogram, so its coordinates have neither a centre nor a unit; give pixel_size, or "
                "choose runs with tomograms.",
                path=str(path),
            )
        await in_thread(star.write, path, [table[columns] for table in filled], pixel_size, overwrite)
        report.done[str(path)] = [_named(picks) for picks in found[name]]

    await each(work, sorted(found), str, report, limit=1, progress=None)
