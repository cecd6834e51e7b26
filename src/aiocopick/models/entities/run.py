"""A run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocopick.models.entities.run_lookup import RunLookup

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


class CopickRun(RunLookup):
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
