"""Protocols that a configuration file may name: what reaches one place by its URL, and what the caller allows."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import aiocopick
from aiocopick.errors import FormatError
from aiocopick.models import CopickConfigFS
from aiocopick.models.protocols import check_protocols
from tests.cli.running import aiocopick as run

REFUSED: dict[str, dict[str, Any]] = {
    "zip": {"root": "zip://project", "fs_args": {"fo": "file:///etc/secrets.zip"}},
    "zip without target": {"root": "zip://project"},
    "reference": {"root": "reference://", "fs_args": {"fo": {"a": ["file:///etc/passwd"]}}},
    "dir": {"root": "dir://", "fs_args": {"path": "/etc", "target_protocol": "file"}},
    "cache": {"root": "simplecache://x", "fs_args": {"target_protocol": "file"}},
    "upper case": {"root": "ZIP://project", "fs_args": {"fo": "file:///etc/secrets.zip"}},
    "chained": {"root": "zip://a::file:///etc/x.zip"},
    "chained at the start": {"root": "simplecache::s3://bucket/a"},
    "target below a plain protocol": {"root": "s3://bucket", "fs_args": {"fo": "file:///etc/x"}},
    "nested target": {"root": "s3://bucket", "fs_args": {"client_kwargs": {"target_options": {"fo": "/etc/x"}}}},
    "overlay": {"overlay_root": "zip://a", "overlay_fs_args": {"fo": "/etc/x.zip"}},
    "static": {"overlay_root": "/tmp/a", "static_root": "git://a", "static_fs_args": {}},
    "layer": {"config_type": "multilayer", "layers": ["/data/a", {"root": "zip://a", "fs_args": {"fo": "/etc/x"}}]},
    "layer by URL": {"config_type": "multilayer", "layers": ["/data/a", "libarchive://a"]},
    "croissant": {"config_type": "mlcroissant", "croissant_url": "zip://a::/etc/x.zip"},
    "portal": {"config_type": "cryoet_data_portal", "overlay_root": "tar://a", "overlay_fs_args": {"fo": "/etc/x"}},
    "target in a list": {"root": "s3://bucket", "fs_args": {"a": [{"fo": "/etc/x"}]}},
}
# Each would run a program, load a library, or hand over what is on this machine.
POWERS: dict[str, dict[str, Any]] = {
    "command": {"root": "ssh://host/a", "fs_args": {"proxy_command": "touch /tmp/a"}},
    "command as a list": {"root": "sftp://host/a", "fs_args": {"proxy_command": ["touch", "/tmp/a"]}},
    "options that run one": {"root": "ssh://host/a", "fs_args": {"config": ["/data/project/ssh_config"]}},
    "library": {"root": "ssh://host/a", "fs_args": {"pkcs11_provider": "/data/project/lib.so"}},
    "key program": {"root": "ssh://host/a", "fs_args": {"client_host_keysign": "/data/project/program"}},
    "agent": {"root": "ssh://host/a", "fs_args": {"agent_forwarding": True}},
    "environment": {"root": "ssh://host/a", "fs_args": {"send_env": ["AWS_SECRET_ACCESS_KEY"]}},
    "environment, inside": {"root": "ssh://host/a", "fs_args": {"sftp_client_kwargs": {"send_env": ["AWS_PROFILE"]}}},
    "tickets": {"overlay_root": "ssh://host/a", "overlay_fs_args": {"gss_delegate_creds": True}},
    "static": {
        "overlay_root": "/a",
        "static_root": "ssh://host/a",
        "static_fs_args": {"proxy_command": "touch /tmp/a"},
    },
    "layer": {"layers": [{"root": "ssh://host/a", "fs_args": {"proxy_command": "touch /tmp/a"}}]},
    "configuration of AWS": {
        "root": "s3://bucket",
        "fs_args": {"session_vars": {"config_file": [None, "AWS_CONFIG_FILE", "/data/project/aws", None]}},
    },
}
PLAIN: list[dict[str, Any]] = [
    {"root": "/data/project"},
    {"root": "C:\\data\\project"},
    {"root": "relative/project::1"},
    {"root": "s3://bucket/a", "fs_args": {"client_kwargs": {"endpoint_url": "http://127.0.0.1:1"}}},
    {"root": "gs://bucket/a"},
    {"root": "abfss://container@account.dfs.core.windows.net/a"},
    {"root": "memory://a", "homepage": "gopher://a", "homepage_url": "gopher://a"},
    {"overlay_root": "local:///data/a", "overlay_fs_args": {"auto_mkdir": True}, "static_root": "https://host/a"},
    {"overlay_root": "ssh:///data/a", "static_root": "smb://host/a"},
]


def a_file(folder: Path, document: dict[str, Any]) -> str:
    path = folder / "config.json"
    path.write_text(json.dumps({"pickable_objects": [], **document}))
    return str(path)


@pytest.mark.parametrize("document", REFUSED.values(), ids=REFUSED)
def test_a_file_may_not_reach_into_other_files(tmp_path: Path, document: dict[str, Any]) -> None:
    path = a_file(tmp_path, document)
    for opened in (
        aiocopick.open_sync,
        aiocopick.from_file,
        aiocopick.CopickRootFS.from_file,
        lambda name: aiocopick.from_string(Path(name).read_text()),
    ):
        with pytest.raises(FormatError, match="allow_protocols"):
            opened(path)


@pytest.mark.parametrize("document", POWERS.values(), ids=POWERS)
def test_a_file_may_not_run_programs(tmp_path: Path, document: dict[str, Any]) -> None:
    path = a_file(tmp_path, document)
    for allowed in ((), ("zip",)):
        for opened in (aiocopick.open_sync, aiocopick.from_file, aiocopick.CopickRootFS.from_file):
            with pytest.raises(FormatError, match=r"runs programs.*allow_protocols"):
                opened(path, allow_protocols=allowed)


@pytest.mark.parametrize("document", POWERS.values(), ids=POWERS)
def test_the_caller_may_trust_the_options_of_a_file(document: dict[str, Any]) -> None:
    check_protocols(document, ("ssh", "s3"), path="config.json")


@pytest.mark.parametrize("document", PLAIN)
def test_usual_protocols_are_allowed(document: dict[str, Any]) -> None:
    check_protocols(document, path="config.json")


def test_what_is_refused_is_never_opened(tmp_path: Path) -> None:
    archive = tmp_path / "secrets.zip"
    archive.mkdir()
    document = {"root": "zip://project", "fs_args": {"fo": str(archive)}}
    with pytest.raises(FormatError) as caught:
        aiocopick.open_sync(a_file(tmp_path, document))
    assert str(archive) not in str(caught.value)
    assert "root names the protocol 'zip'" in str(caught.value)
    assert "config.json" in str(caught.value)


def a_zipped_project(folder: Path) -> dict[str, Any]:
    archive = folder / "project.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("project/ExperimentRuns/TS_1/.meta", "meta")
    return {"root": "zip://project", "fs_args": {"fo": f"file://{archive}"}}


def test_the_caller_may_allow_more(tmp_path: Path) -> None:
    path = a_file(tmp_path, a_zipped_project(tmp_path))
    for root in (
        aiocopick.open_sync(path, allow_protocols=["zip"]),
        aiocopick.from_file(path, allow_protocols={"zip"}),
        aiocopick.from_string(Path(path).read_text(), allow_protocols="zip"),
        aiocopick.CopickRootFS.from_file(path, allow_protocols=("zip",)),
        aiocopick.CopickRootFS(CopickConfigFS.from_file(path, allow_protocols=["zip"])),
    ):
        assert [run.name for run in root.runs] == ["TS_1"]
    with pytest.raises(FormatError, match="'zip'"):
        aiocopick.open_sync(path, allow_protocols=["reference"])


def test_a_target_of_what_is_allowed_must_be_allowed_as_well(tmp_path: Path) -> None:
    document = {"root": "zip://project", "fs_args": {"fo": "sneaky://x", "target_protocol": "sneaky"}}
    with pytest.raises(FormatError, match="sneaky"):
        aiocopick.open_sync(a_file(tmp_path, document), allow_protocols=["zip"])


def test_what_a_program_passes_itself_is_not_restricted(tmp_path: Path) -> None:
    document = a_zipped_project(tmp_path)
    assert [run.name for run in aiocopick.open_sync(document).runs] == ["TS_1"]
    assert [run.name for run in aiocopick.open_sync(document["root"], fs_args=document["fs_args"]).runs] == ["TS_1"]
    assert [run.name for run in aiocopick.CopickRootFS(CopickConfigFS(**document)).runs] == ["TS_1"]
    # Over a file, too.
    path = a_file(tmp_path, {"root": "/nowhere"})
    assert [run.name for run in aiocopick.open_sync(path, **document).runs] == ["TS_1"]


def test_the_command_line_has_a_switch(tmp_path: Path) -> None:
    path = a_file(tmp_path, a_zipped_project(tmp_path))
    refused = run("ls", path)
    assert refused.code == 1
    assert "--allow-protocol" in refused.err
    assert run("ls", path, "--allow-protocol", "zip").out.split() == ["TS_1"]
