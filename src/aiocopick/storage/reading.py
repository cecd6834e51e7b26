"""Many reads whose results wait for their consumer: reads in flight and waiting results are both bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from aiocopick.concurrency.fan_out import Backlog, Flattened, stream
from aiocopick.concurrency.gate import Gate
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import CopickError
from aiocopick.storage.backends.base import Content
from aiocopick.storage.base import Buffer, Range, ReadItem
from aiocopick.storage.keys import check_key

Value = TypeVar("Value")
Read = TypeVar("Read", bound=tuple[Buffer, str | None])

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


def guarded(use: Callable[[str, Buffer], Value]) -> Callable[[str, Content], Value | Raised]:
    """A function of a content as something that raises nothing."""

    def work(key: str, content: Content) -> Value | Raised:
        try:
            return use(key, content.data)
        except Exception as error:
            return Raised(error)

    return work


def _spanned(item: ReadItem) -> tuple[str, Range | None]:
    key, span = (item, None) if isinstance(item, str) else item
    return check_key(key), span


def read_singly(
    read: Callable[[str, Range | None], Awaitable[Read]],
    items: Iterable[ReadItem],
    use: Callable[[str, Read], Value],
    *,
    limit: int,
    budget: int,
    expected: Callable[[str], int],
    in_threads: bool,
) -> AbstractAsyncContextManager[AsyncIterator[Pair[Value]]]:
    """Read one object a request; at most `limit` requests and about `budget` bytes are under way or waiting.

    The consumer gets the results of `use`, which is called in threads if it takes long.
    """
    waiting = Gate(limit, budget)

    async def fetch(item: ReadItem) -> tuple[Value, int]:
        key, span = _spanned(item)
        held = expected(key)
        if not waiting.admit(held):
            await waiting.wait(held)
        try:
            content = await read(key, span)
            size = len(content[0])
            waiting.reweigh(held, size)
            held = size
            return (await in_thread(use, key, content) if in_threads else use(key, content)), held
        except BaseException:
            waiting.leave(held)
            raise

    def taken(item: ReadItem, result: tuple[Value, int] | CopickError) -> Pair[Value]:
        if isinstance(result, CopickError):
            return item, result
        value, held = result
        waiting.leave(held)
        return item, value

    return stream(fetch, items, limit=limit, form=taken)


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
                try:
                    wanted.append((item, _spanned(item)))
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
    async with flattened(fetch, backlog, limit=max(1, min(limit, budget // hop))) as pairs_read:
        yield pairs_read


@asynccontextmanager
async def flattened(
    fetch: Callable[[Any], Awaitable[list[Pair[Value]]]], batches: Backlog[Any], *, limit: int
) -> AsyncIterator[AsyncIterator[Pair[Value]]]:
    """Yield the pairs of each batch of items; an error of ours is that of each of its items."""
    async with stream(fetch, batches, limit=limit) as results:
        yield Flattened(_of_batch, results)


def _of_batch(answer: tuple[list[ReadItem], list[Pair[Value]] | CopickError]) -> Iterable[Pair[Value]]:
    batch, result = answer
    return [(item, result) for item in batch] if isinstance(result, CopickError) else result
