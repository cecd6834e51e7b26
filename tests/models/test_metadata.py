"""Metadata of entities."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from aiocopick.models import CopickConfigFS, CopickRunMeta, CopickSegmentationMeta, PickableObject
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


def test_numbers_that_are_not_finite_are_not_written_as_null() -> None:
    for value in (float("nan"), float("inf"), -float("inf")):
        for model in (
            CopickRunMeta(name="TS_1", tilt=[value]),  # type: ignore[call-arg]
            PickableObject(name="a", is_particle=True, metadata={"w": {"x": value}}),
            CopickConfigFS(root="memory://x", user_id="u", extra=value),  # type: ignore[call-arg]
        ):
            assert repr(value) in repr(model.model_dump(mode="json"))
            assert repr(json.loads(model.model_dump_json())) == repr(model.model_dump(mode="json"))
