"""No chunk that zarr writes is larger than the limit that its array implies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec

from aiocopick.volumes.ome_arrays import ARRAY_DOCUMENT, parse_array

SHAPE = (16, 16, 16)
ZARR2: dict[str, dict[str, Any]] = {
    "nothing": {"compressors": None},
    "blosc": {"compressors": numcodecs.Blosc()},
    "zstd": {"compressors": numcodecs.Zstd()},
    "zlib": {"compressors": numcodecs.Zlib()},
    "gzip": {"compressors": numcodecs.GZip()},
    "bz2": {"compressors": numcodecs.BZ2()},
    "lzma": {"compressors": numcodecs.LZMA()},
    "lz4": {"compressors": numcodecs.LZ4()},
    "astype": {"filters": [numcodecs.AsType("<f8", "|u1")], "compressors": None},
    "delta": {"filters": [numcodecs.Delta("|u1", "<i8")], "compressors": None},
    "fixedscaleoffset": {"filters": [numcodecs.FixedScaleOffset(0, 1, "|u1", "<f8")], "compressors": None},
}
ZARR3: dict[str, dict[str, Any]] = {
    "nothing": {"compressors": None},
    "blosc": {"compressors": BloscCodec()},
    "zstd and checksum": {"compressors": [ZstdCodec(), Crc32cCodec()]},
    "gzip": {"compressors": GzipCodec()},
    "shards": {"chunks": (2, 2, 2), "shards": SHAPE, "compressors": ZstdCodec()},
}


@pytest.mark.parametrize(
    ("zarr_format", "options"),
    [
        *(pytest.param(2, options, id=f"zarr2-{name}") for name, options in ZARR2.items()),
        *(pytest.param(3, options, id=f"zarr3-{name}") for name, options in ZARR3.items()),
    ],
)
def test_noise_is_smaller_than_the_limit(tmp_path: Path, zarr_format: Any, options: dict[str, Any]) -> None:
    array = zarr.create_array(
        tmp_path, shape=SHAPE, dtype="uint8", zarr_format=zarr_format, **{"chunks": SHAPE, **options}
    )
    array[:] = np.random.default_rng(1).integers(0, 256, SHAPE, dtype=np.uint8)
    document = tmp_path / ARRAY_DOCUMENT[zarr_format]
    metadata = parse_array(document.read_bytes(), zarr_format, path="0", max_bytes=2**20)
    chunks = [path for path in tmp_path.rglob("*") if path.is_file() and path.name[0] not in ".z"]
    assert len(chunks) == 1
    stored = chunks[0].stat().st_size
    # Without the constant as well, which alone is larger than such a small chunk.
    assert 0 < stored <= metadata.largest_stored_chunk - 65_536
