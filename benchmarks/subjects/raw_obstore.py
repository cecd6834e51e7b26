"""obstore by hand, 64 requests at a time."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import obstore
from obstore.store import S3Store

from benchmarks.subjects import picks as poses
from benchmarks.subjects.keys import count, is_picks

if TYPE_CHECKING:
    from benchmarks.child import Bench

FOLDER = "ExperimentRuns"


def store_of(url: str, fs_args: dict[str, Any]) -> S3Store:
    """The store that s3fs would reach with the same arguments; its keys are relative to `url`."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    client = fs_args.get("client_kwargs", {})
    endpoint = client.get("endpoint_url") or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    credentials = {"access_key_id": fs_args["key"], "secret_access_key": fs_args["secret"]} if "key" in fs_args else {}
    # obstore takes no None here; what is not given it finds in the environment.
    given = {"prefix": prefix, "endpoint": endpoint, "region": client.get("region_name")}
    return S3Store(
        bucket,
        client_options={"allow_http": endpoint is not None and endpoint.startswith("http://")},
        **{name: value for name, value in given.items() if value},
        **credentials,
    )


async def list_runs(bench: Bench) -> dict[str, int]:
    with bench.meter:
        store = store_of(bench.url, bench.fs_args)
        page = await obstore.list_with_delimiter_async(store, f"{FOLDER}/")
    return {"runs": len(page["common_prefixes"])}


async def crawl(bench: Bench) -> dict[str, int]:
    with bench.meter:
        runs, keys = await _list(store_of(bench.url, bench.fs_args))
        found = count(runs, keys)
    return found


async def crawl_picks(bench: Bench) -> dict[str, int]:
    with bench.meter:
        store = store_of(bench.url, bench.fs_args)
        runs, keys = await _list(store)
        found = count(runs, keys)
        points = await _points(store, keys)
    return {**found, "points": points}


async def load_picks(bench: Bench) -> dict[str, int]:
    store = store_of(bench.url, bench.fs_args)
    _, keys = await _list(store)
    files = [key for key in keys if is_picks(key)]
    with bench.meter:
        points = await _points(store, files)
    return {"files": len(files), "points": points}


async def _list(store: S3Store) -> tuple[int, list[str]]:
    limit = asyncio.Semaphore(64)

    async def walk(folder: str) -> list[str]:
        async with limit:
            page = await obstore.list_with_delimiter_async(store, folder)
        folders = [path for path in page["common_prefixes"] if not path.endswith(".zarr")]
        volumes = [f"{path}/" for path in page["common_prefixes"] if path.endswith(".zarr")]
        deeper = await asyncio.gather(*[walk(path) for path in folders])
        return [item["path"] for item in page["objects"]] + volumes + [path for paths in deeper for path in paths]

    runs = (await obstore.list_with_delimiter_async(store, f"{FOLDER}/"))["common_prefixes"]
    found = await asyncio.gather(*[walk(run) for run in runs])
    return len(runs), [path.removeprefix(f"{FOLDER}/") for paths in found for path in paths]


async def _points(store: S3Store, keys: list[str]) -> int:
    limit = asyncio.Semaphore(64)

    async def one(key: str) -> int:
        async with limit:
            content = await (await obstore.get_async(store, f"{FOLDER}/{key}")).bytes_async()
        return len(poses.decode(bytes(content))[0])

    return sum(await asyncio.gather(*[one(key) for key in keys if is_picks(key)]))
