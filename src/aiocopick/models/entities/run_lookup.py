"""Finding what a run holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiocopick.models.entities.annotations import CopickFilaments, CopickMesh, CopickPicks
    from aiocopick.models.entities.segmentation import CopickSegmentation
    from aiocopick.models.entities.volumes import CopickVoxelSpacing


class RunLookup:
    """The part of a run that lists and looks up its children."""

    @property
    def voxel_spacings(self) -> list[CopickVoxelSpacing]:
        """The voxel spacings, listed once and kept."""
        raise NotImplementedError

    @property
    def picks(self) -> list[CopickPicks]:
        """The picks, listed once and kept."""
        raise NotImplementedError

    @property
    def meshes(self) -> list[CopickMesh]:
        """The meshes, listed once and kept."""
        raise NotImplementedError

    @property
    def segmentations(self) -> list[CopickSegmentation]:
        """The segmentations, of every type, listed once and kept."""
        raise NotImplementedError

    @property
    def filaments(self) -> list[CopickFilaments]:
        """The filaments, listed once and kept."""
        raise NotImplementedError

    def query_voxelspacings(self) -> list[CopickVoxelSpacing]:
        """List the voxel spacings anew."""
        raise NotImplementedError

    def query_picks(self) -> list[CopickPicks]:
        """List the picks anew."""
        raise NotImplementedError

    def query_meshes(self) -> list[CopickMesh]:
        """List the meshes anew."""
        raise NotImplementedError

    def query_segmentations(self) -> list[CopickSegmentation]:
        """List the segmentations, of every type anew."""
        raise NotImplementedError

    def query_filaments(self) -> list[CopickFilaments]:
        """List the filaments anew."""
        raise NotImplementedError

    def refresh_voxel_spacings(self) -> None:
        """List the voxel spacings anew."""
        raise NotImplementedError

    def refresh_picks(self) -> None:
        """List the picks anew."""
        raise NotImplementedError

    def refresh_meshes(self) -> None:
        """List the meshes anew."""
        raise NotImplementedError

    def refresh_segmentations(self) -> None:
        """List the segmentations, of every type anew."""
        raise NotImplementedError

    def refresh_filaments(self) -> None:
        """List the filaments anew."""
        raise NotImplementedError

    def refresh(self) -> None:
        """List everything in the run anew."""
        raise NotImplementedError

    def user_picks(self) -> list[CopickPicks]:
        """The picks made by users: of the configuration's user id, or all with a session id other than "0"."""
        raise NotImplementedError

    def tool_picks(self) -> list[CopickPicks]:
        """The picks made by tools: those with session id "0"."""
        raise NotImplementedError

    def user_meshes(self) -> list[CopickMesh]:
        """The meshes made by users: of the configuration's user id, or all with a session id other than "0"."""
        raise NotImplementedError

    def tool_meshes(self) -> list[CopickMesh]:
        """The meshes made by tools: those with session id "0"."""
        raise NotImplementedError

    def user_segmentations(self) -> list[CopickSegmentation]:
        """The segmentations made by users: of the configuration's user id, or all with a session id other than "0"."""
        raise NotImplementedError

    def tool_segmentations(self) -> list[CopickSegmentation]:
        """The segmentations made by tools: those with session id "0"."""
        raise NotImplementedError

    def get_voxel_spacing(self, voxel_size: float, **kwargs: Any) -> CopickVoxelSpacing | None:
        """The voxel spacing of that size in angstrom (three decimals count), or None."""
        raise NotImplementedError

    def get_picks(
        self,
        object_name: str | Iterable[str] | None = None,
        user_id: str | Iterable[str] | None = None,
        session_id: str | Iterable[str] | None = None,
        **kwargs: Any,
    ) -> list[CopickPicks]:
        """The picks that match all filters.

        Parameters
        ----------
        object_name, user_id, session_id : str or iterable of str, optional
            What to look for; None is anything.
        """
        raise NotImplementedError

    def get_meshes(
        self,
        object_name: str | Iterable[str] | None = None,
        user_id: str | Iterable[str] | None = None,
        session_id: str | Iterable[str] | None = None,
    ) -> list[CopickMesh]:
        """The meshes that match all filters; see :meth:`get_picks`."""
        raise NotImplementedError

    def get_filaments(
        self,
        object_name: str | Iterable[str] | None = None,
        user_id: str | Iterable[str] | None = None,
        session_id: str | Iterable[str] | None = None,
    ) -> list[CopickFilaments]:
        """The filaments that match all filters; see :meth:`get_picks`."""
        raise NotImplementedError

    def get_segmentations(
        self,
        user_id: str | Iterable[str] | None = None,
        session_id: str | Iterable[str] | None = None,
        is_multilabel: bool | None = None,
        name: str | Iterable[str] | None = None,
        voxel_size: float | Iterable[float] | None = None,
        *,
        is_instance: bool | None = False,
        is_panoptic: bool | None = False,
        **kwargs: Any,
    ) -> list[CopickSegmentation]:
        """The segmentations that match all filters; by default binary and multilabel ones only.

        Parameters
        ----------
        user_id, session_id, name : str or iterable of str, optional
            What to look for; None is anything.
        is_multilabel, is_instance, is_panoptic : bool, optional
            Which types; None is both.
        voxel_size : float or iterable of float, optional
            Angstrom; three decimals count.
        """
        raise NotImplementedError
