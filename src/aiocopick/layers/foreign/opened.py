"""The root behind a foreign layer: given, or opened on first use, by copick itself if only copick can open it."""

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
    """A root, or a function that returns it on first use.

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
                    f"A {self.name} cannot be sent to another process ({type(error).__name__}: {error}); "
                    f"open it in that process."
                ) from error
        return (OpenedRoot, (self._open or self._root,))

    def get(self) -> Any:
        """Return the root; blocks while it is opened."""
        with self._lock:
            if self._root is None:
                assert self._open is not None
                self._root = self._open()
            return self._root


@dataclass(frozen=True, slots=True)
class CopickOpener:
    """A callable that opens a config with an installed copick; blocks, and may send requests.

    Parameters
    ----------
    config : CopickConfigForeign
        The fields of copick's config, and fields of ours, which are not passed to copick.
    """

    config: CopickConfigForeign

    @property
    def name(self) -> str:
        """Name of the opened type of project, for display."""
        return self.config.config_type

    def __call__(self) -> Any:
        """Open the project; return copick's root.

        Raises
        ------
        LayerError
            The installed copick rejects the config, or misses a package that the config needs.
        """
        import copick.ops.open as opening

        text = self.config.model_dump_json(exclude=set(_OURS))
        try:
            return opening.from_string(text)
        except ValidationError as error:
            # pydantic's message and traceback would show the arguments, including their secrets.
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
