"""The abstract API says what nobody implements, and where it is documented."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import aiocopick
from aiocopick.models import entities
from aiocopick.models.entities import CopickRoot, CopickRun

KINDS = entities.__all__


def members(cls: type) -> dict[str, Any]:
    found = {name: inspect.getattr_static(cls, name) for name in dir(cls) if not name.startswith("__")}
    return {name: member for name, member in found.items() if isinstance(member, property) or callable(member)}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_implemented_says_so(kind: str) -> None:
    cls = getattr(entities, kind)
    bare = type("Mine", (cls,), {})
    entity = bare.__new__(bare)
    for name, member in members(cls).items():
        ask = member.fget if isinstance(member, property) else member
        with pytest.raises(NotImplementedError, match=f"Mine implements no '{name}'"):
            ask(entity)
        if isinstance(member, property) and member.fset is not None:
            with pytest.raises(NotImplementedError, match=f"Mine implements no '{name}'"):
                member.fset(entity, None)


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_is_documented_or_says_where(kind: str) -> None:
    for name, member in members(getattr(entities, kind)).items():
        if name.startswith("_"):
            continue
        function = member.fget if isinstance(member, property) else member
        leads = re.fullmatch(r"See :attr:`aiocopick\.(\w+)\.(\w+)`\.", function.__doc__)
        if leads is not None:
            assert getattr(getattr(aiocopick, leads[1]), leads[2]).__doc__
        assert function.__doc__


def test_an_implementation_has_its_constructor_and_what_it_overrides() -> None:
    class Mine(CopickRun):
        @property
        def name(self) -> str:
            return "mine"

    root = CopickRoot(aiocopick.CopickConfigFS(root="memory://nowhere"))
    run = Mine(root, aiocopick.CopickRunMeta(name="mine"))
    assert run.root is root
    assert run.name == "mine"
    with pytest.raises(NotImplementedError, match="Mine implements no 'picks'"):
        _ = run.picks
