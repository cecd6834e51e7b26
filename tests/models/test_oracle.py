"""copick 2.0 as the oracle: it and our models take and refuse the same, and write the same."""

from __future__ import annotations

import inspect
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import aiocopick.models as models
from aiocopick.layout.uris import parse_uri
from tests.interop.signatures import class_signatures

POINT = {"location": {"x": 1, "y": 2, "z": 3}}
IDENTITY = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
PICKS = {"pickable_object_name": "o", "user_id": "u", "session_id": "0"}
OBJECT = {"name": "ribosome", "is_particle": True}
CURVE = {"kind": "linear", "control_points": [[0, 0, 0], [1, 0, 0]], "step": 1}
FILAMENT = {"instance_id": 1, "points": [[0, 0, 0], [1, 0, 0]]}
SPLINE = {
    "kind": "bspline",
    "control_points": [[0, 0, 0], [1, 0, 0], [2, 1, 0]],
    "step": 1,
    "degree": 2,
    "knots": [0, 0, 0, 1, 1, 1],
}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("PickableObject", OBJECT),
    ("PickableObject", OBJECT | {"go_id": "GO:1"}),
    ("PickableObject", OBJECT | {"identifier": "GO:1"}),
    ("PickableObject", OBJECT | {"label": 0}),
    ("PickableObject", OBJECT | {"label": -3}),
    ("PickableObject", OBJECT | {"label": None}),
    ("PickableObject", OBJECT | {"label": "7"}),
    ("PickableObject", OBJECT | {"color": [1, 2, 3]}),
    ("PickableObject", OBJECT | {"color": [1, 2, 3, 4]}),
    ("PickableObject", OBJECT | {"color": [1, 2, 3, 300]}),
    ("PickableObject", OBJECT | {"name": "a b"}),
    ("PickableObject", OBJECT | {"name": "a-multilabel"}),
    ("PickableObject", OBJECT | {"name": "-a"}),
    ("PickableObject", OBJECT | {"metadata": None}),
    ("PickableObject", OBJECT | {"metadata": {"copick": 3}}),
    ("PickableObject", OBJECT | {"metadata": {"copick": {"filament": {"polar": True, "x": 1}}}}),
    ("PickableObject", OBJECT | {"is_particle": False, "metadata": {"copick": {"filament": {}}}}),
    ("PickableObject", {"name": "a"}),
    ("CopickConfig", {"pickable_objects": []}),
    ("CopickConfig", {"pickable_objects": [OBJECT, OBJECT], "tomograms": {"10.0": ["wbp"]}, "voxel_spacings": [10]}),
    ("CopickConfig", {"pickable_objects": [], "user_id": "a_b"}),
    ("CopickConfig", {"pickable_objects": [], "user_id": ".a"}),
    ("CopickConfig", {"pickable_objects": [], "session_id": ""}),
    ("CopickConfig", {}),
    ("CopickPoint", POINT),
    ("CopickPoint", POINT | {"transformation_": IDENTITY}),
    ("CopickPoint", POINT | {"transformation_": IDENTITY[:3]}),
    ("CopickPoint", POINT | {"transformation_": [[2] * 4] * 4}),
    ("CopickPoint", POINT | {"transformation_": [*IDENTITY[:3], [1, 0, 0, 1]]}),
    ("CopickPoint", POINT | {"instance_id": None, "score": None}),
    ("CopickPoint", POINT | {"instance_id": 1.5}),
    ("CopickPoint", {"location": {"x": 1}}),
    ("CopickPicksFile", PICKS),
    ("CopickPicksFile", PICKS | {"points": None}),
    ("CopickPicksFile", PICKS | {"points": [POINT], "trust_orientation": None}),
    ("CopickPicksFile", PICKS | {"session_id": 0}),
    ("CopickFilamentsFile", PICKS),
    ("CopickFilamentsFile", PICKS | {"filaments": [FILAMENT]}),
    ("CopickFilamentsFile", PICKS | {"filaments": [FILAMENT, FILAMENT]}),
    ("CopickFilament", FILAMENT | {"instance_id": 0}),
    ("CopickFilament", FILAMENT | {"radius": 0}),
    ("CopickFilament", FILAMENT | {"metadata": None, "curve": CURVE}),
    ("CopickFilament", FILAMENT | {"points": [[0, 0, 0]]}),
    ("CopickFilamentCurve", CURVE),
    ("CopickFilamentCurve", CURVE | {"kind": "catmull-rom"}),
    ("CopickFilamentCurve", CURVE | {"kind": "catmull-rom", "alpha": 1.5}),
    ("CopickFilamentCurve", CURVE | {"control_points": [[0, 0, 0], [0, 0, 0]]}),
    ("CopickFilamentCurve", CURVE | {"kind": "other", "x": 1}),
    ("CopickFilamentCurve", SPLINE),
    ("CopickFilamentCurve", SPLINE | {"knots": [0, 0, 0, 0, 1, 1]}),
    ("CopickFilamentCurve", SPLINE | {"degree": 0}),
    ("CopickFilamentCurve", SPLINE | {"knots": [0, 0, 0, 1, 1]}),
    (
        "CopickSegmentationMeta",
        {"user_id": "u", "session_id": "0", "name": "n", "is_multilabel": True, "voxel_size": 10},
    ),
    (
        "CopickSegmentationMeta",
        {
            "user_id": "u",
            "session_id": "0",
            "name": "n",
            "is_multilabel": True,
            "is_instance": True,
            "voxel_size": 10,
        },
    ),
]

ASK = """
import json, sys, warnings
warnings.simplefilter("ignore")
import copick.models as models
answers = []
for name, data in json.load(sys.stdin):
    try:
        answers.append(getattr(models, name)(**data).model_dump(mode="json"))
    except (ValueError, TypeError):
        answers.append(None)
print(json.dumps(answers))
"""


def ask(python: Path, program: str, question: object) -> Any:
    answer = subprocess.run(
        [python, "-c", program], input=json.dumps(question), capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(answer.stdout)


def ours(name: str, data: dict[str, Any]) -> Any:
    try:
        return getattr(models, name).model_validate(data).model_dump(mode="json")
    except ValidationError:
        return None


def test_models_take_and_write_what_copicks_do(copick2_python: Path) -> None:
    theirs = ask(copick2_python, ASK, CASES)
    differing = [
        (name, data, their, our)
        for (name, data), their in zip(CASES, theirs, strict=True)
        if (our := ours(name, data)) != their
    ]
    assert differing == []


URIS = [
    ("ribosome:pytom/0", "picks"),
    ("ribo*", "picks"),
    ("ribosome:pytom", "mesh"),
    ("re:a.*:b/c", "filaments"),
    ("a:b:c", "picks"),
    ("membrane:u/s@10.0?multilabel=true", "segmentation"),
    ("membrane@10?instance=1&panoptic=false", "segmentation"),
    ("membrane?multilabel=1&panoptic=1", "segmentation"),
    ("membrane", "segmentation"),
    ("wbp@10.0", "tomogram"),
    ("wbp", "tomogram"),
    ("wbp@10:sobel*", "feature"),
    ("wbp@10", "feature"),
    ("*", "feature"),
    ("a", "nothing"),
]

ASK_URIS = """
import json, sys
from copick.util.uri import parse_copick_uri
answers = []
for uri, kind in json.load(sys.stdin):
    try:
        answers.append(parse_copick_uri(uri, kind))
    except ValueError:
        answers.append(None)
print(json.dumps(answers))
"""
KINDS = {"feature": "features"}
FIELDS = {"voxel_spacing": "voxel_size"}


def test_uris_mean_what_they_mean_to_copick(copick2_python: Path) -> None:
    for (uri, kind), their in zip(URIS, ask(copick2_python, ASK_URIS, URIS), strict=True):
        if their is None:
            with pytest.raises(ValueError, match=r"."):
                parse_uri(uri, kind)
            continue
        pattern = parse_uri(uri, kind)
        assert pattern.kind == KINDS.get(kind, kind)
        assert pattern.is_regex == (their.pop("pattern_type") == "regex")
        flags = {flag: their.pop(flag) for flag in ("multilabel", "instance", "panoptic") if flag in their}
        assert pattern.flags == {flag: value for flag, value in flags.items() if value is not None}
        del their["object_type"]
        assert pattern.parts == {FIELDS.get(field, field): part for field, part in their.items()}


SIGNATURES = Path(__file__).resolve().parents[1] / "interop" / "signatures.py"
ABSTRACT = [
    "CopickRoot",
    "CopickRun",
    "CopickVoxelSpacing",
    "CopickTomogram",
    "CopickFeatures",
    "CopickPicks",
    "CopickMesh",
    "CopickSegmentation",
    "CopickFilaments",
    "CopickObject",
]
# Curves are kept, not made; the rest is how copick does things inside.
LEFT_OUT = {
    "CopickFilaments": {
        "from_curves",
        "from_control_points",
        "control_points",
        "editable_curve",
        "_set",
        "_drop_stale_curves",
    },
    "CopickObject": {"_on_density_map_written"},
}


def test_the_abstract_api_takes_every_call_that_copicks_takes(copick2_python: Path) -> None:
    answer = subprocess.run(
        [copick2_python, str(SIGNATURES), "copick.models", *ABSTRACT],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    problems = []
    for name, theirs in json.loads(answer.stdout).items():
        own = class_signatures(getattr(models, name))
        for member, their in theirs.items():
            if member in LEFT_OUT.get(name, ()) or member == "__repr__":
                continue
            our = own.get(member)
            if our is None or not accepts(our, their):
                problems.append((name, member, their, our))
    assert problems == []


def accepts(our: dict[str, Any], their: dict[str, Any]) -> bool:
    """Whether a member is of the same kind, with the same parameters; what we add is keyword-only with a default."""
    if our["kind"] != their["kind"]:
        return False
    if our["kind"] == "property":
        return bool(our["settable"]) >= bool(their["settable"])
    names = {parameter["name"] for parameter in their["parameters"]}
    added = [parameter for parameter in our["parameters"] if parameter["name"] not in names]
    kept = [parameter for parameter in our["parameters"] if parameter["name"] in names]
    return kept == their["parameters"] and all(
        parameter["kind"] == inspect.Parameter.KEYWORD_ONLY.name and parameter["default"] != "<none>"
        for parameter in added
    )


def test_abstract_members_have_docstrings_and_no_behaviour() -> None:
    for name in ABSTRACT:
        cls = getattr(models, name)
        for member in dir(cls):
            value = inspect.getattr_static(cls, member)
            if member.startswith("__") or not (inspect.isfunction(value) or isinstance(value, property)):
                continue
            assert inspect.getdoc(value), f"{name}.{member}"
            function = value.fget if isinstance(value, property) else value
            assert function is not None
            assert "NotImplementedError" in function.__code__.co_names, f"{name}.{member}"
