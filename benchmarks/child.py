"""One sample: run one subject's function in this fresh process and print what the meter saw.

    AIOCOPICK_BENCH_TARGET='{"url": ...}' python -m benchmarks.child SUBJECT WORK '{"runs": 60}'

The target goes through the environment because it holds credentials, and command lines are published with the results.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import json
import os
import sys
from typing import Any

from benchmarks.meter import Meter, request_counter
from benchmarks.subjects import SUBJECTS

TARGET_VARIABLE = "AIOCOPICK_BENCH_TARGET"
MARKER = "BENCH-RESULT "

# Some subjects import these when first needed, others at once. Importing is measured as a work of its own, so everybody
# else begins with all of them there.
PRELOADED = ("numpy", "pydantic", "s3fs", "trimesh", "zarr")


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
    """

    def __init__(self, subject: str, parameters: dict[str, Any], target: dict[str, Any]) -> None:
        self.url: str = target["url"]
        self.static_url: str | None = target.get("static_url")
        self.fs_args: dict[str, Any] = target["fs_args"]
        self.parameters = parameters
        self.options = dict(SUBJECTS[subject].options)
        self.meter = Meter(request_counter(target.get("server")))
        self.notes: dict[str, Any] = {}


def main() -> None:
    subject, work, parameters = sys.argv[1:]
    bench = Bench(subject, json.loads(parameters), json.loads(os.environ.pop(TARGET_VARIABLE)))
    check = _import(bench) if work == "import_library" else _run(subject, work, bench)
    print(MARKER + json.dumps({**bench.meter.to_json(), "check": check, "notes": bench.notes}), flush=True)


def _run(subject: str, work: str, bench: Bench) -> Any:
    for module in (*PRELOADED, *SUBJECTS[subject].options.get("preload", ())):
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    function = getattr(importlib.import_module(SUBJECTS[subject].module), work)
    return asyncio.run(function(bench)) if inspect.iscoroutinefunction(function) else function(bench)


def _import(bench: Bench) -> None:
    with bench.meter:
        importlib.import_module(bench.options["import"])


if __name__ == "__main__":
    main()
