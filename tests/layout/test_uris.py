"""CoPick's URIs, as copick reads and writes them."""

from __future__ import annotations

import pytest
from hypothesis import given

from aiocopick.errors import InvalidNameError
from aiocopick.layout.refs import (
    FeaturesRef,
    FilamentsRef,
    MeshRef,
    ObjectRef,
    PicksRef,
    Ref,
    RunRef,
    SegmentationRef,
    TomogramRef,
    VoxelSpacingRef,
)
from aiocopick.layout.uris import format_uri, parse_uri
from tests.layout.strategies import refs

NAMES = {"run": "r", "user_id": "pytom", "session_id": "0", "object_name": "ribosome"}
SEGMENTATION = {"run": "r", "voxel_size": 10, "user_id": "u", "session_id": "s", "name": "membrane"}
TOMOGRAM = TomogramRef(run="r", voxel_size=7.84, tomo_type="wbp")
FEATURES = FeaturesRef(run="r", voxel_size=10, tomo_type="wbp", feature_type="sobel")

WRITTEN: list[tuple[Ref, str]] = [
    (PicksRef(**NAMES), "ribosome:pytom/0"),
    (MeshRef(**NAMES), "ribosome:pytom/0"),
    (FilamentsRef(**NAMES), "ribosome:pytom/0"),
    (SegmentationRef(**SEGMENTATION), "membrane:u/s@10.0"),
    (SegmentationRef(**SEGMENTATION, is_multilabel=True), "membrane:u/s@10.0?multilabel=true"),
    (SegmentationRef(**SEGMENTATION, is_instance=True), "membrane:u/s@10.0?instance=true"),
    (SegmentationRef(**SEGMENTATION, is_panoptic=True), "membrane:u/s@10.0?panoptic=true"),
    (TOMOGRAM, "wbp@7.84"),
    (FEATURES, "wbp@10.0:sobel"),
    (VoxelSpacingRef(run="r", voxel_size=10), "*@10.0"),
    (RunRef(run="r"), "r"),
    (ObjectRef(name="ribosome"), "ribosome"),
]


@pytest.mark.parametrize(("ref", "uri"), WRITTEN, ids=[ref.kind + " " + uri for ref, uri in WRITTEN])
def test_uri_of_every_kind(ref: Ref, uri: str) -> None:
    assert format_uri(ref) == uri


@given(refs.filter(lambda ref: ref.kind not in ("run", "object", "voxel_spacing")))
def test_an_entity_matches_its_own_uri(ref: Ref) -> None:
    uri = format_uri(ref)
    if set(uri) & set("[@"):
        # Parts that look like patterns have to be asked for as such.
        return
    assert parse_uri(uri, ref.kind).matches(ref)


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("ribosome:pytom/0", "picks"),
        ("ribosome", "picks"),
        ("membrane:u/s@10", "segmentation"),
        ("membrane?multilabel=true", "segmentation"),
        ("wbp@10", "tomogram"),
        ("wbp@10:sobel", "features"),
        ("re:a.*:b", "picks"),
    ],
)
def test_the_form_says_the_kind(uri: str, kind: str) -> None:
    assert parse_uri(uri).kind == kind


@pytest.mark.parametrize(
    "uri",
    [
        "ribosome:pytom/0",
        "ribosome",
        "ribosome:pytom",
        "ribo*",
        "*:*/0",
        "*",
        " ribosome:py?om/[0-9] ",
        "re:ribo.+:py.*/\\d",
        ":pytom",
    ],
)
def test_patterns_that_match_picks(uri: str) -> None:
    pattern = parse_uri(uri)
    assert pattern.matches(PicksRef(**NAMES))
    assert not pattern.matches(MeshRef(**NAMES))


@pytest.mark.parametrize("uri", ["apo*", "ribosome:pytom/1", "Ribosome", "ribosome:pyto", "re:some", "ribo"])
def test_patterns_that_do_not_match_picks(uri: str) -> None:
    assert not parse_uri(uri).matches(PicksRef(**NAMES))


def test_the_kind_can_be_asked_for() -> None:
    assert parse_uri("ribosome:pytom/0", "mesh").matches(MeshRef(**NAMES))
    assert parse_uri("ribosome:pytom/0", "filaments").matches(FilamentsRef(**NAMES))
    assert parse_uri("wbp", "feature").matches(FEATURES)
    assert parse_uri("wbp", "tomogram").matches(TOMOGRAM)


@pytest.mark.parametrize(
    ("uri", "matches"),
    [
        ("wbp@7.84", True),
        ("wbp@7.840", True),
        ("wbp@7.8401", True),
        ("wbp@7.841", False),
        ("wbp@7*", True),
        ("wbp@8*", False),
    ],
)
def test_voxel_sizes_are_numbers_or_patterns(uri: str, matches: bool) -> None:
    assert parse_uri(uri).matches(TOMOGRAM) is matches


TYPES = {
    "binary": SegmentationRef(**SEGMENTATION),
    "multilabel": SegmentationRef(**SEGMENTATION, is_multilabel=True),
    "instance": SegmentationRef(**SEGMENTATION, is_instance=True),
    "panoptic": SegmentationRef(**SEGMENTATION, is_panoptic=True),
}


@pytest.mark.parametrize(
    ("query", "types"),
    [
        ("", {"binary", "multilabel"}),
        ("?multilabel=true", {"multilabel"}),
        ("?multilabel=false", {"binary"}),
        ("?instance=1", {"instance"}),
        ("?panoptic=YES", {"panoptic"}),
        ("?multilabel=true&colour=red", {"multilabel"}),
    ],
)
def test_segmentation_types(query: str, types: set[str]) -> None:
    pattern = parse_uri(f"membrane:u/s@10{query}", "segmentation")
    assert {type_ for type_, ref in TYPES.items() if pattern.matches(ref)} == types


@pytest.mark.parametrize(("uri", "is_pattern"), [("a:b/c", False), ("a:b", True), ("a?:b/c", True), ("re:a:b/c", True)])
def test_whether_a_uri_names_one_entity(uri: str, is_pattern: bool) -> None:
    assert parse_uri(uri).is_pattern is is_pattern


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("a:b:c", "picks"),
        ("wbp@10", "picks"),
        ("wbp@10.0", "meshes"),
        ("a:b:c@10", "segmentation"),
        ("a", "run"),
        ("a?multilabel=true&instance=true", "segmentation"),
        ("re:(", "picks"),
    ],
)
def test_texts_that_are_no_uris(uri: str, kind: str) -> None:
    with pytest.raises(InvalidNameError):
        parse_uri(uri, kind)


def test_an_object_may_have_an_at_in_its_name() -> None:
    for uri in ("wbp@10:*", "wbp@10:u/1", "wbp@home", "re:wbp@10"):
        assert parse_uri(uri, "picks").kind == "picks"
