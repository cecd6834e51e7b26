"""The voxel spacings and segmentations of a run: listing, looking up, making and deleting them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiocopick.concurrency.single_flight import alone
from aiocopick.entities.creation import known_object, session_names
from aiocopick.entities.filters import OneOrMany, accepts, accepts_flag, accepts_size
from aiocopick.entities.lists import Children, create_volume, select, taken
from aiocopick.entities.run_base import RunBase
from aiocopick.entities.segmentation import AsyncSegmentation
from aiocopick.entities.voxel_spacing import AsyncVoxelSpacing
from aiocopick.errors import AlreadyExistsError
from aiocopick.layout.names import check_segmentation_name, clean_name
from aiocopick.layout.refs import SegmentationRef, VoxelSpacingRef


class VolumeVerbs(RunBase):
    """Verbs of a run about voxel spacings and segmentations."""

    __slots__ = ()

    # --- voxel spacings -----------------------------------------------------------------------------------------------

    async def query_voxelspacings(self, *, layers: Iterable[str] | None = None) -> list[AsyncVoxelSpacing]:
        """Ask the storage for the voxel spacings: one request per layer.

        Parameters
        ----------
        layers : iterable of str, optional
            Names of the layers to ask; what a part of them says is not cached.
        """
        return await self._query("voxel_spacings", layers)

    async def voxel_spacings(self) -> list[AsyncVoxelSpacing]:
        """The voxel spacings, as last queried; the first time, the run is listed as a whole."""
        return await self._cached("voxel_spacings")

    async def get_voxel_spacing(self, /, voxel_size: float, **kwargs: Any) -> AsyncVoxelSpacing | None:
        """The voxel spacing of a size in angstrom, compared at three decimals; None when there is none.

        From the cached list where there is one; else one request per layer, and no list is cached.
        """
        ref = VoxelSpacingRef(run=self.name, voxel_size=voxel_size)
        children: Children[AsyncVoxelSpacing] = self._children["voxel_spacings"]
        if children.complete:
            return children.get(ref)
        found = await self._stack.find(ref)
        if found is None:
            return None
        known = children.get(ref)
        if known is not None:
            known._found_again(found)
            return known
        return children.put(AsyncVoxelSpacing._of(self, ref, found.sources))

    async def new_voxel_spacing(self, /, voxel_size: float, exist_ok: bool = False, **kwargs: Any) -> AsyncVoxelSpacing:
        """Create a voxel spacing.

        Parameters
        ----------
        voxel_size : float
            Angstrom per voxel; three decimals count.
        exist_ok : bool
            Return the voxel spacing that is there instead of raising.
        **kwargs
            Further fields of its metadata.

        Raises
        ------
        AlreadyExistsError
            There is one of that size.
        InvalidNameError
            The size is not positive.
        ReadOnlyError
            No layer can be written to.
        """
        writer = self._stack.writer()
        ref = VoxelSpacingRef(run=self.name, voxel_size=voxel_size)
        writer.locate(ref)
        spacing = await self.get_voxel_spacing(voxel_size)
        if spacing is not None:
            if not exist_ok:
                raise taken(spacing)
            return spacing
        spacing = AsyncVoxelSpacing._of(self, ref)
        spacing._extend_meta(kwargs)
        try:
            await spacing._create()
        except AlreadyExistsError:
            # Another writer was faster.
            spacing = AsyncVoxelSpacing._of(self, ref, spacing._sources)
            if not exist_ok:
                raise taken(spacing) from None
        else:
            spacing._tomograms.complete = True
        self._stored_here(spacing)
        children: Children[AsyncVoxelSpacing] = self._children["voxel_spacings"]
        return children.put(spacing)

    async def delete_voxel_spacings(self, voxel_size: OneOrMany[float] = None) -> None:
        """Delete the voxel spacings of these sizes, or all; none when one of them is read-only."""
        accept = accepts_size(voxel_size)
        await self._delete_all([spacing for spacing in await self.voxel_spacings() if accept(spacing.voxel_size)])

    # --- segmentations ------------------------------------------------------------------------------------------------

    async def query_segmentations(self, *, layers: Iterable[str] | None = None) -> list[AsyncSegmentation]:
        """Ask the storage for the segmentations of every type.

        One request per layer where the storage collapses volumes, else one per folder.

        Parameters
        ----------
        layers : iterable of str, optional
            Names of the layers to ask; what a part of them says is not cached.
        """
        return await self._query("segmentations", layers)

    async def segmentations(self) -> list[AsyncSegmentation]:
        """The segmentations of every type, as last queried; the first time, the run is listed as a whole."""
        return await self._cached("segmentations")

    async def get_segmentations(
        self,
        /,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
        is_multilabel: bool | None = None,
        name: OneOrMany[str] = None,
        voxel_size: OneOrMany[float] = None,
        *,
        is_instance: bool | None = False,
        is_panoptic: bool | None = False,
        **kwargs: Any,
    ) -> list[AsyncSegmentation]:
        """The segmentations that match; without a type, the binary and multilabel ones.

        Parameters
        ----------
        user_id, session_id, name : str or iterable of str, optional
            One value or several.
        is_multilabel : bool, optional
            Whether each voxel holds the label of an object; None accepts both.
        voxel_size : float or iterable of float, optional
            Angstrom, compared at three decimals.
        is_instance, is_panoptic : bool, optional
            Other types are found only when asked for; None accepts both.
        """
        return select(
            await self.segmentations(),
            user_id=accepts(user_id),
            session_id=accepts(session_id),
            is_multilabel=accepts_flag(is_multilabel),
            name=accepts(name),
            voxel_size=accepts_size(voxel_size),
            is_instance=accepts_flag(is_instance),
            is_panoptic=accepts_flag(is_panoptic),
        )

    async def user_segmentations(self) -> list[AsyncSegmentation]:
        """The segmentations of the user of the config; of all users when it names none."""
        user = self.config.user_id
        found = await self.segmentations()
        return [item for item in found if (item.from_user if user is None else item.user_id == user)]

    async def tool_segmentations(self) -> list[AsyncSegmentation]:
        """The segmentations that tools made (session ``"0"``)."""
        return [segmentation for segmentation in await self.segmentations() if segmentation.from_tool]

    async def new_segmentation(
        self,
        /,
        voxel_size: float,
        name: str,
        session_id: str | None = None,
        is_multilabel: bool = False,
        user_id: str | None = None,
        exist_ok: bool = False,
        *,
        is_instance: bool = False,
        is_panoptic: bool = False,
        overwrite: bool = False,
        **kwargs: Any,
    ) -> AsyncSegmentation:
        """Create an empty segmentation: a group without levels.

        Parameters
        ----------
        voxel_size : float
            Angstrom per voxel; three decimals count.
        name : str
            Of the object; of anything, when the segmentation holds several labels.
        session_id, user_id : str, optional
            From the config when not given.
        is_multilabel, is_instance, is_panoptic : bool
            Its type: at most one is set; none is binary.
        exist_ok : bool
            Return the segmentation that is there, ready to be written, instead of raising.
        overwrite : bool
            Tolerated, as CoPick's tools pass it; writing data overwrites anyway.
        **kwargs
            Further fields of its metadata.

        Raises
        ------
        AlreadyExistsError
            The name is taken.
        UnknownObjectError
            A binary or instance segmentation of an object that the project does not have.
        InvalidNameError
            A name cannot be stored, an id is missing, or several types are given (a ValueError).
        ReadOnlyError
            No layer can be written to.
        """
        label = check_segmentation_name(clean_name(name, "segmentation name"), is_multilabel=is_multilabel)
        ref = SegmentationRef(
            run=self.name,
            voxel_size=voxel_size,
            name=label,
            is_multilabel=is_multilabel,
            is_instance=is_instance,
            is_panoptic=is_panoptic,
            **session_names(self.config, session_id, user_id),
        )
        if ref.segmentation_type in ("binary", "instance"):
            known_object(self.config, label, f"{ref.segmentation_type} segmentations are named after one: ")
        segmentation, created = await create_volume(self, AsyncSegmentation, ref, self._listed_segmentations, exist_ok)
        if created:
            segmentation._extend_meta(kwargs)
            self._stored_here(segmentation)
        return segmentation

    async def _listed_segmentations(self) -> Children[AsyncSegmentation]:
        """As :meth:`segmentations`, but the first time only their folders are listed."""
        children = self._children["segmentations"]
        async with alone(self):
            if not children.complete:
                await self.query_segmentations()
        return children

    async def delete_segmentations(
        self,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
        is_multilabel: bool | None = None,
        name: OneOrMany[str] = None,
        voxel_size: OneOrMany[float] = None,
        *,
        is_instance: bool | None = False,
        is_panoptic: bool | None = False,
    ) -> None:
        """Delete the segmentations that :meth:`get_segmentations` finds; none when one of them is read-only."""
        await self._delete_all(
            await self.get_segmentations(
                user_id,
                session_id,
                is_multilabel,
                name,
                voxel_size,
                is_instance=is_instance,
                is_panoptic=is_panoptic,
            )
        )
