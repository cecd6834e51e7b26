"""What is wrong in a project."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.sample import sample_config, write_sample
from aiocopick.storage.backends.durability import temporary_name
from aiocopick.upkeep import examine

RUN = "ExperimentRuns/TS_001"


async def problems(root: AsyncRoot, **arguments: Any) -> list[tuple[str, str | None, str]]:
    found = await examine(root, **arguments)
    return [(finding.problem, finding.run, finding.path.removeprefix(f"{root.url}/")) for finding in found]


async def write(root: AsyncRoot, key: str, content: bytes) -> None:
    await root.layers[0].storage.write(key, content)  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_nothing_is_wrong_with_the_sample(sample: AsyncRoot) -> None:
    assert await problems(sample) == []


@pytest.mark.asyncio
async def test_nothing_is_wrong_with_an_empty_project() -> None:
    async with aiocopick.open("memory://no-project-at-all") as root:
        assert await problems(root) == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("key", "content", "problem"),
    [
        (f"{RUN}/Picks/nonsense.json", b"{}", "unparsable name"),
        (f"{RUN}/Segmentations/x_y.zarr/.zgroup", b"{}", "unparsable name"),
        (f"{RUN}/Picks/curator_2_ribosome.json/notes.txt", b"", "unparsable name"),
        (f"{RUN}/VoxelSpacingfine/notes.txt", b"", "unparsable name"),
        (f"{RUN}/VoxelSpacing10.0/notes.txt", b"", "unparsable name"),
        (f"{RUN}/Picks/curator_1_ribosome.json", b"{", "broken file"),
        (f"{RUN}/Picks/curator_1_ribosome.json", b'{"points": [{"location": {"x": "far"}}]}', "broken file"),
        (f"{RUN}/Meshes/curator_1_membrane.glb", b"glTF", "broken file"),
        (f"{RUN}/Filaments/curator_1_microtubule.json", b"[", "broken file"),
        (f"{RUN}/.meta", b'{"name": ', "broken metadata"),
        (f"{RUN}/VoxelSpacing10.000/.meta", b'{"voxel_size": "large"}', "broken metadata"),
        (f"{RUN}/VoxelSpacing10.000/wbp.zarr/.zattrs", b"{", "broken volume"),
        (f"{RUN}/Picks/curator_1_virus.json", b"[]", "unknown object"),
        (f"{RUN}/Picks/u_1_ribosome.json", b'[{"x": 1, "y": 1, "z": 401}]', "outside tomogram"),
        (f"{RUN}/Picks/u_1_ribosome.json", b'{"unit": "nanometer", "points": []}', "contradicting metadata"),
        (f"{RUN}/Picks/u_1_ribosome.json", b'{"unit": "pixel", "points": []}', "contradicting metadata"),
        (f"{RUN}/Picks/u_1_ribosome.json", b'[{"x": -0.1, "y": 1, "z": 1}]', "outside tomogram"),
    ],
)
async def test_each_problem_is_named_and_hides_no_other(
    sample: AsyncRoot, key: str, content: bytes, problem: str
) -> None:
    await write(sample, key, content)
    path = key.rpartition("/")[0] if "/.z" in key or key.endswith("/notes.txt") else key
    found = await problems(sample)
    assert [(what, run) for what, run, _ in found] == [(problem, "TS_001")]
    assert found[0][2].removesuffix("/.meta").startswith(path.removesuffix("/.meta"))
    await write(sample, "ExperimentRuns/TS_002/Picks/curator_1_ribosome.json", b"{")
    assert ("broken file", "TS_002") in [(what, run) for what, run, _ in await problems(sample)]


@pytest.mark.asyncio
async def test_points_at_the_border_are_inside(sample: AsyncRoot) -> None:
    run = await sample.get_run("TS_001")
    assert run is not None
    picks = await run.new_picks("ribosome", "7", user_id="u")
    await picks.from_numpy([[0, 0, 0], [800, 800, 400]])
    assert await problems(sample) == []
    # The centre of a particle is its location plus the translation of its transformation.
    shifted = np.tile(np.eye(4), (1, 1, 1))
    shifted[0, 0, 3] = 1
    await picks.from_numpy([[800, 800, 400]], shifted)
    (finding,) = await examine(sample)
    assert finding.problem == "outside tomogram"
    assert "1 of 1" in finding.detail


@pytest.mark.asyncio
async def test_a_run_without_tomograms_has_no_border(sample: AsyncRoot) -> None:
    run = await sample.new_run("TS_009")
    picks = await run.new_picks("ribosome", "7", user_id="u")
    await picks.from_numpy([[1e6, 0, 0]])
    assert await problems(sample) == []


@pytest.mark.asyncio
async def test_a_volume_that_was_not_finished_is_named(sample: AsyncRoot) -> None:
    run = await sample.get_run("TS_001")
    assert run is not None
    spacing = await run.new_voxel_spacing(5)
    await spacing.new_tomogram("denoised")
    storage = sample.layers[0].storage  # type: ignore[attr-defined]
    await storage.delete_tree("Objects/ribosome.zarr/0")
    assert await problems(sample) == [
        ("unfinished volume", None, "Objects/ribosome.zarr"),
        ("unfinished volume", "TS_001", f"{RUN}/VoxelSpacing5.000/denoised.zarr"),
    ]


@pytest.mark.asyncio
async def test_what_a_volume_lacks_that_is_there_in_part_is_said(sample: AsyncRoot) -> None:
    storage = sample.layers[0].storage  # type: ignore[attr-defined]
    await storage.delete_tree(f"{RUN}/VoxelSpacing10.000/wbp.zarr/0")
    (finding,) = await examine(sample)
    assert finding.problem == "missing level"
    assert "level '0' is missing; there is 1" in finding.detail


@pytest.mark.asyncio
async def test_features_whose_tomogram_is_gone_are_named(sample: AsyncRoot) -> None:
    storage = sample.layers[0].storage  # type: ignore[attr-defined]
    await storage.delete_tree(f"{RUN}/VoxelSpacing10.000/wbp.zarr")
    key = f"{RUN}/VoxelSpacing10.000/wbp_gradient_features.zarr"
    assert await problems(sample) == [("features without tomogram", "TS_001", key)]
    assert await problems(sample, kinds={"features"}) == [("features without tomogram", "TS_001", key)]
    assert await problems(sample, kinds={"picks"}) == []


@pytest.mark.asyncio
async def test_features_may_lie_in_another_layer_than_their_tomogram(sample: AsyncRoot) -> None:
    overlay = aiocopick.CopickConfigMultilayer(
        layers=[
            {"root": "memory://features-over", "layer_name": "over", "priority": 1},
            {"root": sample.url, "layer_name": "under", "read_only": True},
        ]
    )
    async with aiocopick.open(overlay) as root:
        run = await root.get_run("TS_001")
        assert run is not None
        spacing = await run.get_voxel_spacing(10.0)
        assert spacing is not None
        tomogram = await spacing.get_tomogram("wbp")
        assert tomogram is not None
        await (await tomogram.new_features("edges")).from_numpy(np.zeros((8, 8, 8), np.float32))
        assert await problems(root) == []
    async with aiocopick.open("memory://features-over") as alone:
        assert [what for what, _, _ in await problems(alone)] == ["features without tomogram"]


@pytest.mark.asyncio
async def test_metadata_of_the_project_is_read(sample: AsyncRoot) -> None:
    await write(sample, ".meta", b"{")
    assert await problems(sample) == [("broken metadata", None, ".meta")]
    assert await problems(sample, kinds={"picks"}) == []


@pytest.mark.asyncio
async def test_runs_and_kinds_restrict_it(sample: AsyncRoot) -> None:
    for run in ("TS_001", "TS_002"):
        await write(sample, f"ExperimentRuns/{run}/Picks/curator_1_ribosome.json", b"{")
        await write(sample, f"ExperimentRuns/{run}/Meshes/curator_1_membrane.glb", b"")
    found = await problems(sample, runs="TS_002", kinds={"picks"})
    assert found == [("broken file", "TS_002", "ExperimentRuns/TS_002/Picks/curator_1_ribosome.json")]
    assert await problems(sample, runs=["TS_099"]) == [("unreadable run", "TS_099", "ExperimentRuns/TS_099")]


@pytest.mark.asyncio
async def test_nothing_is_changed(sample: AsyncRoot) -> None:
    await write(sample, f"{RUN}/Picks/curator_1_ribosome.json", b"{")
    before = {verb: sample.stats.requests[verb] for verb in ("write", "delete", "copy")}
    await examine(sample)
    assert {verb: sample.stats.requests[verb] for verb in before} == before


@pytest.mark.asyncio
async def test_what_another_layer_hides_is_examined_as_well(tmp_path: Path) -> None:
    for name in ("over", "under"):
        async with aiocopick.open(sample_config(tmp_path / name)) as single:
            await write_sample(single, runs=1)
    config = {
        "config_type": "multilayer",
        "layers": [
            {"config_type": "filesystem", "root": str(tmp_path / "over"), "layer_name": "over", "priority": 1},
            {"config_type": "filesystem", "root": str(tmp_path / "under"), "layer_name": "under"},
        ],
        "pickable_objects": [item.model_dump() for item in sample_config(tmp_path).pickable_objects],
    }
    under = tmp_path / "under"
    async with aiocopick.open(config) as root:
        assert await examine(root) == []
        (under / RUN / "Picks/curator_1_ribosome.json").write_bytes(b"{")
        (under / RUN / "Picks/template-matching_0_ribosome.json").write_bytes(b'[{"x": -1, "y": 1, "z": 1}]')
        (under / RUN / ".meta").write_bytes(b'{"name": ')
        (under / RUN / "VoxelSpacing10.000/wbp.zarr/.zattrs").write_bytes(b"{")
        shutil.rmtree(under / "Objects/ribosome.zarr/0")
        found = {(finding.problem, Path(finding.path).relative_to(under).as_posix()) for finding in await examine(root)}
    assert found == {
        ("broken file", f"{RUN}/Picks/curator_1_ribosome.json"),
        ("outside tomogram", f"{RUN}/Picks/template-matching_0_ribosome.json"),
        ("broken metadata", f"{RUN}/.meta"),
        ("broken volume", f"{RUN}/VoxelSpacing10.000/wbp.zarr"),
        ("unfinished volume", "Objects/ribosome.zarr"),
    }


@pytest.mark.asyncio
async def test_temporary_files_of_killed_writes_are_named_and_left(tmp_path: Path) -> None:
    sample_on_disk = tmp_path / "sample"
    async with aiocopick.open(sample_config(sample_on_disk)) as root:
        await write_sample(root, runs=2)
    run = sample_on_disk / RUN
    left = [
        sample_on_disk / "ExperimentRuns" / temporary_name(),
        sample_on_disk / "Objects/ribosome.zarr" / temporary_name(),
        run / "Picks" / temporary_name(),
        run / "VoxelSpacing10.000/wbp.zarr/0/0" / temporary_name(),
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    (run / "Picks/again").symlink_to(run)
    async with aiocopick.open(sample_on_disk) as root:
        everything = await examine(root)
        assert [(item.problem, item.run) for item in everything] == [
            ("leftover temporary file", run_name) for run_name in (None, None, "TS_001", "TS_001")
        ]
        assert sorted(item.path for item in everything) == sorted(map(str, left))
        assert "4 bytes" in everything[0].detail
        assert [item.path for item in await examine(root, runs="TS_001")] == sorted(map(str, left[2:]))
        assert await examine(root, runs="TS_002") == []
        assert await examine(root, kinds=["picks"]) == []
    assert all(path.exists() for path in left)


@pytest.mark.asyncio
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
async def test_coordinates_that_are_no_numbers_are_found_without_a_tomogram(value: str) -> None:
    async with aiocopick.open(sample_config("memory://" + uuid.uuid4().hex)) as root:
        run = await root.new_run("TS_001")
        item = await run.new_picks("ribosome", "1", user_id="u")
        await write(root, item.key, f'[{{"x": 1, "y": 2, "z": 3}}, {{"x": 1, "y": {value}, "z": 3}}]'.encode())
        (finding,) = await examine(root)
        assert (finding.problem, finding.run, finding.path) == ("not finite", "TS_001", item.path)
        assert finding.detail.startswith(
            "1 of 2 points have coordinates that are not finite numbers; the first is number 1"
        )
        # A broken tomogram is a finding of its own and hides none of the points.
        await write(root, f"{RUN}/VoxelSpacing10.000/wbp.zarr/.zattrs", b"{")
        assert sorted(problem for problem, _, _ in await problems(root)) == ["broken volume", "not finite"]
