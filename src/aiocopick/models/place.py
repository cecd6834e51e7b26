"""Paths that bring their own arguments: the ``UPath`` of universal_pathlib, known by its attributes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable


@runtime_checkable
class PathWithOptions(Protocol):
    """A path on a filesystem of fsspec, such as ``upath.UPath``; its text is a URL."""

    @property
    def protocol(self) -> str:
        """Protocol of the URL; empty for a path on disk."""

    @property
    def storage_options(self) -> Mapping[str, Any]:
        """Arguments of the filesystem."""


Place: TypeAlias = str | os.PathLike[str] | PathWithOptions
"""A URL or a path."""


def is_place(value: object) -> bool:
    """Return True for a URL or a path."""
    return isinstance(value, str | os.PathLike | PathWithOptions)


def text_of(place: Place) -> str:
    """Return a URL or path as text."""
    return str(place) if isinstance(place, PathWithOptions) else os.fspath(place)


def arguments_of(place: Any) -> dict[str, Any]:
    """Return the arguments of the filesystem that a path brings; empty for text."""
    return dict(place.storage_options) if isinstance(place, PathWithOptions) else {}


__all__ = ["PathWithOptions", "Place", "arguments_of", "is_place", "text_of"]
