"""A run, and what it holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiocopick.models.config import CopickConfig
    from aiocopick.models.entities.annotations import CopickFilaments, CopickMesh, CopickPicks
    from aiocopick.models.entities.root import CopickRoot
    from aiocopick.models.entities.segmentation import CopickSegmentation
    from aiocopick.models.entities.volumes import CopickVoxelSpacing
    from aiocopick.models.metadata import (
        CopickMeshMeta,
        CopickRunMeta,
        CopickSegmentationMeta,
        CopickVoxelSpacingMeta,
    )


class CopickRun:
    """A run: one place on a sample, with its tomograms and annotations.

    Parameters
    ----------
    root : CopickRoot
        The project.
    meta : CopickRunMeta
        Its name.
    config : CopickConfig, optional
        Configuration of the project.
    """

    root: CopickRoot
    meta: CopickRunMeta

    def __init__(self, root: CopickRoot, meta: CopickRunMeta, config: CopickConfig | None = None) -> None:
        self.root = root
        self.meta = meta

    @property
    def name(self) -> str:
        """Name of the run; settable as in copick, which renames nothing that is stored."""
        raise NotImplementedError

    @name.setter
    def name(self, value: str) -> None:
        raise NotImplementedError

    @property
    def split(self) -> str | None:
        """Machine-learning split the run belongs to; None where the storage has no place for it."""
        raise NotImplementedError

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

    def new_voxel_spacing(self, voxel_size: float, exist_ok: bool = False, **kwargs: Any) -> CopickVoxelSpacing:
        """Create a voxel spacing.

        Parameters
        ----------
        voxel_size : float
            Angstrom; three decimals are written.
        exist_ok : bool
            Give the one that exists.
        **kwargs
            Further metadata.

        Raises
        ------
        AlreadyExistsError
            There is one, and `exist_ok` is not set.
        """
        raise NotImplementedError

    def new_picks(
        self,
        object_name: str,
        session_id: str,
        user_id: str | None = None,
        exist_ok: bool = False,
    ) -> CopickPicks:
        """Create picks, without points, and their file.

        Parameters
        ----------
        object_name : str
            One of the project's objects.
        session_id : str
            Session; ``"0"`` for tools.
        user_id : str, optional
            User or tool; the configuration's when None.
        exist_ok : bool
            Give what exists.

        Raises
        ------
        AlreadyExistsError
            There is one, and `exist_ok` is not set.
        ValueError
            There is no user id, neither given nor in the configuration.
        UnknownObjectError
            The project has objects, and this is none of them.
        InvalidNameError
            A name cannot be stored. Characters that CoPick does not allow are replaced, with a warning.
        ReadOnlyError
            The project is read-only.
        """
        raise NotImplementedError

    def new_mesh(
        self,
        object_name: str,
        session_id: str,
        user_id: str | None = None,
        exist_ok: bool = False,
        **kwargs: Any,
    ) -> CopickMesh:
        """Create a mesh, empty, and the file; parameters and errors as for :meth:`new_picks`."""
        raise NotImplementedError

    def new_filaments(
        self,
        object_name: str,
        session_id: str,
        user_id: str | None = None,
        exist_ok: bool = False,
    ) -> CopickFilaments:
        """Create filaments, none yet, and the file; parameters and errors as for :meth:`new_picks`."""
        raise NotImplementedError

    def new_segmentation(
        self,
        voxel_size: float,
        name: str,
        session_id: str,
        is_multilabel: bool = False,
        user_id: str | None = None,
        exist_ok: bool = False,
        *,
        is_instance: bool = False,
        is_panoptic: bool = False,
        **kwargs: Any,
    ) -> CopickSegmentation:
        """Create a segmentation, as an empty group.

        Parameters
        ----------
        voxel_size : float
            Angstrom; three decimals are written.
        name : str
            Object, or name of a segmentation of several.
        session_id : str
            Session; ``"0"`` for tools.
        is_multilabel, is_instance, is_panoptic : bool
            Its type: one of them, or none for a binary one.
        user_id : str, optional
            User or tool; the configuration's when None.
        exist_ok : bool
            Give what exists.
        **kwargs
            Further metadata; ``overwrite`` is accepted and ignored.

        Raises
        ------
        AlreadyExistsError
            There is one, and `exist_ok` is not set.
        ValueError
            There is no user id, neither given nor in the configuration.
        UnknownObjectError
            The project has objects, and this is none of them.
        InvalidNameError
            A name cannot be stored. Characters that CoPick does not allow are replaced, with a warning.
        ReadOnlyError
            The project is read-only.
        """
        raise NotImplementedError

    def delete_picks(
        self, object_name: str | None = None, user_id: str | None = None, session_id: str | None = None
    ) -> None:
        """Delete the picks that match all filters."""
        raise NotImplementedError

    def delete_meshes(
        self, object_name: str | None = None, user_id: str | None = None, session_id: str | None = None
    ) -> None:
        """Delete the meshes that match all filters."""
        raise NotImplementedError

    def delete_filaments(
        self, object_name: str | None = None, user_id: str | None = None, session_id: str | None = None
    ) -> None:
        """Delete the filaments that match all filters."""
        raise NotImplementedError

    def delete_segmentations(
        self,
        user_id: str | None = None,
        session_id: str | None = None,
        is_multilabel: bool | None = None,
        name: str | None = None,
        voxel_size: float | None = None,
        *,
        is_instance: bool | None = False,
        is_panoptic: bool | None = False,
    ) -> None:
        """Delete the segmentations that match all filters; see :meth:`get_segmentations`."""
        raise NotImplementedError

    def delete_voxel_spacings(self, voxel_size: float | None = None) -> None:
        """Delete the voxel spacings of that size, or all, with all that is in them."""
        raise NotImplementedError

    def ensure(self, create: bool = False) -> bool:
        """Whether the run is stored; `create` makes it so."""
        raise NotImplementedError

    def delete(self) -> None:
        """Delete the run and all that is in it."""
        raise NotImplementedError

    def _voxel_spacing_factory(self) -> tuple[type[CopickVoxelSpacing], type[CopickVoxelSpacingMeta]]:
        """Classes that such entities and their metadata are made of; a subclass may give others."""
        raise NotImplementedError

    def _mesh_factory(self) -> tuple[type[CopickMesh], type[CopickMeshMeta]]:
        """Classes that such entities and their metadata are made of; a subclass may give others."""
        raise NotImplementedError

    def _segmentation_factory(self) -> tuple[type[CopickSegmentation], type[CopickSegmentationMeta]]:
        """Classes that such entities and their metadata are made of; a subclass may give others."""
        raise NotImplementedError

    def _picks_factory(self) -> type[CopickPicks]:
        """Class that such entities are made of; a subclass may give another."""
        raise NotImplementedError

    def _filaments_factory(self) -> type[CopickFilaments]:
        """Class that such entities are made of; a subclass may give another."""
        raise NotImplementedError

    def _delete_data(self) -> None:
        """Delete what is stored."""
        raise NotImplementedError

    def _invalidate_caches(self) -> None:
        """Forget what was listed."""
        raise NotImplementedError
