"""fsspec's own configuration (``FSSPEC_S3``, ``FSSPEC_S3_ENDPOINT_URL``, files in ``FSSPEC_CONFIG_DIR``) under a project's.

fsspec lays the arguments of a filesystem over its configuration one by one, so that ``client_kwargs`` of the one would
replace those of the other, and backends that make no filesystem would not see it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiocopick.storage.settings import merge

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
