"""A run: what a project holds about one place on a sample."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiocopick.entities.run_annotations import AnnotationVerbs
from aiocopick.entities.run_volumes import VolumeVerbs
from aiocopick.errors import AlreadyExistsError
from aiocopick.layout.refs import RunRef
from aiocopick.models.metadata import CopickRunMeta

if TYPE_CHECKING:
    from aiocopick.entities.root import AsyncRoot


class AsyncRun(AnnotationVerbs, VolumeVerbs):
    """A run of a project.

    The plural nouns (``voxel_spacings()``, ``picks()``, ...) share one listing of the run; ``query_*`` asks the storage
    again; ``refresh*`` forgets, without asking.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    meta : CopickRunMeta
        Its name.
    config : object, optional
        Accepted as CoPick does; unused.

    Attributes
    ----------
    error : CopickError, optional
        Why a crawl could not read the run, or something of it.
    """

    __slots__ = ()

    def __init__(self, root: AsyncRoot, meta: CopickRunMeta, config: Any = None) -> None:
        self.root = root
        self.ref = RunRef(run=meta.name)
        self._sources = ()
        self._meta = meta
        self._reset()

    def _make_meta(self) -> CopickRunMeta:
        return CopickRunMeta(name=self.name)

    @property
    def split(self) -> str | None:
        """Part of a machine-learning split that the run belongs to; file systems have no place for it."""
        return None

    @property
    def picks_path(self) -> str:
        """Path of the folder of picks."""
        return f"{self.path}/Picks"

    @property
    def meshes_path(self) -> str:
        """Path of the folder of meshes."""
        return f"{self.path}/Meshes"

    @property
    def segmentations_path(self) -> str:
        """Path of the folder of segmentations."""
        return f"{self.path}/Segmentations"

    async def ensure(self, create: bool = False) -> bool:
        """Whether the run is stored; with `create` it is afterwards.

        Raises
        ------
        ReadOnlyError
            It is to be created and no layer can be written to.
        """
        found = await self._stack.find(self.ref)
        if found is not None:
            self._sources = found.sources
        elif create:
            with suppress(AlreadyExistsError):
                await self._create()
        return found is not None or create

    async def delete(self) -> None:
        """Delete the run with everything in it.

        Raises
        ------
        ReadOnlyError
            A part of it lies in a read-only layer; nothing is deleted then.
        """
        await self._resolve()
        await self._delete_data()
        self._know_empty()
        self.root._forget_run(self)
