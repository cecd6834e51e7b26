"""The oracle itself: copick's projects hold what they should, and describing one changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interop.environments import STABLE, RegistryUnreachableError, interpreter, is_made
from tests.interop.project import CopickProject, describe, describe_once
from tests.servers import MotoServer

KINDS = ("voxel_spacings", "picks", "meshes", "segmentations", "filaments")


def errors_in(description: Any) -> list[str]:
    """Every failure of copick in a description."""
    if isinstance(description, dict):
        below = [error for value in description.values() for error in errors_in(value)]
        return [description["error"], *below] if "error" in description else below
    return [error for value in description for error in errors_in(value)] if isinstance(description, list) else []


def run_named(description: dict[str, Any], name: str) -> dict[str, Any]:
    [run] = [run for run in description["runs"] if run["name"] == name]
    found: dict[str, Any] = run
    return found


def files_of(project: CopickProject) -> list[str]:
    return sorted(path.relative_to(project.folder).as_posix() for path in project.folder.rglob("*"))


def test_an_unreachable_registry_is_told_from_other_failures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIOCOPICK_TEST_CACHE", str(tmp_path))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(RegistryUnreachableError, match=r"copick==1\.31\.0"):
        interpreter(STABLE)
    assert not is_made(STABLE)


def test_the_project_has_every_kind_of_entity(copick1_project: CopickProject, copick1_python: Path) -> None:
    said = describe_once(copick1_python, copick1_project)
    assert said["copick"] == "1.31.0"
    assert errors_in(said) == []
    assert len(said["runs"]) == 30
    assert all(run[kind] for run in said["runs"] for kind in KINDS if kind != "filaments")
    assert any(run["filaments"] for run in said["runs"])
    assert {segmentation["type"] for run in said["runs"] for segmentation in run["segmentations"]} == {
        "binary",
        "multilabel",
        "instance",
        "panoptic",
    }
    tomograms = [
        tomogram for run in said["runs"] for spacing in run["voxel_spacings"] for tomogram in spacing["tomograms"]
    ]
    assert {tomogram["tomo_type"] for tomogram in tomograms} == {"wbp", "denoised", "chunked"}
    features = [features for tomogram in tomograms for features in tomogram["features"]]
    assert {len(found["volume"]["levels"][0]["shape"]) for found in features} == {3, 4}
    assert [found["name"] for found in said["objects"] if found["volume"]] == ["ribosome", "beta-amylase"]


def test_picks_have_random_rotations_ids_and_scores(copick1_project: CopickProject, copick1_python: Path) -> None:
    picks = [picks for run in describe_once(copick1_python, copick1_project)["runs"] for picks in run["picks"]]
    assert {found["session_id"] for found in picks} >= {"0", "17", "empty"}
    rotations = np.concatenate([np.array(found["transforms"]) for found in picks if found["positions"]])[:, :3, :3]
    assert np.allclose(rotations @ np.swapaxes(rotations, 1, 2), np.eye(3))
    assert np.allclose(np.linalg.det(rotations), 1)
    assert len({score for found in picks for score in found["scores"]}) > 1000
    assert {identifier for found in picks for identifier in found["instance_ids"]} == {0, 1, 2, 3, 4}


def test_one_volume_has_more_than_1000_chunks(copick1_project: CopickProject) -> None:
    level = copick1_project.root / "ExperimentRuns/TS_017/VoxelSpacing10.000/chunked.zarr/0"
    assert sum(path.is_file() for path in level.rglob("[0-9]*")) == 11**3


def test_both_copicks_find_the_same(copick1_project: CopickProject, copick1_python: Path, copick2_python: Path) -> None:
    first = describe_once(copick1_python, copick1_project)
    second = describe_once(copick2_python, copick1_project)
    assert first["runs"] == second["runs"]
    assert first["objects"] == second["objects"]


def test_both_copicks_write_the_same_values(
    copick1_project: CopickProject, copick2_project: CopickProject, copick1_python: Path, copick2_python: Path
) -> None:
    """Only the metadata and the chunks of volumes differ between zarr 2 and zarr 3."""

    def values(description: Any) -> Any:
        if isinstance(description, dict):
            return {key: values(value) for key, value in description.items() if key not in ("attributes", "chunks")}
        return [values(value) for value in description] if isinstance(description, list) else description

    second = describe_once(copick2_python, copick2_project)
    assert errors_in(second) == []
    assert values(second["runs"]) == values(describe_once(copick1_python, copick1_project)["runs"])


def test_describing_changes_nothing(copick1_odd_project: CopickProject, copick1_python: Path, tmp_path: Path) -> None:
    project = copick1_odd_project.copy_to(tmp_path / "odd")
    # The plain runs hold nothing that TS_001 does not, and reading them all takes long.
    for run in (project.root / "ExperimentRuns").glob("TS_*[02-9]"):
        shutil.rmtree(run)
    before = files_of(project)
    describe(copick1_python, project.config)
    assert files_of(project) == before


def test_what_copick_makes_of_the_oddities(copick1_odd_project: CopickProject, copick1_python: Path) -> None:
    """Where copick fails or differs; what we make of the same is for the tests of our own listing."""
    said = describe_once(copick1_python, copick1_odd_project)
    assert len(said["runs"]) == 30 + 18
    failing = {
        (run["name"], kind)
        for run in said["runs"]
        for kind in KINDS
        if isinstance(run[kind], dict) and run[kind]["error"]
    }
    assert failing == {
        ("odd-picks-names", "picks"),
        ("odd-mesh-names", "meshes"),
        ("odd-spacing-name", "voxel_spacings"),
    }
    assert [found["object_name"] for found in run_named(said, "odd-underscores")["picks"]] == ["large"]
    [spacing] = run_named(said, "odd-features")["voxel_spacings"]
    assert {
        tomogram["tomo_type"]: [found["feature_type"] for found in tomogram["features"]]
        for tomogram in spacing["tomograms"]
    } == {"wbp": ["ctf_edges", "edges"], "wbp_ctf": ["edges"]}
    assert len(run_named(said, "odd-link")["picks"]) == 1


def test_the_project_lies_on_s3_as_well(
    copick1_project: CopickProject, copick1_python: Path, moto_server: MotoServer, tmp_path: Path
) -> None:
    bucket = moto_server.new_bucket()
    names = ["TS_001", "TS_002", "Krios-µ"]
    for name in names:
        run = copick1_project.root / "ExperimentRuns" / name
        moto_server.seed_folder(bucket, run, prefix=f"data/project/ExperimentRuns/{name}/")
    config = copick1_project.write_config(tmp_path / "s3.json", f"s3://{bucket}/data/project", moto_server.fs_args())
    on_s3 = describe(copick1_python, config, data=False)
    on_disk = describe(copick1_python, copick1_project.config, data=False)
    assert on_s3["runs"] == [run_named(on_disk, name) for name in sorted(names)]
