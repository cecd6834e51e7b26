"""One sample's process: started, listened to, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.child import MARKER, SOURCE_VARIABLE, TARGET_VARIABLE
from benchmarks.machine import REPOSITORY


class SampleError(RuntimeError):
    """A sample ended without figures; the message is the last thing it said."""


def figures(
    command: Sequence[str], target: Mapping[str, Any], seconds: float, checkout: Path | None = None
) -> dict[str, Any]:
    """Run a command and return the figures it prints, with the library of another checkout if one is given.

    Raises
    ------
    SampleError
        When it fails or takes longer than `seconds`.
    """
    # The user's own AWS settings are only for the user's own store.
    inherited = _without_aws(os.environ) if target["fs_args"] else os.environ
    environment = {
        **inherited,
        TARGET_VARIABLE: json.dumps(target),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONWARNINGS": "ignore",
    }
    if checkout is not None:
        source = str(checkout / "src")
        environment |= {"PYTHONPATH": os.pathsep.join((source, str(REPOSITORY))), SOURCE_VARIABLE: source}
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        printed, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise SampleError(f"stopped after {seconds:.0f} s") from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    for line in reversed(printed.splitlines()):
        if line.startswith(MARKER) and process.returncode == 0:
            answer: dict[str, Any] = json.loads(line.removeprefix(MARKER))
            return {**answer, "process": time.monotonic() - began}
    last = said.strip().splitlines()[-1:] or [f"ended with code {process.returncode} and said nothing"]
    raise SampleError(last[0][:500])


def _without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("AWS_")}
