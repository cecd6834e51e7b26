"""State of a volume: its format and levels, read once in few requests."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.lazy import imported, numpy as np
from aiocopick.concurrency.threads import in_thread_if_large
from aiocopick.errors import AccessDeniedError, CopickError, FormatError, NotFoundError
from aiocopick.volumes.abilities import IsNear
from aiocopick.volumes.array import LevelArray, Limits
from aiocopick.volumes.discovery import discover
from aiocopick.volumes.ome import (
    GROUP_DOCUMENTS,
    OmeGroup,
    is_level_path,
    parse_group,
    with_axes,
)
from aiocopick.volumes.ome_arrays import ARRAY_DOCUMENT, parse_array
from aiocopick.volumes.pyramid import Factors, factors_between
from aiocopick.volumes.voxel_sizes import (
    Voxels,
    contradictions,
    needs_shapes,
    ratio_of_scales,
    ratio_of_shapes,
    voxel_sizes,
)

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of a volume.

    Parameters
    ----------
    path : str
        What to pass as ``zarr_group``.
    shape : tuple of int
        Voxels in array order: zyx, possibly after an axis of channels or features.
    dtype : numpy.dtype
        Of its values.
    chunks : tuple of int
        What can be decoded on its own.
    shards : tuple of int, optional
        What is stored as one object, when that is several chunks.
    voxel_size : tuple of float
        Along z, y, x, in angstrom.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    voxel_size: tuple[float, float, float]

    @property
    def nbytes(self) -> int:
        """Bytes of the whole level in memory."""
        return prod(self.shape) * self.dtype.itemsize


class Habit:
    """Names that volumes of one kind have in common, as the last one that was read has them."""

    __slots__ = ("finest",)

    def __init__(self) -> None:
        self.finest = f"0/{ARRAY_DOCUMENT[2]}"
        """Metadata of the finest level."""


class VolumeState:
    """The group and the arrays of a volume, as far as they were asked for.

    Parameters
    ----------
    store : zarr.abc.store.Store
        Of the volume.
    where : str
        Its path, for messages.
    limits : Limits
        Of its layer.
    habit : Habit, optional
        Shared by volumes that are expected to be alike.
    """

    __slots__ = ("_arrays", "_denied", "_documents", "_finest", "_group", "_habit", "limits", "store", "where")

    def __init__(self, store: Store, where: str, limits: Limits, habit: Habit | None = None) -> None:
        self.store = store
        self.where = where
        self.limits = limits
        self._habit = habit or Habit()
        self._forget()

    def _forget(self) -> None:
        self._renew()
        self._group: OmeGroup | None = None
        self._documents: dict[str, bytes | None] = {}
        # Documents that the storage denied. Some storages deny missing objects: if another document exists, it is missing.
        self._denied: dict[str, AccessDeniedError] = {}
        self._arrays: dict[str, LevelArray] = {}
        self._finest: str | None = None

    def _renew(self) -> None:
        renew = getattr(self.store, "renew", None)
        if renew is not None:
            renew()

    def remember(self, group: OmeGroup, arrays: Iterable[LevelArray]) -> None:
        """Store the metadata that was just written."""
        self._group = group
        self._arrays = {array.path: array for array in arrays}

    async def _learn(self, level: str | None = None) -> OmeGroup:
        """Ask for the group: 2 requests in one round trip, in which a store far away is also asked for a level.

        One that does not name its levels is listed, and each of its children asked for.

        Parameters
        ----------
        level : str, optional
            Path of the level that is wanted; None is the finest one.

        Raises
        ------
        NotFoundError
            There is no volume, or no level in it yet.
        FormatError
            Its metadata cannot be understood.
        """
        # It imports zarr.
        await imported("aiocopick.volumes.codec_guard")
        likely = self._likely(level)
        documents, early = await self._group_documents(likely)
        size = sum(len(content or b"") for content in documents.values())
        group = await in_thread_if_large(size, partial(parse_group, documents, path=self.where))
        if group is None or not group.datasets:
            try:
                found = await discover(
                    self.store, self._get, documents, where=self.where, max_bytes=self.limits.max_array_bytes
                )
            except NotFoundError:
                known = any(content is not None for content in documents.values())
                self._refuse_denied(GROUP_DOCUMENTS if known else ())
                raise
            group = found.group
            for level, content in found.documents.items():
                await self._take(level, group, content)
        self._documents = documents
        self._group = group
        path = group.datasets[0].path if level is None else level
        if early is not None and path not in self._arrays and likely == f"{path}/{ARRAY_DOCUMENT[group.zarr_format]}":
            await self._take(path, group, early)
        return group

    def _likely(self, level: str | None) -> str | None:
        """Name of the metadata that is wanted next, if the volume is like others; None if the store is near."""
        if not isinstance(self.store, IsNear) or self.store.near:
            return None
        finest = self._habit.finest
        if level is None:
            return finest
        return f"{level}/{finest.rpartition('/')[2]}" if is_level_path(level) else None

    async def _group_documents(self, likely: str | None = None) -> tuple[dict[str, bytes | None], bytes | None]:
        """Return the documents of the group, and another one, which may be missing or fail: it is a guess."""

        def get(key: str) -> Awaitable[bytes | None]:
            return self._get(key) if key in GROUP_DOCUMENTS else self._get_early(key)

        keys = GROUP_DOCUMENTS if likely is None else (*GROUP_DOCUMENTS, likely)
        contents = await gather(get, keys, limit=len(keys))
        return dict(zip(GROUP_DOCUMENTS, contents, strict=False)), None if likely is None else contents[-1]

    async def _get_early(self, key: str) -> bytes | None:
        try:
            return await self._get(key)
        except CopickError:
            # It is asked for again if it is needed.
            return None
        finally:
            self._denied.pop(key, None)

    async def _get(self, key: str, part: ByteRequest | None = None) -> bytes | None:
        from zarr.core.buffer import default_buffer_prototype

        try:
            value = await self.store.get(key, default_buffer_prototype(), part)
        except AccessDeniedError as error:
            self._denied[key] = error
            return None
        self._denied.pop(key, None)
        return None if value is None else value.to_bytes()

    def _refuse_denied(self, absent: Iterable[str] = ()) -> None:
        """Raise the error of a denied document, unless it is known to be absent: denied is not the same as empty."""
        denied, self._denied = self._denied, {}
        for key, error in denied.items():
            if key not in absent:
                raise error

    async def _take(self, level: str, group: OmeGroup, content: bytes) -> LevelArray:
        name = ARRAY_DOCUMENT[group.zarr_format]
        where = f"{self.where}/{level}/{name}" if level else f"{self.where}/{name}"
        parse = partial(parse_array, content, group.zarr_format, path=where, max_bytes=self.limits.max_array_bytes)
        metadata = await in_thread_if_large(len(content), parse)
        array = self._arrays[level] = LevelArray(self.store, level, metadata, self.where, group.axes or metadata.axes)
        if level and level == group.datasets[0].path:
            self._habit.finest = f"{level}/{name}"
        return array

    async def array(self, level: str | None = None) -> LevelArray:
        """One level's array: one request the first time, and 2 for the group before or with the first level.

        Parameters
        ----------
        level : str, optional
            Its path; None is the finest one that is there.

        Raises
        ------
        NotFoundError
            The level does not exist.
        """
        wanted = None if level is None else str(level).strip("/")
        group = self._group or await self._learn(wanted)
        path = (self._finest or group.datasets[0].path) if wanted is None else wanted
        array = self._arrays.get(path) or await self._find(path, group)
        if array is not None:
            return array
        if level is None:
            return (await self.arrays())[0]
        raise await self._missing(path, group)

    async def _find(self, path: str, group: OmeGroup) -> LevelArray | None:
        if path in self._arrays:
            return self._arrays[path]
        if not is_level_path(path):
            return None
        content = await self._get(f"{path}/{ARRAY_DOCUMENT[group.zarr_format]}")
        return None if content is None else await self._take(path, group, content)

    async def _missing(self, path: str, group: OmeGroup) -> NotFoundError | AccessDeniedError:
        known = [dataset.path for dataset in group.datasets]
        if path not in known:
            names = ", ".join(name or "'' (the volume is a single array)" for name in known)
            return NotFoundError(f"{self.where}: there is no level {path!r}, only {names}", path=self.where)
        denied = self._denied.get(f"{path}/{ARRAY_DOCUMENT[group.zarr_format]}")
        if denied is not None:
            return denied
        there = ", ".join(array.path for array in await self.arrays())
        # Its writer has not finished, or was killed: a later read may find more.
        self._group = self._finest = None
        return NotFoundError(
            f"{self.where}: the volume is not complete, level {path!r} is missing; there is {there}", path=self.where
        )

    async def level(self, level: str | None, finest: float | None) -> tuple[LevelArray, Level]:
        """One level's array, and its record; the other levels are looked at where the file gives no scales.

        Parameters
        ----------
        level : str, optional
            Its path; None is the finest.
        finest : float, optional
            As for :meth:`levels`.
        """
        array = await self.array(level)
        group = self._group or await self._learn()
        paths = [dataset.path for dataset in group.datasets]
        if array.path not in paths:
            # A group does not name all that is in it.
            above = await self.array()
            [*_, size] = voxel_sizes(group, finest, [None] * len(paths))[: paths.index(above.path) + 1]
            fine, coarse = _voxels(above), _voxels(array)
            if fine is not None and coarse is not None:
                z, y, x = (value * ratio for value, ratio in zip(size, ratio_of_shapes(fine, coarse), strict=True))
                size = (z, y, x)
            return array, describe(array, size)
        index = paths.index(array.path)
        group = with_axes(group, array.axes)
        arrays = await self.arrays() if needs_shapes(group, index) else [array]
        return array, describe(array, voxel_sizes(group, finest, self._shapes(group, arrays))[index])

    def _shapes(self, group: OmeGroup, arrays: Iterable[LevelArray]) -> list[Voxels | None]:
        """Return the shapes of all levels that the group names; some are known."""
        known = {array.path: _voxels(array) for array in arrays}
        return [known.get(dataset.path) for dataset in group.datasets]

    async def arrays(self) -> list[LevelArray]:
        """The arrays of all levels that are there, finest first: a request for each that is not known, side by side.

        Raises
        ------
        NotFoundError
            There is none, or the finest one was not written to the end.
        """
        group = self._group or await self._learn()
        paths = [dataset.path for dataset in group.datasets]
        found = await gather(partial(self._find, group=group), paths, limit=self.limits.max_concurrency)
        arrays = [array for array in found if array is not None]
        if found[0] is None and self._finest is None:
            self._renew()
            if (await self._group_documents())[0] != self._documents:
                # It is being replaced.
                self._forget()
                return await self.arrays()
            await self._check_left_out(paths, arrays)
            self._finest = arrays[0].path
        return arrays

    async def _check_left_out(self, paths: list[str], arrays: list[LevelArray]) -> None:
        """Refuse a volume whose finest level is not just absent from a copy of it."""
        from zarr.abc.store import RangeByteRequest

        if not arrays:
            self._refuse_denied(GROUP_DOCUMENTS)
            await self._refuse_other_format(paths[0])
            named = ", ".join(map(repr, paths))
            error = f"the volume is not complete, level {named} is missing and there is no other"
        elif await self._get(_first_chunk(arrays[0], paths[0]), RangeByteRequest(0, 1)) is not None:
            there = ", ".join(array.path for array in arrays)
            error = (
                f"the volume is not complete: level {paths[0]!r} has chunks and no metadata, which is written last; "
                f"there is {there}"
            )
        else:
            return
        self._forget()
        raise NotFoundError(f"{self.where}: {error}", path=self.where)

    async def _refuse_other_format(self, path: str) -> None:
        """Refuse a group whose arrays are of the other zarr format: they are there, and no program reads them from here."""
        group = self._group or await self._learn()
        [other] = {2, 3} - {group.zarr_format}
        where = f"{path}/{ARRAY_DOCUMENT[other]}"
        if await self._get(where) is not None:
            where = f"{self.where}/{where}"
            raise FormatError(f"{where}: an array of zarr {other} in a group of zarr {group.zarr_format}", path=where)

    async def levels(self, finest: float | None) -> tuple[Level, ...]:
        """All levels, finest first.

        Parameters
        ----------
        finest : float, optional
            Voxel size of the finest level that the path states, in angstrom; None if it states none.
        """
        arrays = await self.arrays()
        group = with_axes(self._group or await self._learn(), arrays[0].axes)
        sizes = voxel_sizes(group, finest, self._shapes(group, arrays))
        by_path = {dataset.path: size for dataset, size in zip(group.datasets, sizes, strict=True)}
        return tuple(describe(array, by_path[array.path]) for array in arrays)

    async def factors(self) -> list[Factors]:
        """Voxels that become one, along each axis of the arrays, from each level to the next one.

        Raises
        ------
        FormatError
            A level does not follow from the one before by whole numbers of voxels.
        """
        arrays = await self.arrays()
        group = with_axes(self._group or await self._learn(), arrays[0].axes)
        scales = {dataset.path: dataset.transform.scale for dataset in group.datasets}
        found = []
        for finer, coarser in pairwise(arrays):
            fine, coarse = finer.metadata.shape, coarser.metadata.shape
            where = finer.spatial_axes
            ratio: list[int | None] = [None] * len(fine)
            if len(fine) == len(coarse):
                stated = ratio_of_scales(scales[finer.path], scales[coarser.path])
                # Other axes are not made coarser.
                ratio = [1 if above == size else None for above, size in zip(fine, coarse, strict=True)]
                above, size = (tuple(shape[axis] for axis in where) for shape in (fine, coarse))
                spatial = factors_between(above, size, stated)
                for axis, factor in zip(where, spatial, strict=True):
                    ratio[axis] = factor
            factors = tuple(factor for factor in ratio if factor is not None)
            if len(factors) != len(fine):
                path = f"{self.where}/{coarser.path}"
                raise FormatError(
                    f"{path}: shape {coarse} does not follow from {fine} by whole numbers of voxels, so it cannot be "
                    "brought up to date; nothing was changed. Without update_pyramid only one level is changed",
                    path=path,
                )
            found.append(factors)
        return found

    async def doubts(self, finest: float | None) -> tuple[list[str], list[str], list[str]]:
        """Nonsense in descriptions that was ignored, contradictions to the path or the arrays, and missing levels.

        Parameters
        ----------
        finest : float, optional
            As for :meth:`levels`.
        """
        arrays = await self.arrays()
        group = with_axes(self._group or await self._learn(), arrays[0].axes)
        notes = [*group.notes, *(f"level {array.path!r}: {note}" for array in arrays for note in array.metadata.notes)]
        ndims = {array.metadata.ndim for array in arrays}
        if group.axes and ndims != {len(group.axes)}:
            notes.append(f"the group names the axes {', '.join(group.axes)}, its arrays have {sorted(ndims)} axes")
        notes += [
            f"the dimensions of level {array.path!r} are named {', '.join(named)}, its axes are {', '.join(array.axes)}"
            for array in arrays
            if (named := array.metadata.axes) and named != array.axes
        ]
        there = [array.path for array in arrays]
        missing = [
            f"level {dataset.path!r} is missing; there is {', '.join(there)}"
            for dataset in group.datasets
            if dataset.path not in there
        ]
        return notes, list(contradictions(group, finest, self._shapes(group, arrays))), missing


def _voxels(array: LevelArray) -> Voxels | None:
    """Voxels along z, y, x; None for an array without three axes."""
    shape = array.metadata.shape
    if len(shape) < 3:
        return None
    z, y, x = (shape[axis] for axis in array.spatial_axes)
    return z, y, x


def _first_chunk(array: LevelArray, path: str) -> str:
    """Key of the first chunk of another level, whose chunks are named like those of an array."""
    return f"{path}/{array.array.metadata.encode_chunk_key((0,) * array.metadata.ndim)}"


def describe(array: LevelArray, voxel_size: tuple[float, float, float]) -> Level:
    """The record of one level."""
    metadata = array.metadata
    return Level(
        path=array.path,
        shape=metadata.shape,
        dtype=metadata.dtype,
        chunks=metadata.inner_chunks,
        shards=metadata.chunks if metadata.sharded else None,
        voxel_size=voxel_size,
    )
