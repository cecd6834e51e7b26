"""The facade, the abstract API and copick itself have the same names and take the same calls as was recorded."""

from __future__ import annotations

import inspect
import json
import pydoc
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import aiocopick
from aiocopick.models import entities as abstract
from tests.interop import signatures
from tests.interop.signatures import class_signatures

KINDS = ("Root", "Run", "VoxelSpacing", "Tomogram", "Features", "Picks", "Mesh", "Segmentation", "Filaments", "Object")

# Making curves through filaments is copick's own; stored ones are kept.
CURVES = {"control_points", "editable_curve", "from_control_points", "from_curves"}
# What copick keeps for its own implementation: caches, helpers of methods, hooks of its other backends.
INTERNAL = {"_drop_stale_curves", "_on_density_map_written", "_set"}


def facade_of(kind: str) -> type:
    cls: type = getattr(aiocopick, f"Copick{kind}FS")
    return cls


def refusals(ours: dict[str, Any] | None, theirs: dict[str, Any]) -> Iterator[str]:
    """Why a member of ours would not answer what one of theirs answers."""
    if ours is None:
        yield "is missing"
        return
    if ours["kind"] != theirs["kind"]:
        yield f"is a {ours['kind']}, not a {theirs['kind']}"
    elif ours["kind"] == "property":
        if theirs["settable"] and not ours["settable"]:
            yield "cannot be set"
    else:
        yield from refused_calls(ours["parameters"], theirs["parameters"])


def refused_calls(ours: list[dict[str, str]], theirs: list[dict[str, str]]) -> Iterator[str]:
    by_name = {parameter["name"]: parameter for parameter in ours}
    for index, wanted in enumerate(theirs):
        name, kind = wanted["name"], wanted["kind"]
        if kind == "VAR_KEYWORD":
            if not any(parameter["kind"] == kind for parameter in ours):
                yield f"takes no **{name}"
            continue
        if kind == "POSITIONAL_OR_KEYWORD" and (index >= len(ours) or ours[index]["name"] != name):
            yield f"has another parameter than {name} at position {index}"
        mine = by_name.get(name)
        if mine is None:
            yield f"has no parameter {name}"
        elif mine["kind"] not in ("POSITIONAL_OR_KEYWORD", kind):
            yield f"takes {name} as {mine['kind']}"
        elif wanted["default"] not in (signatures._NO_DEFAULT, mine["default"]):
            yield f"has the default {mine['default']} for {name}, not {wanted['default']}"
    names = {parameter["name"] for parameter in theirs}
    for parameter in ours:
        if (
            parameter["name"] not in names
            and parameter["default"] == signatures._NO_DEFAULT
            and not parameter["kind"].startswith("VAR_")
        ):
            yield f"wants {parameter['name']} besides"


def differences(ours: type, theirs: dict[str, Any], *, but: set[str]) -> list[str]:
    mine = class_signatures(ours)
    return [
        f"{name} {problem}"
        for name, member in theirs.items()
        if name not in but
        for problem in refusals(mine.get(name), member)
    ]


@pytest.fixture(scope="module")
def copicks(copick2_python: Path) -> dict[str, Any]:
    """Signatures of copick 2.0's model classes, as that copick has them."""
    names = [f"Copick{kind}" for kind in KINDS]
    command = [str(copick2_python), signatures.__file__, "copick.models", *names]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    result: dict[str, Any] = json.loads(answer)
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_the_facade_takes_every_call_that_copick_takes(copicks: dict[str, Any], kind: str) -> None:
    theirs = copicks[f"Copick{kind}"]
    assert len(theirs) >= 9
    assert differences(facade_of(kind), theirs, but=CURVES | INTERNAL) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_abstract_api_takes_every_call_that_copick_takes(copicks: dict[str, Any], kind: str) -> None:
    theirs = copicks[f"Copick{kind}"]
    assert differences(getattr(abstract, f"Copick{kind}"), theirs, but=CURVES | INTERNAL) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_facade_implements_all_of_the_abstract_api(kind: str) -> None:
    facade, base = facade_of(kind), getattr(abstract, f"Copick{kind}")
    assert issubclass(facade, base)
    members = class_signatures(base)
    assert differences(facade, members, but=set()) == []
    left = {name for name in members if defined_in(facade, name).startswith("aiocopick.models")}
    assert left == set()


def defined_in(cls: type, name: str) -> str:
    return next(base for base in cls.__mro__ if name in vars(base)).__module__


# --- what is derived --------------------------------------------------------------------------------------------------

RECORD = Path(__file__).resolve().parents[1] / "project" / "record"

# Blocking code has another word for it, or none.
ONLY_ASYNC = {"aclose", "parent_slot", "noun", "loaded"}
# Iterators, arrays of zarr and roots are of the blocking kind on the facade; nouns and data are properties.
OTHER_RETURNS = {
    "__init__",
    "crawl",
    "slabs",
    "open_array",
    "options",
    "resolve",
    "points",
    "mesh",
    "filaments",
    "root",
}
OTHER_RETURNS |= {
    "runs",
    "pickable_objects",
    "voxel_spacings",
    "tomograms",
    "features",
    "picks",
    "meshes",
    "segmentations",
}


def recorded(side: str, cls: str) -> dict[str, str]:
    """Public members of a class as they were recorded, with how each is called."""
    text = (RECORD / f"{side}.txt").read_text(encoding="utf-8")
    [block] = re.findall(rf"^class {cls}\(.*?\n((?:  .*\n)*)", text, re.MULTILINE)
    return dict(_name_and_call(line) for line in block.splitlines())


def _name_and_call(line: str) -> tuple[str, str]:
    """``get_run`` and ``(self, name: str) -> AsyncRun`` of a line of the record."""
    member = re.fullmatch(r"  (?:classmethod )?(?:async )?(\w+)(.*)", line)
    assert member is not None, line
    name, rest = member.groups()
    call = re.match(r"(\(.*?\))? -> [^:]*(?=: |$)", rest)
    return name, rest if call is None else call.group()


@pytest.mark.parametrize("kind", KINDS)
def test_the_facade_takes_every_call_that_was_recorded_of_its_twin(kind: str) -> None:
    twin, facade = recorded("async", f"Async{kind}"), recorded("facade", f"Copick{kind}FS")
    assert len(twin) > 10
    missing = twin.keys() - facade.keys() - ONLY_ASYNC
    assert missing == set()
    calls = {name: re.sub(r"\bAsync(\w+)", r"Copick\1FS", call) for name, call in twin.items() if "->" in call}
    others = {
        name: (call, facade[name])
        for name, call in calls.items()
        if name not in ONLY_ASYNC | OTHER_RETURNS
        and facade[name].partition(", settable")[0] != call.partition(", settable")[0]
    }
    assert others == {}


def members_of(cls: type) -> dict[str, Any]:
    """Public members of a class that are methods or properties."""
    found = {name: inspect.getattr_static(cls, name) for name in dir(cls) if not name.startswith("_")}
    return {name: member for name, member in found.items() if isinstance(member, property) or callable(member)}


def summary(member: Any) -> str:
    doc = inspect.getdoc(member.fget if isinstance(member, property) else member) or ""
    return " ".join(doc.split("\n\n")[0].split())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_derived_speaks_of_the_facade(kind: str) -> None:
    facade = facade_of(kind)
    for name, member in members_of(facade).items():
        function = member.fget if isinstance(member, property) else member
        derived_from = getattr(function, "__wrapped__", None)
        if derived_from is None:
            continue
        # Where it is found, by its name, and not the coroutine function.
        assert function.__qualname__.rpartition(".")[2] == function.__name__ == name
        assert function.__module__.startswith("aiocopick.sync.")
        assert not inspect.iscoroutinefunction(function)
        words = f"{inspect.signature(function)} {function.__doc__} {function.__annotations__}"
        assert not re.search(r"\bAsync[A-Z]", words.replace("AsyncIterator", "").replace("AsyncArray", "")), name


def test_signatures_and_help_are_those_of_the_coroutine_functions() -> None:
    shown = str(inspect.signature(aiocopick.CopickRunFS.get_picks))
    assert shown.endswith("session_id: 'OneOrMany[str]' = None, **kwargs: 'Any') -> 'list[CopickPicksFS]'")
    # Python 3.13 puts each parameter on a line of its own.
    words = " ".join(pydoc.plain(pydoc.render_doc(aiocopick.CopickRunFS.new_picks)).split())
    assert re.search(r"new_picks\( ?self, object_name: 'str'", words)
    assert "-> 'CopickPicksFS'" in words
    # The errors are part of the documentation that is written once.
    assert " UnknownObjectError " in words
    assert "list of CopickPicksFS" in (aiocopick.CopickRunFS.get_picks.__doc__ or "")


@pytest.mark.parametrize("kind", KINDS)
def test_every_public_name_of_the_facade_is_documented(kind: str) -> None:
    silent = [name for name, member in members_of(facade_of(kind)).items() if not summary(member)]
    assert silent == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_facade_adds_nothing_to_its_twin_but_what_blocking_needs(kind: str) -> None:
    facade, twin = facade_of(kind), getattr(aiocopick, f"Async{kind}")
    extra = members_of(facade).keys() - members_of(twin).keys()
    # Attributes of the twin are properties here.
    attributes = {"config", "error", "layer_type", "ref", "root", "skipped_layers"}
    # CoPick's names of filesystems and paths, for code written for it.
    places = {"directory", "fs", "fs_overlay", "fs_static", "root_overlay", "root_static", "static_is_overlay"}
    places |= {"overlay_path", "overlay_stem", "static_path", "static_stem"}
    assert extra <= {"aio", "close", "from_file", "save_config"} | attributes | places
