"""Configurations: every form is read, secrets are written only where the user saves them."""

from __future__ import annotations

import copy
import gc
import json
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from aiocopick.errors import FormatError, LayerError
from aiocopick.models import (
    CopickConfig,
    CopickConfigForeign,
    CopickConfigFS,
    CopickConfigFSSpec,
    CopickConfigMultilayer,
    PickableObject,
    parse_config,
)
from aiocopick.models.redaction import redact, redact_url

CANARY = "canary-4711"
OBJECT = {"name": "ribosome", "is_particle": True, "label": 1, "metadata": {"nested": {"null": None}}}
OVERLAY = {
    "config_type": "filesystem",
    "name": "test",
    "pickable_objects": [OBJECT],
    "user_id": "me",
    "overlay_root": "local:///data/overlay/",
    "overlay_fs_args": {"auto_mkdir": True},
    "static_root": "s3://bucket/static",
    "static_fs_args": None,
    "tomograms": {"10.0": ["wbp"]},
}


def test_defaults() -> None:
    config = CopickConfigFS(root="s3://bucket/project")
    assert config.config_type == "filesystem"
    assert config.pickable_objects == []
    assert config.fs_args == {}
    assert (config.layer_name, config.priority, config.read_only) == ("filesystem", 0, False)
    assert (config.max_concurrency, config.max_bytes_in_flight) == (64, 512 * 2**20)
    assert (config.timeout, config.retries) == (60, 4)
    assert config.max_array_bytes == 64 * 2**30
    assert config.zarr_format == 2
    assert (config.require_meta, config.follow_symlinks) == (False, True)
    assert config.runs is None
    assert (config.name, config.description, config.version) == ("CoPick", "Let's CoPick!", "0.2.0")


def test_no_arguments_are_none_at_all() -> None:
    assert CopickConfigFS(root="/a", fs_args=None).fs_args == {}
    assert parse_config(OVERLAY).static_fs_args == {}


def test_roots_may_be_paths() -> None:
    assert CopickConfigFS(root=Path("/data/project")).root == "/data/project"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"root": "/a"}, CopickConfigFS),
        ({"config_type": "filesystem", "root": "/a"}, CopickConfigFS),
        (OVERLAY, CopickConfigFSSpec),
        ({"overlay_root": "/a"}, CopickConfigFSSpec),
        ({"config_type": "multilayer", "layers": [{"root": "/a"}]}, CopickConfigMultilayer),
        ({"layers": ["/a"]}, CopickConfigMultilayer),
        ({"config_type": "cryoet_data_portal", "dataset_ids": [1], "overlay_root": "/a"}, CopickConfigForeign),
        ({"config_type": "mlcroissant", "croissant_url": "https://x/y.json"}, CopickConfigForeign),
    ],
)
def test_forms(data: dict[str, Any], kind: type[CopickConfig]) -> None:
    config = parse_config(data | {"timeout": 5, "zarr_format": 3, "max_concurrency": 8})
    assert type(config) is kind
    assert config.timeout == 5  # type: ignore[attr-defined]
    assert config.zarr_format == 3  # type: ignore[attr-defined]
    again = parse_config(json.loads(config.to_json()))
    assert again == config
    assert again.model_fields_set >= {"timeout", "zarr_format", "max_concurrency"}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"config_type": "filesystem"},
        {"config_type": "ftp", "root": "/a"},
        {"config_type": ["filesystem"], "root": "/a"},
        {"root": 3},
        {"root": "/a", "fs_args": CANARY},
        {"root": "/a", "user_id": "a_b"},
        {"root": "/a", "session_id": ""},
        {"root": "/a", "zarr_format": 4},
        {"root": "/a", "timeout": 0},
        {"root": "/a", "max_concurrency": 0},
        {"root": "/a", "pickable_objects": [{"name": "a"}]},
        {"config_type": "multilayer", "layers": 3},
        {"config_type": "multilayer", "layers": [{"config_type": "ftp"}]},
    ],
)
def test_what_is_no_configuration(data: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as caught:
        parse_config(data | {"overlay_fs_args": {"secret": CANARY}})
    assert CANARY not in str(caught.value)


def test_a_configuration_of_many_wrong_things_is_told_one() -> None:
    for field in ("pickable_objects", "runs", "voxel_spacings"):
        with pytest.raises(FormatError) as caught:
            parse_config({"root": "/a", field: ["x", None] * 100_000})
        assert len(str(caught.value)) < 1000


def test_errors_of_the_models_show_no_input() -> None:
    with pytest.raises(ValidationError) as caught:
        CopickConfigFS(fs_args={"secret": CANARY})  # type: ignore[call-arg]
    assert CANARY not in str(caught.value)
    with pytest.raises(ValidationError) as caught:
        CopickConfigFS(root="/a", fs_args=[CANARY])  # type: ignore[arg-type]
    assert CANARY not in str(caught.value)


SECRETIVE = [
    CopickConfigFS(root=f"s3://key:{CANARY}@bucket/p", fs_args={"secret": CANARY, "client_kwargs": {"a": [CANARY]}}),
    CopickConfigFS(root=f"https://host/p?X-Amz-Signature={CANARY}"),
    CopickConfigFS(root=f"simplecache::s3://k:{CANARY}@b/p"),
    CopickConfigFSSpec(
        overlay_root=f"sftp://u:{CANARY}@h/p",
        static_root=f"s3://k:{CANARY}@b",
        overlay_fs_args={"password": CANARY},
        static_fs_args={"secret": CANARY},
    ),
    CopickConfigMultilayer.model_validate(
        {"layers": [{"root": "/a", "fs_args": {"secret": CANARY}}, {"root": f"s3://k:{CANARY}@b", "layer_name": "b"}]}
    ),
    parse_config(
        {"config_type": "mlcroissant", "croissant_fs_args": {"token": CANARY}, "overlay_root": f"s3://k:{CANARY}@b"}
    ),
]


@pytest.mark.parametrize("config", SECRETIVE, ids=lambda config: type(config).__name__)
def test_secrets_are_saved_and_never_shown(config: CopickConfig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").debug("%s %r", config, config)
    shown = f"{config!r} {config} {config.display()} {[config]!r} {caplog.text}"
    assert CANARY not in shown
    assert CANARY in config.to_json()
    assert parse_config(json.loads(config.to_json())) == config


def test_names_of_arguments_are_shown() -> None:
    shown = SECRETIVE[0].display()
    assert shown["fs_args"] == {"secret": "***", "client_kwargs": {"a": "***"}}
    assert shown["root"] == "s3://bucket/p"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("s3://k:s@bucket/a@b", "s3://bucket/a@b"),
        ("filecache::https://u:p@h/a?sig=x", "filecache::https://h/a?***"),
        ("/data/a?b@c", "/data/a?b@c"),
        ("https://u@h", "https://h"),
    ],
)
def test_urls_lose_their_credentials(url: str, shown: str) -> None:
    assert redact_url(url) == shown
    assert redact({"a": [url]}) == {"a": [shown]}


def test_ids_and_objects_are_live() -> None:
    config = CopickConfigFS(root="/a")
    config.user_id = "somebody"
    config.pickable_objects.append(PickableObject(name="ribosome", is_particle=True))
    assert json.loads(config.to_json())["user_id"] == "somebody"
    assert [item.name for item in parse_config(json.loads(config.to_json())).pickable_objects] == ["ribosome"]


def test_unknown_keys_and_nulls_survive() -> None:
    data = OVERLAY | {"index": {"a": None}, "description": None}
    saved = json.loads(parse_config(data).to_json())
    assert saved["index"] == {"a": None}
    assert saved["description"] is None
    assert saved["pickable_objects"][0]["metadata"] == {"nested": {"null": None}}
    assert saved["tomograms"] == {"10.0": ["wbp"]}


def test_a_config_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"root": "/a", "fs_args": {"secret": CANARY}}), encoding="utf-8")
    assert CopickConfigFS.from_file(path).fs_args == {"secret": CANARY}
    assert CopickConfigFS.from_file(str(path)) == CopickConfigFS.from_file(path)


def test_an_overlay_and_a_static_project_are_two_layers() -> None:
    config = parse_config(OVERLAY | {"zarr_format": 3, "timeout": 5})
    assert isinstance(config, CopickConfigFSSpec)
    overlay, static = config.layer_configs()
    assert (overlay.root, overlay.layer_name, overlay.read_only) == ("local:///data/overlay/", "overlay", False)
    assert (static.root, static.layer_name, static.read_only) == ("s3://bucket/static", "static", True)
    assert overlay.priority > static.priority
    assert overlay.fs_args == {"auto_mkdir": True}
    assert (overlay.zarr_format, overlay.timeout, static.timeout) == (3, 5, 5)
    assert overlay.pickable_objects is config.pickable_objects
    assert overlay.user_id == "me"


@pytest.mark.parametrize("static", [None, "/data/overlay", "/data/overlay/"])
def test_an_overlay_alone_is_one_layer(static: str | None) -> None:
    config = CopickConfigFSSpec(overlay_root="/data/overlay", static_root=static)
    assert [layer.layer_name for layer in config.layer_configs()] == ["overlay"]


def test_a_read_only_overlay_is_read_only() -> None:
    config = CopickConfigFSSpec(overlay_root="/a", static_root="/b", read_only=True)
    assert [layer.read_only for layer in config.layer_configs()] == [True, True]


def test_a_stack_sorts_names_and_fills_in() -> None:
    config = parse_config(
        {
            "config_type": "multilayer",
            "timeout": 5,
            "user_id": "me",
            "runs": ["a"],
            "layers": ["/a", {"root": "/b", "priority": 2, "timeout": 7}, {"root": "/c", "layer_name": "c"}, "/d"],
        }
    )
    assert isinstance(config, CopickConfigMultilayer)
    layers = config.layer_configs()
    assert [layer.root for layer in layers if isinstance(layer, CopickConfigFS)] == ["/b", "/a", "/c", "/d"]
    assert [layer.layer_name for layer in layers] == ["filesystem-1", "filesystem", "c", "filesystem-2"]
    assert [layer.timeout for layer in layers] == [7, 5, 5, 5]
    assert {layer.user_id for layer in layers} == {"me"}
    assert {tuple(layer.runs or ()) for layer in layers} == {("a",)}
    again = parse_config(json.loads(config.to_json()))
    assert isinstance(again, CopickConfigMultilayer)
    assert again.layer_configs() == layers


def test_a_read_only_stack_makes_every_layer_read_only() -> None:
    config = CopickConfigMultilayer.model_validate({"read_only": True, "layers": [{"root": "/a", "read_only": False}]})
    assert [layer.read_only for layer in config.layer_configs()] == [True]


def test_a_foreign_layer() -> None:
    config = CopickConfigMultilayer.model_validate(
        {"layers": [{"root": "/a"}, {"config_type": "cryoet_data_portal", "dataset_ids": [1]}]}
    )
    assert isinstance(config.layers[1], CopickConfigForeign)
    assert config.layers[1].model_extra == {"dataset_ids": [1]}
    assert json.loads(config.to_json())["layers"][1]["dataset_ids"] == [1]


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [{"root": "/a", "layer_name": "x"}, {"root": "/b", "layer_name": "x"}],
        [OVERLAY],
        [{"config_type": "multilayer", "layers": ["/a"]}],
    ],
    ids=["none", "one name", "overlay", "nested"],
)
def test_stacks_that_cannot_be(layers: list[Any]) -> None:
    with pytest.raises(LayerError):
        parse_config({"config_type": "multilayer", "layers": layers})


def test_one_filesystem_per_config(monkeypatch: pytest.MonkeyPatch) -> None:
    from aiocopick.storage import filesystem

    made: list[object] = []
    monkeypatch.setattr(filesystem, "make_filesystem", lambda config: made.append(config) or object())
    config = CopickConfigFS(root="memory://a")
    unused = CopickConfigFS(root="memory://a")
    first = config.fs()
    assert config.fs() is first
    assert config == unused
    assert pickle.loads(pickle.dumps(config)) == config
    for twin in (copy.copy(config), copy.deepcopy(config), config.model_copy()):
        assert twin == config
        assert twin.fs() is not first
    assert "fs" not in config.to_dict()
    count = len(made)
    del config, twin, first
    made.clear()
    gc.collect()
    from aiocopick.models import config as module

    assert count == 4
    assert module._filesystems == {}


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"root": ""}, "root"),
        ({"root": "  "}, "root"),
        ({"overlay_root": ""}, "overlay_root"),
        ({"overlay_root": "/data", "static_root": ""}, "static_root"),
    ],
)
def test_an_empty_place_is_refused_by_its_name(config: dict[str, Any], field: str) -> None:
    with pytest.raises(FormatError, match=rf"{field}: .*empty"):
        parse_config(config | {"pickable_objects": []})
    with pytest.raises(FormatError, match=r"root: .*empty"):
        parse_config({"config_type": "multilayer", "layers": [{"root": ""}]})


@pytest.mark.parametrize("place", [{"root": "memory://x"}, {"overlay_root": "memory://x"}])
def test_a_saved_config_says_what_its_file_said(place: dict[str, Any]) -> None:
    given = {
        "config_type": "filesystem",
        "description": None,
        "runs": None,
        "theirs": None,
        "nested": {"a": None},
        "pickable_objects": [
            {"name": "a", "is_particle": True},
            {"name": "b", "is_particle": False, "label": None, "pdb_id": None, "theirs": None, "metadata": {"k": None}},
        ],
    } | place
    config = parse_config(given)
    assert json.loads(config.to_json()) == given
    config.pickable_objects[0].metadata["k"] = 1
    config.user_id = "someone"
    given["pickable_objects"][0]["metadata"] = {"k": 1}  # type: ignore[index]
    assert config.to_dict() == given | {"user_id": "someone"}
