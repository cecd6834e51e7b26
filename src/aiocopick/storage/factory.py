"""The storage of a config: the backend for each protocol. Sends no request, imports no backend's library."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from types import MappingProxyType
from typing import Any

from aiocopick.models.config import CACHE_BYTES
from aiocopick.storage.backends.base import Backend
from aiocopick.storage.base import Storage
from aiocopick.storage.cached import CachedStorage, Caching
from aiocopick.storage.keys import parse_root
from aiocopick.storage.managed import ManagedStorage
from aiocopick.storage.settings import Settings, configured

CACHE_VARIABLE = "AIOCOPICK_CACHE"
"""Variable of the environment that names the cache of projects whose config names none."""

_BACKENDS = {
    "file": ("local", "LocalBackend"),
    "memory": ("memory", "MemoryBackend"),
    "s3": ("s3", "S3Backend"),
    "s3+obstore": ("obstore", "ObstoreBackend"),
    "gs": ("gcs", "GCSBackend"),
    "az": ("azure", "AzureBackend"),
    "http": ("http", "HTTPBackend"),
    "https": ("http", "HTTPBackend"),
}


def open_storage(config: Any) -> Storage:
    """Return the storage of a config, or of any object with its attributes; with a cache if one is named.

    Parameters
    ----------
    config : CopickConfigFS
        ``root``, ``fs_args`` and the limits are taken from it. fsspec's own configuration of the protocol
        applies to arguments that `fs_args` does not contain.

    Raises
    ------
    InvalidNameError
        The root is empty or chains protocols.
    """
    settings = Settings.of(config)
    root = parse_root(settings.root)
    if root.protocol == "file":
        # A relative path means the folder that it is opened in, also for connections that are made or shared later.
        settings = replace(settings, root=root.location)
    settings = replace(settings, fs_args=configured(root.protocol, settings.fs_args))
    storage = ManagedStorage.make(settings, backend_of(root.protocol, settings.engine, settings.fs_args))
    caching = _caching(config)
    if caching is None or storage.capabilities.near:
        return storage
    return CachedStorage.make(storage, caching, settings)


def _caching(config: Any) -> Caching | None:
    folder = getattr(config, "cache", None)
    if folder is None:
        folder = os.environ.get(CACHE_VARIABLE)
    if not folder:
        return None
    limit = getattr(config, "cache_bytes", None)
    return Caching(
        folder=folder,
        max_bytes=CACHE_BYTES if limit is None else limit,
        policy=getattr(config, "cache_policy", "volume"),
    )


def backend_of(protocol: str, engine: str = "s3fs", fs_args: Mapping[str, Any] = MappingProxyType({})) -> type[Backend]:
    """Return the backend class of a protocol; other protocols use fsspec.

    Parameters
    ----------
    protocol : str
        As in the URL of the root.
    engine : {"auto", "s3fs", "obstore"}
        Library that transfers the contents of S3 objects; no effect on other protocols.
    fs_args : mapping
        Arguments for s3fs; ``"auto"`` is obstore if it is installed and can do all that they say.
    """
    if protocol == "s3" and engine == "auto":
        from aiocopick.storage.backends.obstore import suits

        engine = "obstore" if suits(fs_args) else "s3fs"
    default = _BACKENDS.get(protocol, ("generic", "GenericBackend"))
    module, name = _BACKENDS.get(f"{protocol}+{engine}", default)
    backend: type[Backend] = getattr(import_module(f"aiocopick.storage.backends.{module}"), name)
    return backend
