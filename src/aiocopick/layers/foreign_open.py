"""Projects of kinds that only copick opens: CoPick's data portal and croissant."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from aiocopick.errors import LayerError
from aiocopick.layers.foreign import ForeignLayer
from aiocopick.models.config import StorageOptions

if TYPE_CHECKING:
    from aiocopick.models.config import CopickConfigForeign

_OURS = frozenset(StorageOptions.model_fields) | {"layer_name", "priority"}

_EXTRAS = {"mlcroissant": " with its croissant requirements", "cryoet_data_portal": ""}


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


def open_with_copick(config: CopickConfigForeign) -> ForeignLayer:
    """A read-only layer of what an installed copick opens. Nothing is asked before it is used.

    Raises
    ------
    LayerError
        copick is not installed.
    """
    if find_spec("copick") is None:
        raise LayerError(
            f"Projects of type {config.config_type!r} are opened by copick itself, which is not installed: "
            "`pip install 'copick>=2.0.0a6'`."
        )
    return ForeignLayer(CopickOpener(config), config.model_copy(update={"read_only": True}))


__all__ = ["CopickOpener", "open_with_copick"]
