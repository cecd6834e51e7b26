"""The command line as a user starts it: a process of its own, from its start to its end."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.child import Bench


def listed(bench: Bench) -> dict[str, int]:
    """Run ``aiocopick ls`` on the project; CPU and memory are those of its process."""
    command = [sys.executable, "-m", "aiocopick", "ls", bench.url]
    with bench.meter:
        process = subprocess.Popen(command, env={**os.environ, **_aws(bench.fs_args)}, stdout=subprocess.PIPE)
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"ended with code {process.returncode}"
    bench.meter.cpu = used.ru_utime + used.ru_stime
    bench.meter.memory_peak = used.ru_maxrss if sys.platform == "darwin" else used.ru_maxrss * 1024
    return {"runs": len(lines)}


def _aws(fs_args: dict[str, Any]) -> dict[str, str]:
    """The same arguments as a shell gives them."""
    client = fs_args.get("client_kwargs", {})
    found = {
        "AWS_ACCESS_KEY_ID": fs_args.get("key"),
        "AWS_SECRET_ACCESS_KEY": fs_args.get("secret"),
        "AWS_ENDPOINT_URL": client.get("endpoint_url"),
        "AWS_DEFAULT_REGION": client.get("region_name"),
    }
    return {name: value for name, value in found.items() if value}
