"""Refs are equal, ordered and JSON-able as what they name."""

from __future__ import annotations

import itertools
import json
import pickle
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from aiocopick.errors import InvalidNameError
from aiocopick.layout.refs import (
    KINDS,
    NOUNS,
    REF_TYPES,
    FeaturesRef,
    ObjectRef,
    PicksRef,
    Ref,
    RunRef,
    SegmentationRef,
    TomogramRef,
    VoxelSpacingRef,
    maker,
    ref_from_json,
)
from tests.layout.strategies import refs


@given(refs)
def test_json_round_trip(ref: Ref) -> None:
    assert ref_from_json(json.loads(json.dumps(ref.to_json()))) == ref
    assert ref.to_json()["kind"] == ref.kind


@given(refs)
def test_refs_pickle_and_hash(ref: Ref) -> None:
    copy = pickle.loads(pickle.dumps(ref))
    assert copy == ref
    assert hash(copy) == hash(ref)


@given(st.lists(refs, max_size=6))
def test_order_is_total(several: list[Ref]) -> None:
    for first, second in itertools.product(several, several):
        assert (first < second) + (first == second) + (first > second) == 1
        assert (first <= second) == (first < second or first == second)
        assert (first >= second) == (not first < second)
    ordered = sorted(several)
    assert all(first <= second for first, second in itertools.pairwise(ordered))
    assert ordered == sorted(several, key=lambda ref: ref.sort_key)


def test_order_is_by_run_then_kind() -> None:
    expected = [
        RunRef(run="a"),
        VoxelSpacingRef(run="a", voxel_size=9),
        VoxelSpacingRef(run="a", voxel_size=10),
        TomogramRef(run="a", voxel_size=9, tomo_type="wbp"),
        PicksRef(run="a", user_id="u", session_id="0", object_name="o"),
        RunRef(run="b"),
        ObjectRef(name="a"),
    ]
    turned = expected[::-1]
    assert sorted(turned) == expected


def test_a_ref_does_not_compare_with_anything_else() -> None:
    with pytest.raises(TypeError):
        RunRef(run="a") < "a"  # type: ignore[operator]  # noqa: B015


@pytest.mark.parametrize(("one", "other"), [(10, 10.0004), (10.0, 9.9996), (1, True)])
def test_voxel_sizes_are_equal_at_three_decimals(one: float, other: float) -> None:
    first, second = (VoxelSpacingRef(run="r", voxel_size=size) for size in (one, other))
    assert first == second
    assert hash(first) == hash(second)
    assert type(second.voxel_size) is float


def test_voxel_sizes_differ_at_three_decimals() -> None:
    assert VoxelSpacingRef(run="r", voxel_size=10.001) != VoxelSpacingRef(run="r", voxel_size=10)


def test_kinds_differ_though_names_do_not() -> None:
    names = {"run": "r", "user_id": "u", "session_id": "s", "object_name": "o"}
    assert len({REF_TYPES[kind](**names) for kind in ("picks", "mesh", "filaments")}) == 3


@given(refs, st.text(min_size=1))
def test_a_ref_of_another_run_is_as_if_made_by_its_class(ref: Ref, run: str) -> None:
    if ref.kind != "object":
        made = maker(ref)(run)
        assert made == replace(ref, run=run)  # type: ignore[call-arg]
        assert hash(made) == hash(replace(ref, run=run))  # type: ignore[call-arg]
        assert made.sort_key == replace(ref, run=run).sort_key  # type: ignore[call-arg]


def test_parents() -> None:
    features = FeaturesRef(run="r", voxel_size=10, tomo_type="wbp", feature_type="f")
    spacing = VoxelSpacingRef(run="r", voxel_size=10)
    assert features.parent == TomogramRef(run="r", voxel_size=10, tomo_type="wbp")
    assert features.parent.parent == spacing
    assert spacing.parent == RunRef(run="r")
    assert PicksRef(run="r", user_id="u", session_id="s", object_name="o").parent == RunRef(run="r")
    assert RunRef(run="r").parent is None
    assert ObjectRef(name="o").parent is None


def test_a_segmentation_has_one_type() -> None:
    with pytest.raises(InvalidNameError, match="one type"):
        SegmentationRef(
            run="r", voxel_size=1, user_id="u", session_id="s", name="n", is_multilabel=True, is_instance=True
        )


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "rune", "run": "a"},
        {"kind": ["run"], "run": "a"},
        {"kind": "run"},
        {"kind": "run", "run": 1},
        {"kind": "run", "run": "a", "colour": "red"},
        {"kind": "voxel_spacing", "run": "a", "voxel_size": "10"},
    ],
)
def test_json_that_is_no_ref(data: dict[str, object]) -> None:
    with pytest.raises(InvalidNameError):
        ref_from_json(data)


def test_kinds_are_those_of_the_refs() -> None:
    assert tuple(REF_TYPES) == KINDS
    assert [REF_TYPES[kind].rank for kind in KINDS] == list(range(len(KINDS)))
    assert set(NOUNS.values()) == set(KINDS) - {"run", "object"}
