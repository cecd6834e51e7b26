"""s3fs by hand: with its defaults, and as well as it can be driven."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import s3fs

from benchmarks.subjects import picks as poses
from benchmarks.subjects.keys import count, is_picks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.child import Bench

RANGES = 4
CONNECTIONS = 64
# Sorts behind everything that a common prefix stands for; MinIO's continuation token does not move past one.
BEHIND = "\U0010ffff"


async def list_runs(bench: Bench) -> dict[str, int]:
    with bench.meter:
        async with _filesystem(bench) as filesystem:
            runs = await filesystem._ls(f"{_path(bench)}/ExperimentRuns", detail=False)
    return {"runs": len(runs)}


async def crawl(bench: Bench) -> dict[str, int]:
    with bench.meter:
        async with _filesystem(bench) as filesystem:
            runs, keys = await _list(bench, filesystem)
            found = count(runs, keys)
    return found


async def crawl_picks(bench: Bench) -> dict[str, int]:
    with bench.meter:
        async with _filesystem(bench) as filesystem:
            runs, keys = await _list(bench, filesystem)
            found = count(runs, keys)
            points = await _points(bench, filesystem, keys)
    return {**found, "points": points}


async def load_picks(bench: Bench) -> dict[str, int]:
    async with _filesystem(bench) as filesystem:
        _, keys = await _list(bench, filesystem)
        files = [key for key in keys if is_picks(key)]
        with bench.meter:
            points = await _points(bench, filesystem, files)
    return {"files": len(files), "points": points}


@asynccontextmanager
async def _filesystem(bench: Bench) -> AsyncIterator[Any]:
    arguments = dict(bench.fs_args)
    if "tuned" in bench.options:
        # max_concurrency 1 is what spares the HEAD before each GET.
        arguments |= {
            "config_kwargs": {"max_pool_connections": CONNECTIONS},
            "max_concurrency": 1,
            "use_listings_cache": False,
        }
    filesystem = s3fs.S3FileSystem(asynchronous=True, skip_instance_cache=True, **arguments)
    session = await filesystem.set_session()
    try:
        yield filesystem
    finally:
        await session.close()


def _path(bench: Bench) -> str:
    return bench.url.removeprefix("s3://").rstrip("/")


async def _list(bench: Bench, filesystem: Any) -> tuple[int, set[str]]:
    folder = f"{_path(bench)}/ExperimentRuns/"
    if bench.options["listing"] == "walk":
        runs = await filesystem._ls(folder, detail=True)
        found = await asyncio.gather(*[_walk(filesystem, entry["name"]) for entry in runs])
        return len(runs), {key.removeprefix(folder) for keys in found for key in keys}
    bucket, _, prefix = folder.partition("/")
    runs = [key async for key in _pages(filesystem, bucket, prefix, "/")]
    if bench.options["listing"] == "runs":
        listings = [(run, None, "") for run in runs]
    else:
        size = -(-len(runs) // RANGES)
        firsts = [runs[number] for number in range(0, len(runs), size)]
        listings = [(prefix, stop, start) for start, stop in zip(firsts, [*firsts[1:], None], strict=True)]
    limit = asyncio.Semaphore(CONNECTIONS)

    async def one(under: str, stop: str | None, start: str) -> list[str]:
        async with limit:
            return [key async for key in _pages(filesystem, bucket, under, ".zarr/", start, stop)]

    found = await asyncio.gather(*[one(*listing) for listing in listings])
    return len(runs), {key.removeprefix(prefix) for keys in found for key in keys}


async def _walk(filesystem: Any, folder: str) -> list[str]:
    entries = await filesystem._ls(folder, detail=True)
    folders = [entry["name"] for entry in entries if entry["type"] == "directory"]
    deeper = await asyncio.gather(*[_walk(filesystem, name) for name in folders if not name.endswith(".zarr")])
    return [entry["name"] for entry in entries] + [name for names in deeper for name in names]


async def _pages(
    filesystem: Any, bucket: str, prefix: str, delimiter: str, start: str = "", stop: str | None = None
) -> AsyncIterator[str]:
    seen = None
    while True:
        page = await filesystem._call_s3(
            "list_objects_v2", Bucket=bucket, Prefix=prefix, Delimiter=delimiter, StartAfter=start
        )
        prefixes = [item["Prefix"] for item in page.get("CommonPrefixes", ())]
        for key in sorted([item["Key"] for item in page.get("Contents", ())] + prefixes):
            if stop is not None and key >= stop:
                return
            if key != seen:
                yield key
            seen = key
        if not page["IsTruncated"] or seen is None:
            return
        start = seen + BEHIND if prefixes and seen == prefixes[-1] else seen


async def _points(bench: Bench, filesystem: Any, keys: Iterable[str]) -> int:
    folder = f"{_path(bench)}/ExperimentRuns/"
    limit = asyncio.Semaphore(CONNECTIONS)

    async def one(key: str) -> int:
        async with limit:
            return len(poses.decode(await filesystem._cat_file(folder + key))[0])

    return sum(await asyncio.gather(*[one(key) for key in keys if is_picks(key)]))
