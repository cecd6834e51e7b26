"""Bounded fan-out: the one place where the library starts tasks.

All concurrent code uses these functions. They guarantee that no task outlives the ``await`` (or the ``async
with``) that started it, that at most `limit` items are processed at a time, and that a single exception is raised, never an
ExceptionGroup.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Generic, TypeVar, overload

import anyio
from anyio.abc import TaskGroup

from aiocopick.concurrency.misuse import AsyncOnly
from aiocopick.errors import CopickError

Item = TypeVar("Item")
Result = TypeVar("Result")
Formed = TypeVar("Formed")

_END: Any = object()


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def first_error(errors: Iterable[BaseException]) -> BaseException:
    """Return the first of several exceptions, with the others in its notes. Groups are flattened.

    A `KeyboardInterrupt`, `SystemExit` or cancellation takes precedence, whatever the order: it must not become a note.
    """
    leaves = [leaf for error in errors for leaf in _leaves(error)]
    first = next((leaf for leaf in leaves if not isinstance(leaf, Exception)), leaves[0])
    shown = set(getattr(first, "__notes__", ()))
    for leaf in leaves:
        note = f"{type(leaf).__name__}: {leaf}"
        if leaf is not first and note not in shown:
            shown.add(note)
            first.add_note(note)
    return first


@contextmanager
def unwrap() -> Iterator[None]:
    """Raise a single exception from the block instead of an exception group."""
    try:
        yield
    except BaseExceptionGroup as group:
        error = first_error([group])
        raise error from error.__cause__


async def gather(
    function: Callable[[Item], Awaitable[Result]],
    items: Iterable[Item],
    *,
    limit: int,
    keep: tuple[type[Exception], ...] = (),
) -> list[Result]:
    """Await ``function(item)`` for all items, at most `limit` at a time; results in the order of the items.

    The first failure cancels the rest and is raised, with the messages of concurrent failures in its ``__notes__``.
    Errors of the types in `keep` are returned instead of the results, which the type of :func:`gather_results` says.
    """
    results: list[Any] = []
    failures: list[Exception] = []
    pending = iter(items)

    async def work() -> None:
        for item in pending:
            index = len(results)
            results.append(None)
            try:
                results[index] = await function(item)
            except keep as error:
                results[index] = error
            except Exception as error:
                failures.append(error)
                group.cancel_scope.cancel()
                return

    with unwrap():
        async with anyio.create_task_group() as group:
            count = _length(items)
            for _ in range(limit if count is None else min(limit, count)):
                group.start_soon(work)
    if failures:
        error = first_error(failures)
        raise error from error.__cause__
    return results


def _length(items: Iterable[Any]) -> int | None:
    try:
        return len(items)  # type: ignore[arg-type]
    except TypeError:
        return None


def gather_results(
    function: Callable[[Item], Awaitable[Result]], items: Iterable[Item], *, limit: int
) -> Awaitable[list[Result | CopickError]]:
    """Await like :func:`gather`, but return our own errors instead of the results; other errors are raised."""
    return gather(function, items, limit=limit, keep=(CopickError,))


@overload
def stream(
    function: Callable[[Item], Awaitable[Result]],
    items: Iterable[Item] | AsyncIterable[Item],
    *,
    limit: int,
    ordered: bool = False,
) -> AbstractAsyncContextManager[AsyncIterator[tuple[Item, Result | CopickError]]]: ...


@overload
def stream(
    function: Callable[[Item], Awaitable[Result]],
    items: Iterable[Item] | AsyncIterable[Item],
    *,
    limit: int,
    ordered: bool = False,
    form: Callable[[Item, Result | CopickError], Formed],
) -> AbstractAsyncContextManager[AsyncIterator[Formed]]: ...


@asynccontextmanager
async def stream(
    function: Callable[[Item], Awaitable[Result]],
    items: Iterable[Item] | AsyncIterable[Item],
    *,
    limit: int,
    ordered: bool = False,
    form: Callable[[Item, Result | CopickError], Any] = lambda item, result: (item, result),
) -> AsyncIterator[AsyncIterator[Any]]:
    """Await ``function(item)`` for all items while the results are consumed.

    Parameters
    ----------
    function : callable
        Coroutine function of one item.
    items : iterable or async iterable
        May be endless: an item is taken only when there is room for its result.
    limit : int
        Items that are in progress, or finished and not yet consumed.
    ordered : bool
        Yield the results in the order of the items, not as they finish.
    form : callable
        Called with an item and its result or our error when the consumer takes it; its value is yielded.

    Returns
    -------
    async context manager
        Yields an async iterator, by default of pairs (item, result or our error). Other errors are raised by the
        iterator. Leaving the block cancels the running tasks and waits for their end.
    """
    state = _Stream(function, items, limit, ordered, form)
    with unwrap():
        async with anyio.create_task_group() as group:
            state.begin(group)
            try:
                yield state
            finally:
                group.cancel_scope.cancel()


class _Stream(AsyncIterator[Formed], Generic[Item, Result, Formed]):
    """A queue of results from workers to one consumer."""

    def __init__(
        self,
        function: Callable[[Item], Awaitable[Result]],
        items: Iterable[Item] | AsyncIterable[Item],
        limit: int,
        ordered: bool,
        form: Callable[[Item, Result | CopickError], Formed],
    ) -> None:
        self.limit = max(1, limit)
        if not isinstance(items, AsyncIterable):
            count = _length(items)
            self.limit = self.limit if count is None else min(self.limit, max(1, count))
        self._function = function
        self._items: Any = items.__aiter__() if isinstance(items, AsyncIterable) else iter(items)
        self._asynchronous = isinstance(items, AsyncIterable)
        self._ordered = ordered
        self._form = form
        # A slot holds [done, item, result, failure]; with `ordered`, slots are queued before they are done.
        self._queue: deque[list[Any]] = deque()
        self._room = self.limit
        self._started = self._working = self._waiting = 0
        self._exhausted = False
        self._taking = anyio.Lock(fast_acquire=True)
        self._changed = anyio.Event()
        self._consumed = anyio.Event()

    async def __anext__(self) -> Formed:
        while not (self._queue and self._queue[0][0]):
            if not self._working and not self._queue:
                raise StopAsyncIteration
            self._changed = anyio.Event()
            await self._changed.wait()
        _, item, result, failure = self._queue.popleft()
        self._room += 1
        self._consumed.set()
        if failure is not None:
            error = first_error([failure])
            raise error from error.__cause__
        return self._form(item, result)

    def begin(self, group: TaskGroup) -> None:
        """Start the first worker; each that finds an item starts the next, so that few items make few tasks."""
        self._group = group
        self._add_worker()

    def _add_worker(self) -> None:
        self._started += 1
        self._working += 1
        self._group.start_soon(self._work)

    async def _work(self) -> None:
        try:
            while (slot := await self._take()) is not None:
                try:
                    slot[2] = await self._function(slot[1])
                except CopickError as error:
                    slot[2] = error
                except Exception as error:
                    slot[3] = error
                self._deliver(slot)
        finally:
            self._working -= 1
            self._changed.set()

    async def _take(self) -> list[Any] | None:
        slot: list[Any] = [False, None, None, None]
        self._waiting += 1
        try:
            # The lock keeps slots and items in the same order, and lets only one caller at a time use an async source.
            async with self._taking:
                while not self._room:
                    self._consumed = anyio.Event()
                    await self._consumed.wait()
                if self._exhausted:
                    return None
                try:
                    slot[1] = await anext(self._items, _END) if self._asynchronous else next(self._items, _END)
                except Exception as error:
                    # The source failed: the consumer must get the error.
                    self._exhausted = True
                    slot[0], slot[3] = True, error
                    self._queue.append(slot)
                    return None
                if slot[1] is _END:
                    self._exhausted = True
                    return None
                self._room -= 1
                if self._ordered:
                    self._queue.append(slot)
        finally:
            self._waiting -= 1
        if not self._waiting and self._started < self.limit:
            self._add_worker()
        return slot

    def _deliver(self, slot: list[Any]) -> None:
        slot[0] = True
        if not self._ordered:
            self._queue.append(slot)
        self._changed.set()


class Backlog(AsyncIterator[Item]):
    """Items for :func:`stream` that grow during the work: directories of a tree, remaining parts.

    Each item taken must be reported with :meth:`done`; it ends when all are done and none is left. The newest item is
    taken first, so that a tree is walked depth-first and the backlog stays short.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._source = iter(items)
        self._added: list[Item] = []
        self._under_way = 0
        self._changed = anyio.Event()

    def add(self, item: Item) -> None:
        """Add an item, while another one is worked on."""
        self._added.append(item)
        self._changed.set()

    def done(self) -> None:
        """Report that one item was worked on."""
        self._under_way -= 1
        self._changed.set()

    async def __anext__(self) -> Item:
        while True:
            item = self._added.pop() if self._added else next(self._source, _END)
            if item is not _END:
                self._under_way += 1
                return item
            if not self._under_way:
                raise StopAsyncIteration
            self._changed = anyio.Event()
            await self._changed.wait()


class Flattened(AsyncOnly, AsyncIterator[Result], Generic[Item, Result]):
    """All results of a function of each item, one by one. Remaining results are kept if a step is cancelled.

    A class, because an abandoned generator is finalised later, perhaps on another loop.
    """

    __slots__ = ("_function", "_items", "_ready")

    def __init__(self, function: Callable[[Item], Iterable[Result]], items: AsyncIterator[Item]) -> None:
        self._function = function
        self._items = items
        self._ready: Iterator[Result] = iter(())

    async def __anext__(self) -> Result:
        while True:
            for item in self._ready:
                return item
            self._ready = iter(self._function(await anext(self._items)))
