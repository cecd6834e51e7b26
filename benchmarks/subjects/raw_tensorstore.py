"""TensorStore alone: the array, through its own drivers of files and of S3."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorstore

from benchmarks import layouts
from benchmarks.subjects.raw_zarr import ARRAY

if TYPE_CHECKING:
    from benchmarks.child import Bench

_AT_ONCE = {"limit": 64}


def volume_read(bench: Bench) -> dict[str, Any]:
    layout = layouts.layout_of(bench.parameters)
    wanted = _spec(bench, layout, 0)
    if bench.parameters.get("again"):
        array = tensorstore.open(wanted, read=True).result()
        array[:1, :1, :1].read().result()
        with bench.meter:
            data = _read(array, layout, bench)
    else:
        with bench.meter:
            data = _read(tensorstore.open(wanted, read=True).result(), layout, bench)
    return {"shape": list(data.shape), "sum": layouts.total(data)}


def volume_write(bench: Bench) -> dict[str, Any]:
    layout = layouts.layout_of(bench.parameters)
    pyramid = [layouts.volume(layout)]
    for _ in range(bench.parameters["levels"] - 1):
        # Only the bytes count here, so the coarser levels are the cheapest thing of their size.
        pyramid.append(np.ascontiguousarray(pyramid[-1][::2, ::2, ::2]))
    with bench.meter:
        for level, data in enumerate(pyramid):
            wanted = {**_spec(bench, layout, level), "metadata": _metadata(layout, data.shape)}
            tensorstore.open(wanted, create=True, delete_existing=True).result().write(data).result()
    stored = tensorstore.open(_spec(bench, layout, 0), read=True).result().read().result()
    return {"sum": layouts.total(stored)}


def _read(array: Any, layout: layouts.Layout, bench: Bench) -> np.ndarray:
    region = bench.parameters["region"]
    if region != "boxes":
        return np.asarray(array[layouts.slices_of(layout, region)].read().result())
    centres, edge = layouts.boxes_of(layout, bench.parameters)
    starts = (centres - edge // 2).tolist()
    asked = [array[z : z + edge, y : y + edge, x : x + edge].read() for z, y, x in starts]
    return np.stack([one.result() for one in asked])


def _spec(bench: Bench, layout: layouts.Layout, level: int) -> dict[str, Any]:
    path = f"{ARRAY}/{level}/"
    driver = "zarr" if layout.zarr_format == 2 else "zarr3"
    if "://" not in bench.url:
        return {"driver": driver, "kvstore": {"driver": "file", "path": f"{bench.url}/{path}"}}
    bucket, _, prefix = bench.url.removeprefix("s3://").partition("/")
    client = bench.fs_args.get("client_kwargs", {})
    kvstore = {"driver": "s3", "bucket": bucket, "path": f"{prefix}/{path}"}
    if "endpoint_url" in client:
        kvstore |= {"endpoint": client["endpoint_url"], "aws_region": client.get("region_name", "us-east-1")}
    if "key" in bench.fs_args:
        os.environ |= {"AWS_ACCESS_KEY_ID": bench.fs_args["key"], "AWS_SECRET_ACCESS_KEY": bench.fs_args["secret"]}
    return {"driver": driver, "kvstore": kvstore, "context": {"s3_request_concurrency": _AT_ONCE}}


def _metadata(layout: layouts.Layout, shape: tuple[int, ...]) -> dict[str, Any]:
    """The form that CoPick's files have."""
    if layout.zarr_format == 2:
        return {
            "shape": shape,
            "chunks": layout.chunks,
            "dtype": "<f4",
            "fill_value": 0.0,
            "compressor": {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1},
            "dimension_separator": "/",
        }
    inner: list[dict[str, Any]] = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd"}]
    codecs = inner
    if layout.shards is not None:
        codecs = [{"name": "sharding_indexed", "configuration": {"chunk_shape": layout.chunks, "codecs": inner}}]
    return {
        "shape": shape,
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": layout.shards or layout.chunks}},
        "chunk_key_encoding": {"name": "v2", "configuration": {"separator": "/"}},
        "codecs": codecs,
        "fill_value": 0.0,
    }
