"""Settings of a storage, taken from a config, so that this room does not depend on config classes."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from aiocopick.models.file_sizes import FileKind, largest

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Root, arguments and limits of one storage.

    Parameters
    ----------
    root : str
        URL or path.
    fs_args : dict
        The user's arguments for the filesystem; they replace our settings. Never shown.
    durable : bool
        True if each write survives a power cut by itself; false if files are made durable together afterwards.
    max_chunk_bytes : int, optional
        Largest size of a chunk instead of that in ``max_file_bytes``: what an array says of its chunks.
    max_listed_bytes : int, optional
        Largest size of any object: what a listing says of the one that is read.
    read_only, max_concurrency, max_bytes_in_flight, max_file_bytes, timeout, retries, follow_symlinks, \
    forbidden_is_absent, engine
        See ``CopickConfigFS``.
    """

    root: str = field(repr=False)
    fs_args: Mapping[str, Any] = field(default_factory=dict, repr=False)
    durable: bool = True
    max_chunk_bytes: int | None = None
    max_listed_bytes: int | None = None
    read_only: bool = False
    max_concurrency: int = 64
    max_bytes_in_flight: int = 512 * MEBIBYTE
    max_file_bytes: int | Mapping[Any, int] | None = None
    timeout: float = 60.0
    retries: int = 4
    follow_symlinks: bool = True
    forbidden_is_absent: bool = False
    engine: str = "s3fs"

    @classmethod
    def of(cls, config: Any) -> Settings:
        """Return settings from any object with these attributes; missing ones have their default."""
        if isinstance(config, Settings):
            return config
        values = {item.name: getattr(config, item.name) for item in fields(cls) if hasattr(config, item.name)}
        arguments = values["fs_args"] = dict(values.get("fs_args") or {})
        endpoint = getattr(config, "endpoint_url", None)
        if endpoint is not None and "endpoint_url" not in {**(arguments.get("client_kwargs") or {}), **arguments}:
            arguments["endpoint_url"] = endpoint
        return cls(**values)

    def allowed(self, kind: FileKind) -> int:
        """Return the number of bytes that a file of a kind may have, whatever a listing says of it."""
        of_array = self.max_chunk_bytes
        return largest(kind, self.max_file_bytes) if kind != "chunks" or of_array is None else of_array

    def most(self, kind: FileKind) -> int:
        """Return the number of bytes that may be read of a file of a kind."""
        allowed, listed = self.allowed(kind), self.max_listed_bytes
        return allowed if listed is None else min(allowed, listed)

    @property
    def connection_key(self) -> object:
        """Return a key that is equal for settings that can share connections: limits and protection are not part of
        it.
        """
        try:
            arguments: object = pickle.dumps(sorted(self.fs_args.items()))
        except Exception:
            # Objects that cannot be pickled (sessions, credentials): only the very same ones are shared.
            arguments = tuple(sorted((name, id(value)) for name, value in self.fs_args.items()))
        return (self.root, arguments, self.follow_symlinks)


def merge(tuning: Mapping[str, Any], user: Mapping[str, Any]) -> dict[str, Any]:
    """Return our settings updated by the user's arguments; nested dictionaries are merged in the same way."""
    merged = dict(tuning)
    for name, value in user.items():
        ours = merged.get(name)
        merged[name] = merge(ours, value) if isinstance(ours, Mapping) and isinstance(value, Mapping) else value
    return merged


# --- fsspec's own configuration ---------------------------------------------------------------------------------------

# FSSPEC_S3, FSSPEC_S3_ENDPOINT_URL, files in FSSPEC_CONFIG_DIR. fsspec lays the arguments of a filesystem over it one by
# one, so that `client_kwargs` of the one would replace those of the other, and backends that make no filesystem would not
# see it.

# Names under which fsspec looks for one protocol; later ones win, as there.
_NAMES = {
    "file": ("file", "local"),
    "s3": ("s3", "s3a"),
    "gs": ("gs", "gcs"),
    "az": ("abfs", "az", "abfss"),
    "http": ("http", "https"),
    "https": ("http", "https"),
    "ssh": ("sftp", "ssh"),
    "sftp": ("sftp", "ssh"),
}


def configured(protocol: str, fs_args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a project laid over fsspec's configuration, dictionaries inside them merged.

    Parameters
    ----------
    protocol : str
        As in the URL of the root, aliases resolved.
    fs_args : mapping
        Arguments of the project, which win.
    """
    found: dict[str, Any] = {}
    if _is_in_use():
        from fsspec.config import conf

        for name in _NAMES.get(protocol, (protocol,)):
            found = merge(found, conf.get(name) or {})
    merged = merge(found, fs_args)
    if protocol == "s3" and found:
        # Two arguments name the endpoint, and the project's own is the one that holds, whichever it is.
        if "endpoint_url" in (fs_args.get("client_kwargs") or {}) and "endpoint_url" not in fs_args:
            merged["endpoint_url"] = None
        elif merged.get("endpoint_url") and "endpoint_url" in (merged.get("client_kwargs") or {}):
            merged["client_kwargs"] = {
                name: value for name, value in merged["client_kwargs"].items() if name != "endpoint_url"
            }
    return merged


def _is_in_use() -> bool:
    """Return if there can be a configuration, without importing fsspec for projects on disk."""
    if "fsspec.config" in sys.modules or any(name.startswith("FSSPEC_") for name in os.environ):
        return True
    # False also for a home that may not be looked into.
    return os.path.isdir(Path.home() / ".config" / "fsspec")
