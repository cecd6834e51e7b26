"""Codecs that a volume may name: compression and number formats, nothing that runs code or builds objects.

Metadata is untrusted. ``pickle`` executes what it decodes; ``json2``, ``msgpack2`` and ``vlen-*`` build arrays
of Python objects. What is left here turns numbers into bytes and back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiocopick.volumes.ome_documents import refuse

NUMCODECS = frozenset(
    {
        "adler32",
        "astype",
        "bitround",
        "blosc",
        "bz2",
        "crc32",
        "crc32c",
        "delta",
        "fixedscaleoffset",
        "fletcher32",
        "gzip",
        "jenkins_lookup3",
        "lz4",
        "lzma",
        "packbits",
        "pcodec",
        "quantize",
        "shuffle",
        "zfpy",
        "zlib",
        "zstd",
    }
)
"""Codecs of zarr 2 by id; in zarr 3 the same with ``numcodecs.`` in front."""

_WIDENING = frozenset({"astype", "delta", "fixedscaleoffset", "quantize"})
"""Codecs that change the type of values."""

ZARR3 = frozenset({"blosc", "bytes", "endian", "crc32c", "gzip", "sharding_indexed", "transpose", "zstd"})
"""Codecs of the zarr 3 specification."""


def check_codecs_v2(document: dict[str, Any], *, path: str) -> None:
    """Refuse an array whose compressor or filters are not in the list.

    Raises
    ------
    FormatError
        Names the codec.
    """
    filters = document.get("filters")
    if filters is not None and not isinstance(filters, list):
        refuse(path, "'filters' is not a list")
    for codec in [document.get("compressor"), *(filters or [])]:
        if codec is None:
            continue
        name = codec.get("id") if isinstance(codec, dict) else codec
        if not isinstance(name, str) or name not in NUMCODECS:
            refuse(path, f"codec {name!r} is not read; only compression and number formats are")


def check_codecs_v3(codecs: Any, *, path: str, depth: int = 0) -> None:
    """Refuse an array with a codec that is not in the list, inside shards as well.

    Raises
    ------
    FormatError
        Names the codec.
    """
    if not isinstance(codecs, list) or not codecs:
        refuse(path, "'codecs' is not a list of codecs")
    if depth > 2:
        refuse(path, "shards are nested too deeply")
    for name, configuration in named(codecs, path=path):
        bare = name.removeprefix("numcodecs.")
        if name not in ZARR3 and (bare == name or bare not in NUMCODECS):
            refuse(path, f"codec {name!r} is not read; only compression and number formats are")
        if name == "sharding_indexed":
            check_codecs_v3(configuration.get("codecs"), path=path, depth=depth + 1)
            check_codecs_v3(configuration.get("index_codecs"), path=path, depth=depth + 1)


def widens(document: dict[str, Any]) -> bool:
    """Return True if a checked array may be stored in a larger type than that of its values."""
    if "filters" in document:
        codecs = [codec if isinstance(codec, str) else codec["id"] for codec in document["filters"] or []]
        return not _WIDENING.isdisjoint(codecs)
    return any(
        name.removeprefix("numcodecs.") in _WIDENING or widens(configuration)
        for name, configuration in named(document.get("codecs", []), path="zarr.json")
    )


def named(codecs: Any, *, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and configuration of each codec of a zarr 3 list."""
    for codec in codecs:
        name = codec.get("name") if isinstance(codec, dict) else codec
        configuration = codec.get("configuration", {}) if isinstance(codec, dict) else {}
        if not isinstance(name, str) or not isinstance(configuration, dict):
            refuse(path, f"{codec!r} is not a codec")
        yield name, configuration
