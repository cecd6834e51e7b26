"""The column beside the rows: copick itself under the same faults."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from aiocopick.testing import FaultServer
from tests.children import child
from tests.reliability.places import _moved
from tests.servers.s3 import MotoServer

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]
SIDE = Path(__file__).with_name("copick_side.py")


def start(
    python: Path, row: str, config: dict[str, Any], folder: Path
) -> AbstractContextManager[subprocess.Popen[str]]:
    command = [python, SIDE, row, json.dumps(config), folder]
    return child(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)


def said(python: Path, row: str, config: dict[str, Any], folder: Path, steps: dict[str, Any] | None = None) -> str:
    """The last line; each other one is a step, after whose action the child goes on."""
    with start(python, row, config, folder) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            last = line.strip()
            if steps and last in steps:
                steps[last]()
                process.stdin.write("\n")
                process.stdin.flush()
    return last.partition(" [copick ")[0]


def disk(folder: Path) -> dict[str, Any]:
    (folder / "project").mkdir(exist_ok=True)
    return {"overlay_root": f"local://{folder}/project", "overlay_fs_args": {"auto_mkdir": True}}


@contextmanager
def bucket(moto: MotoServer) -> Iterator[tuple[FaultServer, dict[str, Any]]]:
    with FaultServer(upstream=moto.url) as server:
        arguments = _moved(moto.fs_args(), moto.url, server.url)
        yield server, {"overlay_root": f"s3://{moto.new_bucket()}/project", "overlay_fs_args": arguments}


@pytest.mark.parametrize(
    ("row", "actions"),
    [
        ("R1", ["503", "503"]), ("R2", "503"), ("R3", ["truncate"]), ("R4", "short"), ("R6", "403"), ("R6", "404"),
    ],
)  # fmt: skip
def test_a_server_that_fails(
    row: str, actions: Any, copick2_python: Path, moto_server: MotoServer, tmp_path: Path, measured: Any
) -> None:
    with bucket(moto_server) as (server, config):
        counts: list[int] = []

        def begin() -> None:
            server.requests.clear()
            server.plan("1_ribosome.json", actions) if isinstance(actions, list) else server.always(actions)

        def next_step() -> None:
            counts.append(len(server.requests))

        started = time.monotonic()
        last = said(copick2_python, "fault", config, tmp_path, {"ready": begin, "read": next_step})
        text = f"{row} {actions}: {last}; {counts} requests to read, {time.monotonic() - started:.0f} s"
    assert "read: " in text
    measured(text)


def test_a_server_that_stalls(copick2_python: Path, moto_server: MotoServer, tmp_path: Path, measured: Any) -> None:
    with bucket(moto_server) as (server, config), start(copick2_python, "fault", config, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        server.always("stall")
        process.stdin.write("\n")
        process.stdin.flush()
        try:
            process.wait(65)
            text = "ended"
        except subprocess.TimeoutExpired:
            text = "still waiting after 65 s"
    assert text == "still waiting after 65 s"
    measured(f"R5 stall: {text}")


def test_a_reply_is_lost(copick2_python: Path, moto_server: MotoServer, tmp_path: Path, measured: Any) -> None:
    with bucket(moto_server) as (server, config):
        last = said(
            copick2_python, "store", config, tmp_path, {"ready": lambda: server.plan("1_ribosome.json", ["lost"])}
        )
    assert last
    measured(f"R12 lost reply: {last}")


@pytest.mark.parametrize(
    ("row", "name"), [("R8", "corrupt"), ("R11", "writers"), ("R18", "read_only"), ("R23", "numbers")]
)
def test_on_disk(row: str, name: str, copick2_python: Path, tmp_path: Path, measured: Any) -> None:
    last = said(copick2_python, name, disk(tmp_path), tmp_path)
    assert last
    measured(f"{row} {last}")


def test_writers_of_one_object(copick2_python: Path, moto_server: MotoServer, tmp_path: Path, measured: Any) -> None:
    with bucket(moto_server) as (_, config):
        last = said(copick2_python, "writers", config, tmp_path)
    assert "errors of writers" in last
    measured(f"R11 s3: {last}")


def test_kills(copick2_python: Path, tmp_path: Path, measured: Any) -> None:
    chance = random.Random(9)
    config = disk(tmp_path)
    said(copick2_python, "write", config, tmp_path)
    torn = 0
    for _ in range(10):
        with start(copick2_python, "killed", config, tmp_path) as process:
            assert process.stdout is not None
            if not process.stdout.readline():
                break
            time.sleep(chance.random() * 0.3)
        [path] = (tmp_path / "project").rglob("Picks/*.json")
        try:
            json.loads(path.read_bytes())
        except ValueError:
            torn += 1
            path.write_text(
                '{"pickable_object_name": "ribosome", "user_id": "someone", "session_id": "1", "points": []}'
            )
    measured(f"R9 10 kills: {torn} unreadable files")


def test_secrets(copick2_python: Path, tmp_path: Path, measured: Any) -> None:
    with FaultServer() as server:
        server.always("403")
        arguments = {
            "key": "CANARY-key", "secret": "CANARY-secret", "token": "CANARY-token",
            "client_kwargs": {"endpoint_url": server.url, "region_name": "us-east-1"},
        }  # fmt: skip
        last = said(
            copick2_python, "secrets", {"overlay_root": "s3://bucket/p", "overlay_fs_args": arguments}, tmp_path
        )
    assert "shown by" in last
    measured(f"R24 {last}")
