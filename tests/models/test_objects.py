"""Objects of a project and their rules."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from aiocopick.models import FilamentSpec, PickableObject


def particle(**fields: Any) -> PickableObject:
    return PickableObject.model_validate({"name": "ribosome", "is_particle": True} | fields)


def test_defaults() -> None:
    assert particle().model_dump() == {
        "name": "ribosome",
        "is_particle": True,
        "label": 1,
        "color": (100, 100, 100, 255),
        "emdb_id": None,
        "pdb_id": None,
        "identifier": None,
        "map_threshold": None,
        "radius": None,
        "metadata": {},
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"label": 0}, "Label 0 is reserved"),
        ({"color": (1, 2, 3)}, "Field required"),
        ({"color": (1, 2, 3, 256)}, "Color values must be in the range"),
        ({"color": (-1, 2, 3, 4)}, "Color values must be in the range"),
        ({"name": "a_b"}, "invalid characters"),
        ({"name": ""}, "invalid characters"),
        ({"is_particle": None}, "valid boolean"),
        ({"metadata": {"copick": {"filament": {"helical_rise_a": -1}}}}, "greater than 0"),
        ({"is_particle": False, "metadata": {"copick": {"filament": {}}}}, "is_particle must be True"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        particle(**fields)


def test_go_id_is_the_older_name_of_the_identifier() -> None:
    item = particle(go_id="GO:0022626")
    assert item.identifier == item.go_id == "GO:0022626"
    item.go_id = "GO:1"
    assert item.model_dump()["identifier"] == "GO:1"
    assert "go_id" not in item.model_dump()


def test_null_metadata_is_empty_and_unknown_keys_are_kept() -> None:
    item = particle(metadata=None, colour="red")
    assert item.metadata == {}
    assert item.model_dump()["colour"] == "red"
    assert particle(label=None, color=None).label is None


def test_filaments() -> None:
    item = particle(metadata={"a": 1})
    assert not item.is_filament
    assert item.filament is None
    item.set_filament({"polar": True, "colour": "red"})
    assert item.is_filament
    assert item.filament == FilamentSpec(polar=True, colour="red")  # type: ignore[call-arg]
    assert item.metadata == {"a": 1, "copick": {"filament": {"polar": True, "colour": "red"}}}
    item.set_filament(None)
    assert item.metadata == {"a": 1}


def test_a_refused_declaration_changes_nothing() -> None:
    item = particle(is_particle=False, metadata={"a": 1})
    with pytest.raises(ValueError, match="is_particle"):
        item.set_filament({"polar": True})
    assert item.metadata == {"a": 1}
    other = particle(metadata={"copick": "mine"})
    with pytest.raises(ValueError, match="reserved"):
        other.set_filament(FilamentSpec())
    assert other.metadata == {"copick": "mine"}
    assert not other.is_filament
