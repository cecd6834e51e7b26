"""One sample: run one subject's function in this fresh process and print what the meter saw.

    AIOCOPICK_BENCH_TARGET='{"url": ...}' python -m benchmarks.child SUBJECT WORK '{"runs": 60}'

The target goes through the environment because it holds credentials, and command lines are published with the results.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.meter import Meter, request_counter
from benchmarks.subjects import SUBJECTS, Subject

TARGET_VARIABLE = "AIOCOPICK_BENCH_TARGET"
SOURCE_VARIABLE = "AIOCOPICK_BENCH_SOURCE"
"""Folder that the library has to be imported from; unset when any will do."""
MARKER = "BENCH-RESULT "

# The second is what numcodecs imports for its first chunk.
_VOLUMES = ("zarr", "multiprocessing.synchronize")
# What a work needs beside what a rehearsal imports. Importing is measured as a work of its own.
PRELOADED = {
    "mesh_load": ("trimesh.exchange.gltf",),
    "mesh_store": ("trimesh.exchange.gltf", "trimesh.creation"),
    "volume_read": _VOLUMES,
    "volume_write": _VOLUMES,
    "train_boxes": _VOLUMES,
    "create": _VOLUMES,
    "open_catalog": ("pyarrow.compute", "pyarrow.parquet"),
}


class Bench:
    """What a subject's function is given.

    Attributes
    ----------
    url : str
        Root of the project: an absolute path or an ``s3://`` URL.
    static_url : str or None
        Root of the read-only project below it, in work that stacks two.
    fs_args : dict
        Arguments for fsspec that reach the server.
    parameters : dict
        Sizes of the work (:mod:`benchmarks.works`).
    options : dict
        What tells this subject from others of its module.
    meter : Meter
        Guards the part that is measured.
    notes : dict
        Further figures that the function wants to see published; not compared with other subjects'.
        ``stored_bytes`` and ``seconds_each`` are shown in tables.
    """

    def __init__(self, subject: Subject, parameters: dict[str, Any], target: dict[str, Any]) -> None:
        self.url: str = target["url"]
        self.static_url: str | None = target.get("static_url")
        self.fs_args: dict[str, Any] = target["fs_args"]
        self.parameters = parameters
        self.options = dict(subject.options)
        self.meter = Meter(request_counter(target.get("server")))
        self.notes: dict[str, Any] = {}

    def note_stored(self) -> None:
        """Note how many bytes the project takes, where that can be seen."""
        if "://" not in self.url:
            files = [path for path in Path(self.url).rglob("*") if path.is_file() and path.name != ".meta"]
            self.notes["stored_bytes"] = sum(path.stat().st_size for path in files)


def main() -> None:
    name, work, parameters = sys.argv[1:]
    subject = SUBJECTS[name]
    _is_of(os.environ.get(SOURCE_VARIABLE))
    bench = Bench(subject, json.loads(parameters), json.loads(os.environ.pop(TARGET_VARIABLE)))
    if work == "import_library":
        with bench.meter:
            importlib.import_module(subject.options["import"])
        check = None
    elif work == "first_use":
        with bench.meter:
            check = _rehearse(subject)
    else:
        _prepare(subject, work, bench)
        check = _call(subject, work, bench)
    print(MARKER + json.dumps({**bench.meter.to_json(), "check": check, "notes": bench.notes}), flush=True)


def _is_of(source: str | None) -> None:
    """Refuse to measure another checkout than the one that was asked for."""
    spec = find_spec("aiocopick") if source is not None else None
    if source is not None and (spec is None or spec.origin is None or not Path(spec.origin).is_relative_to(source)):
        raise SystemExit("the other checkout is not the one that Python imports")


def _prepare(subject: Subject, work: str, bench: Bench) -> None:
    """Import all that the work will import, whichever moment the subject would choose for that."""
    if bench.url.startswith("s3://"):
        importlib.import_module("s3fs")
    # Ours takes it by default, where it is installed.
    ours = subject.module.endswith((".async_api", ".facade"))
    chosen = ours and bench.url.startswith("s3://") and subject.options.get("engine") != "s3fs"
    if subject.options.get("engine") == "obstore" or (chosen and find_spec("obstore") is not None):
        importlib.import_module("obstore.store")
    for module in PRELOADED.get(work, ()):
        importlib.import_module(module)
    if ours and PRELOADED.get(work) == _VOLUMES:
        # Ours are imported with the first volume.
        for module in ("aiocopick.storage.zarr_store", "aiocopick.volumes.codec_guard"):
            importlib.import_module(module)
    if subject.rehearses:
        _rehearse(subject)


def _rehearse(subject: Subject) -> Any:
    """List a project of one empty run on the local disk: everything that runs, nothing that connects."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "ExperimentRuns", "TS_0001").mkdir(parents=True)
        return _call(subject, "crawl", Bench(subject, {}, {"url": folder, "fs_args": {}}))


def _call(subject: Subject, work: str, bench: Bench) -> Any:
    function = getattr(importlib.import_module(subject.module), work)
    return asyncio.run(function(bench)) if inspect.iscoroutinefunction(function) else function(bench)


if __name__ == "__main__":
    main()
    # How an interpreter with native threads ends is not measured, and now and then obstore's aborts it.
    os._exit(0)
