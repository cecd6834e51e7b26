"""A run, blocking."""

# Lists of our classes are no lists of abstract ones to a type checker; the parity test compares the signatures.
# mypy: disable-error-code="override"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocopick.entities.metadata import read_metadata
from aiocopick.entities.run import AsyncRun
from aiocopick.sync.base import keeps_names
from aiocopick.sync.run_annotations import AnnotationVerbs
from aiocopick.sync.run_volumes import VolumeVerbs

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from aiocopick.errors import CopickError
    from aiocopick.models.metadata import CopickRunMeta
    from aiocopick.sync.root import CopickRootFS


class CopickRunFS(AnnotationVerbs, VolumeVerbs):
    """A run of a project.

    Parameters
    ----------
    root : CopickRootFS
        The project.
    meta : CopickRunMeta
        Its name.
    config : object, optional
        Accepted as CoPick does; unused.
    """

    @keeps_names
    def __init__(self, root: CopickRootFS, meta: CopickRunMeta, config: Any = None) -> None:
        self._begin(root, meta)

    def _make_twin(self) -> AsyncRun:
        return AsyncRun(self.root.aio, self._given)

    @property
    def name(self) -> str:
        """Name of the run; settable as in copick, which renames nothing that is stored."""
        return self.aio.name

    @name.setter
    def name(self, value: str) -> None:
        self.meta = self.meta.model_copy(update={"name": value})

    @property
    def split(self) -> str | None:
        """Part of a machine-learning split that the run belongs to; file systems have no place for it."""
        return self.aio.split

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

    @property
    def picks_path(self) -> str:
        """Path of the folder of picks."""
        return self.aio.picks_path

    @property
    def meshes_path(self) -> str:
        """Path of the folder of meshes."""
        return self.aio.meshes_path

    @property
    def segmentations_path(self) -> str:
        """Path of the folder of segmentations."""
        return self.aio.segmentations_path

    def ensure(self, create: bool = False) -> bool:
        """Whether the run is stored; with `create` it is afterwards.

        See :meth:`aiocopick.AsyncRun.ensure`.
        """
        return self._call(self.aio.ensure, create)

    def load_meta(self) -> Any:
        """Read the ``.meta`` file: one request per layer that may have one.

        See :meth:`aiocopick.AsyncRun.load_meta`.
        """
        return self._call(self.aio.load_meta)

    def store_meta(self) -> None:
        """Write :attr:`meta` to the ``.meta`` file; keys that other programs put there are kept.

        See :meth:`aiocopick.AsyncRun.store_meta`.
        """
        self._call(self.aio.store_meta)

    def _store_metadata(self) -> None:
        self._call(self.aio._store_metadata)

    @staticmethod
    def _load_metadata(path: str, fs: AbstractFileSystem) -> dict[str, Any]:
        return read_metadata(path, fs)

    def refresh(self) -> None:
        """Ask for all children again, at once."""
        self.aio.refresh()
        for noun in self.lists:
            self._call(getattr(self.aio, noun))
            self._keep(noun, self._twins(noun))

    def _invalidate_caches(self) -> None:
        self.aio.refresh()
        for noun in self.lists:
            setattr(self, f"_{noun}", None)

    def delete(self) -> None:
        """Delete the run with everything in it.

        See :meth:`aiocopick.AsyncRun.delete`.
        """
        self._call(self.aio.delete)
        for noun in self.lists:
            self._deleted(noun)
        self.root._deleted("runs")
