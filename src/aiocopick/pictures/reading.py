"""Reading of what a picture shows: a slice of a tomogram, picks near it, slices of segmentations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiocopick.concurrency.fan_out import gather_results
from aiocopick.errors import CopickError, FormatError, InvalidNameError, NotFoundError
from aiocopick.layout.uris import UriPattern, parse_uri
from aiocopick.pictures.drawing import Colour, Marks, Outline, Scene, Slice, default_colour

LEAST_WIDTH = 200
"""The coarsest level with as many pixels is shown, or the finest level if none has."""

DEPTH = 5.0
"""Slices on each side within which picks are drawn."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The parts of a run that a picture shows.

    Parameters
    ----------
    tomogram : UriPattern, optional
        Tomograms to choose from; None means all.
    annotations : tuple of UriPattern, optional
        Picks and segmentations; None means all.
    depth : float
        Slices on each side within which picks are drawn.
    """

    tomogram: UriPattern | None
    annotations: tuple[UriPattern, ...] | None
    depth: float

    @classmethod
    def of(
        cls, tomogram: str | None = None, annotations: str | Iterable[str] | None = None, depth: float = DEPTH
    ) -> Choice:
        """Parse a choice.

        Raises
        ------
        InvalidNameError
            A URI is not one, or names nothing that can be drawn.
        ValueError
            The depth is negative or not a number.
        """
        if not depth >= 0:
            raise ValueError(f"depth must be a number of slices, at least 0, not {depth!r}")
        uris = [annotations] if isinstance(annotations, str) else annotations
        patterns = None if uris is None else tuple(map(parse_uri, uris))
        for pattern, uri in zip(patterns or (), uris or (), strict=False):
            if pattern.kind not in ("picks", "segmentation"):
                raise InvalidNameError(
                    f"{uri!r} names a {pattern.kind}; picks and segmentations can be drawn on a tomogram.", path=uri
                )
        return cls(None if tomogram is None else parse_uri(tomogram, "tomogram"), patterns, depth)

    def holds(self, entity: Any) -> bool:
        """Return True if picks or a segmentation are drawn."""
        return self.annotations is None or any(pattern.matches(entity.ref) for pattern in self.annotations)


async def chosen_tomogram(run: Any, choice: Choice) -> Any:
    """Return the tomogram that a picture shows: of those asked for, the one with the largest voxels, then by name.

    Raises
    ------
    NotFoundError
        There is none.
    """
    tomograms = [tomogram for spacing in await run.voxel_spacings() for tomogram in await spacing.tomograms()]
    wanted = choice.tomogram
    found = [tomogram for tomogram in tomograms if wanted is None or wanted.matches(tomogram.ref)]
    if not found:
        there = ", ".join(sorted(tomogram.uri for tomogram in tomograms)) or "none"
        what = "tomogram" if wanted is None else f"tomogram {'@'.join(wanted.parts.values())}"
        raise NotFoundError(f"{run.path} has no {what} to show; its tomograms: {there}.", path=run.path)
    return min(found, key=lambda tomogram: (-tomogram.voxel_size, tomogram.tomo_type))


async def read_slice(tomogram: Any, zarr_group: str | None = None) -> Slice:
    """Read the slice through the middle of a tomogram: its metadata, and the chunks that the slice needs.

    Parameters
    ----------
    tomogram : AsyncTomogram
        The tomogram.
    zarr_group : str, optional
        Path of the level; None is the coarsest one that is at least 200 pixels wide, else the finest.

    Raises
    ------
    NotFoundError
        The level does not exist, or the tomogram is empty.
    FormatError
        The level has no voxels, or cannot be read.
    """
    levels = await tomogram.levels()
    if zarr_group is None:
        wide = [item for item in levels if len(item.shape) == 3 and await _width(tomogram, item) >= LEAST_WIDTH]
        level = wide[-1] if wide else levels[0]
    else:
        chosen = next((item for item in levels if item.path == zarr_group.strip("/")), None)
        if chosen is None:
            there = ", ".join(item.path for item in levels)
            path = f"{tomogram.path}/{zarr_group}"
            raise NotFoundError(f"{path}: there is no such level; there is {there}.", path=path)
        level = chosen
    if 0 in level.shape or len(level.shape) != 3:
        path = f"{tomogram.path}/{level.path}"
        raise FormatError(f"{path} has shape {level.shape}, of which there is no slice to show.", path=path)
    array = await tomogram._array(level.path)
    z, y, x = array.spatial_axes
    index = level.shape[z] // 2
    values = await tomogram.numpy(level.path, z=index)
    return Slice(values=_upright(values, y < x), voxel_size=level.voxel_size, index=index, uri=tomogram.uri)


async def _width(volume: Any, level: Any) -> int:
    """Return the voxels of a level along x."""
    array = await volume._array(level.path)
    return int(level.shape[array.spatial_axes[2]])


def _upright(values: Any, is_upright: bool) -> Any:
    """Return a slice with x along its rows, whatever the order of the axes in the file."""
    return np.asarray(values) if is_upright else np.asarray(values).T


async def read_scene(run: Any, choice: Choice, *, keep_errors: bool = False) -> Scene:
    """Read all that a picture of a run shows.

    Parameters
    ----------
    run : AsyncRun
        The run.
    choice : Choice
        From :meth:`Choice.of`.
    keep_errors : bool
        Record errors in the scene; by default, the first one is raised.
    """
    scene = Scene(title=run.name)
    tomogram: Any = None
    with _noted(scene, keep_errors):
        tomogram = await chosen_tomogram(run, choice)
        scene.slice = await read_slice(tomogram)
    await _add_picks(scene, run, choice, keep_errors)
    if scene.slice is not None:
        await _add_outlines(scene, run, choice, keep_errors)
    return scene


@contextmanager
def _noted(scene: Scene, keep_errors: bool) -> Iterator[None]:
    try:
        yield
    except CopickError as error:
        if not keep_errors:
            raise
        scene.errors.append(str(error))


async def _each(
    scene: Scene, keep_errors: bool, run: Any, read: Callable[[Any], Awaitable[Any]], items: Sequence[Any]
) -> list[tuple[Any, Any]]:
    """Read several things at once; leave out those that cannot be read."""
    found = []
    for item, result in zip(items, await gather_results(read, items, limit=run.root._fan_out), strict=True):
        with _noted(scene, keep_errors):
            if isinstance(result, CopickError):
                raise result
            found.append((item, result))
    return found


async def _add_picks(scene: Scene, run: Any, choice: Choice, keep_errors: bool) -> None:
    listed: list[Any] = []
    with _noted(scene, keep_errors):
        listed = [picks for picks in await run.picks() if choice.holds(picks)]
    by_name: dict[str, list[Any]] = {}
    for picks, (positions, _) in await _each(scene, keep_errors, run, lambda item: item.to_numpy(), listed):
        by_name.setdefault(picks.pickable_object_name, []).append(np.asarray(positions).reshape(-1, 3))
    view = scene.slice
    for name, parts in sorted(by_name.items()):
        positions = np.concatenate(parts)
        near = positions[:0]
        if view is not None:
            # The voxel of a position; what is not finite is nowhere.
            x, y, z = (positions / view.voxel_size[::-1]).T
            rows, columns = view.values.shape
            inside = (np.abs(x + 0.5 - columns / 2) <= columns / 2) & (np.abs(y + 0.5 - rows / 2) <= rows / 2)
            near = positions[inside & (np.abs(z - view.index) <= choice.depth)]
        known = run.root._object_meta(name)
        radius = 0.0 if known is None or not known.radius else float(known.radius)
        marks = Marks(name=name, colour=colour_of(run, name), radius=radius, positions=near, count=len(positions))
        scene.marks.append(marks)


async def _add_outlines(scene: Scene, run: Any, choice: Choice, keep_errors: bool) -> None:
    view = scene.slice
    assert view is not None
    height = view.index * view.voxel_size[0]

    async def read(segmentation: Any) -> Outline | None:
        level = await segmentation.level_for(max(view.voxel_size))
        index = round(height / level.voxel_size[0])
        z, y, x = (await segmentation._array(level.path)).spatial_axes
        if not 0 <= index < level.shape[z]:
            return None
        channel = {"channel": "label"} if segmentation.is_panoptic else {}
        values = await segmentation.numpy(level.path, z=index, **channel)
        colours = _label_colours(run, segmentation)
        values = _upright(values, y < x)
        return Outline(name=segmentation.name, values=values, voxel_size=level.voxel_size[1:], colours=colours)

    listed: list[Any] = []
    with _noted(scene, keep_errors):
        listed = [item for item in await run.segmentations() if choice.holds(item)]
    found = await _each(scene, keep_errors, run, read, listed)
    scene.outlines += [outline for _, outline in found if outline is not None and 0 not in outline.values.shape]


def _label_colours(run: Any, segmentation: Any) -> dict[int, Colour]:
    if not (segmentation.is_multilabel or segmentation.is_panoptic):
        return {0: colour_of(run, segmentation.name)}
    others = {0: default_colour(segmentation.name)}
    objects = run.root.config.pickable_objects
    return others | {item.label: colour_of(run, item.name) for item in objects if item.label}


def colour_of(run: Any, name: str) -> Colour:
    """Return the colour of an object, without its transparency, or a default."""
    known = run.root._object_meta(name)
    if known is None or known.color is None:
        return default_colour(name)
    red, green, blue = map(int, known.color[:3])
    return red, green, blue
