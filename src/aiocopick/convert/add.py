"""Files of other programs into a project."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, suppress
from functools import partial
from math import isclose
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from aiocopick.concurrency.threads import in_thread, in_thread_shielded
from aiocopick.convert import mrc, star, tiff
from aiocopick.convert.mrc import StoredVolume, refuse_special
from aiocopick.convert.report import ConvertReport, each
from aiocopick.entities.picks_frames import read_frame
from aiocopick.errors import AlreadyExistsError, CopickError, FormatError, InvalidNameError, NotFoundError
from aiocopick.formats.picks_table import PicksTable
from aiocopick.layout.uris import ANY, TYPE_FLAGS, UriPattern, parse_uri

if TYPE_CHECKING:
    import pandas as pd

    from aiocopick.entities import AsyncRoot, AsyncRun, AsyncSegmentation, AsyncTomogram

Volume = TypeVar("Volume", "AsyncTomogram", "AsyncSegmentation")

_VOLUMES_AT_ONCE = 2
"""The chunks of each are written side by side, too, and a compressed file is in memory as a whole."""

_TABLES_AT_ONCE = 16
_TOLERANCE = 1e-3
"""Headers are rounded; a larger difference to what is given is a contradiction."""


async def add(
    root: AsyncRoot,
    uri: str,
    files: Iterable[str | PathLike[str]],
    *,
    run: str | None = None,
    run_pattern: str | None = None,
    levels: int | None = None,
    pixel_size: float | None = None,
    ignore_header: bool = False,
    overwrite: bool = False,
    progress: Callable[[str], None] | None = None,
) -> ConvertReport:
    """Add files of other programs to a project, several at a time.

    Nothing is replaced unless asked for. A file that cannot be added is an error in the report; the others are added.
    Repeating the call adds what is missing.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    uri : str
        The entity that each file becomes, without patterns: a tomogram (``"wbp@10"``) or a segmentation
        (``"membrane:membrain/0@10"``, ``?multilabel=true``) from MRC or TIFF, picks (``"ribosome:relion/0"``) from STAR.
        Without a voxel size after the ``@`` (``"wbp@"``), it is that of the file.
    files : iterable of path
        On this machine. A STAR file may hold particles of many runs.
    run : str, optional
        Name of the run, for one file. Without, it is the name of the file up to its suffix, or of each particle's
        ``rlnTomoName``.
    run_pattern : str, optional
        Regular expression that finds the name of the run in that of the file, or in ``rlnTomoName``: its first group, or
        all of it.
    levels : int, optional
        Levels of the pyramid; by default 3 of a tomogram, 1 of a segmentation.
    pixel_size : float, optional
        Of the tilt series in angstrom: the unit of ``rlnCoordinate{X,Y,Z}``. By default that of the optics table.
    ignore_header : bool
        Trust `uri` and `pixel_size` where the file contradicts them, instead of refusing the file.
    overwrite : bool
        Replace entities that exist.
    progress : callable, optional
        Called with the path of each volume, or with the name of each run of a STAR file, when it is done.

    Returns
    -------
    ConvertReport

    Raises
    ------
    InvalidNameError
        The URI is not that of one entity, or two files are for the same run.
    ReadOnlyError
        The project cannot be written to.
    """
    root._stack.writer()
    pattern, paths = _one_entity(uri), [Path(file) for file in files]
    if run is not None and (len(paths) > 1 or run_pattern is not None):
        raise InvalidNameError(f"run={run!r} is the run of one file; use run_pattern= for several.")
    try:
        finder = None if run_pattern is None else re.compile(run_pattern)
    except re.error as error:
        raise InvalidNameError(f"{run_pattern!r} is not a valid regular expression: {error}.") from None
    names = partial(_run_name, run, finder)
    report = ConvertReport()
    if pattern.kind == "picks":
        await _add_picks(root, pattern, paths, names, pixel_size, ignore_header, overwrite, report, progress)
        return report
    runs: dict[str, Path] = {}
    for path in paths:
        try:
            name = names(_stem(path))
        except NotFoundError as error:
            report.errors[str(path)] = error
            continue
        if name in runs:
            raise InvalidNameError(
                f"{path} and {runs[name]} are both of run {name!r}; name the runs by run_pattern=.", path=str(path)
            )
        runs[name] = path

    async def work(item: tuple[str, Path]) -> None:
        name, path = item
        async with AsyncExitStack() as exits:
            stored = await _opened(exits, path)
            size = _voxel_size(path, stored, pattern, ignore_header)
            made = await root.new_run(name, exist_ok=True)
            volume, is_new = await (_tomogram if pattern.kind == "tomogram" else _segmentation)(
                made, pattern, size, overwrite
            )
            arguments: dict[str, Any] = {} if levels is None else {"levels": levels}
            try:
                await volume.from_numpy(stored.data, **arguments)
            except ValueError:
                # Values that cannot be stored: what was made for them is empty.
                if is_new and await _is_empty(volume):
                    await volume.delete()
                raise
        report.done[str(path)] = [f"{name} {volume.uri}"]

    limit = _VOLUMES_AT_ONCE
    await each(work, runs.items(), lambda item: str(item[1]), report, limit=limit, progress=progress)
    return report


def _one_entity(uri: str) -> UriPattern:
    pattern = parse_uri(uri)
    if pattern.kind not in ("tomogram", "segmentation", "picks"):
        raise InvalidNameError(f"{uri!r} names {pattern.kind}, which no file is added as.", path=uri)
    optional = {"voxel_size"}
    missing = [name for name, part in pattern.parts.items() if part == ANY and name not in optional]
    if missing or any(part != ANY and set(part) & set("*?[") for part in pattern.parts.values()) or pattern.is_regex:
        raise InvalidNameError(
            f"{uri!r} does not name one entity: write type@size, name:user/session@size or object:user/session.",
            path=uri,
        )
    return pattern


def _stem(path: Path) -> str:
    name = path.name
    for suffixes in (mrc.PACKED, mrc.SUFFIXES + tiff.SUFFIXES + star.SUFFIXES):
        for suffix in suffixes:
            if name.lower().endswith(suffix):
                name = name[: -len(suffix)]
                break
    return name


def _run_name(run: str | None, finder: re.Pattern[str] | None, text: str) -> str:
    if run is not None:
        return run
    if finder is None:
        return text
    found = finder.search(text)
    if found is None:
        raise NotFoundError(f"{text!r} has no part that fits run_pattern={finder.pattern!r}.", path=text)
    return found[1] if finder.groups else found[0]


# --- volumes ----------------------------------------------------------------------------------------------------------


async def _opened(exits: AsyncExitStack, path: Path) -> StoredVolume:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    last = (
        suffixes[-2] if suffixes[-1:] and suffixes[-1] in mrc.PACKED and len(suffixes) > 1 else (suffixes or [""])[-1]
    )
    if last in mrc.SUFFIXES:
        context: AbstractContextManager[StoredVolume] = mrc.opened(path)
    elif last in tiff.SUFFIXES:
        context = tiff.opened(path)
    else:
        known = ", ".join((*mrc.SUFFIXES, *tiff.SUFFIXES))
        raise FormatError(f"{path}: a volume is read from files ending in {known}", path=str(path))
    await in_thread(refuse_special, path)
    try:
        stored = await in_thread(context.__enter__)
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.", path=str(path)) from None
    except (CopickError, OSError):
        raise
    except Exception as error:
        raise FormatError(f"{path}: it cannot be read ({type(error).__name__}: {error})", path=str(path)) from error
    exits.push_async_callback(in_thread_shielded, context.__exit__, None, None, None)
    return stored


def _voxel_size(path: Path, stored: StoredVolume, pattern: UriPattern, ignore_header: bool) -> float:
    """Return the voxel size to store, after the header was compared with what is given."""
    text, told = pattern.parts["voxel_size"], stored.voxel_size
    try:
        given = None if text == ANY else float(text)
    except ValueError:
        raise InvalidNameError(f"{text!r} is not a voxel size in angstrom.", path=text) from None
    if given is None and told is None:
        raise FormatError(f"{path}: it has no voxel size; give one after the @ of the URI.", path=str(path))
    if given is None or not ignore_header:
        wanted = told[2] if given is None and told is not None else given
        if told is not None and not all(isclose(size, wanted or 0, rel_tol=_TOLERANCE) for size in told):
            sizes = " x ".join(f"{size:g}" for size in told)
            against = "one size is stored" if given is None else f"{given:g} is given"
            raise FormatError(
                f"{path}: its voxels are {sizes} angstrom (z, y, x), and {against}; if the file is wrong, give the size "
                "and ignore its header.",
                path=str(path),
            )
        return wanted or 0.0
    return given


async def _tomogram(run: AsyncRun, pattern: UriPattern, size: float, overwrite: bool) -> tuple[AsyncTomogram, bool]:
    spacing = await run.new_voxel_spacing(size, exist_ok=True)
    known = await spacing.get_tomogram(pattern.parts["tomo_type"])
    make = partial(spacing.new_tomogram, pattern.parts["tomo_type"])
    return await _made(make, [] if known is None else [known], overwrite)


async def _segmentation(
    run: AsyncRun, pattern: UriPattern, size: float, overwrite: bool
) -> tuple[AsyncSegmentation, bool]:
    kinds: dict[str, Any] = {f"is_{flag}": pattern.flags.get(flag, False) for flag in TYPE_FLAGS}
    names: dict[str, Any] = {name: pattern.parts[name] for name in ("name", "user_id", "session_id")}
    found = await run.get_segmentations(**names, voxel_size=size, **kinds)
    return await _made(partial(run.new_segmentation, size, **names, **kinds), found, overwrite)


async def _made(make: Callable[..., Awaitable[Volume]], known: list[Volume], overwrite: bool) -> tuple[Volume, bool]:
    """Return the volume to write, and True if nobody had it before."""
    for volume in known:
        await _check_replaced(volume, overwrite)
    if not known:
        # Another writer may be faster; then it is that one's.
        with suppress(AlreadyExistsError):
            return await make(), True
    volume = await make(exist_ok=True)
    if not known:
        await _check_replaced(volume, overwrite)
    return volume, False


async def _check_replaced(volume: AsyncTomogram | AsyncSegmentation, overwrite: bool) -> None:
    """Refuse to replace a volume that has voxels; one that was only begun is gone on with."""
    if not overwrite and not await _is_empty(volume):
        raise AlreadyExistsError(f"{volume.path} exists already, and overwrite is not set.", path=volume.path)


async def _is_empty(volume: AsyncTomogram | AsyncSegmentation) -> bool:
    volume.refresh()
    try:
        await volume.levels()
    except NotFoundError:
        return True
    return False


# --- picks ------------------------------------------------------------------------------------------------------------


async def _add_picks(
    root: AsyncRoot,
    pattern: UriPattern,
    paths: Sequence[Path],
    names: Callable[[str], str],
    pixel_size: float | None,
    ignore_header: bool,
    overwrite: bool,
    report: ConvertReport,
    progress: Callable[[str], None] | None,
) -> None:
    parts: dict[str, tuple[Path, pd.DataFrame, star.Tables]] = {}

    async def read(path: Path) -> None:
        if path.suffix.lower() not in star.SUFFIXES:
            raise FormatError(f"{path}: picks are read from STAR files", path=str(path))
        await in_thread(refuse_special, path)
        try:
            tables = await in_thread(star.read, path)
        except FileNotFoundError:
            raise NotFoundError(f"There is no file {path}.", path=str(path)) from None
        _check_pixel_size(path, tables, pixel_size, ignore_header)
        for name, rows in _by_run(path, tables, names).items():
            if name in parts:
                raise InvalidNameError(
                    f"{path} and {parts[name][0]} both have particles of run {name!r}.", path=str(path)
                )
            parts[name] = (path, rows, tables)

    await each(read, paths, str, report, limit=1, progress=None)

    async def write(name: str) -> None:
        path, rows, tables = parts[name]
        run = await root.get_run(name)
        if run is None:
            raise NotFoundError(
                f"{path} has {len(rows)} particles of {name!r}, which is no run of {root.url}; name the runs by run_pattern=.",
                path=str(path),
            )
        wanted = {"object_name": pattern.parts["object_name"]}
        wanted |= {part: pattern.parts[part] for part in ("user_id", "session_id")}
        for known in await run.get_picks(**wanted):
            if not overwrite:
                raise AlreadyExistsError(f"{known.path} exists already, and overwrite is not set.", path=known.path)
        # All that can be wrong with the table is found before anything is written.
        try:
            found = await read_frame(run, rows, optics=tables.optics, tilt_series_pixel_size=pixel_size)
            PicksTable.from_arrays(found.positions, found.transforms, found.instance_ids)
        except ValueError as error:
            raise FormatError(f"{path}: particles of {name!r}: {error}", path=str(path)) from error
        picks = await run.new_picks(**wanted, exist_ok=overwrite)
        await picks.from_numpy(found.positions, found.transforms, found.instance_ids)
        report.done.setdefault(str(path), []).append(f"{name} {picks.uri}")

    await each(write, list(parts), str, report, limit=_TABLES_AT_ONCE, progress=progress)
    for written in report.done.values():
        written.sort()


def _by_run(path: Path, tables: star.Tables, names: Callable[[str], str]) -> dict[str, pd.DataFrame]:
    rows = tables.particles
    if star.RUN_COLUMN not in rows.columns:
        return {names(_stem(path)): rows}
    found: dict[str, str] = {}
    for tomogram in rows[star.RUN_COLUMN].astype(str).unique():
        name = names(tomogram)
        if name in found:
            raise InvalidNameError(
                f"{path}: the particles of {found[name]!r} and {tomogram!r} would both be of run {name!r}; name the runs by "
                "run_pattern=.",
                path=str(path),
            )
        found[name] = tomogram
    return {
        name: part.reset_index(drop=True) for name, part in rows.groupby(rows[star.RUN_COLUMN].astype(str).map(names))
    }


def _check_pixel_size(path: Path, tables: star.Tables, given: float | None, ignore_header: bool) -> None:
    if given is None or ignore_header:
        return
    wrong = [size for size in tables.pixel_sizes() if not isclose(size, given, rel_tol=_TOLERANCE)]
    if wrong:
        raise FormatError(
            f"{path}: its optics table has a tilt-series pixel size of {wrong[0]:g} angstrom, and {given:g} is given; if the "
            "file is wrong, ignore its header.",
            path=str(path),
        )
