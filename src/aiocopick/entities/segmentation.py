"""A segmentation of a run: labels are never wrapped or truncated, and panoptic ones have two channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.lazy import numpy as np
from aiocopick.concurrency.threads import in_thread
from aiocopick.entities.base import Authored
from aiocopick.entities.volume import AsyncVolume
from aiocopick.errors import FormatError
from aiocopick.layout.paths import segmentation_folder
from aiocopick.layout.refs import SegmentationRef
from aiocopick.models.metadata import CopickSegmentationMeta
from aiocopick.volumes.array import LevelArray
from aiocopick.volumes.chunk_plan import blocks, select
from aiocopick.volumes.data import array_like, in_memory
from aiocopick.volumes.labels import (
    PANOPTIC_CHANNELS,
    PANOPTIC_METADATA,
    cast_labels,
    channel_index,
    check_panoptic,
    check_panoptic_shape,
    check_range,
    label_dtype,
    value_range,
)
from aiocopick.volumes.pyramid import downsample_nearest
from aiocopick.volumes.regions import fit_region, on_data, read_items, read_region
from aiocopick.volumes.writing import Progress

if TYPE_CHECKING:
    from aiocopick.entities.run import AsyncRun

Array: TypeAlias = "np.ndarray[Any, Any]"

NO_COLOR = [128, 128, 128, 0]
"""RGBA of what has no object of its own, as CoPick has it."""


class AsyncSegmentation(Authored, AsyncVolume):
    """A segmentation: binary, multilabel, instance or panoptic.

    Parameters
    ----------
    run : AsyncRun
        The run.
    meta : CopickSegmentationMeta
        Its names, type and voxel size.
    """

    __slots__ = ("run",)

    parent_slot: ClassVar[str] = "run"
    layer_type: ClassVar[str] = "labels"
    run: AsyncRun
    ref: SegmentationRef

    def __init__(self, run: AsyncRun, meta: CopickSegmentationMeta) -> None:
        ref = SegmentationRef(
            run=run.name,
            voxel_size=meta.voxel_size,
            user_id=meta.user_id,
            session_id=str(meta.session_id),
            name=meta.name,
            is_multilabel=meta.is_multilabel,
            is_instance=meta.is_instance,
            is_panoptic=meta.is_panoptic,
        )
        self._begin(run, ref, meta)

    def _make_meta(self) -> CopickSegmentationMeta:
        names = {name: value for name, value in self.ref.to_json().items() if name not in ("kind", "run")}
        return CopickSegmentationMeta(**names)

    @property
    def name(self) -> str:
        """Name of the object, or of the segmentation if it has several labels."""
        return self.ref.name

    @property
    def voxel_size(self) -> float:
        """Angstrom per voxel of its finest level."""
        return self.ref.voxel_size

    @property
    def is_multilabel(self) -> bool:
        """True if each voxel holds the label of an object."""
        return self.ref.is_multilabel

    @property
    def is_instance(self) -> bool:
        """True if each voxel holds the id of an instance of one object."""
        return self.ref.is_instance

    @property
    def is_panoptic(self) -> bool:
        """True if it has two channels, labels and instance ids."""
        return self.ref.is_panoptic

    @property
    def segmentation_type(self) -> str:
        """``"binary"``, ``"multilabel"``, ``"instance"`` or ``"panoptic"``."""
        return self.ref.segmentation_type

    @property
    def directory(self) -> str:
        """Name of its folder in the run."""
        return segmentation_folder(self.segmentation_type)

    @property
    def filename(self) -> str:
        """Name of its store in that folder."""
        return self.key.rpartition("/")[2]

    @property
    def color(self) -> Any:
        """RGBA, 0 to 255, of its object; grey and transparent if it has none or several."""
        if self.is_multilabel or self.is_panoptic:
            return list(NO_COLOR)
        known = self.root._object_meta(self.name)
        return list(NO_COLOR) if known is None else known.color

    # --- voxels -------------------------------------------------------------------------------------------------------

    async def numpy(
        self,
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
        channel: str | int | None = None,
    ) -> np.ndarray[Any, Any]:
        """Read a level, or a region of it; as for tomograms.

        Parameters
        ----------
        zarr_group : str, optional
            Path of the level; None is the finest one.
        x, y, z : slice or int
            Along the axis of that name.
        channel : str or int, optional
            Of a panoptic segmentation: ``"label"`` (0) or ``"instance"`` (1). None is both.

        Returns
        -------
        ndarray, shape (Z, Y, X), or (2, Z, Y, X) for both channels of a panoptic segmentation
            In the type of the volume.

        Raises
        ------
        NotFoundError
            The level does not exist, or the volume is empty.
        FormatError
            The volume cannot be read, or the region is larger than ``max_array_bytes``.
        IndexError
            An index outside the volume, or a step below 1.
        ValueError
            A channel is asked of a segmentation that has none.
        """
        index = self._channel(channel)
        level = await self._array(zarr_group)
        items = level.by_axis(x, y, z)
        if index is not None:
            self._check_two_channels(level)
            items[0] = index
        return await read_items(level, items, self._limits())

    async def set_region(
        self,
        data: Any,
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
        channel: str | int | None = None,
        *,
        update_pyramid: bool = False,
    ) -> None:
        """Change a region of a level; as for tomograms. Labels that do not fit the stored type are refused.

        Parameters
        ----------
        data : array-like
            In zyx order, of the shape of the region (with both channels first, where both are changed), or a number.
        zarr_group : str, optional
            Path of the level; None is the finest one.
        x, y, z : slice or int
            Along the axis of that name.
        channel : str or int, optional
            Of a panoptic segmentation; None changes both. What results must mean something, as for :meth:`from_numpy`.
        update_pyramid : bool
            Compute the coarser levels of the region again.

        Raises
        ------
        NotFoundError
            The level does not exist, or the volume is empty.
        ReadOnlyError
            No layer can be written to.
        ValueError
            The data does not fit the region, labels do not fit the type, or panoptic values mean nothing.
        """
        index = self._channel(channel)
        level = await self._array_to_change(zarr_group)
        items = level.by_axis(x, y, z)
        if self.is_panoptic:
            self._check_two_channels(level)
            items[0] = index
            data = await in_memory(data)
            await self._check_region(data, level, items)
        await self._write_region(level, items, data, cast_labels, downsample_nearest, cast_labels, update_pyramid)

    async def _check_region(self, data: Array, level: LevelArray, items: list[Any]) -> None:
        channel, *region = items
        shape = level.metadata.shape
        selection, dropped = select(items, shape)
        if channel is None and data.ndim:
            # One channel must not be broadcast to both.
            channels, ndim = data.shape[0], len(shape) - len(dropped)
            if channels != len(PANOPTIC_CHANNELS) or data.ndim != ndim:
                check_panoptic_shape(data.shape)
        given = fit_region(data, selection, dropped)
        if channel is None:
            first, second = given
        else:
            others, _ = select([slice(1 - channel, 2 - channel), *region], shape)
            [other] = await read_region(level, others, self._limits())
            first, second = (given[0], other) if channel == 0 else (other, given[0])
        await in_thread(check_panoptic, first, second, self._object_labels())

    def _check_two_channels(self, level: LevelArray) -> None:
        """Refuse a level of a panoptic segmentation that does not have two channels before z, y and x.

        Raises
        ------
        FormatError
            Names its shape.
        """
        shape = level.metadata.shape
        if level.spatial_axes != (1, 2, 3) or shape[0] != len(PANOPTIC_CHANNELS):
            path = f"{self.path}/{level.path}"
            raise FormatError(
                f"{path}: a panoptic segmentation has the channels {PANOPTIC_CHANNELS} before z, y and x; "
                f"this array has shape {shape}",
                path=path,
            )

    def _leading_labels(self) -> Sequence[str] | None:
        return PANOPTIC_CHANNELS if self.is_panoptic else None

    def _channel(self, channel: str | int | None) -> int | None:
        if channel is None:
            return None
        if not self.is_panoptic:
            raise ValueError(f"{self} is a {self.segmentation_type} segmentation; only panoptic ones have channels")
        return channel_index(channel)

    async def from_numpy(
        self,
        data: Any,
        levels: int = 1,
        dtype: Any = None,
        *,
        chunks: Sequence[int] | None = None,
        shards: Sequence[int] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write the segmentation and its pyramid, replacing an existing one; as for tomograms.

        Parameters
        ----------
        data : array-like, shape (Z, Y, X), or (2, Z, Y, X) for panoptic segmentations
            A numpy array, or anything that slices to one, which is then read block by block (twice, unless its type is
            `dtype`).
        levels : int
            Levels of the pyramid, each made of the voxels at even positions of the one before.
        dtype : dtype, optional
            What is stored. None is the smallest unsigned integer type that holds all labels, from 16 bits for instance
            and panoptic segmentations.
        chunks, shards : sequence of int, optional
            Voxels along z, y, x, or along all axes.
        progress : callable, optional
            Called with the number of chunks written, and of all that will be.

        Raises
        ------
        ReadOnlyError
            No layer can be written to.
        ValueError
            Negative, fractional or overflowing labels; panoptic labels of no object, or instances where there is none;
            data of another shape. Nothing was changed.
        """
        source = array_like(data)
        if self.is_panoptic:
            check_panoptic_shape(tuple(source.shape))
        elif len(source.shape) != 3:
            raise ValueError(f"A segmentation is a (Z, Y, X) array, not {tuple(source.shape)}")
        least = np.uint16 if self.is_instance or self.is_panoptic else np.uint8
        kind = await self._label_type(source, dtype, least)
        if self.is_panoptic:
            labels = self._object_labels()
            for _, *part in _parts(source):
                await in_thread(_check_part, source, tuple(part), labels)
        await self._write(
            source,
            dtype=kind,
            cast=partial(cast_labels, dtype=kind),
            levels=levels,
            downsample=downsample_nearest,
            voxel_size=self.voxel_size,
            channels=self.is_panoptic,
            chunks=chunks,
            shards=shards,
            metadata=PANOPTIC_METADATA if self.is_panoptic else None,
            progress=progress,
        )

    async def _label_type(self, source: Any, dtype: Any, least: Any) -> np.dtype[Any]:
        kind: np.dtype[Any] | None = None if dtype is None else np.dtype(dtype).newbyteorder("=")
        if kind is not None and source.dtype == kind:
            check_range(0, 0, kind)
            return kind
        low, high = 0, 0
        for part in _parts(source):
            found = await in_thread(lambda part: value_range(np.asarray(source[part])), part)
            low, high = min(low, found[0]), max(high, found[1])
        if kind is None:
            return label_dtype(low, high, least=least)
        check_range(low, high, kind)
        return kind

    # --- what the labels mean -----------------------------------------------------------------------------------------

    def _object_labels(self) -> list[int]:
        return [known.label for known in self.root.config.pickable_objects if known.label is not None]

    def _object_label(self, object_name: str) -> int:
        for known in self.root.config.pickable_objects:
            if known.name == object_name and known.label is not None:
                return known.label
        raise ValueError(f"Object name {object_name} not found in pickable objects")

    async def instance_ids(self, zarr_group: str | None = None, object_name: str | None = None) -> np.ndarray[Any, Any]:
        """The instances that there are, read chunk by chunk.

        Parameters
        ----------
        zarr_group : str, optional
            Path of the level; None is the finest one, which holds every instance.
        object_name : str, optional
            Of a panoptic segmentation, whose instances are those of an object.

        Returns
        -------
        ndarray, shape (N,), int64
            Ascending, without 0.

        Raises
        ------
        ValueError
            The segmentation has no instances, or of another object.
        """
        if self.is_instance:
            if object_name not in (None, self.name):
                raise ValueError(f"{self} holds instances of {self.name}, not of {object_name}")
            found = await self._distinct(zarr_group, lambda block: np.unique(block).reshape(-1, 1))
        elif self.is_panoptic:
            if object_name is None:
                raise ValueError("Instance ids of a panoptic segmentation are per object; pass object_name")
            label = self._object_label(object_name)
            found = await self._distinct(zarr_group, lambda both: np.unique(both[1][both[0] == label]).reshape(-1, 1))
        else:
            raise ValueError(
                f"{self} is a {self.segmentation_type} segmentation; instance_ids() needs an instance or panoptic one"
            )
        return np.array(sorted(row[0] for row in found if row[0]), dtype=np.int64)

    async def segments(self, zarr_group: str | None = None) -> list[tuple[str, int]]:
        """The segments of a panoptic segmentation, read chunk by chunk.

        Returns
        -------
        list of (str, int)
            Object and instance, sorted; instance 0 is a region that is not split into instances.

        Raises
        ------
        ValueError
            The segmentation is not panoptic.
        """
        if not self.is_panoptic:
            raise ValueError(f"{self} is a {self.segmentation_type} segmentation; segments() needs a panoptic one")
        names = {known.label: known.name for known in self.root.config.pickable_objects}
        found = await self._distinct(zarr_group, _pairs)
        return sorted((names.get(label, str(label)), instance) for label, instance in found)

    async def _distinct(self, zarr_group: str | None, find: Callable[[Array], Array]) -> set[tuple[int, ...]]:
        level = await self._array(zarr_group)
        if self.is_panoptic:
            self._check_two_channels(level)
        metadata, limits = level.metadata, self._limits()
        # All channels of a block at once.
        edges = (*metadata.shape[:-3], *metadata.chunks[-3:])
        found: set[tuple[int, ...]] = set()

        async def look(block: tuple[slice, ...]) -> None:
            data = await read_region(level, select(block, metadata.shape)[0], limits)
            rows = await on_data(find, data)
            found.update(tuple(row) for row in rows.tolist())

        await gather(look, blocks(metadata.shape, edges), limit=max(1, limits.window(level) // 2))
        return found

    async def label_volume(self, zarr_group: str | None = None) -> np.ndarray[Any, Any]:
        """The labels of a panoptic segmentation: the multilabel segmentation in it."""
        return await self.numpy(zarr_group=zarr_group, channel="label")

    async def instance_volume(self, object_name: str, zarr_group: str | None = None) -> np.ndarray[Any, Any]:
        """The instances of one object of a panoptic segmentation: the instance segmentation in it, 0 elsewhere."""
        if not self.is_panoptic:
            raise ValueError(
                f"{self} is a {self.segmentation_type} segmentation; instance_volume() needs a panoptic one"
            )
        label = self._object_label(object_name)
        level = await self._array(zarr_group)
        self._check_two_channels(level)
        both = await read_items(level, [None] * level.metadata.ndim, self._limits())
        return await on_data(lambda data: np.where(data[0] == label, data[1], data.dtype.type(0)), both)

    async def delete(self) -> None:
        """Delete the segmentation."""
        await self._delete_data()
        self.run._children["segmentations"].drop(self)


_PART_VOXELS = 2**24


def _parts(source: Any) -> list[tuple[slice, ...]]:
    """A volume in slabs along z, of all channels."""
    shape = tuple(source.shape)
    thickness = max(1, _PART_VOXELS // max(1, int(np.prod((*shape[:-3], *shape[-2:])))))
    return list(blocks(shape, (*shape[:-3], thickness, *shape[-2:])))


def _check_part(source: Any, part: tuple[slice, ...], labels: list[int]) -> None:
    first, second = np.asarray(source[(slice(None), *part)])
    check_panoptic(first, second, labels)


def _pairs(block: Array) -> Array:
    labels, instances = block
    inside = labels != 0
    return np.unique(np.stack([labels[inside], instances[inside]], axis=1), axis=0)
