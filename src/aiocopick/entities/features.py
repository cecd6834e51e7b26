"""A feature map of a tomogram."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from aiocopick.entities.volume_features import AsyncFeaturesVolume
from aiocopick.layout.refs import FeaturesRef
from aiocopick.models.metadata import CopickFeaturesMeta

if TYPE_CHECKING:
    from aiocopick.entities.tomogram import AsyncTomogram


class AsyncFeatures(AsyncFeaturesVolume):
    """A feature map: 3D, or 4D with the features first.

    Parameters
    ----------
    tomogram : AsyncTomogram
        The tomogram it was made from.
    meta : CopickFeaturesMeta
        Its type.
    """

    __slots__ = ("tomogram",)

    parent_slot: ClassVar[str] = "tomogram"
    tomogram: AsyncTomogram
    ref: FeaturesRef

    def __init__(self, tomogram: AsyncTomogram, meta: CopickFeaturesMeta) -> None:
        self.tomogram = tomogram
        self.ref = FeaturesRef(
            run=tomogram.ref.run,
            voxel_size=tomogram.voxel_size,
            tomo_type=meta.tomo_type,
            feature_type=meta.feature_type,
        )
        self._sources = ()
        self._meta = meta
        self._reset()

    def _make_meta(self) -> CopickFeaturesMeta:
        return CopickFeaturesMeta(tomo_type=self.tomo_type, feature_type=self.feature_type)

    @property
    def tomo_type(self) -> str:
        """Type of the tomogram."""
        return self.ref.tomo_type

    @property
    def feature_type(self) -> str:
        """Type of the features."""
        return self.ref.feature_type

    @property
    def voxel_size(self) -> float:
        """Angstrom per voxel of its finest level."""
        return self.ref.voxel_size

    async def delete(self) -> None:
        """Delete the feature map."""
        await self._delete_data()
        self.tomogram._features.drop(self)
