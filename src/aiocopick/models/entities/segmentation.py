"""Segmentations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray
    from zarr.abc.store import Store

    from aiocopick.models.entities.run import CopickRun
    from aiocopick.models.metadata import CopickSegmentationMeta


class CopickSegmentation:
    """A segmentation: an OME-Zarr volume of labels, axes zyx (panoptic: channel first).

    Parameters
    ----------
    run : CopickRun
        The run.
    meta : CopickSegmentationMeta
        Its names, voxel size and type.
    """

    run: CopickRun
    meta: CopickSegmentationMeta

    def __init__(self, run: CopickRun, meta: CopickSegmentationMeta) -> None:
        self.run = run
        self.meta = meta

    @property
    def user_id(self) -> str:
        """User or tool that made it."""
        raise NotImplementedError

    @property
    def session_id(self) -> str:
        """Session it was made in; ``"0"`` for tools."""
        raise NotImplementedError

    @property
    def from_tool(self) -> bool:
        """Whether a tool made it."""
        raise NotImplementedError

    @property
    def from_user(self) -> bool:
        """Whether a user made it."""
        raise NotImplementedError

    @property
    def is_multilabel(self) -> bool:
        """Whether each voxel holds the label of an object."""
        raise NotImplementedError

    @property
    def is_instance(self) -> bool:
        """Whether each voxel holds an instance id of one object."""
        raise NotImplementedError

    @property
    def is_panoptic(self) -> bool:
        """Whether there are two channels, label and instance id."""
        raise NotImplementedError

    @property
    def segmentation_type(self) -> Literal["binary", "multilabel", "instance", "panoptic"]:
        """The type in one word."""
        raise NotImplementedError

    @property
    def directory(self) -> str:
        """Name of the run's folder that holds segmentations of this type."""
        raise NotImplementedError

    @property
    def voxel_size(self) -> float:
        """Angstrom per voxel."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """Name of the object or of the segmentation."""
        raise NotImplementedError

    @property
    def color(self) -> tuple[int, ...] | list[int] | None:
        """RGBA of the object; a transparent grey where there is no one object."""
        raise NotImplementedError

    def delete(self) -> None:
        """Delete the segmentation."""
        raise NotImplementedError

    def zarr(self) -> Store:
        """The zarr 3 store of the volume; no I/O."""
        raise NotImplementedError

    def numpy(
        self,
        zarr_group: str | None = None,
        x: slice = slice(None, None),
        y: slice = slice(None, None),
        z: slice = slice(None, None),
        channel: str | int | None = None,
    ) -> NDArray[Any]:
        """A region of a level.

        Parameters
        ----------
        zarr_group : str, optional
            Name of the level; None is the finest.
        x, y, z : slice
            Along the axes of these names, in voxels of the level.
        channel : str or int, optional
            ``"label"`` (0) or ``"instance"`` (1) of a panoptic one; None is both.

        Returns
        -------
        ndarray
            (Z, Y, X), or (2, Z, Y, X) for both channels of a panoptic one.
        """
        raise NotImplementedError

    def from_numpy(
        self,
        data: NDArray[Any],
        levels: int = 1,
        dtype: DTypeLike | None = None,
        *,
        chunks: tuple[int, ...] | None = None,
        shards: tuple[int, ...] | None = None,
    ) -> None:
        """Replace the segmentation by an array of labels.

        Parameters
        ----------
        data : ndarray
            (Z, Y, X), or (2, Z, Y, X) for a panoptic one; integers of 0 or more.
        levels : int
            How many levels are written, each half the size of the one before.
        dtype : dtype, optional
            What is written; None is the smallest unsigned type that holds all values.
        chunks, shards : tuple of int, optional
            Voxels of a chunk and of a shard.

        Raises
        ------
        ValueError
            A value is negative, fractional, or does not fit the dtype.
        """
        raise NotImplementedError

    def set_region(
        self,
        data: NDArray[Any],
        zarr_group: str | None = None,
        x: slice = slice(None, None),
        y: slice = slice(None, None),
        z: slice = slice(None, None),
        channel: str | int | None = None,
    ) -> None:
        """Write an array into a region of a level; parameters as for :meth:`numpy`."""
        raise NotImplementedError

    def instance_ids(self, zarr_group: str | None = None, object_name: str | None = None) -> NDArray[Any]:
        """The instance ids that occur, sorted, without 0; of one object, for a panoptic segmentation."""
        raise NotImplementedError

    def segments(self, zarr_group: str | None = None) -> list[tuple[str, int]]:
        """The (object name, instance id) pairs that occur."""
        raise NotImplementedError

    def label_volume(self, zarr_group: str | None = None) -> NDArray[Any]:
        """The labels, (Z, Y, X)."""
        raise NotImplementedError

    def instance_volume(self, object_name: str, zarr_group: str | None = None) -> NDArray[Any]:
        """The instance ids of one object, (Z, Y, X), 0 elsewhere."""
        raise NotImplementedError

    def _object_labels(self) -> list[int]:
        """Labels of the project's objects."""
        raise NotImplementedError

    def _object_label(self, object_name: str) -> int:
        """Label of one object."""
        raise NotImplementedError

    def _delete_data(self) -> None:
        """Delete what is stored."""
        raise NotImplementedError
