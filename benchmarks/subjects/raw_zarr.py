"""zarr alone: the array that everybody reads, without anything around it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.storage import FsspecStore, LocalStore

from benchmarks import layouts

if TYPE_CHECKING:
    from benchmarks.child import Bench

ARRAY = "ExperimentRuns/TS_0001/VoxelSpacing10.000/wbp.zarr"


def volume_read(bench: Bench) -> dict[str, Any]:
    layout = layouts.layout_of(bench.parameters)
    with _concurrency(bench):
        store = _store(bench, f"{ARRAY}/0", read_only=True)
        # Whoever drives zarr by hand also tells it the format, which spares five requests.
        told = {"zarr_format": layout.zarr_format} if "concurrency" in bench.options else {}
        if bench.parameters.get("again"):
            array: Any = zarr.open_array(store, mode="r", **told)
            array[:1, :1, :1]
            with bench.meter:
                data = _read(array, layout, bench)
        else:
            with bench.meter:
                data = _read(zarr.open_array(store, mode="r", **told), layout, bench)
    return {"shape": list(data.shape), "sum": layouts.total(data)}


def _read(array: Any, layout: layouts.Layout, bench: Bench) -> np.ndarray:
    region = bench.parameters.get("region", "boxes")
    if region != "boxes":
        return np.asarray(array[layouts.slices_of(layout, region)])
    centres, edge = layouts.boxes_of(layout, bench.parameters)
    starts = (centres - edge // 2).tolist()
    return np.stack([array[z : z + edge, y : y + edge, x : x + edge] for z, y, x in starts])


def train_boxes(bench: Bench) -> dict[str, Any]:
    layout = layouts.layout_of(bench.parameters)
    count, total = 0, 0.0
    with _concurrency(bench), bench.meter:
        for number in range(bench.parameters["runs"]):
            # Names and positions are known here: only chunks are read.
            store = _store(bench, f"{ARRAY.replace('TS_0001', f'TS_{number:05d}')}/0", read_only=True)
            told = {"zarr_format": layout.zarr_format} if "concurrency" in bench.options else {}
            data = _read(zarr.open_array(store, mode="r", **told), layout, bench)
            count, total = count + len(data), total + layouts.total(data)
    return {"boxes": count, "sum": total}


def volume_write(bench: Bench) -> dict[str, Any]:
    layout = layouts.layout_of(bench.parameters)
    pyramid = [layouts.volume(layout)]
    for _ in range(bench.parameters["levels"] - 1):
        # Only the bytes count here, so the coarser levels are the cheapest thing of their size.
        pyramid.append(np.ascontiguousarray(pyramid[-1][::2, ::2, ::2]))
    with _concurrency(bench):
        store = _store(bench, ARRAY, read_only=False)
        with bench.meter:
            group = zarr.open_group(store, mode="w", zarr_format=layout.zarr_format)
            for level, data in enumerate(pyramid):
                array = group.create_array(
                    str(level),
                    shape=data.shape,
                    dtype=data.dtype,
                    chunks=layout.chunks,
                    shards=layout.shards,
                    compressors=compressor(layout.zarr_format),
                    chunk_key_encoding={"name": "v2", "separator": "/"},
                )
                array[:] = data
            if bench.options.get("synced"):
                _sync(Path(bench.url, ARRAY))
    return {"sum": layouts.total(group["0"][:])}


def _sync(folder: Path) -> None:
    """Make all files below a folder outlast a power cut, and the names that lead to them."""

    def one(path: Path) -> None:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    found = [*folder.rglob("*"), folder]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, [path for path in found if path.is_file()]))
        list(pool.map(one, [path for path in found if path.is_dir()]))


def compressor(zarr_format: int) -> Any:
    """The codec that CoPick's files have."""
    if zarr_format == 3:
        return zarr.codecs.ZstdCodec()
    from numcodecs import Blosc

    return Blosc(cname="lz4", clevel=5, shuffle=Blosc.SHUFFLE)


def _concurrency(bench: Bench) -> Any:
    if "concurrency" not in bench.options:
        return zarr.config.set({})
    return zarr.config.set({"async.concurrency": bench.options["concurrency"]})


def _store(bench: Bench, path: str, *, read_only: bool) -> Any:
    if "://" not in bench.url:
        return LocalStore(f"{bench.url}/{path}", read_only=read_only)
    if bench.options.get("engine") == "obstore":
        from benchmarks.subjects.raw_obstore import store_of

        return zarr.storage.ObjectStore(store_of(f"{bench.url}/{path}", bench.fs_args), read_only=read_only)
    arguments = dict(bench.fs_args)
    if "concurrency" in bench.options:
        arguments["config_kwargs"] = {"max_pool_connections": bench.options["concurrency"]}
    return FsspecStore.from_url(f"{bench.url}/{path}", storage_options=arguments, read_only=read_only)
