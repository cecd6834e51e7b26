"""Async-first access to CoPick datasets on any fsspec filesystem."""

from aiocopick._version import __version__

__all__ = ["__version__"]
