"""Faults of the rows of reliability on copick itself: ``python faults_copick.py ROW CONFIG FOLDER`` prints what happened.

CONFIG is the arguments of copick's filesystem config, FOLDER one that nothing else uses. The other side may be told
what to do next by a line on standard output and waits for one on standard input.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import copick
from copick.impl.filesystem import CopickRootFSSpec
from copick.models import CopickLocation, CopickPoint

warnings.simplefilter("ignore")
ROW, CONFIG, FOLDER = sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3])


def open_root() -> Any:
    config = {
        "config_type": "filesystem",
        "pickable_objects": [{"name": "ribosome", "is_particle": True, "label": 1}],
        "user_id": "someone",
        "session_id": "1",
        **CONFIG,
    }
    path = FOLDER / f"config-{os.getpid()}.json"
    path.write_text(json.dumps(config))
    return CopickRootFSSpec.from_file(str(path))


def point(x: float) -> Any:
    return CopickPoint(location=CopickLocation(x=x, y=0, z=0))


def write() -> None:
    picks = open_root().new_run("TS_1").new_picks("ribosome", "1", "someone")
    picks.points = [point(0), point(1)]
    picks.store()


def only_picks(root: Any) -> Any:
    return root.query()[0].query_picks()[0]


def ask(what: str) -> None:
    print(what, flush=True)
    sys.stdin.readline()


def outcome(call: Any) -> str:
    try:
        return f"returned {call()!r}"[:200]
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:200]


def fault() -> str:
    """Read, list and store with a fault that the other side sets between the steps."""
    write()
    root = open_root()
    picks = only_picks(root)
    ask("ready")
    read = outcome(lambda: len(picks.load().points))
    ask("read")
    listed = outcome(lambda: len(open_root().query()))
    return f"read: {read}; list: {listed}"


def store_fault() -> str:
    write()
    picks = only_picks(open_root())
    picks.load()
    ask("ready")
    picks.points = [point(5)]
    return outcome(picks.store)


def corrupt() -> str:
    root = open_root()
    for number in range(20):
        picks = root.new_run(f"TS_{number:02}").new_picks("ribosome", "1", "someone")
        picks.points = [point(0)]
        picks.store()
    picks.fs.pipe_file(picks.path, b"{")
    read = 0
    try:
        for run in open_root().runs:
            for found in run.picks:
                read += len(found.points)
    except Exception as error:
        return f"{read} of 19 read, then {type(error).__name__}; names the file: {picks.path in str(error)}"
    return f"{read} of 19 read"


def writers() -> str:
    from concurrent.futures import ThreadPoolExecutor

    write()
    roots = [open_root() for _ in range(10)]

    failed: list[str] = []

    def add(number: int) -> None:
        try:
            _add(number)
        except Exception as error:
            failed.append(type(error).__name__)

    def _add(number: int) -> None:
        picks = only_picks(roots[number])
        picks.load()
        picks.points = [*picks.points, point(10 + number)]
        picks.store()

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(add, range(10)))
    try:
        kept = [item.location.x for item in only_picks(open_root()).load().points if item.location.x >= 10]
    except Exception as error:
        return f"the file is broken in the end: {type(error).__name__}; errors of writers: {sorted(set(failed))}"
    return f"{len(kept)} of 10 kept, errors of writers: {sorted(set(failed))}"


def killed() -> str:
    """Store for ever; the other side kills."""
    picks = only_picks(open_root())
    number = int(CONFIG.get("number", 1))
    while True:
        number += 1
        picks.points = [point(number)] * 3000
        picks.store()
        print(number, flush=True)


def check() -> str:
    return outcome(lambda: len(only_picks(open_root()).load().points))


def read_only() -> str:
    import numpy as np
    import zarr

    root = open_root()
    tomogram = root.new_run("TS_1").new_voxel_spacing(10.0).new_tomogram("wbp")
    tomogram.from_numpy(np.ones((8, 8, 8), np.float32), levels=1)
    static = str(CONFIG["overlay_root"])
    CONFIG.update(overlay_root=f"local://{FOLDER}/overlay", static_root=static)
    found = open_root().get_run("TS_1").get_voxel_spacing(10.0).tomograms[0]
    changed = []
    for name, call in (
        ("an array is written", lambda: zarr.open(found.zarr(), mode="r+")["0"].__setitem__(slice(0, 1), 5)),
        ("store.clear", lambda: zarr.core.sync.sync(found.zarr().clear())),
        ("delete", found.delete),
    ):
        before = contents(Path(static.removeprefix("local://")))
        said = outcome(call)
        if contents(Path(static.removeprefix("local://"))) != before:
            changed.append(name)
        elif said.startswith("returned"):
            changed.append(f"{name} (nothing happens, no error)")
    return f"changed by: {', '.join(changed) or 'nothing'}"


def contents(folder: Path) -> str:
    files = [(str(path), path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()]
    return hashlib.sha256(repr(files).encode()).hexdigest()


def numbers() -> str:
    root = open_root()
    picks = root.new_run("TS_1").new_picks("ribosome", "1", "someone")
    picks.points = [point(1)]
    picks.store()
    said = []
    for name, text in (
        ("NaN in a location", '{"location": {"x": NaN, "y": 0, "z": 0}}'),
        ("NaN in a score", '{"location": {"x": 1, "y": 0, "z": 0}, "score": NaN}'),
        ("NaN in a key of another program", '{"location": {"x": 1, "y": 0, "z": 0}, "weight": NaN}'),
    ):
        document = json.loads(picks.fs.cat_file(picks.path)) | {"points": [json.loads(text)]}
        picks.fs.pipe_file(picks.path, json.dumps(document).encode())
        fresh = only_picks(open_root())
        done = outcome(lambda fresh=fresh: (fresh.load(), fresh.store()))
        if not done.startswith("returned"):
            said.append(f"{name}: {done.partition(':')[0]}")
            continue
        stored = fresh.fs.cat_file(fresh.path).decode()
        said.append(f"{name}: {'kept' if 'NaN' in stored else 'lost'}")
    return "; ".join(said)


def secrets() -> str:
    import io

    stream = io.StringIO()
    logging.basicConfig(level=logging.DEBUG, stream=stream)
    root = open_root()
    texts = {"repr of the config": repr(root.config), "str of the root": str(root)}
    texts["error"] = outcome(lambda: len(root.query()))
    texts["DEBUG logs"] = stream.getvalue()
    shown = [name for name, text in texts.items() if "CANARY" in text]
    return f"shown by: {', '.join(shown) or 'nothing'}"


ROWS = {
    "fault": fault, "store": store_fault, "corrupt": corrupt, "writers": writers, "killed": killed, "check": check,
    "read_only": read_only, "numbers": numbers, "secrets": secrets, "write": lambda: write() or "written",
}  # fmt: skip

if __name__ == "__main__":
    print(f"{ROWS[ROW]()} [copick {copick.__version__}]", flush=True)
