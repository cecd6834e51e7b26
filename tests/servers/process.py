"""A server in a child process: started on a free port with a temporary folder, waited for, stopped whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from tests.servers.loopback import HOST, free_port, request
from tests.servers.programs import PROGRAMS

READY_WITHIN = 60.0
STOPPED_WITHIN = 10.0
# A port can be taken between choosing and binding it.
ATTEMPTS = 3


class NotInstalledError(RuntimeError):
    """The program of a server is not on this machine; the message names the command that installs it."""


class ServerError(RuntimeError):
    """A server did not start; the message holds the end of its log."""


class Server(ABC):
    """A server program on loopback; a context manager.

    Attributes
    ----------
    name : str
        What it is called in messages and markers.
    port : int
        Its port while it runs.
    folder : Path
        Temporary folder with its data and `server.log`, removed by `stop`.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self.port = 0
        self.folder = Path()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    @abstractmethod
    def command(self) -> list[str]:
        """Command line that serves `folder` on `port`."""

    def environment(self) -> Mapping[str, str]:
        """Environment variables beside the inherited ones."""
        return {}

    def is_ready(self) -> bool:
        """Whether the server answers; may raise OSError while it does not."""
        status, _ = request("GET", self.url, timeout=2)
        return status < 500

    @classmethod
    def missing(cls) -> str | None:
        """Say what is missing and which command installs it, None when the server can be started."""
        program = PROGRAMS.get(cls.name)
        if program is None or program.find() is not None:
            return None
        return f"{program.executable} is not installed: run `python scripts/servers.py install {program.name}`"

    def start(self) -> Self:
        """Start and wait until ready.

        Raises
        ------
        NotInstalledError
            When the program is not there.
        ServerError
            When it does not answer in time or ends.
        """
        if reason := self.missing():
            raise NotInstalledError(reason)
        for attempt in range(1, ATTEMPTS + 1):
            self.port = free_port()
            self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
            try:
                self._start_once()
            except ServerError:
                self.stop()
                if attempt == ATTEMPTS:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                break
        return self

    def stop(self) -> None:
        """End the process and remove its folder; without effect when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOPPED_WITHIN)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            assert process.stdin is not None
            process.stdin.close()
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = Path()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _start_once(self) -> None:
        supervise = Path(__file__).with_name("supervise.py")
        with (self.folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(supervise), str(self.folder), *self.command()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=os.environ | dict(self.environment()),
                # Ctrl-C reaches the tests only; they stop their servers when they are done.
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                if self._answers():
                    return
            else:
                raise ServerError(f"{self.name} ended with code {self._process.returncode}: {self._log_tail()}")
        raise ServerError(f"{self.name} did not answer on {self.url} within {READY_WITHIN:.0f} s: {self._log_tail()}")

    def _answers(self) -> bool:
        try:
            return self.is_ready()
        except OSError:
            return False

    def _log_tail(self) -> str:
        log = (self.folder / "server.log").read_text(errors="replace")
        return log[-2000:].strip() or "its log is empty"


def executable(name: str) -> str:
    """Path of an installed server program."""
    path = PROGRAMS[name].find()
    if path is None:
        raise NotInstalledError(f"{name} is not installed: run `python scripts/servers.py install {name}`")
    return str(path)
