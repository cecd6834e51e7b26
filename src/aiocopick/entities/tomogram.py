"""A tomogram: a volume, and the feature maps made from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import anyio

from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.lazy import FLOAT32
from aiocopick.concurrency.misuse import lists
from aiocopick.entities.features import AsyncFeatures
from aiocopick.entities.filters import OneOrMany, accepts
from aiocopick.entities.lists import Children, moment, select
from aiocopick.entities.volume import AsyncDensity, create_volume
from aiocopick.layout.names import clean_name
from aiocopick.layout.refs import FeaturesRef, TomogramRef
from aiocopick.models.metadata import CopickTomogramMeta
from aiocopick.volumes.writing import Progress

if TYPE_CHECKING:
    from aiocopick.entities.voxel_spacing import AsyncVoxelSpacing
    from aiocopick.layers import Placed


class AsyncTomogram(AsyncDensity):
    """A tomogram.

    Parameters
    ----------
    voxel_spacing : AsyncVoxelSpacing
        The voxel spacing it was reconstructed at.
    meta : CopickTomogramMeta
        Its type.
    config : object, optional
        Accepted as CoPick does; unused.
    """

    __slots__ = ("_features", "_lock", "_picture", "voxel_spacing")

    parent_slot: ClassVar[str] = "voxel_spacing"
    voxel_spacing: AsyncVoxelSpacing
    ref: TomogramRef
    _lock: tuple[object, anyio.Lock] | None
    _features: Children[AsyncFeatures]

    def __init__(self, voxel_spacing: AsyncVoxelSpacing, meta: CopickTomogramMeta, config: Any = None) -> None:
        ref = TomogramRef(run=voxel_spacing.run.name, voxel_size=voxel_spacing.voxel_size, tomo_type=meta.tomo_type)
        self._begin(voxel_spacing, ref, meta)

    def _reset(self) -> None:
        self._lock = None
        self._features = Children()

    def _make_meta(self) -> CopickTomogramMeta:
        return CopickTomogramMeta(tomo_type=self.tomo_type)

    @property
    def tomo_type(self) -> str:
        """Its type ("wbp")."""
        return self.ref.tomo_type

    @property
    def voxel_size(self) -> float:
        """Angstrom per voxel of its finest level."""
        return self.ref.voxel_size

    # --- the volume ---------------------------------------------------------------------------------------------------

    async def from_numpy(
        self,
        data: Any,
        levels: int = 3,
        dtype: Any = FLOAT32,
        *,
        chunks: Sequence[int] | None = None,
        shards: Sequence[int] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write the tomogram and its pyramid, replacing an existing one.

        One request per chunk and per metadata file. A volume that this entity did not just create is removed first: one
        listing and deletes. Until the last request has succeeded, a reader finds an empty tomogram; arrays and
        stores that were opened before are not protected.

        Parameters
        ----------
        data : array-like, shape (Z, Y, X)
            A numpy array, or anything that slices to one (dask, zarr, memory map), which is then read block by block.
        levels : int
            Levels of the pyramid, each the local mean of the one before over 2 voxels along each axis.
        dtype : dtype, optional
            What is stored; None is the type of the data.
        chunks, shards : sequence of int, optional
            Voxels along z, y, x. Without: 256 in zarr 2; 128, in shards of 256, in zarr 3. Shards exist in zarr 3 only.
        progress : callable, optional
            Called with the number of chunks written, and of all that will be.

        Raises
        ------
        ReadOnlyError
            No layer can be written to.
        ValueError
            Data that is not 3D or holds no numbers, no levels, or chunks that cannot be. Nothing was changed.
        """
        await self._write_density(data, levels, dtype, self.voxel_size, chunks=chunks, shards=shards, progress=progress)

    async def thumbnail(self, zarr_group: str | None = None, *, size: int = 256) -> bytes:
        """Draw the slice through the middle of the tomogram, with contrast by percentiles.

        Only its metadata and the chunks that the slice needs are read. Notebooks show the last picture. Needs the extra
        ``pictures``.

        Parameters
        ----------
        zarr_group : str, optional
            Path of the level; None is the coarsest one that is at least 200 pixels wide, else the finest.
        size : int
            Pixels along the longer side.

        Returns
        -------
        bytes
            PNG.

        Raises
        ------
        NotFoundError
            The level does not exist, or the tomogram is empty.
        FormatError
            The tomogram cannot be read.
        ValueError
            A size that is not from 1 to 4096.
        """
        from aiocopick.pictures import thumbnail

        self._picture = await thumbnail(self, zarr_group, size)
        return self._picture

    # --- feature maps -------------------------------------------------------------------------------------------------

    async def query_features(self, *, layers: Iterable[str] | None = None) -> list[AsyncFeatures]:
        """Ask the storage for the feature maps: one request per layer.

        Parameters
        ----------
        layers : iterable of str, optional
            Names of the layers to ask; what a part of them says is not cached.
        """
        since = moment()
        found = await self._stack.list_voxel_spacing(self.voxel_spacing._everywhere(layers))
        children = self._features if layers is None else Children[AsyncFeatures]()
        items = [item for item in found if item.ref.parent == self.ref]
        children.take(items, partial(AsyncFeatures._found, self), since, keep=False)
        return list(children)

    @lists
    async def features(self) -> list[AsyncFeatures]:
        """Return the feature maps, as last queried; the first time, the run is listed as a whole."""
        return list(await self._listed_features())

    async def _listed_features(self) -> Children[AsyncFeatures]:
        if not self._features.complete:
            await self.voxel_spacing.tomograms()
        if not self._features.complete:
            await self.query_features()
        return self._features

    def _known(self, noun: str) -> Children[Any] | None:
        return self._features

    async def get_features(self, feature_type: OneOrMany[str] = None) -> Any:
        """The feature map of a type, or None; the list of those of several types, or of all, when asked so.

        Parameters
        ----------
        feature_type : str or iterable of str, optional
            One type gives one feature map, as CoPick does; several types (or None) give a list.
        """
        found = select(await self.features(), feature_type=accepts(feature_type))
        return next(iter(found), None) if isinstance(feature_type, str) else found

    async def new_features(self, /, feature_type: str, exist_ok: bool = False, **kwargs: Any) -> AsyncFeatures:
        """Create an empty feature map: a group without levels.

        Parameters
        ----------
        feature_type : str
            Its type; characters that CoPick does not allow become ``-``.
        exist_ok : bool
            Return the feature map that is there, ready to be written, instead of raising.
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
        ref = FeaturesRef(
            run=self.ref.run,
            voxel_size=self.voxel_size,
            tomo_type=self.tomo_type,
            feature_type=clean_name(feature_type, "feature type"),
        )
        features, created = await create_volume(self, AsyncFeatures, ref, self._listed_features, exist_ok)
        if created:
            features._extend_meta(kwargs)
        return features

    async def delete_features(self, feature_type: OneOrMany[str] = None) -> None:
        """Delete the feature maps of a type, or all."""
        features = select(await self.features(), feature_type=accepts(feature_type))
        for item in features:
            await item._check_deletion()
        await gather(AsyncFeatures.delete, features, limit=self.root._fan_out)

    def refresh_features(self) -> None:
        """Forget the feature maps, so that the next look asks the storage."""
        self._features.forget()

    def refresh(self) -> None:
        """Forget what was listed and learnt, so that the next look asks the storage."""
        super().refresh()
        self.refresh_features()

    async def _check_deletion_of_all(self) -> None:
        await self._check_deletion()
        for item in await self.features():
            await item._check_deletion()

    async def delete(self) -> None:
        """Delete the tomogram and its feature maps."""
        await self._check_deletion_of_all()
        await self.delete_features()
        await self._delete_data()
        self.voxel_spacing._tomograms.drop(self)


def attach_features(
    tomograms: Iterable[AsyncTomogram], found: Iterable[Placed], since: int, *, again: bool = False
) -> None:
    """Give tomograms the feature maps that a listing holds; `again` also those that know theirs."""
    by_tomogram: dict[tuple[float, str], list[Placed]] = {}
    for item in found:
        feature = item.ref
        if isinstance(feature, FeaturesRef):
            by_tomogram.setdefault((feature.voxel_size, feature.tomo_type), []).append(item)
    for tomogram in tomograms:
        if again or not tomogram._features.complete:
            own = by_tomogram.get((tomogram.ref.voxel_size, tomogram.ref.tomo_type), ())
            tomogram._features.take(own, partial(AsyncFeatures._found, tomogram), since)
