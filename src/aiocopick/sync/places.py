"""Filesystems and paths by CoPick's names: the layer that is written to is the overlay, a read-only one the static
root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from aiocopick.entities.root import AsyncRoot
    from aiocopick.layers import Layer
    from aiocopick.layout.refs import Ref


def filesystem_of(layer: Layer) -> AbstractFileSystem:
    """One fsspec filesystem of a layer, usable synchronously; read-only where the layer is.

    Raises
    ------
    NotImplementedError
        The layer is not a filesystem: another implementation of CoPick's API, or a catalogue of one.
    """
    config = layer.config
    if not hasattr(config, "fs"):
        raise NotImplementedError(f"The layer {layer.name!r} at {layer.url} has no filesystem of ours.")
    if layer.read_only and not config.read_only:
        config = config.model_copy(update={"read_only": True})
    filesystem: AbstractFileSystem = config.fs()
    return filesystem


def stripped(layer: Layer, path: str) -> str:
    """A path in a layer as its filesystem has it: without protocol."""
    return str(filesystem_of(layer)._strip_protocol(path)).rstrip("/")


def static_of(root: AsyncRoot) -> Layer:
    """The read-only layer that is seen first; the overlay itself where there is none."""
    return next((layer for layer in root.layers if layer.read_only), root.layer)


class Layered:
    """CoPick's names for the overlay and the static root of a project."""

    if TYPE_CHECKING:

        @property
        def root(self) -> Any:
            """The project."""

    @property
    def fs_overlay(self) -> AbstractFileSystem:
        """Filesystem of the overlay."""
        return filesystem_of(self.root.layer)

    @property
    def fs_static(self) -> AbstractFileSystem:
        """Filesystem of the static root, read-only; that of the overlay where there is none."""
        return filesystem_of(static_of(self.root.aio))

    @property
    def static_is_overlay(self) -> bool:
        """True if there is no static root."""
        return static_of(self.root.aio) is self.root.layer


class InBothLayers(Layered):
    """Paths of an entity in the overlay, in the static root, or in both. No lookup is made."""

    if TYPE_CHECKING:

        @property
        def ref(self) -> Any:
            """Name of the object's type, for display."""

    @property
    def overlay_path(self) -> str:
        """Path of it in the overlay, as :attr:`fs_overlay` has it."""
        return _path_in(self.root.layer, self.ref)

    @property
    def static_path(self) -> str:
        """Path of it in the static root, as :attr:`fs_static` has it."""
        return _path_in(static_of(self.root.aio), self.ref)


def _path_in(layer: Layer, ref: Ref) -> str:
    return stripped(layer, layer.path_of(layer.locate(ref).key))
