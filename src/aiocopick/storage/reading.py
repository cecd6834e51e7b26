"""Many reads whose results wait for their consumer: reads in flight and waiting results are both bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from aiocopick.concurrency.fan_out import Backlog, stream
from aiocopick.concurrency.gate import Gate
from aiocopick.concurrency.iterating import Flattened, Mapped
from aiocopick.errors import CopickError
from aiocopick.storage.backends.base import Content
from aiocopick.storage.base import Range, ReadItem
from aiocopick.storage.keys import check_key

Value = TypeVar("Value")

Pair: TypeAlias = tuple[Any, Value | CopickError]

# Content that one hop into a thread brings back; more than that, and what is left waits for the next.
HOP_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Raised:
    """The outcome of a content whose processing failed, which is not an error of the read."""

    error: Exception

    def ours(self) -> CopickError:
        """The error as a result; one that is not ours is raised."""
        if not isinstance(self.error, CopickError):
            raise self.error
        return self.error


def guarded(use: Callable[[str, bytes], Value]) -> Callable[[str, Content], Value | Raised]:
    """A function of a content as something that raises nothing."""

    def work(key: str, content: Content) -> Value | Raised:
        try:
            return use(key, content.data)
        except Exception as error:
            return Raised(error)

    return work


@asynccontextmanager
async def read_singly(
    read: Callable[[ReadItem], Awaitable[Content]],
    items: Iterable[ReadItem],
    finish: Callable[[Any, Content], Awaitable[Value]],
    *,
    limit: int,
    budget: int,
    expected: Callable[[], int],
) -> AsyncIterator[AsyncIterator[Pair[Value]]]:
    """Read one object a request; at most `limit` requests and about `budget` bytes are under way or waiting.

    What `finish` makes of a content is what the consumer gets.
    """
    waiting = Gate(limit, budget)

    async def fetch(item: ReadItem) -> tuple[Value, int]:
        held = await waiting.enter(expected())
        try:
            content = await read(item)
            held = waiting.reweigh(held, len(content.data))
            return await finish(item, content), held
        except BaseException:
            waiting.leave(held)
            raise

    def taken(pair: tuple[ReadItem, tuple[Value, int] | CopickError]) -> Pair[Value]:
        item, result = pair
        if isinstance(result, CopickError):
            return item, result
        value, held = result
        waiting.leave(held)
        return item, value

    async with stream(fetch, items, limit=limit) as results:
        yield Mapped(taken, results)


@asynccontextmanager
async def read_batches(
    read: Callable[[Sequence[tuple[str, Range | None]], int], Awaitable[Sequence[Value | Raised | BaseException]]],
    items: Iterable[ReadItem],
    *,
    size: int,
    limit: int,
    budget: int,
    failed: Callable[[str, BaseException], CopickError],
) -> AsyncIterator[AsyncIterator[Pair[Value]]]:
    """Read up to `size` objects a hop; a hop that comes back early leaves its rest to another one.

    Exceptions among its results say why something could not be read.
    """
    source = iter(items)
    backlog = Backlog(iter(lambda: list(islice(source, size)), []))
    hop = max(1, min(HOP_BYTES, budget // 4))

    async def fetch(batch: list[ReadItem]) -> list[Pair[Value]]:
        pairs: list[Pair[Value]] = []
        wanted: list[tuple[ReadItem, tuple[str, Range | None]]] = []
        try:
            for item in batch:
                spanned: tuple[str, Range | None] = (item, None) if isinstance(item, str) else item
                try:
                    check_key(spanned[0])
                    wanted.append((item, spanned))
                except CopickError as error:
                    pairs.append((item, error))
            results = await read([span for _, span in wanted], hop) if wanted else []
            if len(results) < len(wanted):
                backlog.add([item for item, _ in wanted[len(results) :]])
            for (item, span), result in zip(wanted, results, strict=False):
                if isinstance(result, Raised):
                    pairs.append((item, result.ours()))
                else:
                    pairs.append((item, failed(span[0], result) if isinstance(result, BaseException) else result))
            return pairs
        finally:
            backlog.done()

    # Batches that wait for the consumer hold a hop's bytes each, as those under way do.
    async with stream(fetch, backlog, limit=max(1, min(limit, budget // hop))) as results:
        yield Flattened(_of_batch, results)


def _of_batch(answer: tuple[list[ReadItem], list[Pair[Value]] | CopickError]) -> Iterable[Pair[Value]]:
    batch, result = answer
    return [(item, result) for item in batch] if isinstance(result, CopickError) else result
