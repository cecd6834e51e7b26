"""What holds around every request of a storage: limits, retries and deadline, error mapping, statistics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from aiocopick.errors import CopickError, NotFoundError
from aiocopick.layout.paths import file_kind
from aiocopick.models.file_sizes import largest
from aiocopick.models.redaction import secrets_in_url
from aiocopick.storage import loops
from aiocopick.storage.backends.base import Backend
from aiocopick.storage.base import Capabilities
from aiocopick.storage.faults import MISSING, Fault, TooLargeError, scrub, secrets_of, shows_secret
from aiocopick.storage.keys import display_key, parse_root
from aiocopick.storage.retries import Failure, attempt_until
from aiocopick.storage.settings import Settings
from aiocopick.storage.stats import StorageStats

Value = TypeVar("Value")


class ManagedCore:
    """What all views of a storage share."""

    def __init__(self, settings: Settings, backend: type[Backend]) -> None:
        self.settings = settings
        self.root = parse_root(settings.root)
        self.backend = backend
        self.capabilities = backend.capabilities_of(settings)
        self.key = (backend, settings.connection_key)
        secrets = {*secrets_of(settings.fs_args), *secrets_in_url(settings.root)}
        self.secrets = tuple(sorted(secrets, key=len, reverse=True))
        self.stats = StorageStats()

    def make(self) -> Backend:
        """A backend for the running event loop."""
        return self.backend(self.settings, self.root)


class ManagedBase:
    """A backend with what is around it.

    Parameters
    ----------
    core : ManagedCore
        What is shared with other views: root, connections, counters.
    settings : Settings
        Limits of this view.
    """

    __slots__ = ("__weakref__", "_core", "_settings")

    def __init__(self, core: ManagedCore, settings: Settings) -> None:
        self._core = core
        self._settings = settings

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """URL of the root, fit for display."""
        return self._core.root.url

    @property
    def read_only(self) -> bool:
        """Whether every change is refused."""
        return self._settings.read_only or not self._core.capabilities.writable

    @property
    def capabilities(self) -> Capabilities:
        """What this storage can do, as far as it is known by now."""
        return self._core.capabilities

    @property
    def stats(self) -> StorageStats:
        """Counters over all loops and views."""
        return self._core.stats

    def path_of(self, key: str) -> str:
        """Root and key joined, fit for messages and display."""
        return f"{self.url.rstrip('/')}/{display_key(key)}" if key else self.url

    def __repr__(self) -> str:
        return f"<Storage {self.url}{' read-only' if self.read_only else ''}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ManagedBase):
            return NotImplemented
        return self._core.key == other._core.key and self._settings == other._settings

    def __hash__(self) -> int:
        return hash((self.url, self.read_only))

    # --- around every request -----------------------------------------------------------------------------------------

    def _connection(self) -> loops.Connection:
        return loops.connection(self._core.key, self._core, self._core.make)

    async def _run(
        self,
        verb: str,
        key: str,
        attempt: Callable[[Backend], Awaitable[Value]],
        *,
        weight: int = 0,
        count: int = 1,
        retries: int | None = None,
    ) -> Value:
        connection, stats, settings = self._connection(), self.stats, self._settings
        gate = connection.gate(settings.max_concurrency, settings.max_bytes_in_flight)

        async def once() -> Value:
            await connection.ready()
            stats.started(verb, count)
            try:
                return await attempt(connection.backend)
            finally:
                stats.finished()

        # The time spent in the queue does not count towards the deadline: a long queue is no failure of the server.
        held = await gate.enter(weight)
        try:
            return await attempt_until(
                once,
                connection.backend.fault,
                retries=settings.retries if retries is None else retries,
                timeout=settings.timeout,
                retried=stats.repeated,
            )
        except Failure as failure:
            error = self._error(failure, verb, key)
        finally:
            gate.leave(held)
        # Outside of the handler, or the failure would stay with the error as its context, secrets and all.
        raise error from error.__cause__

    def _error(self, failure: Failure, verb: str, key: str) -> CopickError:
        path = self.path_of(key)
        fault = failure.fault
        # A listing that is denied is never an empty one.
        if fault.forbidden and (verb == "read" or (verb == "stat" and not self._core.backend.stat_lists)):
            if self._settings.forbidden_is_absent:
                fault = Fault(NotFoundError, MISSING)
            else:
                fault = replace(fault, reason=f"{fault.reason}, or set forbidden_is_absent=True if nothing is there")
        if isinstance(failure.cause, TooLargeError) and (kind := file_kind(key)) is not None:
            most = largest(kind, self._settings.max_file_bytes)
            fault = replace(
                fault,
                reason=f"it is larger than the {most} bytes that max_file_bytes allows for {kind}; if that is what it "
                f"should be, open the project with max_file_bytes={{{kind!r}: ...}}",
            )
        reason = scrub(fault.reason, self._core.secrets)
        attempts = f" (after {failure.attempts} attempts)" if failure.attempts > 1 else ""
        error = fault.error(f"Cannot {verb} {path}: {reason}{attempts}", path=path)
        # A cause that shows a secret must not reach a traceback.
        error.__cause__ = None if shows_secret(failure.cause, self._core.secrets) else failure.cause
        return error

    def _most(self, key: str) -> int | None:
        """Bytes that may be read of a file; None where its kind has no limit."""
        kind = file_kind(key)
        return None if kind is None else largest(kind, self._settings.max_file_bytes)

    def _failed(self, verb: str, key: str, error: BaseException) -> CopickError:
        if isinstance(error, CopickError):
            return error
        fault = self._core.backend.meaning(error)
        return self._error(Failure(fault, error, 1), verb, key)

    async def aclose(self) -> None:
        """Close this loop's connections; the next use connects again."""
        await loops.release(self._core.key, self._core)
