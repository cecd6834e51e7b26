"""From a config to its stack of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocopick.errors import FormatError, LayerError
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.layers.stack import Stack
from aiocopick.models.config import (
    CopickConfig,
    CopickConfigForeign,
    CopickConfigFS,
    CopickConfigFSSpec,
    CopickConfigMultilayer,
)

if TYPE_CHECKING:
    from aiocopick.layers.base import Layer


def make_stack(config: CopickConfig) -> Stack:
    """The layers that a config names. Sends no request.

    Raises
    ------
    LayerError
        A layer cannot be opened, or the stack is not consistent.
    FormatError
        The config does not say where the project lies.
    """
    if isinstance(config, CopickConfigFSSpec | CopickConfigMultilayer):
        write_layer = getattr(config, "default_write_layer", None)
        return Stack([_make_layer(layer) for layer in config.layer_configs()], write_layer)
    return Stack([_make_layer(config)])


def _make_layer(config: CopickConfig) -> Layer:
    if isinstance(config, CopickConfigFS):
        return FilesystemLayer(config)
    if isinstance(config, CopickConfigForeign):
        raise LayerError(
            f"Projects of type {config.config_type!r} are opened by copick itself: install copick and use it."
        )
    raise FormatError(
        f"A {type(config).__name__} does not say where the project lies; use CopickConfigFS(root=...) or another form."
    )
