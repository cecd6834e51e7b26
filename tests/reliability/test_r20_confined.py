"""R20: nothing outside of the root is opened: not by keys, not through links that are not followed, not by a config."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.places import DISK, Place

CHILD = """
import asyncio, json, os, sys
import aiocopick
from aiocopick.errors import CopickError
from aiocopick.storage import open_storage
from aiocopick.testing import HOSTILE_KEYS

root, outside, folder = sys.argv[1:]
config = aiocopick.CopickConfigFS(root=root, follow_symlinks=False)
opened = []

async def main():
    storage = open_storage(config)
    # Everything is imported and connected.
    await storage.read("ExperimentRuns/TS_1/.meta")
    async with aiocopick.open(config) as project:
        [run.name for run in await project.query()]
        sys.addaudithook(lambda event, arguments: opened.append(arguments[0]) if event == "open" else None)
        for key in [*HOSTILE_KEYS, "../outside/secret", outside + "/secret", "ExperimentRuns/link/secret"]:
            for call in (storage.read(key), storage.list(key), storage.write(key, b"x"), storage.stat(key)):
                try:
                    await call
                except (CopickError, ValueError):
                    pass
        for run in await project.query():
            try:
                await run.picks()
            except CopickError:
                pass
    for name in sorted(os.listdir(folder)):
        try:
            root = await aiocopick.open(os.path.join(folder, name))
            await root.query()
        except CopickError:
            pass

asyncio.run(main())
texts = [os.fsdecode(path) for path in opened if isinstance(path, (str, bytes, os.PathLike))]
print(json.dumps([text for text in texts if os.path.realpath(text).startswith(outside)]))
"""


@pytest.mark.parametrize("place", [DISK], indirect=True)
def test_no_file_outside_is_opened(place: Place, tmp_path: Path, measured: Any) -> None:
    root, outside, configs = Path(place.root), tmp_path / "outside", tmp_path / "configs"
    (root / "ExperimentRuns/TS_1").mkdir(parents=True)
    (root / "ExperimentRuns/TS_1/.meta").write_text("{}")
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (outside / "Picks").mkdir()
    (outside / "Picks/u_1_o.json").write_text('{"points": []}')
    (root / "ExperimentRuns/link").symlink_to(outside)
    (root / "ExperimentRuns/TS_1/Picks").symlink_to(outside / "Picks")
    configs.mkdir()
    secret = f"file://{outside}/secret"
    for number, document in enumerate(
        [
            {"root": "zip://a", "fs_args": {"fo": secret}},
            {"root": "reference://", "fs_args": {"fo": {"ExperimentRuns/a/.meta": [secret]}}},
            {"root": "simplecache://x", "fs_args": {"target_protocol": "file"}},
            {"root": f"zip://a::{secret}"},
            {"overlay_root": "tar://a", "overlay_fs_args": {"fo": secret}},
            {"config_type": "multilayer", "layers": [{"root": "zip://a", "fs_args": {"fo": secret}}]},
        ]
    ):
        (configs / f"{number}.json").write_text(json.dumps(document))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(root), str(outside), str(configs)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    assert (outside / "secret").read_text() == "secret"
    measured("hostile keys, 2 links, 6 configs: 0 opens outside of the root")
