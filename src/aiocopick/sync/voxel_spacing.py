"""A voxel spacing, blocking."""

# Lists of our classes are no lists of abstract ones to a type checker; the parity test compares the signatures.
# mypy: disable-error-code="override"

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from aiocopick.entities.metadata import read_metadata
from aiocopick.entities.voxel_spacing import AsyncVoxelSpacing
from aiocopick.models.entities import CopickVoxelSpacing
from aiocopick.models.metadata import CopickTomogramMeta
from aiocopick.sync.base import BlockingEntity, keeps_names
from aiocopick.sync.places import InBothLayers
from aiocopick.sync.tomogram import CopickTomogramFS

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from aiocopick.entities.filters import OneOrMany
    from aiocopick.models.metadata import CopickVoxelSpacingMeta
    from aiocopick.sync.run import CopickRunFS


class CopickVoxelSpacingFS(InBothLayers, BlockingEntity[AsyncVoxelSpacing], CopickVoxelSpacing):
    """A voxel spacing at which tomograms of a run exist.

    Parameters
    ----------
    run : CopickRunFS
        The run.
    meta : CopickVoxelSpacingMeta
        Its voxel size, in angstrom.
    config : object, optional
        Accepted as CoPick does; unused.
    """

    parent_name: ClassVar[str] = "run"
    lists: ClassVar[tuple[str, ...]] = ("tomograms",)

    run: CopickRunFS
    _tomograms: list[CopickTomogramFS] | None

    @keeps_names
    def __init__(self, run: CopickRunFS, meta: CopickVoxelSpacingMeta, config: Any = None) -> None:
        self._begin(run, meta)

    def _make_twin(self) -> AsyncVoxelSpacing:
        return AsyncVoxelSpacing(self.run.aio, self._given)

    @property
    def voxel_size(self) -> float:
        """Angstrom per voxel, at three decimals."""
        return self.aio.voxel_size

    def _tomogram_factory(self) -> tuple[type[CopickTomogramFS], type[CopickTomogramMeta]]:
        return CopickTomogramFS, CopickTomogramMeta

    @property
    def tomograms(self) -> list[CopickTomogramFS]:
        """The tomograms, as last queried; the first time, the run is listed as a whole.

        See :meth:`aiocopick.AsyncVoxelSpacing.tomograms`.
        """
        return self._listed("tomograms", self.aio.tomograms)

    def query_tomograms(self, *, layers: Iterable[str] | None = None) -> list[CopickTomogramFS]:
        """Ask the storage for the tomograms: one request per layer.

        See :meth:`aiocopick.AsyncVoxelSpacing.query_tomograms`.
        """
        return self._queried("tomograms", self._call(self.aio.query_tomograms, layers=layers), layers)

    def refresh_tomograms(self) -> None:
        """Ask for the tomograms again, at once."""
        self.aio.refresh_tomograms()
        self.query_tomograms()

    def refresh(self) -> None:
        """Ask for the tomograms again, at once."""
        self.refresh_tomograms()

    def _invalidate_caches(self) -> None:
        self.aio.refresh()
        self._tomograms = None

    def get_tomograms(self, tomo_type: OneOrMany[str] = None, **kwargs: Any) -> list[CopickTomogramFS]:
        """The tomograms of a type, or of several; all of them without one.

        See :meth:`aiocopick.AsyncVoxelSpacing.get_tomograms`.
        """
        return self._wrap_all(self._call(self.aio.get_tomograms, tomo_type, **kwargs))

    def get_tomogram(self, tomo_type: str) -> CopickTomogramFS | None:
        """The tomogram of a type; None when there is none.

        See :meth:`aiocopick.AsyncVoxelSpacing.get_tomogram`.
        """
        tomogram: CopickTomogramFS | None = self._wrap(self._call(self.aio.get_tomogram, tomo_type))
        return tomogram

    def new_tomogram(self, tomo_type: str, exist_ok: bool = False, **kwargs: Any) -> CopickTomogramFS:
        """Create an empty tomogram: a group without levels.

        See :meth:`aiocopick.AsyncVoxelSpacing.new_tomogram`.
        """
        twin = self._call(self.aio.new_tomogram, tomo_type, exist_ok, **kwargs)
        tomogram: CopickTomogramFS = self._created("tomograms", twin)
        return tomogram

    def delete_tomograms(self, tomo_type: OneOrMany[str] = None) -> None:
        """Delete the tomograms of a type, or all, with their feature maps.

        See :meth:`aiocopick.AsyncVoxelSpacing.delete_tomograms`.
        """
        self._call(self.aio.delete_tomograms, tomo_type)
        self._deleted("tomograms")

    def ensure(self, create: bool = False) -> bool:
        """Whether the voxel spacing is stored; with `create` it is afterwards.

        See :meth:`aiocopick.AsyncVoxelSpacing.ensure`.
        """
        return self._call(self.aio.ensure, create)

    def load_meta(self) -> Any:
        """Read the ``.meta`` file: one request per layer that may have one.

        See :meth:`aiocopick.AsyncVoxelSpacing.load_meta`.
        """
        return self._call(self.aio.load_meta)

    def store_meta(self) -> None:
        """Write :attr:`meta` to the ``.meta`` file; keys that other programs put there are kept.

        See :meth:`aiocopick.AsyncVoxelSpacing.store_meta`.
        """
        self._call(self.aio.store_meta)

    def _store_metadata(self) -> None:
        self._call(self.aio._store_metadata)

    @staticmethod
    def _load_metadata(path: str, fs: AbstractFileSystem) -> dict[str, Any]:
        return read_metadata(path, fs)

    def delete(self) -> None:
        """Delete the voxel spacing with all its tomograms and feature maps.

        See :meth:`aiocopick.AsyncVoxelSpacing.delete`.
        """
        self._call(self.aio.delete)
        self._deleted("tomograms")
        self.run._deleted("voxel_spacings")
