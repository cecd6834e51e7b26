"""A run, blocking."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

from aiocopick.entities.metadata import read_metadata
from aiocopick.entities.run import AsyncRun
from aiocopick.models.entities import CopickRun
from aiocopick.models.metadata import CopickMeshMeta, CopickSegmentationMeta, CopickVoxelSpacingMeta
from aiocopick.models.points import CopickPicksFile
from aiocopick.sync.annotations import CopickFilamentsFS, CopickMeshFS, CopickPicksFS
from aiocopick.sync.base import BlockingEntity, trivial_init
from aiocopick.sync.places import InBothLayers
from aiocopick.sync.verbs import Attribute, attribute, calls, deletes, gives, listed, makes, queries
from aiocopick.sync.volumes import CopickSegmentationFS, CopickVoxelSpacingFS

if TYPE_CHECKING:
    from aiocopick.errors import CopickError
    from aiocopick.models.metadata import CopickRunMeta
    from aiocopick.sync.ahead import Cohort
    from aiocopick.sync.root import CopickRootFS


class CopickRunFS(InBothLayers, BlockingEntity[AsyncRun], CopickRun, twin=AsyncRun):
    """A run of a project."""

    parent_name: ClassVar[str] = "root"
    noun: ClassVar[str] = "runs"
    lists: ClassVar[tuple[str, ...]] = ("voxel_spacings", "picks", "meshes", "segmentations", "filaments")

    _voxel_spacings: list[CopickVoxelSpacingFS] | None
    _picks: list[CopickPicksFS] | None
    _meshes: list[CopickMeshFS] | None
    _segmentations: list[CopickSegmentationFS] | None
    _filaments: list[CopickFilamentsFS] | None
    _cohort: Cohort | None = None

    @trivial_init
    def __init__(self, root: CopickRootFS, meta: CopickRunMeta, config: Any = None) -> None:
        self._begin(root, meta)

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def root(self) -> CopickRootFS:
        """The project."""
        return self._root

    _load_metadata = staticmethod(read_metadata)
    split: Attribute[str | None] = attribute(AsyncRun)
    picks_path: Attribute[str] = attribute(AsyncRun)
    meshes_path: Attribute[str] = attribute(AsyncRun)
    segmentations_path: Attribute[str] = attribute(AsyncRun)

    @calls(AsyncRun.ensure)
    def ensure(self) -> Any: ...
    @calls(AsyncRun.load_meta)
    def load_meta(self) -> Any: ...
    @calls(AsyncRun.store_meta)
    def store_meta(self) -> Any: ...
    @calls(AsyncRun._store_metadata)
    def _store_metadata(self) -> Any: ...
    @deletes(AsyncRun.delete)
    def delete(self) -> Any: ...
    @calls(AsyncRun.picture)
    def picture(self) -> Any: ...

    @property
    def name(self) -> str:
        """Name of the run; settable as in copick, which renames nothing that is stored."""
        return self.aio.name

    @name.setter
    def name(self, value: str) -> None:
        self.meta = self.meta.model_copy(update={"name": value})

    @property
    def error(self) -> Any:
        """Why a crawl could not read the run, or something of it; None otherwise."""
        return self.aio.error

    @property
    def skipped_layers(self) -> dict[str, CopickError]:
        """Layers that the run was listed without, by name, with the reason.

        See :attr:`aiocopick.AsyncRun.skipped_layers`.
        """
        return self.aio.skipped_layers

    # --- all of its children ------------------------------------------------------------------------------------------

    def _ahead(self, noun: str) -> None:
        """List this run together with its neighbours before a noun is accessed the first time."""
        if self._cohort is not None and self.aio._cached_items(noun) is None:
            self._cohort.list_once(self)

    def _listed(self, noun: str, ask: Callable[[], Coroutine[Any, Any, Any]]) -> list[Any]:
        if getattr(self, f"_{noun}") is None:
            self._ahead(noun)
        return super()._listed(noun, ask)

    def refresh(self) -> None:
        """Ask for all children again, at once."""
        self.aio.refresh()
        for noun in self.lists:
            self._call(getattr(self.aio, noun))
            self._keep(noun, self._twins(noun))

    # --- voxel spacings -----------------------------------------------------------------------------------------------

    @listed(AsyncRun.voxel_spacings, CopickVoxelSpacingFS)
    def voxel_spacings(self) -> Any: ...
    @queries(AsyncRun.query_voxelspacings, CopickVoxelSpacingFS)
    def query_voxelspacings(self) -> Any: ...
    @gives(AsyncRun.get_voxel_spacing, CopickVoxelSpacingFS, ahead=True)
    def get_voxel_spacing(self) -> Any: ...
    @makes(AsyncRun.new_voxel_spacing, CopickVoxelSpacingFS)
    def new_voxel_spacing(self) -> Any: ...
    @deletes(AsyncRun.delete_voxel_spacings, CopickVoxelSpacingFS)
    def delete_voxel_spacings(self) -> Any: ...

    def refresh_voxel_spacings(self) -> None:
        """Ask for the voxel spacings again, at once."""
        self.aio.refresh_voxel_spacings()
        self.query_voxelspacings()

    def _voxel_spacing_factory(self) -> tuple[type[CopickVoxelSpacingFS], type[CopickVoxelSpacingMeta]]:
        return CopickVoxelSpacingFS, CopickVoxelSpacingMeta

    # --- picks --------------------------------------------------------------------------------------------------------

    @listed(AsyncRun.picks, CopickPicksFS)
    def picks(self) -> Any: ...
    @queries(AsyncRun.query_picks, CopickPicksFS)
    def query_picks(self) -> Any: ...
    @gives(AsyncRun.get_picks, CopickPicksFS, ahead=True)
    def get_picks(self) -> Any: ...
    @gives(AsyncRun.user_picks, CopickPicksFS, ahead=True)
    def user_picks(self) -> Any: ...
    @gives(AsyncRun.tool_picks, CopickPicksFS, ahead=True)
    def tool_picks(self) -> Any: ...
    @makes(AsyncRun.new_picks, CopickPicksFS)
    def new_picks(self) -> Any: ...
    @deletes(AsyncRun.delete_picks, CopickPicksFS)
    def delete_picks(self) -> Any: ...

    def refresh_picks(self) -> None:
        """Ask for the picks again, at once."""
        self.aio.refresh_picks()
        self.query_picks()

    def _picks_factory(self) -> tuple[type[CopickPicksFS], type[CopickPicksFile]]:
        return CopickPicksFS, CopickPicksFile

    # --- meshes -------------------------------------------------------------------------------------------------------

    @listed(AsyncRun.meshes, CopickMeshFS)
    def meshes(self) -> Any: ...
    @queries(AsyncRun.query_meshes, CopickMeshFS)
    def query_meshes(self) -> Any: ...
    @gives(AsyncRun.get_meshes, CopickMeshFS, ahead=True)
    def get_meshes(self) -> Any: ...
    @gives(AsyncRun.user_meshes, CopickMeshFS, ahead=True)
    def user_meshes(self) -> Any: ...
    @gives(AsyncRun.tool_meshes, CopickMeshFS, ahead=True)
    def tool_meshes(self) -> Any: ...
    @makes(AsyncRun.new_mesh, CopickMeshFS)
    def new_mesh(self) -> Any: ...
    @deletes(AsyncRun.delete_meshes, CopickMeshFS)
    def delete_meshes(self) -> Any: ...

    def refresh_meshes(self) -> None:
        """Ask for the meshes again, at once."""
        self.aio.refresh_meshes()
        self.query_meshes()

    def _mesh_factory(self) -> tuple[type[CopickMeshFS], type[CopickMeshMeta]]:
        return CopickMeshFS, CopickMeshMeta

    # --- filaments ----------------------------------------------------------------------------------------------------

    @listed(AsyncRun.filaments, CopickFilamentsFS)
    def filaments(self) -> Any: ...
    @queries(AsyncRun.query_filaments, CopickFilamentsFS)
    def query_filaments(self) -> Any: ...
    @gives(AsyncRun.get_filaments, CopickFilamentsFS, ahead=True)
    def get_filaments(self) -> Any: ...
    @makes(AsyncRun.new_filaments, CopickFilamentsFS)
    def new_filaments(self) -> Any: ...
    @deletes(AsyncRun.delete_filaments, CopickFilamentsFS)
    def delete_filaments(self) -> Any: ...

    def refresh_filaments(self) -> None:
        """Ask for the filaments again, at once."""
        self.aio.refresh_filaments()
        self.query_filaments()

    def _filaments_factory(self) -> type[CopickFilamentsFS]:
        return CopickFilamentsFS

    # --- segmentations ------------------------------------------------------------------------------------------------

    @listed(AsyncRun.segmentations, CopickSegmentationFS)
    def segmentations(self) -> Any: ...
    @queries(AsyncRun.query_segmentations, CopickSegmentationFS)
    def query_segmentations(self) -> Any: ...
    @gives(AsyncRun.get_segmentations, CopickSegmentationFS, ahead=True)
    def get_segmentations(self) -> Any: ...
    @gives(AsyncRun.user_segmentations, CopickSegmentationFS, ahead=True)
    def user_segmentations(self) -> Any: ...
    @gives(AsyncRun.tool_segmentations, CopickSegmentationFS, ahead=True)
    def tool_segmentations(self) -> Any: ...
    @makes(AsyncRun.new_segmentation, CopickSegmentationFS)
    def new_segmentation(self) -> Any: ...
    @deletes(AsyncRun.delete_segmentations, CopickSegmentationFS)
    def delete_segmentations(self) -> Any: ...

    def refresh_segmentations(self) -> None:
        """Ask for the segmentations again, at once."""
        self.aio.refresh_segmentations()
        self.query_segmentations()

    def _segmentation_factory(self) -> tuple[type[CopickSegmentationFS], type[CopickSegmentationMeta]]:
        return CopickSegmentationFS, CopickSegmentationMeta
