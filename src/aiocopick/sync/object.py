"""A pickable object and its density map, blocking."""

# Lists of our classes are no lists of abstract ones to a type checker; the parity test compares the signatures.
# mypy: disable-error-code="override"

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from aiocopick.entities.object import AsyncObject
from aiocopick.models.entities import CopickObject
from aiocopick.sync.base import keeps_names
from aiocopick.sync.places import InBothLayers
from aiocopick.sync.volume import Volume

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from aiocopick.models.objects import FilamentSpec, PickableObject
    from aiocopick.sync.root import CopickRootFS
    from aiocopick.volumes.writing import Progress


class CopickObjectFS(InBothLayers, Volume[AsyncObject], CopickObject):
    """A pickable object.

    Parameters
    ----------
    root : CopickRootFS
        The project.
    meta : PickableObject
        What the config says of it.
    """

    parent_name: ClassVar[str] = "root"

    @keeps_names
    def __init__(self, root: CopickRootFS, meta: PickableObject) -> None:
        self._begin(root, meta)

    def _make_twin(self) -> AsyncObject:
        return AsyncObject(self.root.aio, self._given)

    @property
    def root(self) -> CopickRootFS:
        """The project."""
        return self._root

    @property
    def name(self) -> str:
        """Its name."""
        return self.aio.name

    @property
    def is_particle(self) -> bool:
        """Whether it is represented by points rather than by segmentations."""
        return self.aio.is_particle

    @property
    def label(self) -> int | None:
        """Its value in multilabel segmentations."""
        return self.aio.label

    @property
    def color(self) -> tuple[int, int, int, int] | None:
        """RGBA, each 0 to 255."""
        return self.aio.color

    @property
    def emdb_id(self) -> str | None:
        """Id in EMDB."""
        return self.aio.emdb_id

    @property
    def pdb_id(self) -> str | None:
        """Id in PDB."""
        return self.aio.pdb_id

    @property
    def identifier(self) -> str | None:
        """Id in an ontology."""
        return self.aio.identifier

    @property
    def map_threshold(self) -> float | None:
        """Threshold at which the density map is drawn."""
        return self.aio.map_threshold

    @property
    def radius(self) -> float | None:
        """Radius in angstrom."""
        return self.aio.radius

    @property
    def metadata(self) -> dict[str, Any]:
        """Anything else that the config says of it."""
        return self.aio.metadata

    @property
    def filament(self) -> FilamentSpec | None:
        """What declares it a filament; None when it is none."""
        return self.aio.filament

    @property
    def is_filament(self) -> bool:
        """Whether it is a filament."""
        return self.aio.is_filament

    @property
    def voxel_size(self) -> float:
        """Not known before the map is opened: :meth:`levels` tells. 1 where the map does not say."""
        return self.aio.voxel_size

    def has_density_map(self) -> bool:
        """Whether there is a density map: nothing is sent when it was opened before, else as for its first read.

        See :meth:`aiocopick.AsyncObject.has_density_map`.
        """
        return self._call(self.aio.has_density_map)

    def zarr(self) -> Store | None:
        """The density map as a zarr 3 store. Sends no request.

        See :meth:`aiocopick.AsyncObject.zarr`.
        """
        return self.aio.zarr()

    def numpy(
        self,
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
    ) -> Any:
        """Read the density map, or a region of it; as for tomograms.

        See :meth:`aiocopick.AsyncObject.numpy`.
        """
        return self._call(self.aio.numpy, zarr_group, x, y, z)

    def set_region(
        self,
        data: Any,
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
        *,
        update_pyramid: bool = False,
    ) -> None:
        """Change a region of a level. Chunks that lie in it only in part are read, changed and written back.

        See :meth:`aiocopick.AsyncObject.set_region`.
        """
        self._call(self.aio.set_region, data, zarr_group, x, y, z, update_pyramid=update_pyramid)

    def from_numpy(
        self,
        data: Any,
        voxel_size: float,
        dtype: Any = np.float32,
        *,
        chunks: Sequence[int] | None = None,
        shards: Sequence[int] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write the density map, one level, in the place of whatever is there.

        See :meth:`aiocopick.AsyncObject.from_numpy`.
        """
        self._call(
            self.aio.from_numpy, data, voxel_size, dtype, chunks=chunks, shards=self._shards(shards), progress=progress
        )

    def delete(self) -> None:
        """Delete its density map; the object stays in the config.

        See :meth:`aiocopick.AsyncObject.delete`.
        """
        self._call(self.aio.delete)
        self.root._deleted("objects")
