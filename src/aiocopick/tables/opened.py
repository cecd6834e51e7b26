"""A project opened with a catalogue in place of its listings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from aiocopick.tables.layer import Verify, catalog_layers
from aiocopick.tables.parquet import load_table

if TYPE_CHECKING:
    import pyarrow as pa

    from aiocopick.entities import AsyncRoot


async def with_catalog(root: AsyncRoot, catalog: str | os.PathLike[str] | pa.Table, verify: Verify = None) -> AsyncRoot:
    """The same project, listed from a catalogue.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    catalog : str, path or pyarrow.Table
        A catalogue of it, or the path or URL of the Parquet file that holds one. A file on the project's own kind of
        storage is read with the project's ``fs_args``.
    verify : "etag", optional
        Refuse files that changed since the catalogue was made.

    Raises
    ------
    NotFoundError
        There is no such file.
    FormatError
        It is no catalogue.
    LayerError
        It is one of another project.
    """
    table = catalog
    if isinstance(catalog, str | os.PathLike):
        table = await load_table(catalog, **_arguments(root, os.fspath(catalog)))
    stack = root._stack
    layers = catalog_layers(stack.layers, table, verify=verify)
    return type(root)._over(root.config, stack.over(layers))


def _arguments(root: AsyncRoot, file: str) -> dict[str, Any]:
    """The ``fs_args`` of the layer that is on the same kind of storage as a file."""
    scheme, mark, _ = file.partition("://")
    if not mark:
        return {}
    configs = [layer.config for layer in root.layers]
    same = [config for config in configs if str(getattr(config, "root", "")).startswith(f"{scheme}://")]
    return {"fs_args": same[0].fs_args} if same else {}


__all__ = ["with_catalog"]
