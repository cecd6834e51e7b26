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
        layers = [make_layer(layer) for layer in config.layer_configs()]
        if isinstance(config, CopickConfigMultilayer):
            return Stack(layers, config.default_write_layer, config.on_layer_error)
        return Stack(layers)
    return Stack([make_layer(config)])


def make_layer(config: CopickConfig) -> Layer:
    """The layer that a config of one layer names. Sends no request."""
    if isinstance(config, CopickConfigFS):
        return FilesystemLayer(config)
    if isinstance(config, CopickConfigForeign):
        if config.config_type == "object":
            raise LayerError(
                f"Layer {config.layer_name!r} was a root given as an object, which no configuration can open again; "
                "stack it anew with AsyncRoot.stack."
            )
        from aiocopick.layers.foreign.layer import open_with_copick

        return open_with_copick(config)
    raise FormatError(
        f"A {type(config).__name__} does not say where the project lies; use CopickConfigFS(root=...) or another form."
    )
