"""One entity of one root is one object, also on the facade."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import trimesh

from aiocopick import CopickConfigFS, CopickPicksFS, CopickRootFS, CopickRunFS
from aiocopick.errors import ConflictError
from aiocopick.models import CopickLocation, CopickPoint
from tests.entities.projects import POSITIONS, Counted, fill

NOUNS = ("voxel_spacings", "picks", "meshes", "segmentations", "filaments")


@pytest.fixture
def opened(config: CopickConfigFS) -> CopickRootFS:
    """A project with two runs of everything, nothing known of it yet."""
    fill(CopickRootFS(config), ("TS_1", "TS_2"))
    return CopickRootFS(config)


def everything(run: CopickRunFS) -> list[Any]:
    tomograms = [tomogram for spacing in run.voxel_spacings for tomogram in spacing.tomograms]
    features = [item for tomogram in tomograms for item in tomogram.features]
    return [run, *(item for noun in NOUNS for item in getattr(run, noun)), *tomograms, *features]


def same(items: list[Any], others: list[Any]) -> bool:
    return [id(item) for item in items] == [id(other) for other in others]


def test_every_way_to_every_kind_gives_the_same_object(opened: CopickRootFS) -> None:
    run = opened.get_run("TS_1")
    assert run is not None
    known = everything(run)
    assert same(everything(opened.runs[0]), known)
    assert same(everything(next(iter(opened.crawl(load=("picks",))))), known)
    assert same(everything(opened.new_run("TS_1", exist_ok=True)), known)
    opened.prefetch()
    assert same(everything(opened.runs[0]), known)
    for item in known[1:]:
        if item.kind == "voxel_spacing":
            continue
        assert any(found is item for found in opened.resolve(item.uri, item.kind))
    picks = run.picks[0]
    assert run.get_picks("ribosome", picks.user_id, picks.session_id)[0] is picks
    assert run.new_picks("ribosome", picks.session_id, picks.user_id, exist_ok=True) is picks


def test_what_is_made_first_is_in_the_list_at_once_and_stays_the_same(opened: CopickRootFS) -> None:
    root = opened
    run = root.get_run("TS_1")
    assert run is not None
    new_run = root.new_run("TS_3")
    assert root._runs is not None
    assert root._runs[0] is new_run
    made = {
        "picks": run.new_picks("ribosome", "9"),
        "meshes": run.new_mesh("ribosome", "9"),
        "filaments": run.new_filaments("ribosome", "9"),
        "voxel_spacings": run.new_voxel_spacing(5.0),
        "segmentations": run.new_segmentation(10.0, "ribosome", "9"),
    }
    spacing = made["voxel_spacings"]
    tomogram = spacing.new_tomogram("wbp")
    features = tomogram.new_features("sobel")
    for noun, child in made.items():
        assert any(item is child for item in getattr(run, f"_{noun}")), noun
        assert any(item is child for item in getattr(run, noun)), noun
        assert len(getattr(run, noun)) == (3 if noun == "picks" else 2), noun
    assert same(spacing._tomograms, [tomogram])
    assert same(tomogram._features, [features])
    assert [item.name for item in root.runs] == ["TS_1", "TS_2", "TS_3"]
    assert root.runs[2] is new_run
    assert root.runs[0] is run
    thing = root.new_object("thing", True)
    assert root._objects is not None
    assert any(item is thing for item in root._objects)


def test_points_set_on_what_was_made_are_seen_everywhere(opened: CopickRootFS) -> None:
    run = opened.runs[0]
    picks = run.new_picks("ribosome", "9")
    picks.from_numpy([[1.0, 2, 3]])
    assert len(run.get_picks(session_id="9")[0].points) == 1
    picks.from_numpy([[1.0, 2, 3], [4, 5, 6]])
    assert len(run.get_picks(session_id="9")[0].points) == 2
    mesh = run.new_mesh("ribosome", "9")
    mesh.mesh = box = trimesh.creation.box()
    assert next(item for item in run.meshes if item.session_id == "9").mesh is box


class OwnPicks(CopickPicksFS):
    """Picks of a subclass."""


class OwnRun(CopickRunFS):
    """A run that wraps its picks in another class."""

    def _picks_factory(self) -> Any:
        return OwnPicks, super()._picks_factory()[1]


class OwnRoot(CopickRootFS):
    """A root that wraps its runs in another class."""

    def _run_factory(self) -> Any:
        return OwnRun, super()._run_factory()[1]


def test_subclasses_are_the_same_objects_too(opened: CopickRootFS) -> None:
    root = OwnRoot(opened.config)
    run = root.get_run("TS_1")
    assert isinstance(run, OwnRun)
    picks = run.new_picks("ribosome", "9")
    assert isinstance(picks, OwnPicks)
    assert run._picks == [picks]
    assert any(item is picks for item in run.picks)
    assert run is root.runs[0]
    assert [item for found in root.crawl() for item in found.picks if item is picks] == [picks]


def test_a_crawl_makes_other_lists_and_leaves_those_that_are_gone_through(opened: CopickRootFS) -> None:
    run = opened.runs[0]
    held = run.picks
    other = CopickRootFS(opened.config).runs[0]
    other.new_picks("ribosome", "9")
    other.get_picks(session_id="0")[0].delete()
    seen = []
    for picks in held:
        list(opened.crawl())
        seen.append(picks)
    assert len(held) == len(seen) == 2
    assert [item.session_id for item in run.picks] == ["1", "9"]
    assert run.picks[0] is held[0]


def test_the_list_follows_what_the_async_twin_does(opened: CopickRootFS) -> None:
    run = opened.runs[0]
    known = run.picks
    twin = run._call(run.aio.new_picks, "ribosome", "9")
    assert [item.aio for item in run.picks if item.session_id == "9"] == [twin]
    assert all(any(item is other for other in run.picks) for item in known)


def test_a_list_that_was_assigned_stays(opened: CopickRootFS) -> None:
    run = opened.runs[0]
    run._picks = []
    assert run.picks == []
    picks = run.new_picks("ribosome", "9")
    assert run.picks == [picks]
    run._picks = None
    assert len(run.picks) == 3


def test_pickled_objects_are_what_their_parents_give(disk_config: CopickConfigFS) -> None:
    fill(CopickRootFS(disk_config), ("TS_1",))
    picks = CopickRootFS(disk_config).runs[0].picks[0]
    picks.points = [CopickPoint(location=CopickLocation(x=7, y=8, z=9))]
    there = pickle.loads(pickle.dumps(picks))
    assert any(item is there for item in there.run.picks)
    assert len(there.points) == 1


def test_making_costs_no_more(counted: Counted) -> None:
    run = counted.root.get_run("TS_1")
    assert run is not None
    with counted.requests(1):
        run.new_picks("ribosome", "9")
    with counted.requests(1):
        run.new_mesh("ribosome", "9")


def test_a_changed_file_is_replaced_only_when_told_so(opened: CopickRootFS) -> None:
    run, other = opened.get_run("TS_1"), CopickRootFS(opened.config).get_run("TS_1")
    assert run is not None
    assert other is not None
    for mine, theirs in ((run.picks[0], other.picks[0]), (run.meshes[0], other.meshes[0])):
        if isinstance(mine, CopickPicksFS):
            theirs.from_numpy(POSITIONS[:1])
            mine.points = [CopickPoint(location=CopickLocation(x=7, y=8, z=9))] * 3
        else:
            theirs.mesh = trimesh.creation.box()
            theirs.store()
            mine.mesh = trimesh.creation.icosphere()
        with pytest.raises(ConflictError, match=r"store\(overwrite=True\)"):
            mine.store()
        mine.store(overwrite=True)
        mine.store()
    fresh = CopickRootFS(opened.config).runs[0]
    assert len(fresh.picks[0].points) == 3
    assert len(fresh.meshes[0].mesh.to_mesh().vertices) == len(trimesh.creation.icosphere().vertices)
