"""Metadata of entities."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from aiocopick.models import CopickRunMeta, CopickSegmentationMeta
from aiocopick.models.metadata import SEGMENTATION_TYPES, segmentation_type


def test_unknown_keys_are_kept() -> None:
    assert CopickRunMeta.model_validate({"name": "a", "tilt": [1]}).model_dump() == {"name": "a", "tilt": [1]}


def test_types_of_segmentations() -> None:
    types = [
        segmentation_type(),
        segmentation_type(True),
        segmentation_type(False, True),
        segmentation_type(False, False, True),
    ]
    assert tuple(types) == SEGMENTATION_TYPES
    with pytest.raises(ValidationError, match="one type"):
        CopickSegmentationMeta(
            user_id="u", session_id="s", name="n", is_multilabel=True, is_panoptic=True, voxel_size=10
        )
