"""Locks that survive a fork.

Only the thread that forks continues in the child. A lock that another thread held at that moment would never be released
there, so each of ours is replaced in the child, as are the locks of the standard library's `logging`.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any

_imported_in = os.getpid()


def is_forked() -> bool:
    """Return True in a child of the process that imported the library."""
    return os.getpid() != _imported_in


class Lock:
    """A lock for ``with``, free in every forked child.

    Parameters
    ----------
    make : callable
        Creates the inner lock; `threading.RLock` for a lock that its holder may acquire again.
    """

    __slots__ = ("__weakref__", "_held", "_lock", "_make")

    def __init__(self, make: Callable[[], Any] = threading.Lock) -> None:
        self._make = make
        self._lock = make()
        # As they were acquired: a thread that forks while it holds one releases that one, in the child, too.
        self._held: list[Any] = []
        _locks.add(self)

    def __enter__(self) -> None:
        lock = self._lock
        # Held only briefly, so that a coroutine may wait for it.
        lock.__enter__()
        self._held.append(lock)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.pop().release()

    def renew(self) -> None:
        """Replace the lock, in a child."""
        self._lock = self._make()


_locks: weakref.WeakSet[Lock] = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_locks):
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
