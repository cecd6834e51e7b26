"""Stacks of layers: of a config, and of objects in memory: configs, URLs, open roots, and objects that implement the
abstract API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.misuse import refuse_unawaited
from aiocopick.errors import FormatError, LayerError
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.layers.stack import OnLayerError, Stack
from aiocopick.models.config import (
    CopickConfig,
    CopickConfigForeign,
    CopickConfigFS,
    CopickConfigFSSpec,
    CopickConfigMultilayer,
    parse_config,
)
from aiocopick.models.objects import PickableObject
from aiocopick.models.place import is_place

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


def stack_of(
    members: Sequence[Any], default_write_layer: str | None = None, on_layer_error: OnLayerError = "raise"
) -> tuple[CopickConfigMultilayer, Stack]:
    """Return the stack of some members, and a config for its root. No request is sent.

    Parameters
    ----------
    members : sequence
        Configs (or dicts, or URLs) of layers, sequences of layers of a root that is open, layers, or objects that
        implement the abstract API. Layers keep their priorities, and ties the given order; the layers of one member
        stay together. A name that is taken gets a number.
    default_write_layer, on_layer_error
        See :class:`Stack`.

    Raises
    ------
    LayerError
        A member cannot be a layer, or the stack is not consistent.
    """
    groups = [_layers_of(member) for member in members]
    if any(len(group) > 1 for group in groups):
        ranked = sorted(groups, key=lambda group: -group[0].priority if len(group) == 1 else 0)
        count = sum(map(len, ranked))
        flat = [layer for group in ranked for layer in group]
        layers = [layer.options(priority=count - 1 - place) for place, layer in enumerate(flat)]
    else:
        layers = [group[0] for group in groups]
    stack = Stack(_named(layers), default_write_layer, on_layer_error)
    config = CopickConfigMultilayer(
        layers=[layer.config for layer in stack.layers],
        default_write_layer=default_write_layer,
        on_layer_error=on_layer_error,
    )
    _take_project(config, members)
    return config, stack


def _layers_of(member: Any) -> Sequence[Layer]:
    if isinstance(member, list | tuple):
        return member
    if hasattr(member, "list_run") and hasattr(member, "zarr_store"):
        return [member]
    if is_place(member):
        return [make_layer(CopickConfigFS.model_validate({"root": member}))]
    if isinstance(member, Mapping):
        member = parse_config(member)
    if isinstance(member, CopickConfig):
        parts = getattr(member, "layer_configs", None)
        return [make_layer(part) for part in parts()] if parts is not None else [make_layer(member)]
    if hasattr(member, "query"):
        from aiocopick.layers.foreign import ForeignLayer

        return [ForeignLayer(member)]
    refuse_unawaited(member, "A root, a config or a URL")
    raise LayerError(f"A {type(member).__name__} cannot be a layer: give a root, a config, or the URL of a project.")


def _named(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers; a layer whose name is taken gets another name."""
    names: set[str] = set()
    named = []
    for layer in layers:
        name, number = layer.name, 1
        while name in names:
            name = f"{layer.name}-{number}"
            number += 1
        names.add(name)
        named.append(layer if name == layer.name else layer.options(layer_name=name))
    return named


def _take_project(config: CopickConfigMultilayer, members: Sequence[Any]) -> None:
    """Copy the ids and objects of the first member that has some; the list of objects is shared, so that changes are
    seen.
    """
    for member in members:
        given = parse_config(member) if isinstance(member, Mapping) else getattr(member, "config", member)
        if config.user_id is None:
            config.user_id = getattr(given, "user_id", None)
        if config.session_id is None:
            config.session_id = getattr(given, "session_id", None)
        if not config.pickable_objects:
            config.pickable_objects = _objects(getattr(given, "pickable_objects", None) or [])


def _objects(items: list[Any]) -> list[PickableObject]:
    if all(isinstance(item, PickableObject) for item in items):
        return items
    return [PickableObject.model_validate(item.model_dump(exclude_none=True)) for item in items]


__all__ = ["stack_of"]
