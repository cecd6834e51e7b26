"""Metadata of the entities: their names, as pydantic models (CoPick's ``...Meta`` classes)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from aiocopick.models.base import Model

SEGMENTATION_TYPES = ("binary", "multilabel", "instance", "panoptic")
"""Types of segmentations, by the meaning of their voxels."""


def segmentation_type(is_multilabel: bool = False, is_instance: bool = False, is_panoptic: bool = False) -> str:
    """Return ``"binary"``, ``"multilabel"``, ``"instance"`` or ``"panoptic"``.

    Raises
    ------
    ValueError
        More than one flag is set.
    """
    if bool(is_multilabel) + bool(is_instance) + bool(is_panoptic) > 1:
        raise ValueError("A segmentation has one type: multilabel, instance or panoptic.")
    if is_multilabel:
        return "multilabel"
    if is_instance:
        return "instance"
    return "panoptic" if is_panoptic else "binary"


class CopickRunMeta(Model):
    """Metadata of a run.

    Parameters
    ----------
    name : str
        Name of the run.
    """

    name: str


class CopickVoxelSpacingMeta(Model):
    """Metadata of a voxel spacing.

    Parameters
    ----------
    voxel_size : float
        Angstrom per voxel; three decimals are written.
    """

    voxel_size: float


class CopickTomogramMeta(Model):
    """Metadata of a tomogram.

    Parameters
    ----------
    tomo_type : str
        Name of the kind of reconstruction ("wbp", "denoised").
    """

    tomo_type: str


class CopickFeaturesMeta(Model):
    """Metadata of a feature map.

    Parameters
    ----------
    tomo_type : str
        Type of the tomogram it was made from.
    feature_type : str
        Name of the features.
    """

    tomo_type: str
    feature_type: str


class CopickMeshMeta(Model):
    """Metadata of a mesh.

    Parameters
    ----------
    pickable_object_name : str
        Object the mesh is of.
    user_id : str
        User or tool that made it.
    session_id : str
        Session it was made in; ``"0"`` for tools.
    """

    pickable_object_name: str
    user_id: str
    session_id: str | Literal["0"]


class CopickSegmentationMeta(Model):
    """Metadata of a segmentation; with no flag set it is binary (1 inside, 0 outside).

    Parameters
    ----------
    user_id : str
        User or tool that made it.
    session_id : str
        Session it was made in; ``"0"`` for tools.
    name : str
        Name of the object, or of the segmentation when it has several labels.
    is_multilabel : bool
        Each voxel holds the label of an object.
    is_instance : bool
        Each voxel holds the id of an instance of one object.
    is_panoptic : bool
        Two channels: each voxel's label, and its instance id within that object.
    voxel_size : float
        Angstrom per voxel; three decimals are written.
    """

    user_id: str
    session_id: str | Literal["0"]
    name: str
    is_multilabel: bool
    is_instance: bool = False
    is_panoptic: bool = False
    voxel_size: float

    @model_validator(mode="after")
    def _one_type(self) -> Self:
        segmentation_type(self.is_multilabel, self.is_instance, self.is_panoptic)
        return self


__all__ = [
    "SEGMENTATION_TYPES",
    "CopickFeaturesMeta",
    "CopickMeshMeta",
    "CopickRunMeta",
    "CopickSegmentationMeta",
    "CopickTomogramMeta",
    "CopickVoxelSpacingMeta",
    "segmentation_type",
]
