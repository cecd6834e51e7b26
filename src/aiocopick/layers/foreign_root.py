"""The root behind a foreign layer: at hand, or opened when it is first needed."""

from __future__ import annotations

import pickle
from typing import Any

from aiocopick.concurrency.forks import Lock
from aiocopick.errors import LayerError


class OpenedRoot:
    """A root, or what gives one when it is first needed.

    Parameters
    ----------
    root : CopickRoot or callable
        An object with ``query``, or a function without parameters that returns one.
    """

    __slots__ = ("_lock", "_open", "_root", "name")

    def __init__(self, root: Any) -> None:
        self._root: Any = root if hasattr(root, "query") else None
        self._open = None if self._root is not None else root
        if self._root is None and not callable(root):
            raise LayerError(
                f"A {type(root).__name__} cannot be a layer: give a root, a config, or the URL of a project."
            )
        self._lock = Lock()
        self.name: str = type(root).__name__ if self._root is not None else getattr(root, "name", "copick")

    def __reduce__(self) -> tuple[Any, ...]:
        if self._open is None:
            try:
                pickle.dumps(self._root)
            except Exception as error:
                raise LayerError(
                    f"A {self.name} cannot be sent to another process ({type(error).__name__}: {error}); open it there."
                ) from error
        return (OpenedRoot, (self._open or self._root,))

    def get(self) -> Any:
        """The root; blocks when it has to be opened."""
        with self._lock:
            if self._root is None:
                assert self._open is not None
                self._root = self._open()
            return self._root


__all__ = ["OpenedRoot"]
