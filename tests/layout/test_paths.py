"""Paths of every entity, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from aiocopick.errors import InvalidNameError
from aiocopick.layout.paths import (
    directory_of,
    format_size,
    key_of,
    meta_key,
    parse_key,
    parse_size,
    run_key,
    segmentation_folder,
)
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
from tests.layout.strategies import refs

PICKS = {"run": "TS_1", "user_id": "pytom", "session_id": "0", "object_name": "ribosome"}
SEGMENTATION = {"run": "TS_1", "voxel_size": 10, "user_id": "u", "session_id": "s", "name": "membrane"}

PATHS: list[tuple[Ref, str]] = [
    (RunRef(run="TS_1"), "ExperimentRuns/TS_1"),
    (RunRef(run="x.zarr"), "ExperimentRuns/x.zarr"),
    (VoxelSpacingRef(run="TS_1", voxel_size=10), "ExperimentRuns/TS_1/VoxelSpacing10.000"),
    (VoxelSpacingRef(run="TS_1", voxel_size=7.8444), "ExperimentRuns/TS_1/VoxelSpacing7.844"),
    (TomogramRef(run="TS_1", voxel_size=10, tomo_type="wbp"), "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr"),
    (
        TomogramRef(run="TS_1", voxel_size=10, tomo_type="wbp-features-x"),
        "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp-features-x.zarr",
    ),
    (
        FeaturesRef(run="TS_1", voxel_size=10, tomo_type="wbp", feature_type="sobel"),
        "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp_sobel_features.zarr",
    ),
    (PicksRef(**PICKS), "ExperimentRuns/TS_1/Picks/pytom_0_ribosome.json"),
    (MeshRef(**PICKS), "ExperimentRuns/TS_1/Meshes/pytom_0_ribosome.glb"),
    (FilamentsRef(**PICKS), "ExperimentRuns/TS_1/Filaments/pytom_0_ribosome.json"),
    (SegmentationRef(**SEGMENTATION), "ExperimentRuns/TS_1/Segmentations/10.000_u_s_membrane.zarr"),
    (
        SegmentationRef(**SEGMENTATION, is_multilabel=True),
        "ExperimentRuns/TS_1/Segmentations/10.000_u_s_membrane-multilabel.zarr",
    ),
    (
        SegmentationRef(**SEGMENTATION, is_instance=True),
        "ExperimentRuns/TS_1/InstanceSegmentations/10.000_u_s_membrane.zarr",
    ),
    (
        SegmentationRef(**SEGMENTATION, is_panoptic=True),
        "ExperimentRuns/TS_1/PanopticSegmentations/10.000_u_s_membrane.zarr",
    ),
    (ObjectRef(name="ribosome"), "Objects/ribosome.zarr"),
]


@pytest.mark.parametrize(("ref", "key"), PATHS, ids=[key for _, key in PATHS])
def test_path_of_every_kind(ref: Ref, key: str) -> None:
    assert key_of(ref) == key
    assert parse_key(key) == ref


@given(refs)
def test_parse_is_the_inverse_of_path(ref: Ref) -> None:
    assert parse_key(key_of(ref)) == ref


# What others wrote is read, though it would be written differently.
READ = [
    ("VoxelSpacing5", VoxelSpacingRef(run="r", voxel_size=5)),
    ("VoxelSpacing5.0", VoxelSpacingRef(run="r", voxel_size=5)),
    ("VoxelSpacing.5", VoxelSpacingRef(run="r", voxel_size=0.5)),
    ("Picks/u_s_a_b_c.json", PicksRef(run="r", user_id="u", session_id="s", object_name="a_b_c")),
    ("Picks/u_s_a.json.json", PicksRef(run="r", user_id="u", session_id="s", object_name="a.json")),
    ("Picks/u_.s_a.json", PicksRef(run="r", user_id="u", session_id=".s", object_name="a")),
    (
        "Segmentations/10_u_0_x.zarr",
        SegmentationRef(run="r", voxel_size=10, user_id="u", session_id="0", name="x"),
    ),
    (
        "Segmentations/10.000_u_0_a_b.zarr",
        SegmentationRef(run="r", voxel_size=10, user_id="u", session_id="0", name="a_b"),
    ),
    (
        "Segmentations/10.000_u_0_a-multilabel-b.zarr",
        SegmentationRef(run="r", voxel_size=10, user_id="u", session_id="0", name="a-multilabel-b"),
    ),
    (
        "InstanceSegmentations/10.000_u_0_a-multilabel.zarr",
        SegmentationRef(run="r", voxel_size=10, user_id="u", session_id="0", name="a-multilabel", is_instance=True),
    ),
    ("VoxelSpacing10.000/a.b.zarr", TomogramRef(run="r", voxel_size=10, tomo_type="a.b")),
    ("VoxelSpacing10.000/a_features_x.zarr", TomogramRef(run="r", voxel_size=10, tomo_type="a_features_x")),
    (
        "VoxelSpacing10.000/a_b_c_features.zarr",
        FeaturesRef(run="r", voxel_size=10, tomo_type="a", feature_type="b_c"),
    ),
]


@pytest.mark.parametrize(("key", "ref"), READ, ids=[key for key, _ in READ])
def test_names_that_others_write_are_read(key: str, ref: Ref) -> None:
    assert parse_key(f"ExperimentRuns/r/{key}") == ref


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ExperimentRuns",
        "ExperimentRuns/",
        "ExperimentRuns/.hidden",
        "ExperimentRuns/..",
        "ExperimentRuns/r/.meta",
        "ExperimentRuns/r/Picks",
        "ExperimentRuns/r/frames/a.tif",
        "ExperimentRuns/r/VoxelSpacing",
        "ExperimentRuns/r/VoxelSpacingfoo",
        "ExperimentRuns/r/VoxelSpacingnan",
        "ExperimentRuns/r/VoxelSpacinginf",
        "ExperimentRuns/r/VoxelSpacing-1",
        "ExperimentRuns/r/VoxelSpacing0.000",
        "ExperimentRuns/r/VoxelSpacing1_0",
        "ExperimentRuns/r/VoxelSpacing1e3",
        "ExperimentRuns/r/VoxelSpacing\u0661",
        "ExperimentRuns/r/VoxelSpacing10.000/.zarr",
        "ExperimentRuns/r/VoxelSpacing10.000/.a.zarr",
        "ExperimentRuns/r/VoxelSpacing10.000/a.mrc",
        "ExperimentRuns/r/VoxelSpacing10.000/a_features.zarr",
        "ExperimentRuns/r/VoxelSpacing10.000/_features.zarr",
        "ExperimentRuns/r/VoxelSpacing10.000/_a_features.zarr",
        "ExperimentRuns/r/Picks/u_s.json",
        "ExperimentRuns/r/Picks/u_s_.json",
        "ExperimentRuns/r/Picks/_s_o.json",
        "ExperimentRuns/r/Picks/u__o.json",
        "ExperimentRuns/r/Picks/u_s_o.JSON",
        "ExperimentRuns/r/Picks/.u_s_o.json",
        "ExperimentRuns/r/Meshes/u_s_o.json",
        "ExperimentRuns/r/Segmentations/u_s_o.zarr",
        "ExperimentRuns/r/Segmentations/ten_u_s_o.zarr",
        "ExperimentRuns/r/Segmentations/10.000_u_s.zarr",
        "ExperimentRuns/r/Segmentations/10.000_u_s_-multilabel.zarr",
        "ExperimentRuns/r/VoxelSpacing10.000/a.zarr/0",
        "Objects",
        "Objects/.zarr",
        "Objects/.a.zarr",
        "Objects/a.mrc",
        "Objects/a.zarr/0",
        "other/a",
    ],
)
def test_keys_at_which_no_entity_lies(key: str) -> None:
    assert parse_key(key) is None


@pytest.mark.parametrize(
    "ref",
    [
        RunRef(run="a/b"),
        RunRef(run=".."),
        RunRef(run=".a"),
        RunRef(run=""),
        RunRef(run="a\0"),
        RunRef(run="\ud800"),
        RunRef(run="x" * 256),
        TomogramRef(run="r", voxel_size=1, tomo_type="../a"),
        TomogramRef(run="r", voxel_size=1, tomo_type="a_features"),
        TomogramRef(run="r", voxel_size=1, tomo_type=""),
        FeaturesRef(run="r", voxel_size=1, tomo_type="a", feature_type=""),
        PicksRef(run="r", user_id="a_b", session_id="s", object_name="o"),
        PicksRef(run="r", user_id="u", session_id="a_b", object_name="o"),
        PicksRef(run="r", user_id="", session_id="s", object_name="o"),
        PicksRef(run="r", user_id="u", session_id="s", object_name=""),
        PicksRef(run="r", user_id=".u", session_id="s", object_name="o"),
        PicksRef(run="r", user_id="u", session_id="s", object_name="a/b"),
        PicksRef(run="r", user_id="u" * 250, session_id="s", object_name="o"),
        SegmentationRef(run="r", voxel_size=1, user_id="u", session_id="s", name="a-multilabel"),
        SegmentationRef(run="r", voxel_size=1, user_id="u", session_id="s", name=""),
        SegmentationRef(run="r", voxel_size=0, user_id="u", session_id="s", name="a"),
        VoxelSpacingRef(run="r", voxel_size=0),
        VoxelSpacingRef(run="r", voxel_size=-1),
        VoxelSpacingRef(run="r", voxel_size=float("nan")),
        VoxelSpacingRef(run="r", voxel_size=float("inf")),
        ObjectRef(name=""),
        ObjectRef(name=".a"),
    ],
    ids=repr,
)
def test_refs_without_a_path(ref: Ref) -> None:
    with pytest.raises(InvalidNameError):
        key_of(ref)


@given(st.floats(min_value=0.001, max_value=1e12))
def test_sizes_read_as_they_were_written(size: float) -> None:
    assert parse_size(format_size(size)) == round(size, 3)


def test_directories() -> None:
    run = RunRef(run="r")
    assert directory_of(run, "picks") == "ExperimentRuns/r/Picks"
    assert directory_of(run, "mesh") == "ExperimentRuns/r/Meshes"
    assert directory_of(run, "filaments") == "ExperimentRuns/r/Filaments"
    assert directory_of(run, "segmentation") == "ExperimentRuns/r/Segmentations"
    assert directory_of(run, "segmentation", segmentation_type="panoptic") == "ExperimentRuns/r/PanopticSegmentations"
    assert directory_of(run, "voxel_spacing") == "ExperimentRuns/r"
    spacing = VoxelSpacingRef(run="r", voxel_size=10)
    assert directory_of(spacing, "tomogram") == directory_of(spacing, "features") == key_of(spacing)
    assert meta_key(run_key("r")) == "ExperimentRuns/r/.meta"
    assert segmentation_folder("multilabel") == segmentation_folder("binary") == "Segmentations"
    assert segmentation_folder("instance") == "InstanceSegmentations"
