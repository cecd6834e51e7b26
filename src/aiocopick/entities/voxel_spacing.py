"""A voxel spacing of a run: its tomograms."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import anyio

from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.misuse import lists
from aiocopick.concurrency.single_flight import single_flight
from aiocopick.entities.filters import OneOrMany, accepts
from aiocopick.entities.lists import Children, moment, select
from aiocopick.entities.metadata import MetadataMixin
from aiocopick.entities.tomogram import AsyncTomogram, attach_features
from aiocopick.entities.volume import create_volume
from aiocopick.layout.names import clean_name
from aiocopick.layout.refs import TomogramRef, VoxelSpacingRef
from aiocopick.models.metadata import CopickVoxelSpacingMeta

if TYPE_CHECKING:
    from aiocopick.entities.run import AsyncRun


class AsyncVoxelSpacing(MetadataMixin):
    """A voxel spacing at which tomograms of a run exist.

    Parameters
    ----------
    run : AsyncRun
        The run.
    meta : CopickVoxelSpacingMeta
        Its voxel size, in angstrom.
    config : object, optional
        Accepted as CoPick does; unused.
    """

    __slots__ = ("_lock", "_tomograms", "run")

    parent_slot: ClassVar[str] = "run"
    _holds_others: ClassVar[bool] = True
    run: AsyncRun
    ref: VoxelSpacingRef
    _lock: tuple[object, anyio.Lock] | None
    _tomograms: Children[AsyncTomogram]

    def __init__(self, run: AsyncRun, meta: CopickVoxelSpacingMeta, config: Any = None) -> None:
        self._begin(run, VoxelSpacingRef(run=run.name, voxel_size=meta.voxel_size), meta)

    def _reset(self) -> None:
        self._lock = None
        self._tomograms = Children()

    def _make_meta(self) -> CopickVoxelSpacingMeta:
        return CopickVoxelSpacingMeta(voxel_size=self.voxel_size)

    @property
    def voxel_size(self) -> float:
        """Angstrom per voxel, at three decimals."""
        return self.ref.voxel_size

    async def query_tomograms(self, *, layers: Iterable[str] | None = None) -> list[AsyncTomogram]:
        """Ask the storage for the tomograms: one request per layer.

        Parameters
        ----------
        layers : iterable of str, optional
            Names of the layers to ask; what a part of them says is not cached.
        """
        since = moment()
        found = await self._stack.list_voxel_spacing(self._everywhere(layers))
        children = self._tomograms if layers is None else Children[AsyncTomogram]()
        items = [item for item in found if item.ref.kind == "tomogram"]
        children.take(items, partial(AsyncTomogram._found, self), since, keep=False)
        attach_features(children, found, since)
        return list(children)

    @lists
    async def tomograms(self) -> list[AsyncTomogram]:
        """Return the tomograms, as last queried; the first time, the run is listed as a whole."""
        return list(await self._listed_tomograms())

    async def _listed_tomograms(self) -> Children[AsyncTomogram]:
        if not self._tomograms.complete and self.run._lists(self):
            await self.run._fill()
        if not self._tomograms.complete:
            async with single_flight(self):
                if not self._tomograms.complete:
                    await self.query_tomograms()
        return self._tomograms

    def _known(self, noun: str) -> Children[Any] | None:
        return self._tomograms

    async def get_tomograms(self, /, tomo_type: OneOrMany[str] = None, **kwargs: Any) -> list[AsyncTomogram]:
        """The tomograms of a type, or of several; all of them without one."""
        return select(await self.tomograms(), tomo_type=accepts(tomo_type))

    async def get_tomogram(self, tomo_type: str) -> AsyncTomogram | None:
        """Return the tomogram of a type, or None."""
        return next(iter(await self.get_tomograms(tomo_type)), None)

    async def new_tomogram(self, /, tomo_type: str, exist_ok: bool = False, **kwargs: Any) -> AsyncTomogram:
        """Create an empty tomogram: a group without levels.

        Parameters
        ----------
        tomo_type : str
            Its type; characters that CoPick does not allow become ``-``.
        exist_ok : bool
            Return the tomogram that is there, ready to be written, instead of raising.
        **kwargs
            Further fields of its metadata.

        Raises
        ------
        AlreadyExistsError
            There is one of that type.
        InvalidNameError
            Nothing of the name can be stored.
        ReadOnlyError
            No layer can be written to.
        """
        ref = TomogramRef(run=self.run.name, voxel_size=self.voxel_size, tomo_type=clean_name(tomo_type, "tomo type"))
        tomogram, created = await create_volume(self, AsyncTomogram, ref, self._listed_tomograms, exist_ok)
        if created:
            tomogram._features.complete = True
            tomogram._extend_meta(kwargs)
        return tomogram

    async def delete_tomograms(self, tomo_type: OneOrMany[str] = None) -> None:
        """Delete the tomograms of a type, or all, with their feature maps."""
        tomograms = await self.get_tomograms(tomo_type)
        for tomogram in tomograms:
            await tomogram._check_deletion_of_all()
        await gather(AsyncTomogram.delete, tomograms, limit=self.root._fan_out)

    def refresh_tomograms(self) -> None:
        """Forget the tomograms, so that the next look asks the storage."""
        self._tomograms.forget()

    def refresh(self) -> None:
        """Forget what was listed, so that the next look asks the storage."""
        self.refresh_tomograms()

    async def delete(self) -> None:
        """Delete the voxel spacing with all its tomograms and feature maps."""
        await self._delete_data()
        self._tomograms = Children(complete=True)
        self.run._children["voxel_spacings"].drop(self)
