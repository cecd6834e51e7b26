"""botocore's descriptions of its services: read once in a process, in a thread, by a quick parser.

Making a first client costs 150 ms of processor otherwise: botocore's own parser keeps every object in order by calling
back, and 400 services are looked through to find that there is one called s3.
"""

from __future__ import annotations

import functools
import gzip
import os
from pathlib import Path
from typing import Any


@functools.cache
def loader() -> Any:
    """The loader that all sessions share; their component ``data_loader``."""
    from botocore.loaders import Loader

    class QuickLoader(Loader):  # type: ignore[misc]
        def list_available_services(self, type_name: str) -> list[str]:
            """Every directory that may be a service; whether it has this type of description is seen when it is
            read.
            """
            return sorted(
                {entry.name for path in self._potential_locations() for entry in os.scandir(path) if entry.is_dir()}
            )

    # `~/.aws/models` and what botocore brings are searched, as by default.
    return QuickLoader(file_loader=_Files())


def read_models() -> None:
    """Read what a client for S3 is made from, under the arguments by which the loader remembers it."""
    shared = loader()
    for name in ("endpoints", "sdk-default-configuration"):
        shared.load_data_with_path(name)
    for name in ("partitions", "_retry", "sdk-default-configuration"):
        shared.load_data(name)
    for name in ("service-2", "endpoint-rule-set-1"):
        shared.load_service_model("s3", name, api_version=None)


class _Files:
    """A replacement of botocore's ``JSONFileLoader``."""

    _OPEN: tuple[tuple[str, Any], ...] = ((".json", open), (".json.gz", gzip.open))

    def exists(self, file_path: str) -> bool:
        """Return True if the file exists; its suffix is left out."""
        return any(Path(file_path + suffix).is_file() for suffix, _ in self._OPEN)

    def load_file(self, file_path: str) -> Any:
        """Return the content of the file; None if it does not exist."""
        from pydantic_core import from_json

        for suffix, opened in self._OPEN:
            if Path(file_path + suffix).is_file():
                with opened(file_path + suffix, "rb") as stream:
                    return from_json(stream.read())
        return None
