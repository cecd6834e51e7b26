"""aiohttp by hand, unsigned: ranges of runs begin when their names arrive, entries are found by one regular
expression, and nothing is made of them. What a crawl costs at least.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlencode

import aiohttp
from yarl import URL

from benchmarks.subjects.keys import count

if TYPE_CHECKING:
    from benchmarks.child import Bench

SIDE_BY_SIDE = 23
# Sorts behind everything that a common prefix stands for.
BEHIND = "\U0010ffff"
_LINE = re.compile(r"<(Key|Prefix)>([^<]*)</\1>")
_MORE = "<IsTruncated>true</IsTruncated>"


class Lister:
    """Unsigned listings of the runs of one project."""

    def __init__(self, bench: Bench, session: aiohttp.ClientSession) -> None:
        bucket, _, prefix = bench.url.removeprefix("s3://").partition("/")
        self.base = f"{bench.fs_args['client_kwargs']['endpoint_url']}/{bucket}"
        self.folder = f"{prefix}/ExperimentRuns/"
        self.session = session

    async def page(self, delimiter: str, after: str = "") -> tuple[list[str], bool]:
        """The keys of a page in order, and whether there are more."""
        query = {
            "list-type": "2", "prefix": self.folder, "delimiter": delimiter, "encoding-type": "url", "start-after": after
        }  # fmt: skip
        async with self.session.get(URL(f"{self.base}?{urlencode(query)}", encoded=True)) as answer:
            assert answer.status == 200, answer.status
            text = (await answer.read()).decode()
        begin = text.find("<Contents>")
        common = text.find("<CommonPrefixes>")
        begin = min(at for at in (begin, common, len(text)) if at >= 0)
        names = [name for _, name in _LINE.findall(text, begin)]
        if "%" in text:
            names = [unquote(name) for name in names]
        names.sort()
        return names, _MORE in text


async def list_runs(bench: Bench) -> dict[str, int]:
    with bench.meter:
        async with _lister(bench) as lister:
            runs = [name async for names in _names(lister) for name in names]
    return {"runs": len(runs)}


async def crawl(bench: Bench) -> dict[str, int]:
    if bench.parameters.get("connected"):
        async with _lister(bench) as lister:
            await lister.page("/", BEHIND)
            with bench.meter:
                found = count(*await _crawl(lister))
        return found
    with bench.meter:
        async with _lister(bench) as lister:
            runs, keys = await _crawl(lister)
            found = count(runs, keys)
    return found


@asynccontextmanager
async def _lister(bench: Bench) -> AsyncIterator[Lister]:
    connector = aiohttp.TCPConnector(limit=64)
    # What is compressed would have to be taken apart.
    headers = {"Accept-Encoding": "identity"}
    async with aiohttp.ClientSession(connector=connector, headers=headers, auto_decompress=False) as session:
        yield Lister(bench, session)


async def _names(lister: Lister) -> AsyncIterator[list[str]]:
    after, more = "", True
    while more:
        names, more = await lister.page("/", after)
        if names:
            yield names
            after = names[-1] + BEHIND


async def _crawl(lister: Lister) -> tuple[int, set[str]]:
    limit = asyncio.Semaphore(SIDE_BY_SIDE)
    keys: set[str] = set()
    skipped = len(lister.folder)

    async def one(start: str, stop: str | None) -> None:
        async with limit:
            after, more = start, True
            while more:
                found, more = await lister.page(".zarr/", after)
                if not found:
                    return
                last = found[-1]
                if stop is not None and last >= stop:
                    found, more = [key for key in found if key < stop], False
                keys.update([key[skipped:] for key in found])
                after = last + BEHIND if last.endswith("/") else last

    first = asyncio.create_task(lister.page(".zarr/"))
    runs = 0
    async with asyncio.TaskGroup() as group:
        async for names in _names(lister):
            runs += len(names)
            found, more = await first
            keys.update([key[skipped:] for key in found])
            if not more:
                continue
            # As many runs as fill a page.
            held = max(1, len({key[skipped:].partition("/")[0] for key in found}) - 1)
            for at in range(0, len(names), held):
                block = names[at : at + held]
                if f"{block[-1]}{BEHIND}" > found[-1]:
                    stop = names[at + held] if at + held < len(names) else block[-1] + BEHIND
                    group.create_task(one(max(block[0], found[-1]), stop))
    return runs, keys
