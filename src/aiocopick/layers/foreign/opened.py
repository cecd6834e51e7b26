"""The root behind a foreign layer: at hand, or opened when it is first needed, by copick itself where only it can."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from aiocopick.concurrency.forks import Lock
from aiocopick.errors import LayerError
from aiocopick.models.config import StorageOptions

if TYPE_CHECKING:
    from aiocopick.models.config import CopickConfigForeign

_OURS = frozenset(StorageOptions.model_fields) | {"layer_name", "priority"}

_EXTRAS = {"mlcroissant": " with its croissant requirements", "cryoet_data_portal": ""}


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


@dataclass(frozen=True, slots=True)
class CopickOpener:
    """Opens a config with an installed copick; blocks, and may ask servers.

    Parameters
    ----------
    config : CopickConfigForeign
        As copick knows it, and fields of ours, which copick does not see.
    """

    config: CopickConfigForeign

    @property
    def name(self) -> str:
        """What is opened, for display."""
        return self.config.config_type

    def __call__(self) -> Any:
        """Copick's root.

        Raises
        ------
        LayerError
            This copick does not understand the config, or lacks a package that it needs for it.
        """
        import copick.ops.open as opening

        text = self.config.model_dump_json(exclude=set(_OURS))
        try:
            return opening.from_string(text)
        except ValidationError as error:
            # What pydantic says, and its traceback, would show the arguments with their secrets.
            raise self._refused(", ".join(_problem(item) for item in error.errors(include_input=False))) from None
        except (ImportError, ValueError, TypeError) as error:
            raise self._refused(f"{type(error).__name__}: {error}") from error

    def _refused(self, reason: str) -> LayerError:
        return LayerError(
            f"copick cannot open the {self.name} project of layer {self.config.layer_name!r} ({reason}): check its "
            f"configuration, and that copick>=2.0.0a6 is installed{_EXTRAS.get(self.name, '')}."
        )


def _problem(item: Any) -> str:
    return f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
