"""Metadata of one level's array: untrusted when read, written in CoPick's layouts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.errors import FormatError
from aiocopick.volumes.ome import axis_names
from aiocopick.volumes.ome_documents import encode_document, parse_document, refuse

# Compression and number formats, nothing that runs code or builds objects: `pickle` executes what it decodes; `json2`,
# `msgpack2` and `vlen-*` build arrays of Python objects.
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


ARRAY_DOCUMENT = {2: ".zarray", 3: "zarr.json"}
"""Name of an array's metadata below its path."""

_DTYPE_V2 = re.compile(r"[<>|](?:b1|[iu][1248]|f[248]|c8|c16)")
_DTYPE_V3 = re.compile(r"bool|u?int(?:8|16|32|64)|float(?:16|32|64)|complex(?:64|128)")
_MAX_NDIM = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayMetadata:
    """The metadata needed to read an array.

    Parameters
    ----------
    zarr_format : int
        2 or 3.
    shape : tuple of int
        In array order (zyx, possibly after a leading axis).
    chunks : tuple of int
        What is stored, and read or written whole, as one object: a chunk, or a shard of chunks.
    inner_chunks : tuple of int
        The smallest part that can be decoded on its own; equal to `chunks` without shards.
    dtype : numpy.dtype
        In native byte order.
    document : dict
        The metadata itself, checked.
    notes : tuple of str
        A sentence for each description that was left out of `document` because it is nonsense.
    """

    zarr_format: int
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    inner_chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    document: dict[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes (``dimension_names`` of zarr 3); empty if z, y and x are not among them."""
        return axis_names(self.document.get("dimension_names"))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of one decoded chunk (or shard)."""
        return prod(self.chunks) * self.dtype.itemsize

    @property
    def largest_stored_chunk(self) -> int:
        """Bytes that a stored chunk (or shard) never exceeds, whatever its values: an answer that goes on is not one.

        Compressors add less than this to values that cannot be compressed, and a shard has an index of 16 bytes for
        each of its chunks. The largest type is 16 times the smallest.
        """
        inner = prod(self.chunks) // max(1, prod(self.inner_chunks))
        return (16 if widens(self.document) else 2) * self.chunk_bytes + 32 * inner + 65_536

    @property
    def inner_chunk_bytes(self) -> int:
        """Bytes of the smallest part that can be decoded."""
        return prod(self.inner_chunks) * self.dtype.itemsize

    @property
    def sharded(self) -> bool:
        """True if a stored object holds several chunks."""
        return self.chunks != self.inner_chunks


def is_array_document(data: bytes) -> bool:
    """Return True if a ``zarr.json`` describes an array; False for a group and for invalid data."""
    try:
        return parse_document(data, path="zarr.json").get("node_type") == "array"
    except FormatError:
        return False


def parse_array(data: bytes, zarr_format: int, *, path: str, max_bytes: int) -> ArrayMetadata:
    """Understand, and check, the metadata of an array.

    Parameters
    ----------
    data : bytes
        Content of ``.zarray`` or of an array's ``zarr.json``.
    zarr_format : int
        2 or 3.
    path : str
        Of the file, for messages.
    max_bytes : int
        No decoded chunk may be larger.

    Raises
    ------
    FormatError
        It cannot be understood, names a codec or a data type that is not read, or has chunks that are too large.
    """
    document = parse_document(data, path=path)
    if document.get("zarr_format") != zarr_format:
        refuse(path, f"zarr_format is {document.get('zarr_format')!r}, not {zarr_format}")
    parse = _parse_v2 if zarr_format == 2 else _parse_v3
    metadata = parse(document, path=path)
    if not len(metadata.shape) == len(metadata.chunks) == len(metadata.inner_chunks):
        refuse(path, f"shape {metadata.shape} and chunks {metadata.chunks} have different numbers of axes")
    if any(shard % chunk for shard, chunk in zip(metadata.chunks, metadata.inner_chunks, strict=True)):
        refuse(path, f"shards {metadata.chunks} are no multiples of chunks {metadata.inner_chunks}")
    if metadata.chunk_bytes > max_bytes:
        refuse(path, f"chunks {metadata.chunks} decode to {metadata.chunk_bytes} bytes, more than {max_bytes}")
    return metadata


def _parse_v2(document: dict[str, Any], *, path: str) -> ArrayMetadata:
    dtype = document.get("dtype")
    if not isinstance(dtype, str) or not _DTYPE_V2.fullmatch(dtype):
        refuse(path, f"data type {dtype!r} is not a number or boolean")
    if document.get("order", "C") not in ("C", "F"):
        refuse(path, f"order is {document['order']!r}, not C or F")
    if document.get("dimension_separator", ".") not in (".", "/"):
        refuse(path, f"dimension_separator is {document['dimension_separator']!r}, not '.' or '/'")
    check_codecs_v2(document, path=path)
    chunks = _extents(document.get("chunks"), "chunks", 1, path=path)
    return ArrayMetadata(
        zarr_format=2,
        shape=_extents(document.get("shape"), "shape", 0, path=path),
        chunks=chunks,
        inner_chunks=chunks,
        dtype=np.dtype(dtype).newbyteorder("="),
        document=document,
    )


def _parse_v3(document: dict[str, Any], *, path: str) -> ArrayMetadata:
    if document.get("node_type") != "array":
        refuse(path, f"node_type is {document.get('node_type')!r}, not 'array'")
    dtype = document.get("data_type")
    if not isinstance(dtype, str) or not _DTYPE_V3.fullmatch(dtype):
        refuse(path, f"data type {dtype!r} is not a number or boolean")
    if document.get("storage_transformers"):
        refuse(path, "storage transformers are not read")
    grid = document.get("chunk_grid")
    if not isinstance(grid, dict) or grid.get("name") != "regular" or not isinstance(grid.get("configuration"), dict):
        refuse(path, "only regular chunk grids are read")
    codecs = document.get("codecs")
    check_codecs_v3(codecs, path=path)
    chunks = _extents(grid["configuration"].get("chunk_shape"), "chunk_shape", 1, path=path)
    inner = chunks
    for name, configuration in named(codecs, path=path):
        if name == "sharding_indexed":
            inner = _extents(configuration.get("chunk_shape"), "chunk_shape of shards", 1, path=path)
    shape = _extents(document.get("shape"), "shape", 0, path=path)
    document, notes = _described(document, len(shape))
    return ArrayMetadata(
        zarr_format=3,
        shape=shape,
        chunks=chunks,
        inner_chunks=inner,
        dtype=np.dtype(dtype),
        document=document,
        notes=notes,
    )


def _described(document: dict[str, Any], ndim: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The document without descriptions of the voxels that zarr refuses."""
    notes = []
    names = document.get("dimension_names")
    if names is not None and not (
        isinstance(names, list) and len(names) == ndim and all(name is None or isinstance(name, str) for name in names)
    ):
        notes.append("'dimension_names' is not a name, or null, per axis")
        document = {key: value for key, value in document.items() if key != "dimension_names"}
    if not isinstance(document.get("attributes") or {}, dict):
        notes.append("'attributes' is not an object")
        document = document | {"attributes": {}}
    return document, tuple(notes)


def _extents(value: Any, what: str, least: int, *, path: str) -> tuple[int, ...]:
    if (
        not isinstance(value, list)
        or len(value) > _MAX_NDIM
        or not all(isinstance(item, int) and not isinstance(item, bool) and least <= item < 2**63 for item in value)
    ):
        refuse(path, f"{what} is {value!r}, not a list of at most {_MAX_NDIM} whole numbers from {least}")
    return tuple(value)


def describe_array(
    zarr_format: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    *,
    chunks: tuple[int, ...],
    shards: tuple[int, ...] | None = None,
    axes: tuple[str, ...],
) -> ArrayMetadata:
    """The metadata of an array that we write.

    Parameters
    ----------
    zarr_format : int
        2: Blosc lz4, as CoPick 1 writes. 3: zstd, optionally in shards, chunk keys as in format 2, as CoPick 2 writes.
    shape, chunks, shards : tuple of int
        In array order; shards are multiples of chunks, format 3 only.
    dtype : numpy.dtype
        Number or boolean.
    axes : tuple of str
        Names of the axes.
    """
    dtype = np.dtype(dtype)
    fill: Any = False if dtype.kind == "b" else 0.0 if dtype.kind == "f" else [0.0, 0.0] if dtype.kind == "c" else 0
    if zarr_format == 2:
        document: dict[str, Any] = {
            "chunks": list(chunks),
            "compressor": {"blocksize": 0, "clevel": 5, "cname": "lz4", "id": "blosc", "shuffle": 1},
            "dimension_separator": "/",
            "dtype": dtype.newbyteorder("<").str,
            "fill_value": fill,
            "filters": None,
            "order": "C",
            "shape": list(shape),
            "zarr_format": 2,
        }
    else:
        little = {"name": "bytes", "configuration": {"endian": "little"}}
        codecs: list[dict[str, Any]] = [
            little if dtype.itemsize > 1 else {"name": "bytes"},
            {"name": "zstd", "configuration": {"level": 3, "checksum": False}},
        ]
        if shards is not None:
            inner = {
                "chunk_shape": list(chunks),
                "codecs": codecs,
                "index_codecs": [little, {"name": "crc32c"}],
                "index_location": "end",
            }
            codecs = [{"name": "sharding_indexed", "configuration": inner}]
        document = {
            "shape": list(shape),
            "data_type": dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shards or chunks)}},
            "chunk_key_encoding": {"name": "v2", "configuration": {"separator": "/"}},
            "fill_value": fill,
            "codecs": codecs,
            "attributes": {},
            "dimension_names": list(axes),
            "zarr_format": 3,
            "node_type": "array",
            "storage_transformers": [],
        }
    return ArrayMetadata(
        zarr_format=zarr_format,
        shape=shape,
        chunks=shards or chunks,
        inner_chunks=chunks,
        dtype=dtype.newbyteorder("="),
        document=document,
    )


def array_documents(metadata: ArrayMetadata) -> dict[str, bytes]:
    """Name below the array's path -> content."""
    return {ARRAY_DOCUMENT[metadata.zarr_format]: encode_document(metadata.document)}
