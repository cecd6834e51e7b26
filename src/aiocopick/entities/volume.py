"""Common base of entities that are zarr volumes: tomograms, feature maps, segmentations and density maps.

Reading, editing and writing share what is known of a volume, and half of the lines are documentation: the file is long.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.entities.base import AsyncEntity
from aiocopick.entities.lists import taken
from aiocopick.errors import AlreadyExistsError
from aiocopick.layers.base import Source
from aiocopick.layers.copying import writing
from aiocopick.volumes.array import LevelArray, Limits
from aiocopick.volumes.boxes import extract_boxes
from aiocopick.volumes.chunk_plan import select
from aiocopick.volumes.data import array_like, cast_means, cast_numbers, in_memory, stored_type
from aiocopick.volumes.ome import MAX_LEVELS
from aiocopick.volumes.ome_writing import axis_names
from aiocopick.volumes.pyramid import Downsample, Factors, downsample_mean
from aiocopick.volumes.regions import Cast, fit_region, on_data, plan_changes, read_items, write_region
from aiocopick.volumes.slabs import Slabs
from aiocopick.volumes.state import Level, VolumeState
from aiocopick.volumes.whole_number import whole_number
from aiocopick.volumes.writing import Plan, Progress, describe_volume, hide, write_volume

if TYPE_CHECKING:
    from zarr import AsyncArray
    from zarr.abc.store import Store

    from aiocopick.entities.lists import Children
    from aiocopick.layers import Placed
    from aiocopick.layout.refs import Ref

Volume = TypeVar("Volume", bound="AsyncVolume")
Chunks = Sequence[int]


class AsyncVolume(AsyncEntity):
    """An entity that is a zarr volume.

    What is learnt of its format and levels is remembered until :meth:`refresh`, :meth:`from_numpy` or :meth:`delete`; a
    volume that another process replaces in the meantime must be refreshed.
    """

    __slots__ = ("_empty", "_volume")

    _volume: tuple[Any, VolumeState] | None
    _empty: str | None
    """Version of what shows its levels, when that was just written and names none: nothing else is there then."""

    layer_type: ClassVar[str] = "image"
    """Type of its napari layer: ``"image"`` or ``"labels"``."""

    _leading_axis: ClassVar[str] = "channel"
    """Name of an axis before z, y and x."""

    @property
    def voxel_size(self) -> float:
        """Angstrom per voxel of its finest level."""
        raise NotImplementedError

    def _finest_voxel_size(self) -> float | None:
        """Voxel size that the path states, in angstrom; None if it states none."""
        return self.voxel_size

    async def _doubts(self) -> tuple[list[str], list[str], list[str]]:
        """Sentences about descriptions that are nonsense, those that contradict the path or the arrays, missing
        levels.
        """
        await self._resolve()
        return await self._state_of_volume().doubts(self._finest_voxel_size())

    # --- what is stored -----------------------------------------------------------------------------------------------

    def zarr(self) -> Store:
        """The volume as a zarr 3 store. Sends no request, works on any event loop, in threads and after pickling.

        Returns
        -------
        zarr.abc.store.Store
            Read-only when the entity is.
        """
        # The caller may write through the store: a new volume is no longer known to be empty.
        self._empty = None
        return self._store()

    def _store(self) -> Store:
        return self.layer.zarr_store(self._located, read_only=self.read_only)

    def _limits(self) -> Limits:
        return Limits.of(self.layer.config)

    def _state_of_volume(self) -> VolumeState:
        source = self.sources[0]
        known = getattr(self, "_volume", None)
        if known is None or known[0] != source:
            habit = self.root._habits[type(self), id(source.layer)]
            known = self._volume = (source, VolumeState(self._store(), self.path, self._limits(), habit))
        return known[1]

    def refresh(self) -> None:
        """Forget format and levels, so that the next look asks the storage."""
        self._volume = None
        self._empty = None

    def _found_again(self, item: Placed) -> None:
        super()._found_again(item)
        # Another program may have written it since.
        AsyncVolume.refresh(self)

    def _created(self, etag: str | None) -> None:
        """Note that it was just made, as a bare group of this version: nothing has to be removed before it is
        written.
        """
        self._volume = None
        self._empty = etag

    async def _delete_data(self) -> None:
        self.refresh()
        await self._check_deletion()
        for source in self._sources:
            if not source.layer.read_only and source.layer.storage is None:
                # Chunks that are gone read as zeros: what shows the volume goes before them. A storage sees to it.
                await hide(source.layer.zarr_store(source.located))
        await super()._delete_data()

    async def open_array(self, zarr_group: str | None = None) -> AsyncArray[Any]:
        """One level as zarr's asynchronous array; 3 requests in one or two round trips the first time, then none.

        Parameters
        ----------
        zarr_group : str, optional
            Path of the level; None is the finest one.

        Raises
        ------
        NotFoundError
            The level does not exist, or the volume is empty.
        FormatError
            The metadata cannot be understood.
        """
        return (await self._array(zarr_group)).array

    async def levels(self) -> tuple[Level, ...]:
        """All levels, finest first: 2 requests, and one per level that was not asked for before, in two round trips.

        The path gives the voxel size of the finest level that the file lists; the file only gives the ratios of its
        levels and the order of its axes. For object maps, whose path says nothing, the file gives both.

        Raises
        ------
        NotFoundError
            The volume is empty.
        FormatError
            The metadata cannot be understood.
        """
        await self._resolve()
        return await self._state_of_volume().levels(self._finest_voxel_size())

    async def level_for(self, voxel_size: float) -> Level:
        """The level to work on at a voxel size: the coarsest one that is not coarser than asked for, else the finest.

        Parameters
        ----------
        voxel_size : float
            Angstrom; compared at three decimals.

        Raises
        ------
        NotFoundError
            The volume is empty.
        ValueError
            A voxel size that is not positive.
        """
        if not (isfinite(voxel_size) and voxel_size > 0):
            raise ValueError(f"voxel_size must be positive, in angstrom, not {voxel_size!r}")
        levels = await self.levels()
        fine_enough = [level for level in levels if round(max(level.voxel_size), 3) <= round(voxel_size, 3)]
        return max(fine_enough, key=lambda level: max(level.voxel_size), default=levels[0])

    async def _level(self, zarr_group: str | None) -> tuple[LevelArray, Level]:
        await self._resolve()
        return await self._state_of_volume().level(zarr_group, self._finest_voxel_size())

    async def _array(self, zarr_group: str | None = None) -> LevelArray:
        if not self._sources:
            await self._resolve()
        return await self._state_of_volume().array(zarr_group)

    # --- reading ------------------------------------------------------------------------------------------------------

    async def extract(
        self,
        positions: Any,
        box: int | Sequence[int],
        zarr_group: str | None = None,
        fill: float = 0,
    ) -> np.ndarray[Any, Any]:
        """Cut boxes around points, each chunk being read once.

        Parameters
        ----------
        positions : array-like, shape (N, 3)
            x, y, z in angstrom, as picks hold them. A PointsOutsideWarning says if all are outside of the volume, or if
            their columns seem to be z, y, x.
        box : int or three ints
            Voxels of the level along all axes, or along z, y, x. The voxel nearest to the point is at ``box // 2``.
        zarr_group : str, optional
            Path of the level; None is the finest one.
        fill : number
            Value of voxels outside the volume.

        Returns
        -------
        ndarray, shape (N, z, y, x)
            In the order of the points and the type of the volume. A volume with a leading axis gives (N, C, z, y, x).

        Raises
        ------
        ValueError
            Positions that are not finite or not (N, 3), a box without voxels, a fill value that the type cannot hold.
        FormatError
            The result is larger than ``max_array_bytes``.
        NotFoundError
            The level does not exist.
        """
        array, level = await self._level(zarr_group)
        return await extract_boxes(array, positions, box, level.voxel_size, fill, self._limits())

    def slabs(self, axis: str | int = "z", thickness: int | None = None, zarr_group: str | None = None) -> Slabs:
        """Go through the volume in slabs, with one slab of chunks in memory at a time, each chunk being read once.

        Parameters
        ----------
        axis : str or int
            ``"z"``, ``"y"``, ``"x"``, or an axis of the array.
        thickness : int, optional
            Voxels; the last slab may be thinner. None is the thickness of a chunk.
        zarr_group : str, optional
            Path of the level; None is the finest one.

        Returns
        -------
        Slabs
            An async iterator of arrays.
        """
        return Slabs(partial(self._array, zarr_group), self._limits, axis, thickness)

    async def to_dask(self, zarr_group: str | None = None) -> Any:
        """One level as a dask array, a task per chunk (or shard). The tasks pickle; each reads through the store.

        Parameters
        ----------
        zarr_group : str, optional
            Path of the level; None is the finest one.

        Returns
        -------
        dask.array.Array
            Needs the extra ``dask``.
        """
        from aiocopick.volumes.dask import dask_array

        return dask_array(await self._array(zarr_group))

    async def to_xarray(self, zarr_group: str | None = None) -> Any:
        """One level as a lazy xarray array with coordinates in angstrom; requests and tasks as for :meth:`to_dask`.

        Parameters
        ----------
        zarr_group : str, optional
            Path of the level; None is the finest one.

        Returns
        -------
        xarray.DataArray
            Dimensions ``z y x`` in the order of the array, after ``feature`` or ``channel`` if it has one; coordinates
            are those of the centres of voxels, as picks count. Needs the extra ``xarray``.

        Raises
        ------
        CopickError
            xarray or dask is not installed.
        """
        from aiocopick.volumes.dask import data_array

        array, level = await self._level(zarr_group)
        return data_array(
            array,
            level,
            leading=self._leading_axis,
            labels=self._leading_labels(),
            name=self.uri,
            attributes={"run": getattr(self.ref, "run", ""), "uri": self.uri, "path": self.path},
        )

    def _leading_labels(self) -> Sequence[str] | None:
        """Return the coordinates along an axis before z, y and x."""
        return None

    # --- writing ------------------------------------------------------------------------------------------------------

    async def _array_to_change(self, zarr_group: str | None) -> LevelArray:
        """A level, after what cannot be changed was refused: before anything is looked at or copied."""
        await self._write_target()
        return await self._array(zarr_group)

    async def _write_region(
        self,
        level: LevelArray,
        items: Sequence[Any],
        data: Any,
        cast: Cast,
        downsample: Downsample,
        cast_coarser: Cast,
        update_pyramid: bool,
    ) -> None:
        selection, dropped = select(items, level.metadata.shape)
        data = await in_memory(data)
        region = await on_data(
            lambda block: cast(block, dtype=level.metadata.dtype), fit_region(data, selection, dropped)
        )
        arrays, factors = [level], list[Factors]()
        if update_pyramid:
            state = self._state_of_volume()
            arrays = await state.arrays()
            if level.path != arrays[0].path:
                raise ValueError("update_pyramid=True needs a region of the finest level; leave zarr_group out")
            factors = await state.factors()
        # All that can be refused is, and all coarser levels are computed, before anything is written.
        arrays = [array.fresh() for array in arrays]
        changes = await plan_changes(arrays, factors, selection, region, downsample, cast_coarser, self._limits())
        await self._writable_twin()
        state, limits = self._state_of_volume(), self._limits()
        for array, part, values in changes:
            await write_region((await state.array(array.path)).fresh(), part, values, limits)

    async def _write(
        self,
        data: Any,
        *,
        dtype: np.dtype[Any],
        cast: Any,
        levels: int,
        downsample: Downsample,
        voxel_size: float,
        channels: bool = False,
        chunks: Chunks | None,
        shards: Chunks | None,
        metadata: dict[str, Any] | None = None,
        progress: Progress | None,
    ) -> None:
        levels = whole_number(levels, "levels", most=MAX_LEVELS)
        target = await self._write_target()
        layer = target.layer
        state = VolumeState(layer.zarr_store(target.located), target.path, Limits.of(layer.config))
        zarr_format = getattr(layer.config, "zarr_format", 2)
        plan = Plan(
            source=data,
            dtype=dtype,
            cast=cast,
            zarr_format=zarr_format,
            voxel_size=voxel_size,
            levels=levels,
            downsample=downsample,
            axes=axis_names(zarr_format, len(data.shape), channels=channels),
            chunks=chunks,
            shards=shards,
            metadata=metadata,
        )
        written = describe_volume(state.store, plan, where=target.path)
        await self._make_place(target)
        empty = getattr(self, "_empty", None)
        # Whatever comes of it, there may be something now.
        self.refresh()
        is_new = bool(self._sources) and target not in self._sources
        async with writing(layer, target.located, is_new=is_new) as lease:
            await write_volume(
                state.store,
                plan,
                written,
                empty=empty,
                limits=state.limits,
                confirm=lease.confirm,
                progress=progress,
            )
        if is_new:
            self._stored_in(target)
        state.remember(written.group, written.arrays)
        self._volume = (target, state)

    async def _write_numbers(
        self,
        source: Any,
        dtype: Any,
        levels: int,
        voxel_size: float,
        *,
        chunks: Chunks | None,
        shards: Chunks | None,
        metadata: dict[str, Any] | None = None,
        progress: Progress | None,
    ) -> None:
        kind = stored_type(source, dtype)
        await self._write(
            source,
            dtype=kind,
            cast=partial(cast_numbers, dtype=kind),
            levels=levels,
            downsample=downsample_mean,
            voxel_size=voxel_size,
            chunks=chunks,
            shards=shards,
            metadata=metadata,
            progress=progress,
        )

    async def _write_target(self) -> Source:
        """Return the location of new content; nothing is written yet.

        A volume in a lower layer is not copied, and stays visible until the new one is complete.

        Raises
        ------
        ReadOnlyError
            No layer can be written to.
        LayerError
            A read-only layer of higher priority would hide it.
        """
        self._stack.writer()
        sources = await self._resolve()
        return self._stack.target(self.ref, sources)

    async def _make_place(self, target: Source) -> None:
        """Create what must exist before a new content is written."""


class AsyncDensity(AsyncVolume):
    """A volume of densities with the axes z, y, x: a tomogram or an object map."""

    __slots__ = ()

    async def numpy(
        self,
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
    ) -> Any:
        """Read a level, or a region of it.

        The first time, 3 requests in one or two round trips learn format and level; then only chunks are asked for.

        Parameters
        ----------
        zarr_group : str, optional
            Path of the level (``"1"``); None is the finest one.
        x, y, z : slice or int
            Along the axis of that name: ``numpy(x=a, y=b, z=c)`` is ``array[c, b, a]``.

        Returns
        -------
        ndarray
            In the order of the axes of the volume (zyx, unless its file names another), in its type.

        Raises
        ------
        NotFoundError
            The level does not exist, or the volume is empty.
        FormatError
            The volume cannot be read, or the region is larger than ``max_array_bytes``.
        IndexError
            An index outside the volume, or a step below 1.
        """
        level = await self._array(zarr_group)
        return await read_items(level, level.by_axis(x, y, z), self._limits())

    async def set_region(
        self,
        data: Any,
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
        *,
        update_pyramid: bool = False,
    ) -> None:
        """Change a region of a level. Chunks that are only partly in it are read, changed and written back.

        All that can be refused is refused before anything is written. A failure after that leaves some chunks changed
        and others not. Two calls at once must not touch one chunk.

        Parameters
        ----------
        data : array-like
            In the order of the axes of the volume (zyx, unless its file names another), of the shape of the region, or a number.
        zarr_group : str, optional
            Path of the level; None is the finest one.
        x, y, z : slice or int
            Along the axis of that name.
        update_pyramid : bool
            Recompute the coarser levels of the region, by the factors that their shapes and scales give along each
            axis; the other levels are not touched without.

        Raises
        ------
        NotFoundError
            The level does not exist, or the volume is empty.
        ReadOnlyError
            No layer can be written to.
        ValueError
            The data does not fit the region.
        FormatError
            `update_pyramid`, and a level does not follow from the finer one by whole numbers of voxels.
        """
        level = await self._array_to_change(zarr_group)
        items = level.by_axis(x, y, z)
        await self._write_region(level, items, data, cast_numbers, downsample_mean, cast_means, update_pyramid)

    async def _write_density(self, data: Any, levels: int, dtype: Any, voxel_size: float, **how: Any) -> None:
        source = array_like(data)
        if len(source.shape) != 3:
            raise ValueError(f"A density volume is a (Z, Y, X) array, not {tuple(source.shape)}")
        await self._write_numbers(source, dtype, levels, voxel_size, **how)


async def create_volume(
    parent: AsyncEntity,
    cls: type[Volume],
    ref: Ref,
    listed: Callable[[], Awaitable[Children[Volume]]],
    exist_ok: bool,
) -> tuple[Volume, bool]:
    """Create a volume as an empty group, or return the existing one, ready to be written.

    Returns
    -------
    tuple of (entity, bool)
        Whether it was created.
    """
    writer = parent._stack.writer()
    writer.locate(ref)
    children = await listed()
    existing = children.get(ref)
    if existing is not None:
        if not exist_ok:
            raise taken(existing)
        return await existing._writable_twin(), False
    entity = cls._of(parent, ref)
    try:
        located = await writer.create(ref)
    except AlreadyExistsError:
        # Another writer was faster.
        entity._stored_in(Source(writer, writer.locate(ref)))
        if not exist_ok:
            raise taken(entity) from None
        return children.put(entity), False
    entity._stored_in(Source(writer, located._replace(etag=None)))
    entity._created(located.etag)
    return children.put(entity), True
