"""An SFTP server for one folder, in a thread: the protocol of many institutes' storage."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers.loopback import HOST

USER = "aiocopick-test"
PASSWORD = "aiocopick-test-only"


class SftpServer:
    """Serves a folder as `/`; a context manager.

    Parameters
    ----------
    folder : Path
        What is served.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def fs_args(self) -> dict[str, Any]:
        """Arguments for sshfs, and so `fs_args` of a config."""
        return {"host": HOST, "port": self.port, "username": USER, "password": PASSWORD, "client_keys": None}

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        import asyncssh

        connections: list[Any] = []

        class Login(asyncssh.SSHServer):
            def connection_made(self, conn: Any) -> None:
                connections.append(conn)

            def begin_auth(self, username: str) -> bool:
                return True

            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                return (username, password) == (USER, PASSWORD)

        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncssh.create_server(
            Login,
            HOST,
            0,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(self.folder).encode()),
        )
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        # Connections outlive the listener otherwise, and the loop ends with them open.
        server.close()
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.wait_closed()
