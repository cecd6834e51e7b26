"""A segmentation, blocking."""

# Lists of our classes are no lists of abstract ones to a type checker; the parity test compares the signatures.
# mypy: disable-error-code="override"

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from aiocopick.entities.segmentation import AsyncSegmentation
from aiocopick.models.entities import CopickSegmentation
from aiocopick.sync.base import keeps_names
from aiocopick.sync.volume import Volume

if TYPE_CHECKING:
    import numpy as np
    from zarr.abc.store import Store

    from aiocopick.models.metadata import CopickSegmentationMeta
    from aiocopick.sync.run import CopickRunFS
    from aiocopick.volumes.writing import Progress


class CopickSegmentationFS(Volume[AsyncSegmentation], CopickSegmentation):
    """A segmentation: binary, multilabel, instance or panoptic.

    Parameters
    ----------
    run : CopickRunFS
        The run.
    meta : CopickSegmentationMeta
        Its names, type and voxel size.
    """

    parent_name: ClassVar[str] = "run"

    run: CopickRunFS

    @keeps_names
    def __init__(self, run: CopickRunFS, meta: CopickSegmentationMeta) -> None:
        self._begin(run, meta)

    def _make_twin(self) -> AsyncSegmentation:
        return AsyncSegmentation(self.run.aio, self._given)

    @property
    def name(self) -> str:
        """Name of the object, or of the segmentation when it has several labels."""
        return self.aio.name

    @property
    def user_id(self) -> str:
        """User or tool that made it."""
        return self.aio.user_id

    @property
    def session_id(self) -> str:
        """Session it was made in; ``"0"`` for tools."""
        return self.aio.session_id

    @property
    def from_tool(self) -> bool:
        """Whether a tool made it."""
        return self.aio.from_tool

    @property
    def from_user(self) -> bool:
        """Whether a user made it."""
        return self.aio.from_user

    @property
    def voxel_size(self) -> float:
        """Angstrom per voxel of its finest level."""
        return self.aio.voxel_size

    @property
    def is_multilabel(self) -> bool:
        """Whether each voxel holds the label of an object."""
        return self.aio.is_multilabel

    @property
    def is_instance(self) -> bool:
        """Whether each voxel holds the id of an instance of one object."""
        return self.aio.is_instance

    @property
    def is_panoptic(self) -> bool:
        """Whether it has two channels, labels and instance ids."""
        return self.aio.is_panoptic

    @property
    def segmentation_type(self) -> str:
        """``"binary"``, ``"multilabel"``, ``"instance"`` or ``"panoptic"``."""
        return self.aio.segmentation_type

    @property
    def directory(self) -> str:
        """Name of the folder of the run that it lies in."""
        return self.aio.directory

    @property
    def filename(self) -> str:
        """Name of its store in that folder."""
        return self.aio.filename

    @property
    def color(self) -> Any:
        """RGBA, 0 to 255, of its object; grey and transparent when it has none or several."""
        return self.aio.color

    def _object_labels(self) -> list[int]:
        return list(self.aio._object_labels())

    def _object_label(self, object_name: str) -> int:
        return int(self.aio._object_label(object_name))

    def zarr(self) -> Store:
        """The volume as a zarr 3 store. Sends no request, works on any event loop, in threads and after pickling.

        See :meth:`aiocopick.AsyncSegmentation.zarr`.
        """
        return self.aio.zarr()

    def numpy(
        self,
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
        channel: str | int | None = None,
    ) -> np.ndarray[Any, Any]:
        """Read a level, or a region of it; as for tomograms.

        See :meth:`aiocopick.AsyncSegmentation.numpy`.
        """
        return self._call(self.aio.numpy, zarr_group, x, y, z, channel)

    def set_region(
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

        See :meth:`aiocopick.AsyncSegmentation.set_region`.
        """
        self._call(self.aio.set_region, data, zarr_group, x, y, z, channel, update_pyramid=update_pyramid)

    def from_numpy(
        self,
        data: Any,
        levels: int = 1,
        dtype: Any = None,
        *,
        chunks: Sequence[int] | None = None,
        shards: Sequence[int] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write the segmentation and its pyramid, in the place of whatever is there; as for tomograms.

        See :meth:`aiocopick.AsyncSegmentation.from_numpy`.
        """
        self._call(
            self.aio.from_numpy, data, levels, dtype, chunks=chunks, shards=self._shards(shards), progress=progress
        )

    def instance_ids(self, zarr_group: str | None = None, object_name: str | None = None) -> np.ndarray[Any, Any]:
        """The instances that there are, read chunk by chunk.

        See :meth:`aiocopick.AsyncSegmentation.instance_ids`.
        """
        return self._call(self.aio.instance_ids, zarr_group, object_name)

    def segments(self, zarr_group: str | None = None) -> list[tuple[str, int]]:
        """The segments of a panoptic segmentation, read chunk by chunk.

        See :meth:`aiocopick.AsyncSegmentation.segments`.
        """
        return self._call(self.aio.segments, zarr_group)

    def label_volume(self, zarr_group: str | None = None) -> np.ndarray[Any, Any]:
        """The labels of a panoptic segmentation: the multilabel segmentation in it.

        See :meth:`aiocopick.AsyncSegmentation.label_volume`.
        """
        return self._call(self.aio.label_volume, zarr_group)

    def instance_volume(self, object_name: str, zarr_group: str | None = None) -> np.ndarray[Any, Any]:
        """The instances of one object of a panoptic segmentation: the instance segmentation in it, 0 elsewhere.

        See :meth:`aiocopick.AsyncSegmentation.instance_volume`.
        """
        return self._call(self.aio.instance_volume, object_name, zarr_group)

    def delete(self) -> None:
        """Delete the segmentation.

        See :meth:`aiocopick.AsyncSegmentation.delete`.
        """
        self._call(self.aio.delete)
        self.run._deleted("segmentations")
