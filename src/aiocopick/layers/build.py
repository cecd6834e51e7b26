"""The stack of layers that a config describes."""

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
    """Create the layers that a config names. No request is sent.

    Raises
    ------
    LayerError
        A layer cannot be opened, or the stack is not consistent.
    FormatError
        The config does not name the location of the project.
    """
    if isinstance(config, CopickConfigFSSpec | CopickConfigMultilayer):
        layers = [make_layer(layer) for layer in config.layer_configs()]
        if isinstance(config, CopickConfigMultilayer):
            return Stack(layers, config.default_write_layer, config.on_layer_error)
        return Stack(layers)
    return Stack([make_layer(config)])


def make_layer(config: CopickConfig) -> Layer:
    """Create the layer that a config of one layer names. No request is sent."""
    if isinstance(config, CopickConfigFS):
        return FilesystemLayer(config)
    if isinstance(config, CopickConfigForeign):
        if config.config_type == "object":
            raise LayerError(
                f"Layer {config.layer_name!r} was a root given as an object, which a configuration cannot open again; "
                "stack it again with AsyncRoot.stack."
            )
        from aiocopick.layers.foreign.layer import open_with_copick

        return open_with_copick(config)
    raise FormatError(
        f"A {type(config).__name__} does not name the location of the project; "
        "use CopickConfigFS(root=...) or another form."
    )
