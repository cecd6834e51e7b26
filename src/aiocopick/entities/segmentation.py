"""A segmentation of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from aiocopick.entities.volume_labels import AsyncLabelVolume
from aiocopick.layout.paths import segmentation_folder
from aiocopick.layout.refs import SegmentationRef
from aiocopick.models.metadata import CopickSegmentationMeta

if TYPE_CHECKING:
    from aiocopick.entities.run import AsyncRun

NO_COLOR = [128, 128, 128, 0]
"""RGBA of what has no object of its own, as CoPick has it."""


class AsyncSegmentation(AsyncLabelVolume):
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
    run: AsyncRun
    ref: SegmentationRef

    def __init__(self, run: AsyncRun, meta: CopickSegmentationMeta) -> None:
        self.run = run
        self.ref = SegmentationRef(
            run=run.name,
            voxel_size=meta.voxel_size,
            user_id=meta.user_id,
            session_id=str(meta.session_id),
            name=meta.name,
            is_multilabel=meta.is_multilabel,
            is_instance=meta.is_instance,
            is_panoptic=meta.is_panoptic,
        )
        self._sources = ()
        self._meta = meta
        self._reset()

    def _make_meta(self) -> CopickSegmentationMeta:
        names = {name: value for name, value in self.ref.to_json().items() if name not in ("kind", "run")}
        return CopickSegmentationMeta(**names)

    @property
    def name(self) -> str:
        """Name of the object, or of the segmentation when it has several labels."""
        return self.ref.name

    @property
    def user_id(self) -> str:
        """User or tool that made it."""
        return self.ref.user_id

    @property
    def session_id(self) -> str:
        """Session it was made in; ``"0"`` for tools."""
        return self.ref.session_id

    @property
    def from_tool(self) -> bool:
        """Whether a tool made it."""
        return self.session_id == "0"

    @property
    def from_user(self) -> bool:
        """Whether a user made it."""
        return not self.from_tool

    @property
    def voxel_size(self) -> float:
        """Angstrom per voxel of its finest level."""
        return self.ref.voxel_size

    @property
    def is_multilabel(self) -> bool:
        """Whether each voxel holds the label of an object."""
        return self.ref.is_multilabel

    @property
    def is_instance(self) -> bool:
        """Whether each voxel holds the id of an instance of one object."""
        return self.ref.is_instance

    @property
    def is_panoptic(self) -> bool:
        """Whether it has two channels, labels and instance ids."""
        return self.ref.is_panoptic

    @property
    def segmentation_type(self) -> str:
        """``"binary"``, ``"multilabel"``, ``"instance"`` or ``"panoptic"``."""
        return self.ref.segmentation_type

    @property
    def directory(self) -> str:
        """Name of the folder of the run that it lies in."""
        return segmentation_folder(self.segmentation_type)

    @property
    def filename(self) -> str:
        """Name of its store in that folder."""
        return self.key.rpartition("/")[2]

    @property
    def color(self) -> Any:
        """RGBA, 0 to 255, of its object; grey and transparent when it has none or several."""
        if self.is_multilabel or self.is_panoptic:
            return list(NO_COLOR)
        known = self.root._object_meta(self.name)
        return list(NO_COLOR) if known is None else known.color

    async def delete(self) -> None:
        """Delete the segmentation."""
        await self._delete_data()
        self.run._children["segmentations"].drop(self)
