"""Keys of a configuration that are nearly ours are refused; those of other programs are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import aiocopick
from aiocopick.errors import FormatError
from aiocopick.models import CopickConfigFS, CopickConfigMultilayer, parse_config
from aiocopick.models.config import StorageOptions, config_fields
from aiocopick.models.naming import near, refuse_misspelt

MISSPELT = {
    "readonly": "read_only",
    "readOnly": "read_only",
    "read-only": "read_only",
    "max_concurency": "max_concurrency",
    "maxConcurrency": "max_concurrency",
    "timeuot": "timeout",
    "retrys": "retries",
    "fsargs": "fs_args",
    "userid": "user_id",
    "pickable_object": "pickable_objects",
    "endpoint": None,
    "dataset_ids": None,
    "authors": None,
    "croissant_url": None,
    "croissant_fs_args": None,
    "x-editor": None,
    "comment": None,
}


def by_file(document: dict[str, Any], folder: Path) -> Any:
    path = folder / "config.json"
    path.write_text(json.dumps(document))
    return aiocopick.from_file(path).config


def opened_file(document: dict[str, Any], folder: Path) -> Any:
    path = folder / "config.json"
    path.write_text(json.dumps(document))
    return aiocopick.open_sync(path).config


WAYS: list[Callable[[dict[str, Any], Path], Any]] = [
    lambda document, folder: parse_config(document),
    lambda document, folder: CopickConfigFS(**document),
    lambda document, folder: aiocopick.open_sync(document).config,
    lambda document, folder: aiocopick.from_string(json.dumps(document)).config,
    lambda document, folder: parse_config({"layers": [document]}).layers[0],
    lambda document, folder: CopickConfigMultilayer(layers=[document]).layers[0],
    lambda document, folder: aiocopick.AsyncRoot.stack([document]).layers[0].config,
    by_file,
    opened_file,
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", ["readonly", "max_concurency"])
def test_every_way_to_open_asks_what_is_meant(tmp_path: Path, way: Callable[..., Any], key: str) -> None:
    with pytest.raises((FormatError, ValidationError)) as refused:
        way({"root": str(tmp_path), key: "canary-4711"}, tmp_path)
    assert f"there is no field {key!r}; did you mean {MISSPELT[key]!r}?" in str(refused.value)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("key", MISSPELT)
def test_near_and_far(key: str) -> None:
    meant = MISSPELT[key]
    if meant is None:
        config = parse_config({"root": "/a", key: {"kept": [1]}})
        assert config.to_dict()[key] == {"kept": [1]}
        return
    for form in ({"root": "/a"}, {"overlay_root": "/a"}, {"layers": ["/a"]}, {"config_type": "mlcroissant"}):
        with pytest.raises(FormatError, match=f"no field {key!r}; did you mean {meant!r}"):
            parse_config(form | {key: 1})


def test_no_field_is_taken_for_another_one() -> None:
    refuse_misspelt(dict.fromkeys(config_fields()), config_fields())
    for field in config_fields():
        assert near(field, config_fields()) == field


def test_the_misspelt_place_is_named() -> None:
    with pytest.raises(FormatError, match="'rooot'; did you mean 'root'"):
        parse_config({"rooot": "/a"})
    with pytest.raises(FormatError, match="'overlay_rot'; did you mean 'overlay_root'"):
        parse_config({"overlay_rot": "/a"})


def test_objects_are_looked_at_and_arguments_are_not() -> None:
    item = {"name": "ribosome", "is_particle": True}
    with pytest.raises(FormatError, match=r"'pickable_objects.0.lable'; did you mean 'pickable_objects.0.label'"):
        parse_config({"root": "/a", "pickable_objects": [item | {"lable": 3}]})
    given = {
        "root": "s3://b/p",
        "fs_args": {"readonly": 1, "timeuot": 2},
        "pickable_objects": [item | {"go_id": "GO:1", "source": "me", "metadata": {"lable": 1, "readonly": 2}}],
    }
    config = parse_config(given)
    assert config.to_dict()["fs_args"] == given["fs_args"]
    assert config.to_dict()["pickable_objects"][0]["metadata"] == {"lable": 1, "readonly": 2}


def test_options_ask_too(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"no option 'readonly'.*Did you mean 'read_only'\?"):
        aiocopick.open_sync(tmp_path, readonly=True)
    root = aiocopick.open_sync(tmp_path)
    with pytest.raises(TypeError, match=r"no option 'time_out'.*Did you mean 'timeout'\?"):
        root.options(time_out=3)
    assert set(StorageOptions.model_fields) <= config_fields()
