"""A pickable object of the project, and its density map."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from aiocopick.concurrency.lazy import FLOAT32, numpy as np
from aiocopick.entities.volume import AsyncDensity
from aiocopick.errors import AlreadyExistsError, NotFoundError
from aiocopick.layout.refs import ObjectRef
from aiocopick.volumes.writing import Progress

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from aiocopick.entities.root import AsyncRoot
    from aiocopick.layers.base import Source
    from aiocopick.models.objects import FilamentSpec, PickableObject


class AsyncObject(AsyncDensity):
    """A pickable object.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    meta : PickableObject
        Its definition in the config.
    """

    __slots__ = ("_root",)

    parent_slot: ClassVar[str] = "_root"
    ref: ObjectRef
    _root: AsyncRoot
    _meta: PickableObject

    def __init__(self, root: AsyncRoot, meta: PickableObject) -> None:
        self._begin(root, ObjectRef(name=meta.name), meta)

    @property
    def _parent(self) -> Any:
        return self._root

    def _make_meta(self) -> PickableObject:
        from aiocopick.models.objects import PickableObject

        # Found in storage, not in the config.
        return PickableObject.model_construct(name=self.ref.name, is_particle=True, label=None)

    def _state(self) -> Any:
        return self._meta

    def _restore(self, state: Any) -> None:
        self._meta = state

    @property
    def name(self) -> str:
        """Its name."""
        return self.ref.name

    @property
    def is_particle(self) -> bool:
        """True if it is represented by points rather than by segmentations."""
        return bool(self.meta.is_particle)

    @property
    def label(self) -> int | None:
        """Its value in multilabel segmentations."""
        label: int | None = self.meta.label
        return label

    @property
    def color(self) -> tuple[int, int, int, int] | None:
        """RGBA, each 0 to 255."""
        color: tuple[int, int, int, int] | None = self.meta.color
        return color

    @property
    def emdb_id(self) -> str | None:
        """Id in EMDB."""
        identifier: str | None = self.meta.emdb_id
        return identifier

    @property
    def pdb_id(self) -> str | None:
        """Id in PDB."""
        identifier: str | None = self.meta.pdb_id
        return identifier

    @property
    def identifier(self) -> str | None:
        """Id in an ontology."""
        identifier: str | None = self.meta.identifier
        return identifier

    @property
    def map_threshold(self) -> float | None:
        """Threshold at which the density map is drawn."""
        threshold: float | None = self.meta.map_threshold
        return threshold

    @property
    def radius(self) -> float | None:
        """Radius in angstrom."""
        radius: float | None = self.meta.radius
        return radius

    @property
    def metadata(self) -> dict[str, Any]:
        """Anything else that the config says of it."""
        metadata: dict[str, Any] = self.meta.metadata
        return metadata

    @property
    def filament(self) -> FilamentSpec | None:
        """The declaration that it is a filament; None if there is none."""
        filament: FilamentSpec | None = self.meta.filament
        return filament

    @property
    def is_filament(self) -> bool:
        """True if it is a filament."""
        return bool(self.meta.is_filament)

    # --- the density map ----------------------------------------------------------------------------------------------

    @property
    def voxel_size(self) -> float:
        """Not known before the map is opened: :meth:`levels` tells. 1 where the map does not say."""
        return 1.0

    def _finest_voxel_size(self) -> None:
        return None

    def zarr(self) -> Store | None:  # type: ignore[override]
        """The density map as a zarr 3 store. Sends no request.

        Returns
        -------
        zarr.abc.store.Store or None
            None for what is not a particle, and for a read-only object that was listed without a map.
        """
        if not self.is_particle or (self.read_only and not self._sources):
            return None
        return super().zarr()

    def _store(self) -> Store:
        if not self.is_particle:
            raise NotFoundError(
                f"{self.path}: only particles have density maps; set is_particle in the config", path=self.path
            )
        return super()._store()

    async def _write_target(self) -> Source:
        try:
            return await super()._write_target()
        except NotFoundError:
            # An object may have no map yet, unlike volumes that were created or listed.
            return self._stack.target(self.ref, ())

    async def _make_place(self, target: Source) -> None:
        if not self._sources:
            with suppress(AlreadyExistsError):
                await target.layer.create(self.ref)
            self._stored_in(target)

    async def has_density_map(self) -> bool:
        """Return True if there is a density map; no request if it was opened before, else the same as for its first
        read.
        """
        if not self.is_particle:
            return False
        try:
            await self._array()
        except NotFoundError:
            return False
        return True

    async def numpy(
        self,
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
    ) -> Any:
        """Read the density map, or a region of it; as for tomograms.

        Returns
        -------
        ndarray or None
            None if there is no map.
        """
        if not await self.has_density_map():
            return None
        return await super().numpy(zarr_group, x, y, z)

    async def from_numpy(
        self,
        data: Any,
        voxel_size: float,
        dtype: Any = FLOAT32,
        *,
        chunks: Sequence[int] | None = None,
        shards: Sequence[int] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write the density map, one level, replacing an existing one.

        Parameters
        ----------
        data : array-like, shape (Z, Y, X)
            As for tomograms.
        voxel_size : float
            Angstrom.
        dtype : dtype, optional
            What is stored; None is the type of the data.
        chunks, shards, progress
            As for tomograms.

        Raises
        ------
        ReadOnlyError
            No layer can be written to.
        ValueError
            The object is not a particle, a voxel size that is not positive, data that is not 3D.
        """
        if not self.is_particle:
            raise ValueError(f"{self.path}: only particles have density maps; set is_particle in the config")
        if not (np.isfinite(voxel_size) and voxel_size > 0):
            raise ValueError(f"voxel_size must be positive, not {voxel_size!r}")
        await self._write_density(data, 1, dtype, float(voxel_size), chunks=chunks, shards=shards, progress=progress)

    async def delete(self) -> None:
        """Delete its density map; the object stays in the config.

        Raises
        ------
        ReadOnlyError
            The map is in a read-only layer.
        """
        await self._delete_data()
        self._sources = ()
        self.root._forget_map(self.name)
