"""Every method that our classes inherit from copick's once `aiocopick.compat` is imported, on copick's roots or ours.

Run by copick's own Python: ``use_inherited.py copick|aiocopick.compat CONFIG``. Prints what each step answered, and the
content of every file that it wrote.
"""

from __future__ import annotations

import inspect
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import copick
import copick.models as theirs
import numpy as np

LINES = [np.array([[0.0, 0, 0], [50, 0, 0], [100, 20, 0]]), np.array([[0.0, 10, 5], [0, 60, 5], [30, 90, 5]])]
FIELDS: dict[str, Any] = {
    "instance_ids": [3, 4],
    "polarity_known": [True, False],
    "scores": [0.5, 1.0],
    "radii": [None, 7.5],
    "metadata": [{"a": 1}, None],
}
KNOTS = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]


def plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, np.ndarray):
        return np.round(value, 6).tolist()
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def bspline() -> theirs.CopickFilamentCurve:
    return theirs.CopickFilamentCurve(kind="bspline", control_points=LINES[0].tolist(), step=4.0, degree=2, knots=KNOTS)


def write(run: Any, session: str) -> dict[str, Any]:
    """Filaments made in every way, each in a session of its own; what the steps answered."""
    made = run.new_filaments("actin", session, "me")
    steps: dict[str, Any] = {}
    if session == "points":
        made.from_control_points(LINES, step=10, voxel_spacing=10.0, **FIELDS)
    elif session == "spacing":
        made.from_control_points(LINES, voxel_spacing=5.0, kind="linear")
        made.from_control_points(LINES[:1])
    elif session == "none":
        made.from_numpy(LINES, voxel_spacing=5.0)
        made.from_control_points([], voxel_spacing=3.0)
    elif session == "curves":
        made.from_curves([bspline(), bspline().model_dump()], voxel_spacing=2.5, **FIELDS)
        steps["control points"] = plain(made.control_points())
        steps["curve"] = plain(made.editable_curve(3))
        steps["editable"] = plain(made.editable_curve(4, kinds=("catmull-rom",)))
    elif session == "stale":
        made.from_control_points(LINES, voxel_spacing=10.0)
        made.filaments[0].points[1] = (0.0, 99.0, 0.0)
        made._drop_stale_curves()
        made.store()
    elif session == "meta":
        made.meta = theirs.CopickFilamentsFile(
            pickable_object_name="actin", user_id="me", session_id="meta", run_name="TS_1", voxel_spacing=8.0,
            filaments=[theirs.CopickFilament.from_control_points(7, LINES[0], 9.0, score=0.25)],
        )  # fmt: skip
        made.store()
    elif session == "later":
        made.from_numpy(LINES, voxel_spacing=5.0)
        made.meta = made.meta.model_copy(update={"unit": "nanometer", "filaments": made.filaments[:1]})
        made.store()
    elif session == "edited":
        made.from_control_points(LINES, voxel_spacing=10.0)
        first = made.filaments[0]
        steps["control points"] = plain(made.filaments[1].editable_control_points())
        made.filaments = [first.with_control_points(LINES[1]), made.filaments[1].reversed()]
        made.store()
    return steps


def set_metas(run: Any) -> dict[str, Any]:
    """Metadata assigned to what has data in one file."""
    point = theirs.CopickPoint(location={"x": 1, "y": 2, "z": 3}, score=0.5)
    picks = run.new_picks("ribosome", "meta", "me")
    names = {"pickable_object_name": "ribosome", "user_id": "me", "session_id": "meta", "run_name": "TS_1"}
    picks.meta = theirs.CopickPicksFile(**names, voxel_spacing=4.0, trust_orientation=False, points=[point])
    picks.store()
    picks.meta = picks.meta.model_copy(update={"voxel_spacing": 6.0})
    picks.store()
    return {"points": plain(picks.points), "trusted": picks.trust_orientation}


def compare() -> dict[str, Any]:
    """Each class of the models made through its own door, and compared with copick's."""
    from aiocopick import models

    point = {"location": {"x": 1, "y": 2, "z": 3}, "instance_id": 4}
    curve = {"kind": "linear", "control_points": LINES[0].tolist(), "step": 5.0}
    contents: dict[str, dict[str, Any]] = {
        "CopickLocation": point["location"],  # type: ignore[dict-item]
        "CopickPoint": point,
        "CopickFilamentCurve": curve,
        "CopickFilament": {"instance_id": 1, "points": LINES[0].tolist(), "curve": curve},
        "CopickPicksFile": {"pickable_object_name": "a", "user_id": "b", "session_id": "c", "points": [point]},
        "CopickFilamentsFile": {"pickable_object_name": "a", "user_id": "b", "session_id": "c", "voxel_spacing": 2.0},
        "CopickFeaturesMeta": {"tomo_type": "wbp", "feature_type": "x"},
        "CopickMeshMeta": {"pickable_object_name": "a", "user_id": "b", "session_id": "c"},
        "CopickRunMeta": {"name": "TS_1"},
        "CopickSegmentationMeta": {
            "is_multilabel": False, "voxel_size": 10.0, "user_id": "a", "session_id": "b", "name": "c",
        },
        "CopickTomogramMeta": {"tomo_type": "wbp"},
        "CopickVoxelSpacingMeta": {"voxel_size": 10.0},
        "FilamentSpec": {"polar": True},
        "PickableObject": {"name": "a", "is_particle": True, "label": 1, "color": (1, 2, 3, 4)},
    }  # fmt: skip
    from aiocopick import compat

    assert set(contents) == set(compat._MODELS)
    answers: dict[str, Any] = {}
    for name, content in contents.items():
        ours, copicks = getattr(models, name), getattr(theirs, name)
        mine, other = ours(**content), copicks(**content)
        answers[f"{name} equal"] = mine == other and other == mine
        answers[f"{name} taken"] = ours.model_validate(other) == other and copicks.model_validate(mine) == mine
        changed = ours(**content, another="key")
        answers[f"{name} told apart"] = type(mine)(**content) == mine and (changed != mine)
    filament = models.CopickFilament.from_control_points(1, LINES[0], 5.0)
    assert type(filament) is models.CopickFilament
    back = filament.reversed().reversed()
    answers["filament there and back"] = back == filament and filament == back
    b = bspline()
    fitted = models.CopickFilamentCurve.from_tck((b.knots, LINES[0].T, 2), 4.0)
    answers["fitted"] = fitted == b and fitted.reversed() == b.reversed() and type(fitted) is models.CopickFilamentCurve
    answers["evaluated"] = np.array_equal(fitted.evaluate(), b.evaluate()) and not fitted.passes_through_control_points
    answers["from a curve"] = models.CopickFilament.from_curve(1, b).curve == b
    answers["anchors"] = np.array_equal(fitted.anchors(), b.anchors())
    answers["file of both"] = len(
        models.CopickPicksFile(
            pickable_object_name="a", user_id="b", session_id="c",
            points=[theirs.CopickPoint(**point), models.CopickPoint(**point)],
        ).points or []
    )  # fmt: skip
    return answers


def inherited() -> dict[str, set[str]]:
    """What our classes have of copick's alone, by class; validators and serialisers left out."""
    from aiocopick import compat, models, sync

    pairs = {name: (getattr(models, name), getattr(theirs, name)) for name in compat._MODELS}
    pairs |= {
        f"Copick{kind}": (getattr(sync, f"Copick{kind}FS"), getattr(theirs, f"Copick{kind}"))
        for kind in compat._ENTITIES
    }
    found = {}
    for name, (ours, copicks) in pairs.items():
        decorators = getattr(copicks, "__pydantic_decorators__", None)
        own = set() if decorators is None else {
            item for kind in ("field_validators", "model_validators", "model_serializers")
            for item in getattr(decorators, kind)
        }  # fmt: skip
        found[name] = {
            item for item, value in vars(copicks).items()
            if not item.startswith(("__", "_abc", "model_")) and item not in own
            and (callable(value) or isinstance(value, property | classmethod | staticmethod))
            and inspect.getattr_static(ours, item) is value
        }  # fmt: skip
    return {name: names for name, names in found.items() if names}


def main(library: str, config: str) -> None:
    steps: dict[str, Any] = {}
    if library != "copick":
        import_module(library)
        steps["inherited"] = {name: sorted(names) for name, names in inherited().items()}
        steps["models"] = compare()
    root = copick.from_file(config)
    run = root.new_run("TS_1")
    sessions = ("points", "spacing", "none", "curves", "stale", "meta", "later", "edited")
    steps["answers"] = {session: write(run, session) for session in sessions} | set_metas(run)
    folder = Path(json.loads(Path(config).read_text())["overlay_root"].removeprefix("local://"))
    steps["files"] = {
        path.name: json.loads(path.read_text()) for path in sorted(folder.rglob("*.json"))
    }  # fmt: skip
    print(json.dumps(steps))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
