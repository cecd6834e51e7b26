"""Objects of a project, and their density maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray
    from zarr.abc.store import Store

    from aiocopick.models.entities.root import CopickRoot
    from aiocopick.models.objects import FilamentSpec, PickableObject


class CopickObject:
    """An object that can be picked or segmented; a particle may have a density map.

    Parameters
    ----------
    root : CopickRoot
        The project.
    meta : PickableObject
        Its entry in the configuration.
    """

    root: CopickRoot
    meta: PickableObject

    def __init__(self, root: CopickRoot, meta: PickableObject) -> None:
        self.root = root
        self.meta = meta

    @property
    def name(self) -> str:
        """Its name."""
        raise NotImplementedError

    @property
    def is_particle(self) -> bool:
        """Whether it is represented by points."""
        raise NotImplementedError

    @property
    def label(self) -> int | None:
        """Its value in multilabel segmentations."""
        raise NotImplementedError

    @property
    def color(self) -> tuple[int, int, int, int] | None:
        """RGBA."""
        raise NotImplementedError

    @property
    def emdb_id(self) -> str | None:
        """Id in EMDB."""
        raise NotImplementedError

    @property
    def pdb_id(self) -> str | None:
        """Id in PDB."""
        raise NotImplementedError

    @property
    def identifier(self) -> str | None:
        """Id in an ontology."""
        raise NotImplementedError

    @property
    def map_threshold(self) -> float | None:
        """Threshold at which its map is drawn."""
        raise NotImplementedError

    @property
    def radius(self) -> float | None:
        """Radius in angstrom."""
        raise NotImplementedError

    @property
    def metadata(self) -> dict[str, Any]:
        """Anything else."""
        raise NotImplementedError

    @property
    def filament(self) -> FilamentSpec | None:
        """What declares it a filament; None when it is none."""
        raise NotImplementedError

    @property
    def is_filament(self) -> bool:
        """Whether it is a filament."""
        raise NotImplementedError

    def zarr(self) -> Store | None:
        """The zarr 3 store of the map; None for what is no particle, or is read-only and has no map."""
        raise NotImplementedError

    def has_density_map(self) -> bool:
        """Whether a map is stored."""
        raise NotImplementedError

    def numpy(
        self,
        zarr_group: str | None = None,
        x: slice = slice(None, None),
        y: slice = slice(None, None),
        z: slice = slice(None, None),
    ) -> NDArray[Any] | None:
        """A region of the map, (Z, Y, X); None where there is no store.

        Parameters
        ----------
        zarr_group : str, optional
            Name of the level; None is the finest.
        x, y, z : slice
            Along the axes of these names, in voxels.
        """
        raise NotImplementedError

    def from_numpy(
        self,
        data: NDArray[Any],
        voxel_size: float,
        dtype: DTypeLike | None = np.float32,
        *,
        chunks: tuple[int, ...] | None = None,
        shards: tuple[int, ...] | None = None,
    ) -> None:
        """Replace the map by an array.

        Parameters
        ----------
        data : ndarray
            (Z, Y, X).
        voxel_size : float
            Angstrom per voxel.
        dtype : dtype, optional
            What is written; None is the array's own.
        chunks, shards : tuple of int, optional
            (Z, Y, X) voxels of a chunk and of a shard.

        Raises
        ------
        ValueError
            It is no particle.
        """
        raise NotImplementedError

    def set_region(
        self,
        data: NDArray[Any],
        zarr_group: str | None = None,
        x: slice = slice(None, None),
        y: slice = slice(None, None),
        z: slice = slice(None, None),
    ) -> None:
        """Write an array into a region of the map; parameters as for :meth:`numpy`."""
        raise NotImplementedError

    def delete(self) -> None:
        """Delete the map, and the object's entry in the list of objects."""
        raise NotImplementedError

    def _delete_data(self) -> None:
        """Delete what is stored."""
        raise NotImplementedError
