"""Voxel spacings and segmentations of a run, blocking."""

# Lists of our classes are no lists of abstract ones to a type checker; the parity test compares the signatures.
# mypy: disable-error-code="override"

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aiocopick.models.metadata import CopickSegmentationMeta, CopickVoxelSpacingMeta
from aiocopick.sync.run_base import RunBase
from aiocopick.sync.segmentation import CopickSegmentationFS
from aiocopick.sync.voxel_spacing import CopickVoxelSpacingFS

if TYPE_CHECKING:
    from aiocopick.entities.filters import OneOrMany


class VolumeVerbs(RunBase):
    """Verbs of a run about voxel spacings and segmentations."""

    _voxel_spacings: list[CopickVoxelSpacingFS] | None
    _segmentations: list[CopickSegmentationFS] | None

    # --- voxel spacings -----------------------------------------------------------------------------------------------

    def _voxel_spacing_factory(self) -> tuple[type[CopickVoxelSpacingFS], type[CopickVoxelSpacingMeta]]:
        return CopickVoxelSpacingFS, CopickVoxelSpacingMeta

    @property
    def voxel_spacings(self) -> list[CopickVoxelSpacingFS]:
        """The voxel spacings, as last queried; the first time, the run is listed as a whole.

        See :meth:`aiocopick.AsyncRun.voxel_spacings`.
        """
        return self._listed("voxel_spacings", self.aio.voxel_spacings)

    def query_voxelspacings(self, *, layers: Iterable[str] | None = None) -> list[CopickVoxelSpacingFS]:
        """Ask the storage for the voxel spacings: one request per layer.

        See :meth:`aiocopick.AsyncRun.query_voxelspacings`.
        """
        twins = self._call(self.aio.query_voxelspacings, layers=layers)
        return self._queried("voxel_spacings", twins, layers)

    def refresh_voxel_spacings(self) -> None:
        """Ask for the voxel spacings again, at once."""
        self.aio.refresh_voxel_spacings()
        self.query_voxelspacings()

    def get_voxel_spacing(self, voxel_size: float, **kwargs: Any) -> CopickVoxelSpacingFS | None:
        """The voxel spacing of a size in angstrom, compared at three decimals; None when there is none.

        See :meth:`aiocopick.AsyncRun.get_voxel_spacing`.
        """
        spacing: CopickVoxelSpacingFS | None = self._wrap(
            self._look("voxel_spacings", self.aio.get_voxel_spacing, voxel_size, **kwargs)
        )
        return spacing

    def new_voxel_spacing(self, voxel_size: float, exist_ok: bool = False, **kwargs: Any) -> CopickVoxelSpacingFS:
        """Create a voxel spacing.

        See :meth:`aiocopick.AsyncRun.new_voxel_spacing`.
        """
        twin = self._call(self.aio.new_voxel_spacing, voxel_size, exist_ok, **kwargs)
        spacing: CopickVoxelSpacingFS = self._created("voxel_spacings", twin)
        return spacing

    def delete_voxel_spacings(self, voxel_size: OneOrMany[float] = None) -> None:
        """Delete the voxel spacings of these sizes, or all; none when one of them is read-only.

        See :meth:`aiocopick.AsyncRun.delete_voxel_spacings`.
        """
        self._call(self.aio.delete_voxel_spacings, voxel_size)
        self._deleted("voxel_spacings")

    # --- segmentations ------------------------------------------------------------------------------------------------

    def _segmentation_factory(self) -> tuple[type[CopickSegmentationFS], type[CopickSegmentationMeta]]:
        return CopickSegmentationFS, CopickSegmentationMeta

    @property
    def segmentations(self) -> list[CopickSegmentationFS]:
        """The segmentations of every type, as last queried; the first time, the run is listed as a whole.

        See :meth:`aiocopick.AsyncRun.segmentations`.
        """
        return self._listed("segmentations", self.aio.segmentations)

    def query_segmentations(self, *, layers: Iterable[str] | None = None) -> list[CopickSegmentationFS]:
        """Ask the storage for the segmentations of every type.

        See :meth:`aiocopick.AsyncRun.query_segmentations`.
        """
        return self._queried("segmentations", self._call(self.aio.query_segmentations, layers=layers), layers)

    def refresh_segmentations(self) -> None:
        """Ask for the segmentations again, at once."""
        self.aio.refresh_segmentations()
        self.query_segmentations()

    def get_segmentations(
        self,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
        is_multilabel: bool | None = None,
        name: OneOrMany[str] = None,
        voxel_size: OneOrMany[float] = None,
        *,
        is_instance: bool | None = False,
        is_panoptic: bool | None = False,
        **kwargs: Any,
    ) -> list[CopickSegmentationFS]:
        """The segmentations that match; without a type, the binary and multilabel ones.

        See :meth:`aiocopick.AsyncRun.get_segmentations`.
        """
        twins = self._look(
            "segmentations",
            self.aio.get_segmentations,
            user_id,
            session_id,
            is_multilabel,
            name,
            voxel_size,
            is_instance=is_instance,
            is_panoptic=is_panoptic,
            **kwargs,
        )
        return self._wrap_all(twins)

    def user_segmentations(self) -> list[CopickSegmentationFS]:
        """The segmentations of the user of the config; of all users when it names none.

        See :meth:`aiocopick.AsyncRun.user_segmentations`.
        """
        return self._wrap_all(self._look("segmentations", self.aio.user_segmentations))

    def tool_segmentations(self) -> list[CopickSegmentationFS]:
        """The segmentations that tools made (session ``"0"``).

        See :meth:`aiocopick.AsyncRun.tool_segmentations`.
        """
        return self._wrap_all(self._look("segmentations", self.aio.tool_segmentations))

    def new_segmentation(
        self,
        voxel_size: float,
        name: str,
        session_id: str | None = None,
        is_multilabel: bool = False,
        user_id: str | None = None,
        exist_ok: bool = False,
        *,
        is_instance: bool = False,
        is_panoptic: bool = False,
        overwrite: bool = False,
        **kwargs: Any,
    ) -> CopickSegmentationFS:
        """Create an empty segmentation: a group without levels.

        See :meth:`aiocopick.AsyncRun.new_segmentation`.
        """
        twin = self._call(
            self.aio.new_segmentation,
            voxel_size,
            name,
            session_id,
            is_multilabel,
            user_id,
            exist_ok,
            is_instance=is_instance,
            is_panoptic=is_panoptic,
            overwrite=overwrite,
            **kwargs,
        )
        segmentation: CopickSegmentationFS = self._created("segmentations", twin)
        return segmentation

    def delete_segmentations(
        self,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
        is_multilabel: bool | None = None,
        name: OneOrMany[str] = None,
        voxel_size: OneOrMany[float] = None,
        *,
        is_instance: bool | None = False,
        is_panoptic: bool | None = False,
    ) -> None:
        """Delete the segmentations that :meth:`get_segmentations` finds; none when one of them is read-only.

        See :meth:`aiocopick.AsyncRun.delete_segmentations`.
        """
        self._call(
            self.aio.delete_segmentations,
            user_id,
            session_id,
            is_multilabel,
            name,
            voxel_size,
            is_instance=is_instance,
            is_panoptic=is_panoptic,
        )
        self._deleted("segmentations")
