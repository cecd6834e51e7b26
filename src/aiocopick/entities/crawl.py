"""Iteration over all runs of a project: step by step, or with read-ahead."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import finalize

from aiocopick.concurrency.fan_out import Flattened, first_error, stream
from aiocopick.concurrency.misuse import AsyncOnly
from aiocopick.entities.bulk import read as read_entities
from aiocopick.entities.filters import with_parents
from aiocopick.entities.lists import moment
from aiocopick.errors import CopickError, NotFoundError
from aiocopick.layers import Found, Merged
from aiocopick.layout.refs import RunRef
from aiocopick.progress import Bar, Progress, expect

if TYPE_CHECKING:
    from types import TracebackType

    from aiocopick.entities.root import AsyncRoot
    from aiocopick.entities.run import AsyncRun
    from aiocopick.layers import Placed

_GLOB = re.compile(r"[*?[]")

LOADABLE = frozenset({"picks", "meshes", "filaments", "meta"})

_LOADED_TOGETHER = 8
"""Runs whose files are read together: as many requests as can be concurrent, little enough to fit in memory."""

_GROUPS_AHEAD = 2
"""Groups of runs that are read, or wait for the consumer."""


class Crawl(AsyncOnly):
    """The runs of a project in the order of their keys.

    ``async for run in crawl`` reads a few runs at a time, each step on its own: between two steps nothing is running,
    so it may be left by ``break``, by a timeout or an error, and continued later. ``async with crawl as runs`` reads
    ahead of the ``async for run in runs`` inside it; leaving the block cancels running requests and waits for their
    end.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    runs : str or iterable of str, optional
        Names or globs; all runs without.
    kinds : iterable of str, optional
        Plural nouns to list; all without.
    load : iterable of str
        Files to read as well, of ``picks meshes filaments meta``.
    progress : callable or bool
        Called with the name of each run that is yielded; True shows a bar.
    details : bool
        Request size, etag and time of files even if they cost more than the names (on disk).

    Attributes
    ----------
    total : int, optional
        Number of runs, once they were found; None before.

    Raises
    ------
    ValueError
        The kind does not exist, or cannot be loaded.
    """

    total: int | None = None

    def __init__(
        self,
        root: AsyncRoot,
        runs: str | Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
        load: Iterable[str] = (),
        *,
        progress: Progress = None,
        details: bool = False,
    ) -> None:
        self._root = root
        self._wanted_progress = progress
        self._progress: Any = None
        self._stop: Callable[[], Any] = _nothing
        self._details = details
        self._names = None if runs is None else [runs] if isinstance(runs, str) else list(runs)
        self._load = frozenset((load,) if isinstance(load, str) else load)
        unknown = sorted(self._load - LOADABLE)
        if unknown:
            raise ValueError(f"{unknown[0]!r} cannot be loaded by a crawl; use {', '.join(sorted(LOADABLE))}.")
        wanted = None if kinds is None else {kinds} if isinstance(kinds, str) else set(kinds)
        # What is to be loaded has to be listed.
        self._nouns = with_parents(None if wanted is None else wanted | (self._load - {"meta"}))
        self._pending: deque[Placed] | None = None
        self._listed_runs: deque[AsyncRun] = deque()
        self._ready: deque[AsyncRun] = deque()
        self._step = 1
        self._since = 0
        self._exits: AsyncExitStack | None = None

    # --- step by step -------------------------------------------------------------------------------------------------

    def __aiter__(self) -> Crawl:
        return self

    async def __anext__(self) -> AsyncRun:
        if self._pending is None:
            self._pending = deque(await self._find_runs())
            self._expect(len(self._pending))
            self.total = len(self._pending)
        if not self._ready:
            if not self._pending and not self._listed_runs:
                self._stop()
                raise StopAsyncIteration
            # Small steps first, so that the first run comes soon, and small ones again after one that was interrupted.
            size, self._step = self._step, 1
            await self._take_step(self._pending, size)
            self._step = min(2 * size, self._root._fan_out)
        return self._passed(self._ready.popleft())

    def _expect(self, total: int) -> None:
        """Begin to report progress."""
        progress = self._wanted_progress
        if progress is True:
            bar = progress = Bar("crawling").start()
            # A crawl may be left at any time.
            self._stop = finalize(self, bar.stop)
        self._progress = progress or None
        expect(self._progress, total)

    def _passed(self, run: AsyncRun) -> AsyncRun:
        if self._progress is not None:
            self._progress(run.name)
        return run

    async def _take_step(self, pending: deque[Placed], size: int) -> None:
        """List and read some more runs. After a cancellation, finished listings are not repeated."""
        if not self._listed_runs:
            batch = [pending[index] for index in range(min(size, len(pending)))]
            self._since = moment()
            async with self._root._stack.scan(batch, self._nouns, details=self._details) as answers:
                async for item, found in answers:
                    runs = await self._read(frozenset(), [(item, found)])
                    pending.popleft()
                    self._listed_runs.extend(runs)
        step = [self._listed_runs[index] for index in range(min(size, len(self._listed_runs)))]
        if self._load:
            await _load_all(step, self._load)
        for _ in step:
            self._ready.append(self._listed_runs.popleft())

    # --- reading ahead ------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> AsyncIterator[AsyncRun]:
        self._since = moment()
        runs: Sequence[Placed]
        names, root, beginning = self._names, self._root, _beginning(self._names or ())
        async with AsyncExitStack() as exits:
            if root.config.runs is not None or (names is not None and names != [f"{beginning}*"]):
                runs = await self._find_runs()
                scan = root._stack.scan(runs, self._nouns, details=self._details)
                answers = await exits.enter_async_context(scan)
            else:
                # The content of all is wanted: it is requested together with the runs.
                scan_all = root._stack.scan_all(beginning, self._nouns, details=self._details)
                runs, answers = await exits.enter_async_context(scan_all)
                if names is None and root._runs.complete:
                    root._runs.take(runs, root._run_of, self._since)
            self.total = len(runs)
            self._expect(len(runs))
            found: AsyncIterator[AsyncRun] = _Listed(self, answers)
            if self._load:
                groups = _Groups(answers, _LOADED_TOGETHER)
                read = stream(partial(self._read, self._load), groups, limit=_GROUPS_AHEAD, ordered=True)
                found = Flattened(_runs_read, await exits.enter_async_context(read))
            self._exits = exits.pop_all()
        return found if self._progress is None else _Passed(self._passed, found)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        exits, self._exits = self._exits, None
        self._stop()
        return None if exits is None else await exits.__aexit__(kind, error, trace)

    async def _read(
        self, load: frozenset[str], answers: Iterable[tuple[Placed, Found[Placed] | CopickError]]
    ) -> list[AsyncRun]:
        """The runs of some answers, with some of their files read."""
        runs = []
        for item, found in answers:
            if self._is_doubtful(found):
                found = await self._looked_for(item)
            runs.append(self._listed(item, found))
        if load:
            await _load_all(runs, load)
        return runs

    # --- what both do -------------------------------------------------------------------------------------------------

    async def _find_runs(self) -> list[Placed]:
        """Return the runs to visit, sorted; runs given by name are not looked up first."""
        names, root = self._names, self._root
        if names is not None and root._stack.single and not any(_is_glob(name) for name in names):
            refs = [RunRef(run=name) for name in sorted(set(names))]
            return [Merged(ref, root._stack.assumed(ref)) for ref in refs]
        since = moment()
        found = root._shown(await root._stack.list_runs(beginning=_beginning(names or ())))
        if names is None:
            if root._runs.complete:
                root._runs.take(found, root._run_of, since)
            return found
        chosen = {item.ref: item for item in found if any(_matches(item, name) for name in names)}
        for name in names:
            ref = RunRef(run=name)
            if not _is_glob(name) and ref not in chosen:
                chosen[ref] = Merged(ref, root._stack.assumed(ref))
        return [chosen[ref] for ref in sorted(chosen, key=lambda ref: ref.sort_key)]

    def _is_doubtful(self, found: Found[Placed] | CopickError) -> bool:
        """Return True if nothing was found of a run that was given by name, so that it may not exist."""
        return self._names is not None and not isinstance(found, CopickError) and not found and not found.denied

    async def _looked_for(self, item: Placed) -> Found[Placed] | CopickError:
        """The listing of a named run without any content: an empty one, or the error that there is no such run."""
        run, allowed = self._root._run_of(item), self._root.config.runs
        if (allowed is None or run.name in allowed) and await self._root._stack.find(run.ref) is not None:
            return Found()
        return NotFoundError(f"There is no run at {run.path}; check its name.", path=run.path)

    def _listed(self, item: Placed, found: Found[Placed] | CopickError) -> AsyncRun:
        """A run with its lists filled, or with its error."""
        run = self._root._run_of(item)
        run.error, run._denied = None, {}
        if isinstance(found, CopickError):
            run.error = found
        else:
            run._take(found, self._nouns, self._since, again=True)
            self._root._crawled(run)
            if found.denied:
                error = first_error(list(found.denied.values()))
                assert isinstance(error, CopickError)
                run.error = error
        return run


async def prefetch(runs: Sequence[AsyncRun], kinds: Iterable[str] | None = None, load: Iterable[str] = ()) -> None:
    """Fill the lists of runs of one project, those that are not known yet; and read files of theirs.

    A run that cannot be listed is left as it was, to fail where it is asked for.

    Parameters
    ----------
    runs : sequence of AsyncRun
        Of one root.
    kinds, load
        As for :meth:`AsyncRoot.crawl`.
    """
    if not runs:
        return
    plan = Crawl(runs[0].root, (), kinds, load)
    unknown = {run.ref: run for run in runs if not run._knows(plan._nouns)}
    listed = [run for run in runs if run.ref not in unknown]
    if unknown:
        since = moment()
        places = [Merged(run.ref, run._places()) for run in unknown.values()]
        async with runs[0]._stack.scan(places, plan._nouns, details=False) as answers:
            async for item, found in answers:
                if not isinstance(found, CopickError):
                    run = unknown[item.ref]  # type: ignore[index]
                    run._take(found, plan._nouns, since)
                    listed.append(run)
    if plan._load:
        await _load_all(listed, plan._load)


def _nothing() -> None:
    """Stand for the end of a bar that is not shown."""


class _Passed(AsyncOnly, AsyncIterator[Any]):
    """Runs that are reported as they are passed on."""

    def __init__(self, report: Callable[[AsyncRun], AsyncRun], runs: AsyncIterator[AsyncRun]) -> None:
        self._report = report
        self._runs = runs

    async def __anext__(self) -> AsyncRun:
        return self._report(await anext(self._runs))


class _Listed(AsyncOnly, AsyncIterator[Any]):
    """Runs made of the answers of a scan when they are wanted, so that what is thrown away afterwards is young garbage.

    An answer is kept if a step is cancelled.
    """

    def __init__(self, crawl: Crawl, answers: AsyncIterator[tuple[Placed, Found[Placed] | CopickError]]) -> None:
        self._crawl = crawl
        self._answers = answers
        self._next: tuple[Placed, Found[Placed] | CopickError] | None = None

    async def __anext__(self) -> AsyncRun:
        if self._next is None:
            self._next = await anext(self._answers)
        item, found = self._next
        if self._crawl._is_doubtful(found):
            found = await self._crawl._looked_for(item)
        self._next = None
        return self._crawl._listed(item, found)


class _Groups:
    """Answers of a scan in groups, small ones first, so that the first run comes soon."""

    def __init__(self, answers: AsyncIterator[Any], most: int) -> None:
        self._answers = answers
        self._most = most
        self._size = 1

    def __aiter__(self) -> _Groups:
        return self

    async def __anext__(self) -> list[Any]:
        group = []
        async for answer in self._answers:
            group.append(answer)
            if len(group) == self._size:
                break
        if not group:
            raise StopAsyncIteration
        self._size = min(2 * self._size, self._most)
        return group


def _runs_read(group: tuple[Any, list[AsyncRun] | CopickError]) -> list[AsyncRun]:
    if isinstance(group[1], CopickError):
        raise group[1]
    return group[1]


def _is_glob(name: str) -> bool:
    return _GLOB.search(name) is not None


def _beginning(names: Collection[str]) -> str:
    """Return the common beginning of all names and globs, so that thousands of runs are not listed for a few."""
    literal = [_GLOB.split(name, maxsplit=1)[0] for name in names]
    first, last = min(literal, default=""), max(literal, default="")
    # All names between the two share their common beginning.
    length = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[:length]


def _matches(item: Placed, name: str) -> bool:
    assert isinstance(item.ref, RunRef)
    return item.ref.run == name or fnmatchcase(item.ref.run, name)


async def _load_all(runs: list[AsyncRun], kinds: frozenset[str]) -> None:
    """Read the files of runs that were listed; what cannot be read is their error."""
    sound = [run for run in runs if run.error is None or run._denied]
    owners: list[AsyncRun] = []
    files: list[Any] = []
    for run in sound:
        for noun in sorted(kinds - {"meta"}):
            # What was set and not stored is not read again.
            for item in run._children[noun]:
                if item._untouched or not await item._is_edited():
                    files.append(item)
                    owners.append(run)
    if "meta" in kinds:
        for run in sound:
            with_meta = [run, *run._children["voxel_spacings"]]
            files += with_meta
            owners += [run] * len(with_meta)
    failures: dict[int, list[CopickError]] = {}
    for run, result in zip(owners, await read_entities(files, on_error="return", listed=True), strict=True):
        if isinstance(result, CopickError):
            failures.setdefault(id(run), []).append(result)
    for run in sound:
        if id(run) in failures:
            error = first_error(failures[id(run)])
            assert isinstance(error, CopickError)
            run.error = run.error or error
