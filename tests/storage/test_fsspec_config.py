"""fsspec's own configuration holds where a project's arguments say nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fsspec.config import conf

from aiocopick.errors import StorageError
from aiocopick.models import CopickConfigFS
from aiocopick.storage import open_storage
from aiocopick.storage.factory import backend_of
from aiocopick.storage.filesystem import make_filesystem
from aiocopick.storage.settings import Settings, configured
from aiocopick.testing import Answer, FaultServer
from tests.storage.test_answers import KINDS, fields, listing


def test_arguments_are_merged_into_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        conf, "s3", {"key": "theirs", "client_kwargs": {"endpoint_url": "http://e", "region_name": "r"}}
    )
    monkeypatch.setitem(conf, "s3a", {"client_kwargs": {"region_name": "of-s3a"}})
    given = {"key": "ours", "client_kwargs": {"verify": False}, "config_kwargs": {"a": 1}}
    assert configured("s3", given) == {
        "key": "ours",
        "client_kwargs": {"endpoint_url": "http://e", "region_name": "of-s3a", "verify": False},
        "config_kwargs": {"a": 1},
    }
    assert conf["s3"]["client_kwargs"] == {"endpoint_url": "http://e", "region_name": "r"}
    assert configured("http", given) == given


def test_an_endpoint_of_the_project_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = (
        {"client_kwargs": {"endpoint_url": "http://ours"}},
        {"client_kwargs": {"endpoint_url": "http://theirs"}},
    )
    monkeypatch.setitem(conf, "s3", {"endpoint_url": "http://theirs"})
    assert configured("s3", ours) == {**ours, "endpoint_url": None}
    monkeypatch.setitem(conf, "s3", theirs)
    assert configured("s3", {"endpoint_url": "http://ours"}) == {"endpoint_url": "http://ours", "client_kwargs": {}}
    assert configured("s3", {}) == theirs


NAMES = {"s3": "s3", "obstore": "s3", "gs": "gcs", "az": "abfs", "http": "http"}


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", KINDS)
async def test_every_backend_goes_where_the_configuration_says(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FaultServer() as server:
        config = fields(kind, server.url)
        arguments: dict[str, Any] = config.pop("fs_args", None) or {"headers": {"X-Mark": "theirs"}}
        own: dict[str, Any] = {}
        if kind in ("s3", "obstore"):
            # A dictionary on both sides.
            own = {"client_kwargs": {"verify": False}, "config_kwargs": {"connect_timeout": 3}}
        monkeypatch.setitem(conf, NAMES[kind], arguments)
        page = Answer(200, {"content-type": "text/html"}, b'<h1>Index of</h1><a href="a">a</a>')
        server.always(page if kind == "http" else listing("s3" if kind == "obstore" else kind, "p/dir/a"))
        storage = open_storage(Settings(**config, fs_args=own, retries=0))
        assert [entry.key for entry in await storage.list("dir")] == ["dir/a"]
        [request] = server.requests
        if kind == "http":
            assert request.headers["x-mark"] == "theirs"
        await storage.aclose()


@pytest.mark.asyncio
async def test_secrets_of_the_configuration_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(conf, "http", {"headers": {"Authorization": "canary-of-the-configuration"}})
    async with FaultServer() as server:
        server.always(Answer(500, {}, b"canary-of-the-configuration"))
        storage = open_storage(Settings(root=f"{server.url}/p", retries=0))
        with pytest.raises(StorageError) as caught:
            await storage.list("")
        assert "canary" not in f"{caught.value!r} {storage!r}"
        await storage.aclose()


def test_the_filesystem_of_a_config_is_merged_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(conf, "s3", {"client_kwargs": {"endpoint_url": "http://theirs"}})
    filesystem = make_filesystem(CopickConfigFS(root="s3://b/p", fs_args={"client_kwargs": {"region_name": "r"}}))
    assert filesystem.client_kwargs["endpoint_url"] == "http://theirs"
    assert filesystem.client_kwargs["region_name"] == "r"


@pytest.mark.parametrize("protocol", ["file", "memory", "sftp", "github"])
def test_other_protocols_are_merged_alike(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(conf, protocol, {"a": {"b": 1}, "c": 2})
    storage: Any = open_storage(Settings(root=f"{protocol}://place/p", fs_args={"a": {"d": 3}}))
    assert storage._core.settings.fs_args == {"a": {"b": 1, "d": 3}, "c": 2}
    assert storage._core.backend is backend_of(protocol)


SCRIPT = """
from aiocopick.storage import open_storage
from aiocopick.storage.settings import Settings
storage = open_storage(Settings(root="s3://b/p", fs_args={"client_kwargs": {"region_name": "r"}}))
print(sorted(storage._core.settings.fs_args["client_kwargs"].items()), storage._core.settings.fs_args.get("endpoint_url"))
"""


@pytest.mark.parametrize(
    "way", ["variable", *(pytest.param(way, marks=pytest.mark.slow) for way in ("variable of one", "file"))]
)
def test_variables_and_files_are_read(way: str, tmp_path: Path) -> None:
    kwargs = {"client_kwargs": {"endpoint_url": "http://theirs"}}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FSSPEC")}
    if way == "variable":
        environment["FSSPEC_S3"] = json.dumps(kwargs)
    elif way == "file":
        (tmp_path / "conf.json").write_text(json.dumps({"s3": kwargs}))
        environment["FSSPEC_CONFIG_DIR"] = str(tmp_path)
    else:
        environment["FSSPEC_S3_ENDPOINT_URL"] = "http://theirs"
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    expected = "[('region_name', 'r')] http://theirs" if way == "variable of one" else (
        "[('endpoint_url', 'http://theirs'), ('region_name', 'r')] None"
    )  # fmt: skip
    assert done.stdout.strip() == expected
