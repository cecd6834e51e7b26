"""What entries of a storage mean; every odd name of the format."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given, strategies as st

from aiocopick.layout.listing import Listing, Located, parse_objects, parse_run, parse_runs
from aiocopick.layout.paths import key_of
from aiocopick.layout.refs import (
    FeaturesRef,
    ObjectRef,
    PicksRef,
    Ref,
    RunRef,
    SegmentationRef,
    VoxelSpacingRef,
)
from tests.layout.strategies import refs

RUN = RunRef(run="r")
IN_SPACINGS = ("tomogram", "features")


class Line(NamedTuple):
    key: str
    is_prefix: bool = False
    size: int | None = None
    etag: str | None = None
    modified: float | None = None


def listed(*names: str, run: str = "r") -> Listing:
    """The listing of a run with these entries; a trailing ``/`` marks a directory."""
    lines = [Line(f"ExperimentRuns/{run}/{name.rstrip('/')}", is_prefix=name.endswith("/")) for name in names]
    return parse_run(RunRef(run=run), lines)


def found(listing: Listing) -> list[Ref]:
    return [located.ref for located in listing.located]


def skipped(listing: Listing) -> list[str]:
    return [key.removeprefix("ExperimentRuns/r/") for key in listing.skipped]


def test_runs_are_directories_in_order() -> None:
    lines = [
        Line("ExperimentRuns/b", is_prefix=True),
        Line("ExperimentRuns/a-1", is_prefix=True),
        Line("ExperimentRuns/a", is_prefix=True),
        Line("ExperimentRuns/x.zarr", is_prefix=True),
        Line("ExperimentRuns/notes.txt"),
        Line("ExperimentRuns/.hidden", is_prefix=True),
        Line("ExperimentRuns/.meta"),
        Line("ExperimentRuns/c/Picks/u_s_o.json"),
        Line("ExperimentRuns/c/.meta"),
        Line("Objects/a.zarr", is_prefix=True),
    ]
    listing = parse_runs(lines)
    assert [located.key for located in listing.located] == [
        f"ExperimentRuns/{name}" for name in ("a", "a-1", "b", "c", "x.zarr")
    ]
    assert listing.skipped == ()


def test_objects_are_volumes() -> None:
    lines = [
        Line("Objects/b.zarr", is_prefix=True),
        Line("Objects/a.zarr/.zattrs"),
        Line("Objects/a.zarr/0/0"),
        Line("Objects/c.zarr"),
        Line("Objects/.d.zarr", is_prefix=True),
        Line("Objects/.zarr", is_prefix=True),
        Line("Objects/map.mrc"),
    ]
    listing = parse_objects(lines)
    assert listing.located == (
        Located(ObjectRef(name="a"), "Objects/a.zarr"),
        Located(ObjectRef(name="b"), "Objects/b.zarr"),
    )
    assert listing.skipped == ("Objects/c.zarr",)


def lines_of(ref: Ref, *, walked: bool) -> list[Line]:
    """The entries of an entity, volumes walked or collapsed."""
    key = key_of(ref)
    if ref.kind in ("picks", "mesh", "filaments"):
        return [Line(key)]
    if ref.kind == "voxel_spacing":
        return [Line(f"{key}/.meta")]
    return [Line(f"{key}/.zattrs"), Line(f"{key}/0/0/0/0")] if walked else [Line(key, is_prefix=True)]


@given(st.lists(refs, max_size=12))
def test_collapsed_and_walked_listings_mean_the_same(several: list[Ref]) -> None:
    for run in {ref.run for ref in several if hasattr(ref, "run")}:
        own = {ref for ref in several if getattr(ref, "run", None) == run and ref.kind != "run"}
        spacings = {VoxelSpacingRef(run=run, voxel_size=ref.voxel_size) for ref in own if ref.kind in IN_SPACINGS}  # type: ignore[attr-defined]
        listing = parse_run(RunRef(run=run), [line for ref in own for line in lines_of(ref, walked=True)])
        assert found(listing) == sorted(own | spacings)
        assert listing.skipped == ()
        assert parse_run(RunRef(run=run), [line for ref in own for line in lines_of(ref, walked=False)]) == listing


def test_files_keep_what_the_listing_says() -> None:
    line = Line("ExperimentRuns/r/Picks/u_0_o.json", size=7, etag="e", modified=1.5)
    ref = PicksRef(run="r", user_id="u", session_id="0", object_name="o")
    assert parse_run(RUN, [line]).located == (Located(ref, line.key, 7, "e", 1.5),)


@given(st.lists(refs, max_size=12), st.sampled_from(["a", "b.zarr", "ä" * 120, "x" * 300]))
def test_runs_that_hold_the_same_names_are_told_apart(several: list[Ref], other: str) -> None:
    for run in {ref.run for ref in several if hasattr(ref, "run")}:
        own = {ref for ref in several if getattr(ref, "run", None) == run and ref.kind != "run"}
        lines = [line for ref in own for line in lines_of(ref, walked=False)]
        moved = [
            Line(line.key.replace(f"ExperimentRuns/{run}/", f"ExperimentRuns/{other}/", 1), line.is_prefix, number, "e")
            for number, line in enumerate(lines)
        ]
        first, second = parse_run(RunRef(run=run), lines), parse_run(RunRef(run=other), moved)
        assert [replace(ref, run=other) for ref in found(first)] == found(second)  # type: ignore[call-arg]
        by_key = {line.key: line for line in moved}
        for located in second.located:
            line = by_key.get(located.key)
            if line is not None and not line.is_prefix:
                assert (located.size, located.etag) == (line.size, "e")


def test_a_run_of_any_length_is_understood() -> None:
    names = [f"Picks/u_{session:04d}_o.json" for session in range(1000)]
    listing = listed(*names, "Picks/nothing.json")
    assert [located.key.removeprefix("ExperimentRuns/r/") for located in listing.located] == names
    assert skipped(listing) == ["Picks/nothing.json"]


def test_entities_keep_the_path_they_were_listed_under() -> None:
    listing = listed("VoxelSpacing5/", "VoxelSpacing5/wbp.zarr/", "Segmentations/10_u_0_x.zarr/")
    assert [located.key.removeprefix("ExperimentRuns/r/") for located in listing.located] == [
        "VoxelSpacing5",
        "VoxelSpacing5/wbp.zarr",
        "Segmentations/10_u_0_x.zarr",
    ]


def test_a_name_that_cannot_be_parsed_does_not_hide_its_neighbours() -> None:
    listing = listed(
        "Picks/u_s.json",
        "Picks/u_s_o.json",
        "Meshes/mesh.glb",
        "Segmentations/membrane.zarr/",
        "Segmentations/10.000_u_s_o.zarr/",
        "VoxelSpacingbin4/",
        "VoxelSpacing10.000/_features.zarr/",
        "VoxelSpacing10.000/wbp.zarr/",
    )
    assert [ref.kind for ref in found(listing)] == ["voxel_spacing", "tomogram", "picks", "segmentation"]
    assert skipped(listing) == [
        "Meshes/mesh.glb",
        "Picks/u_s.json",
        "Segmentations/membrane.zarr",
        "VoxelSpacing10.000/_features.zarr",
        "VoxelSpacingbin4",
    ]


def test_what_is_no_entity_is_passed_over() -> None:
    listing = listed(
        ".meta",
        "frames/",
        "frames/0001.tif",
        "frames/a.zarr/",
        "TS.mdoc",
        "Picks/",
        "Picks/notes.txt",
        "Picks/.u_s_o.json",
        "Picks/old/u_s_o.json",
        "Segmentations/.10.000_u_s_o.zarr/",
        "VoxelSpacing10.000",
        "InstanceSegmentations/readme",
    )
    assert listing == Listing()


def test_a_file_named_like_a_volume_is_none() -> None:
    listing = listed(
        "VoxelSpacing10.000/wbp.zarr", "VoxelSpacing10.000/wbp_a_features.zarr", "Segmentations/1_u_s_o.zarr"
    )
    assert [ref.kind for ref in found(listing)] == ["voxel_spacing"]
    assert len(listing.skipped) == 3


def test_a_voxel_spacing_is_there_when_anything_in_it_is() -> None:
    assert found(listed("VoxelSpacing10.000/.meta")) == [VoxelSpacingRef(run="r", voxel_size=10)]


def test_a_run_called_like_a_volume() -> None:
    listing = listed("Picks/u_s_o.json", "VoxelSpacing10.000/wbp.zarr/", run="x.zarr")
    assert [ref.run for ref in found(listing)] == ["x.zarr"] * 3  # type: ignore[attr-defined]


def test_another_runs_entries_are_passed_over() -> None:
    assert parse_run(RUN, [Line("ExperimentRuns/r2/Picks/u_s_o.json"), Line("ExperimentRuns/r", True)]) == Listing()


def features(listing: Listing) -> list[tuple[str, str]]:
    return [(ref.tomo_type, ref.feature_type) for ref in found(listing) if isinstance(ref, FeaturesRef)]


@pytest.mark.parametrize(
    ("tomograms", "name", "owner"),
    [
        (["wbp"], "wbp_sobel", ("wbp", "sobel")),
        (["wbp"], "wbp_sobel_x", ("wbp", "sobel_x")),
        (["wbp", "wbp_sobel"], "wbp_sobel_x", ("wbp_sobel", "x")),
        (["wbp", "wbp_sobel"], "wbp_sobel", ("wbp", "sobel")),
        (["wbp", "wbp_s"], "wbp_sobel_x", ("wbp", "sobel_x")),
        (["w"], "wbp_sobel", ("wbp", "sobel")),
        ([], "wbp_sobel_x", ("wbp", "sobel_x")),
        (["wbp_"], "wbp__x", ("wbp_", "x")),
        (["wbp_features"], "wbp_x", ("wbp", "x")),
    ],
)
def test_a_feature_map_belongs_to_the_longest_tomogram_type(
    tomograms: list[str], name: str, owner: tuple[str, str]
) -> None:
    names = [f"VoxelSpacing10.000/{tomo_type}.zarr/" for tomo_type in tomograms]
    features_first = listed(f"VoxelSpacing10.000/{name}_features.zarr/", *names)
    features_last = listed(*names, f"VoxelSpacing10.000/{name}_features.zarr/")
    assert owner in features(features_first)
    assert features_first == features_last


def test_tomograms_of_another_voxel_size_own_nothing() -> None:
    listing = listed("VoxelSpacing5.000/wbp_a.zarr/", "VoxelSpacing10.000/wbp_a_b_features.zarr/")
    assert features(listing) == [("wbp", "a_b")]


def test_only_a_name_that_ends_in_features_is_a_feature_map() -> None:
    listing = listed("VoxelSpacing10.000/wbp-features.zarr/", "VoxelSpacing10.000/wbp_features_2.zarr/")
    assert [ref.kind for ref in found(listing)] == ["voxel_spacing", "tomogram", "tomogram"]


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_spellings_of_a_voxel_size_the_canonical_one_is_kept(turned: bool) -> None:
    names = [
        "VoxelSpacing10/",
        "VoxelSpacing10.000/",
        "VoxelSpacing10/wbp.zarr/",
        "VoxelSpacing10.000/wbp.zarr/",
        "VoxelSpacing10/denoised.zarr/",
        "VoxelSpacing10/wbp_a_features.zarr/",
        "Segmentations/10.0_u_s_o.zarr/",
        "Segmentations/10.000_u_s_o.zarr/",
        "Segmentations/10_u_s_o.zarr/",
    ]
    listing = listed(*(reversed(names) if turned else names))
    assert [located.key.removeprefix("ExperimentRuns/r/") for located in listing.located] == [
        "VoxelSpacing10.000",
        "VoxelSpacing10/denoised.zarr",
        "VoxelSpacing10.000/wbp.zarr",
        "VoxelSpacing10/wbp_a_features.zarr",
        "Segmentations/10.000_u_s_o.zarr",
    ]
    assert skipped(listing) == [
        "Segmentations/10.0_u_s_o.zarr",
        "Segmentations/10_u_s_o.zarr",
        "VoxelSpacing10",
        "VoxelSpacing10/wbp.zarr",
    ]


def test_segmentations_of_every_type() -> None:
    listing = listed(
        "Segmentations/10.000_u_s_o.zarr/",
        "Segmentations/10.000_u_s_o-multilabel.zarr/",
        "InstanceSegmentations/10.000_u_s_o.zarr/",
        "PanopticSegmentations/10.000_u_s_o.zarr/",
    )
    types = [ref.segmentation_type for ref in found(listing) if isinstance(ref, SegmentationRef)]
    assert sorted(types) == ["binary", "instance", "multilabel", "panoptic"]


def test_directories_that_are_called_like_files_are_told() -> None:
    for names in (("Picks/a_1_x.json/",), ("Picks/a_1_x.json/inside", "Picks/a_1_x.json/.meta")):
        assert skipped(listed(*names)) == ["Picks/a_1_x.json"]
        assert found(listed(*names)) == []
    neighbour = PicksRef(run="r", user_id="b", session_id="1", object_name="x")
    assert found(listed("Picks/a_1_x.json/", "Picks/b_1_x.json", "Meshes/notes/")) == [neighbour]
    # An object store can hold both, and then the file is what its name says.
    both = listed("Picks/b_1_x.json", "Picks/b_1_x.json/inside")
    assert found(both) == [neighbour]
    assert skipped(both) == []
