"""What we find and read in projects written by copick, beside what copick finds and reads there: the same.

Where it is not the same, DIFFERENT says why; everything that is not in that table has to be equal, and everything in it
has to differ.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import aiocopick
from tests.interop.describe_project import Description, describe_ours, describe_run, names_only, without
from tests.interop.project import CopickProject, describe_once

Source = dict[str, Any]
Place = Callable[[CopickProject], Source]

VOLUMES = ("voxel_spacings", "segmentations")

NOTHING: Description = {"voxel_spacings": {}, "picks": [], "meshes": [], "segmentations": [], "filaments": []}

# What the runs of add_oddities.py hold, as we list it.
ODD: dict[str, Description] = {
    "odd-empty": NOTHING,
    "odd-features": NOTHING
    | {"voxel_spacings": {"10.0": {"wbp": ["edges"], "wbp-features-v2": [], "wbp_ctf": ["edges"]}}},
    "odd-frames": NOTHING | {"picks": ["alice 1 ribosome"]},
    "odd-hidden": NOTHING
    | {
        "voxel_spacings": {"10.0": {"wbp": []}},
        "picks": ["alice 1 ribosome"],
        "segmentations": ["10.0 alice 1 membrane binary"],
    },
    "odd-link": NOTHING | {"picks": ["alice 1 ribosome"]},
    "odd-mesh-names": NOTHING | {"meshes": ["alice 1 membrane"]},
    "odd-meta-broken": NOTHING,
    "odd-meta-json": NOTHING,
    "odd-meta-list": NOTHING,
    "odd-no-meta": NOTHING | {"voxel_spacings": {"10.0": {"wbp": []}}},
    "odd-picks-content": NOTHING
    | {
        "picks": [
            "alice bare-list ribosome",
            "alice flat-list ribosome",
            "alice nan-score ribosome",
            "alice no-points ribosome",
            "alice nothing ribosome",
            "alice number-session ribosome",
            "alice truncated ribosome",
            "alice unknown-keys ribosome",
        ]
    },
    "odd-picks-names": NOTHING | {"picks": ["alice 1 ribosome"]},
    "odd-segmentation-names": NOTHING
    | {
        "segmentations": [
            "10.0 alice 2 membrane binary",
            "10.0 alice 3 a-multilabel-b binary",
            "10.0 alice 4 m multilabel",
            "10.0 u 0 x binary",
        ]
    },
    "odd-spacing": NOTHING | {"voxel_spacings": {"5.0": {"wbp": []}}},
    "odd-spacing-name": NOTHING | {"voxel_spacings": {"10.0": {"wbp": []}}},
    "odd-underscores": NOTHING
    | {
        "picks": ["alice 1 large_ribosome_60S"],
        "meshes": ["alice 1 inner_membrane"],
        "segmentations": ["10.0 alice 1 inner_membrane binary"],
    },
    "odd-volumes": NOTHING
    | {
        "voxel_spacings": {
            "10.0": {
                "both": [],
                "dots": [],
                "empty-folder": [],
                "empty-group": [],
                "level-name": [],
                "nanometers": [],
                "no-metadata": [],
                "no-ome": [],
                "no-unit": [],
                "zarr3": [],
            }
        }
    },
    "x.zarr": NOTHING
    | {
        "voxel_spacings": {"10.0": {"wbp": ["edges"]}},
        "picks": ["alice 1 ribosome"],
        "segmentations": ["10.0 alice 1 membrane binary"],
    },
}

UNPARSABLE = "a name that cannot be parsed is skipped and hides no neighbour; copick 1.31 fails on the whole folder"
UNDERSCORES = "the object is all that follows the second underscore; copick 1.31 stops at the third"

# By run and kind: what copick 1.31 lists or reads otherwise, and the rule of ours.
DIFFERENT: dict[tuple[str, str], str] = {
    ("odd-features", "voxel_spacings"): "a feature map belongs to the longest tomogram type that it begins with, and "
    "only a name that ends in `_features` is one",
    ("odd-mesh-names", "meshes"): UNPARSABLE,
    ("odd-picks-content", "picks"): "the specification's bare list is read, and so are ids that are numbers",
    ("odd-picks-names", "picks"): UNPARSABLE,
    ("odd-spacing", "voxel_spacings"): "a voxel spacing keeps the path it was listed under",
    ("odd-spacing-name", "voxel_spacings"): UNPARSABLE,
    ("odd-underscores", "meshes"): UNDERSCORES,
    ("odd-underscores", "picks"): UNDERSCORES,
    ("x.zarr", "voxel_spacings"): "a run may be called like a volume",
}


@pytest.fixture(params=["disk", "moto", pytest.param("minio", marks=pytest.mark.minio), "web"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Puts a project on a disk, two object stores, or a web server, and gives what opens it."""

    def on_s3(project: CopickProject) -> Source:
        server = request.getfixturevalue(f"{request.param}_server")
        bucket = server.new_bucket()
        server.seed_folder(bucket, project.root, prefix="data/project/")
        config = project.write_config(tmp_path / "s3.json", f"s3://{bucket}/data/project", server.fs_args())
        return {"source": config}

    def on_web(project: CopickProject) -> Source:
        server = request.getfixturevalue("web_server")(project.root)
        objects = json.loads(project.config.read_text())["pickable_objects"]
        return {"source": server.url, "pickable_objects": objects}

    if request.param == "disk":
        return lambda project: {"source": project.config}
    return on_web if request.param == "web" else on_s3


def comparable(found: Any) -> Any:
    """JSON in which NaN equals NaN."""
    return json.loads(json.dumps(found), parse_constant=str)


def by_run(runs: list[Description]) -> dict[str, Description]:
    return {run["name"]: run for run in comparable(without(runs, "volume"))}


@pytest.mark.asyncio
async def test_every_entity_is_listed_and_read_as_copick_does(
    copick1_project: CopickProject, copick1_python: Path, place: Place
) -> None:
    said = describe_once(copick1_python, copick1_project)
    async with aiocopick.open(**place(copick1_project)) as root:
        ours = await describe_ours(root)
        objects = [(item.name, item.is_particle, item.label) for item in await root.pickable_objects()]
        maps = [item.name for item in await root.query_objects() if await item.has_density_map()]
    assert [run["name"] for run in ours] == [run["name"] for run in said["runs"]]
    theirs = by_run(said["runs"])
    for name, run in by_run(ours).items():
        for kind, found in run.items():
            assert found == theirs[name][kind], (name, kind)
    assert objects == [(item["name"], item["is_particle"], item["label"]) for item in said["objects"]]
    assert maps == [item["name"] for item in said["objects"] if item["volume"]]


@pytest.mark.asyncio
async def test_oddities_are_listed_as_written_down(copick1_odd_project: CopickProject, place: Place) -> None:
    source = place(copick1_odd_project)
    async with aiocopick.open(**source) as root:
        found = names_only(await describe_ours(root, data=False))
    expected = ODD
    if str(source["source"]).endswith("s3.json"):
        # An object store has no empty folders.
        volumes = ODD["odd-volumes"]["voxel_spacings"]["10.0"]
        left = {"10.0": {name: features for name, features in volumes.items() if name != "empty-folder"}}
        expected = ODD | {"odd-volumes": ODD["odd-volumes"] | {"voxel_spacings": left}}
    assert {name: run for name, run in found.items() if name in ODD} == expected
    assert len(found) == len(ODD) + 30


@pytest.mark.asyncio
async def test_only_what_is_written_down_differs_from_copick(
    copick1_odd_project: CopickProject, copick1_python: Path
) -> None:
    theirs = by_run(describe_once(copick1_python, copick1_odd_project)["runs"])
    async with aiocopick.open(copick1_odd_project.config) as root:
        ours = by_run(await describe_ours(root))
    assert ours.keys() == theirs.keys()
    # Volumes are not read here, so neither count copick's failures to read them.
    differing = {
        (name, kind)
        for name, run in ours.items()
        for kind, found in run.items()
        if found != (without(theirs[name][kind], "error") if kind in VOLUMES else theirs[name][kind])
    }
    assert differing == DIFFERENT.keys()


@pytest.mark.asyncio
async def test_picks_of_every_form(copick1_odd_project: CopickProject, copick1_python: Path) -> None:
    """What copick reads is the same, what it cannot read but the specification allows is read, the rest fails alone."""
    async with aiocopick.open(copick1_odd_project.config) as root:
        ours = {item["session_id"]: item for item in by_run(await describe_ours(root))["odd-picks-content"]["picks"]}
    said = by_run(describe_once(copick1_python, copick1_odd_project)["runs"])["odd-picks-content"]
    theirs = {item["session_id"]: item for item in said["picks"]}
    for session in ("no-points", "nan-score", "unknown-keys"):
        assert ours[session] == theirs[session]
    assert ours["nan-score"]["scores"] == ["NaN"]
    assert ours["unknown-keys"]["trust_orientation"] is False
    assert {session for session, found in theirs.items() if "error" in found} == {
        "bare-list",
        "flat-list",
        "number-session",
        "nothing",
        "truncated",
    }
    assert {session: found["error"] for session, found in ours.items() if "error" in found} == {
        "nothing": "FormatError",
        "truncated": "FormatError",
    }
    point, identity = [1.0, 2.0, 3.0], [[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]]
    for session, points, scores in [
        ("bare-list", [point, point], [1.0, 1.0]),
        ("flat-list", [point], [0.5]),
        ("number-session", [point], [1.0]),
    ]:
        found = ours[session]
        assert (found["positions"], found["scores"]) == (points, scores)
        assert found["transforms"] == [identity] * len(points)
        assert found["instance_ids"] == [0] * len(points)


@pytest.mark.asyncio
async def test_what_copick_2_writes_is_listed_and_read_as_it_does(
    copick2_project: CopickProject, copick2_python: Path
) -> None:
    theirs = by_run(describe_once(copick2_python, copick2_project)["runs"])
    async with aiocopick.open(copick2_project.config) as root:
        ours = by_run(await describe_ours(root))
    assert ours == theirs


# Between them they have every kind of volume: TS_001 feature maps of 3 and 4 dimensions, TS_002 an instance and TS_003
# a panoptic segmentation.
WITH_VOLUMES = ("TS_001", "TS_002", "TS_003")


@pytest.mark.parametrize("version", ["copick1", "copick2"])
@pytest.mark.asyncio
async def test_volumes_have_the_levels_and_values_that_copick_reads(
    version: str, request: pytest.FixtureRequest
) -> None:
    project = request.getfixturevalue(f"{version}_project")
    said = describe_once(request.getfixturevalue(f"{version}_python"), project)
    theirs = {run["name"]: without(run, "attributes") for run in said["runs"]}
    async with aiocopick.open(project.config) as root:
        for name in WITH_VOLUMES:
            run = await root.get_run(name)
            assert run is not None
            ours = await describe_run(run, data=False, volumes=True)
            for kind in VOLUMES:
                assert ours[kind] == theirs[name][kind], (name, kind)
