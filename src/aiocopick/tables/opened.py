"""A project opened with a catalogue in place of its listings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.threads import in_thread
from aiocopick.models.place import Place, arguments_of, is_place, text_of
from aiocopick.storage.keys import Root, parse_root
from aiocopick.tables.layer import Verify, catalog_layers
from aiocopick.tables.parquet import stored_table

if TYPE_CHECKING:
    import pyarrow as pa

    from aiocopick.entities import AsyncRoot


async def with_catalog(root: AsyncRoot, catalog: Place | pa.Table, verify: Verify = None) -> AsyncRoot:
    """Return the same project, listed from a catalogue.

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
        The file does not exist.
    FormatError
        It is not a catalogue.
    LayerError
        It is the catalogue of another project.
    """
    table: Any = catalog
    if is_place(catalog):
        table = await stored_table(catalog, **file_arguments(root, catalog))
    stack = root._stack
    # A catalogue may have a million rows, which are sorted and checked.
    layers = await in_thread(partial(catalog_layers, stack.layers, table, verify=verify))
    return type(root)._over(root.config, stack.over(layers))


def file_arguments(root: AsyncRoot, file: Place, *, to_write: bool = False) -> dict[str, Any]:
    """Return the arguments of :func:`~aiocopick.load_table` and :func:`~aiocopick.store_table` for a file near a
    project.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    file : str or path
        Path or URL of the file.
    to_write : bool
        True if the file is written: a user who reads a public project without credentials needs some for an own bucket.

    Returns
    -------
    dict
        The ``fs_args`` of a layer on the same kind of storage, preferably in the same bucket, and never those of
        another host; empty if there is none.
    """
    place = parse_root(text_of(file))
    if place.protocol == "file" or arguments_of(file):
        # A UPath has arguments of its own.
        return {}
    arguments: dict[str, Any] = {}
    for layer in root.layers:
        given = getattr(layer.config, "root", None)
        if not isinstance(given, str) or not _takes_the_same(parse_root(given), place):
            continue
        config = layer.config
        known = {"fs_args": config.fs_args}
        if config.endpoint_url is not None:
            known["endpoint_url"] = config.endpoint_url
        if parse_root(given).container == place.container:
            return known
        if not arguments and not (to_write and config.fs_args.get("anon")):
            arguments = known
    return arguments


def _takes_the_same(layer: Root, file: Root) -> bool:
    """Return True if the arguments of a layer may be sent where a file is: a password is for one host only."""
    if layer.protocol != file.protocol:
        return False
    if layer.protocol == "az":
        return layer.container.partition("@")[2] == file.container.partition("@")[2]
    # The buckets of S3 and Google Cloud are on the server that the arguments name; elsewhere the host stands there.
    return layer.protocol in ("s3", "gs", "memory") or layer.container == file.container


__all__ = ["file_arguments", "with_catalog"]
