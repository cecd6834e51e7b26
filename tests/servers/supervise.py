"""Run a command until it ends, or until whoever started this is gone.

    python supervise.py FOLDER COMMAND ARGUMENT...

The starter holds the other end of standard input: when it ends, even by SIGKILL, the end of input stops the command and
removes its temporary folder. So nothing outlives the test run. Standard library only; runs as a file of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from types import FrameType

GRACE = 5.0


def main() -> int:
    asked_early = threading.Event()

    def stop(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    # An exception while the child is started would leave it alone.
    signal.signal(signal.SIGTERM, lambda signum, frame: asked_early.set())
    folder, *command = sys.argv[1:]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    abandoned = threading.Event()

    def stop_at_end_of_input() -> None:
        # Not sys.stdin: a thread that waits inside it would abort the interpreter on its way out.
        while os.read(0, 1024):
            pass
        abandoned.set()
        _end(child)

    threading.Thread(target=stop_at_end_of_input, daemon=True).start()
    try:
        signal.signal(signal.SIGTERM, stop)
        return 128 + signal.SIGTERM if asked_early.is_set() else child.wait()
    finally:
        _end(child)
        if abandoned.is_set():
            shutil.rmtree(folder, ignore_errors=True)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main())
