"""Read-ahead: files that blocking code looks at one after the other are read before it asks, as by operating systems.

Two steps along a listing are enough: all files, or those that share an object, a user or a session, across runs. Then
files are read ahead in growing windows. All of it happens on the facade's loop, so that nothing there is locked. Runs
that came from one listing are listed together (:class:`Cohort`): the answer to a loop that asks each of them in turn.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.forks import Lock
from aiocopick.entities.crawl import prefetch
from aiocopick.errors import CopickError
from aiocopick.storage.written import changes_of

if TYPE_CHECKING:
    from aiocopick.entities.files import AsyncFile
    from aiocopick.layers import Layer, Loaded


_STEPS = 2
"""Steps along a listing after which files are read ahead: the third file begins it."""

_FIRST = 4
"""Files in the first window; each window is twice as large as the one before."""

_FAR = 4096
"""Files and runs to go through in search of the next file."""

_of_parents: list[Any] = []


@dataclass(slots=True, eq=False)
class _Sequence:
    """The files of one kind that one thread looks at, one after the other."""

    last: AsyncFile | None = None
    steps: int = 0
    """Steps along a listing up to the last file, without a change of the storage in between."""
    needed: int = _STEPS
    shared: int = 0
    """Names that the files of these steps share, as bits."""
    skipped: frozenset[int] = frozenset()
    """Names that files in between shared with the file before them."""
    window: int = 0
    changes: dict[str, int] = field(default_factory=dict)
    """Changes of the storages of its files, at its last step in each."""
    left: float = 0.0
    pace: float = 0.0
    """Seconds that the caller takes for a file, as far as that is known."""

    def follow(self, file: AsyncFile) -> None:
        """Take a step to the next file that is looked at."""
        last, self.last = self.last, file
        found = None if last is None else _way(last, file)
        if found is None:
            self.steps = 0
            return
        shared, skipped = found
        if self.steps and _leads(self.shared & shared, self.skipped | skipped):
            self.steps, self.shared, self.skipped = self.steps + 1, self.shared & shared, self.skipped | skipped
        else:
            self.steps, self.shared, self.skipped = int(_leads(shared, skipped)), shared, skipped


@dataclass(slots=True, eq=False)
class _Ahead:
    """A file that is being read, or was read, before it is looked at."""

    file: AsyncFile
    sequence: _Sequence
    url: str
    size: int
    place: Any = None
    changes: int = 0
    loaded: Loaded | None = None
    arrived: float = 0.0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.place = self.file._place
        self.changes = changes_of(self.url)


class ReadAhead:
    """The files of a root that are read before they are looked at. Errors are not kept: the look itself raises them."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begin()

    def _begin(self) -> None:
        self._sequences: dict[tuple[int, str], _Sequence] = {}
        self._ahead: dict[int, _Ahead] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: asyncio.TimerHandle | None = None
        self._looking = 0
        self._largest = 0

    async def look(self, file: AsyncFile, thread: int) -> None:
        """Load a file at the first look at its content, from what was read ahead if possible."""
        sources = file._sources
        seconds = getattr(sources[0].layer.config, "read_ahead", 0.0) if sources else 0.0
        if seconds <= 0 or sources[0].layer.storage is None:
            await file._look()
            return
        self._enter()
        try:
            await self._look(file, thread, sources[0].layer, seconds)
        except asyncio.CancelledError:
            self._drop()
            raise
        finally:
            self._leave(seconds)

    async def _look(self, file: AsyncFile, thread: int, layer: Layer, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        sequence = self._sequences.setdefault((thread, file.noun), _Sequence())
        gap = loop.time() - sequence.left if sequence.last is not None else 0.0
        sequence.pace = max(gap, sequence.pace / 2)
        self._note_changes(sequence, layer)
        sequence.follow(file)
        ahead = self._ahead.pop(id(file), None)
        if sequence.steps >= sequence.needed:
            self._read_on(sequence, file, layer, seconds)
        if ahead is None or not await self._serve(ahead, seconds):
            await file._look()
        sequence.left = loop.time()

    async def _serve(self, ahead: _Ahead, seconds: float) -> bool:
        """Give a file what was read ahead; False if that is missing, or may be out of date."""
        await ahead.done.wait()
        file = ahead.file
        if file.loaded:
            return True
        too_late = asyncio.get_running_loop().time() > ahead.arrived + seconds
        if ahead.loaded is None or too_late or file._place is not ahead.place or changes_of(ahead.url) != ahead.changes:
            return False
        with contextlib.suppress(CopickError):
            file._take(ahead.loaded)
            return True
        return False

    def _note_changes(self, sequence: _Sequence, layer: Layer) -> None:
        """Begin a sequence again if the storage was changed since its last step."""
        assert layer.storage is not None
        url = layer.storage.url
        changes = changes_of(url)
        if sequence.changes.setdefault(url, changes) == changes:
            return
        sequence.changes[url], sequence.steps, sequence.window = changes, 0, 0
        wasted = [key for key, ahead in self._ahead.items() if ahead.sequence is sequence and ahead.url == url]
        for key in wasted:
            del self._ahead[key]
        if wasted:
            # Code that writes between its looks must not have much read in vain.
            sequence.needed *= 2

    # --- reading ------------------------------------------------------------------------------------------------------

    def _read_on(self, sequence: _Sequence, file: AsyncFile, layer: Layer, seconds: float) -> None:
        """Read the files that follow, if half of the window is used up."""
        here = file.ref.sort_key
        mine = [ahead for ahead in self._ahead.values() if ahead.sequence is sequence]
        for ahead in mine:
            # The sequence has left it out.
            if ahead.file.ref.sort_key < here:
                del self._ahead[id(ahead.file)]
        waiting = sum(ahead.file.ref.sort_key > here for ahead in mine)
        if 2 * waiting > sequence.window:
            return
        config = layer.config
        window = min(max(_FIRST, 2 * sequence.window), config.max_concurrency)
        if sequence.pace > 0:
            # What would be looked at too late is not worth reading.
            window = min(window, int(seconds / (2 * sequence.pace)))
        sequence.window = window
        room = config.max_bytes_in_flight - sum(ahead.size for ahead in self._ahead.values())
        wanted: dict[int, tuple[Layer, list[_Ahead]]] = {}
        for other in islice(_following(file), _FAR):
            if waiting >= window:
                break
            if other is None or _shared(file, other) & sequence.shared != sequence.shared or other.loaded:
                continue
            source = other._sources[0]
            if id(other) in self._ahead or source.layer.storage is None:
                continue
            size = source.located.size or self._largest or config.max_bytes_in_flight // 16
            if size > room:
                break
            room -= size
            waiting += 1
            ahead = self._ahead[id(other)] = _Ahead(other, sequence, source.layer.storage.url, size)
            wanted.setdefault(id(source.layer), (source.layer, []))[1].append(ahead)
        for other_layer, files in wanted.values():
            task = asyncio.get_running_loop().create_task(self._read(other_layer, files))
            self._tasks.add(task)
            task.add_done_callback(partial(self._finished, files))

    async def _read(self, layer: Layer, files: Sequence[_Ahead]) -> None:
        by_place = {ahead.file._sources[0].located: ahead for ahead in files}
        # What fails is read again, alone, by the look at it, which raises the error.
        with contextlib.suppress(Exception):
            async with layer.load_many(list(by_place)) as arriving:
                async for located, loaded in arriving:
                    ahead = by_place[located]
                    if not isinstance(loaded, CopickError):
                        ahead.loaded, ahead.arrived = loaded, asyncio.get_running_loop().time()
                        self._largest = max(self._largest, loaded.size or 0)
                    ahead.done.set()

    def _finished(self, files: Sequence[_Ahead], task: asyncio.Task[None]) -> None:
        # Not in the task: one that is cancelled before its first step does nothing.
        self._tasks.discard(task)
        for ahead in files:
            ahead.done.set()

    # --- beginning and end --------------------------------------------------------------------------------------------

    def _enter(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # In a forked child, what the parent's loop was reading never arrives. Its tasks must not be collected here.
            _of_parents.append(self._tasks)
            self._begin()
            self._loop = loop
        self._looking += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _leave(self, seconds: float) -> None:
        self._looking -= 1
        if not self._looking and (self._ahead or self._sequences):
            self._idle = asyncio.get_running_loop().call_later(seconds, self._drop)

    def _drop(self) -> list[asyncio.Task[None]]:
        """Forget everything, and cancel what is being read."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        self._ahead.clear()
        self._sequences.clear()
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        return tasks

    @property
    def in_use(self) -> bool:
        """True if something is being read, or was read and not looked at."""
        return bool(self._tasks or self._ahead)

    async def end(self) -> None:
        """Forget everything, and wait for the end of what is being read."""
        if self._loop is asyncio.get_running_loop() and (tasks := self._drop()):
            await asyncio.wait(tasks)


# --- the order of a listing -------------------------------------------------------------------------------------------


def _shared(file: AsyncFile, other: AsyncFile) -> int:
    """Return the names that two files share, as bits: object, user, session, and both of a tool or both of a user."""
    return (
        (file.pickable_object_name == other.pickable_object_name)
        | (file.user_id == other.user_id) << 1
        | (file.session_id == other.session_id) << 2
        | (file.from_tool == other.from_tool) << 3
    )


def _leads(shared: int, skipped: frozenset[int]) -> bool:
    """Return True if no file that was left out shares these names."""
    return all(other & shared != shared for other in skipped)


def _way(last: AsyncFile, file: AsyncFile) -> tuple[int, frozenset[int]] | None:
    """Return the names that two files share, and those that the files between them share with the first; None if the
    second does not follow the first.
    """
    if last.root is not file.root or not last.ref.sort_key < file.ref.sort_key:
        return None
    skipped: set[int] = set()
    for other in islice(_following(last), _FAR):
        if other is file:
            return _shared(last, file), frozenset(skipped)
        if other is not None and not other.loaded:
            skipped.add(_shared(last, other))
    return None


def _following(file: AsyncFile) -> Iterator[AsyncFile | None]:
    """Iterate over the files after one in the known listings, and None for each run. No request is sent."""
    first, noun = file.run, file.noun
    children, runs = first._children[noun], first.root._runs
    if not children.complete or children.get(file.ref) is not file:
        return
    yield from islice(children.items, children._index(file.ref) + 1, None)
    if not runs.complete or runs.get(first.ref) is not first:
        return
    for run in islice(runs.items, runs._index(first.ref) + 1, None):
        yield None
        if not run._children[noun].complete:
            return
        yield from run._children[noun].items


# --- runs that are listed together ------------------------------------------------------------------------------------


COHORT = 1000
"""Runs listed together at most, so that the first run of a large project does not wait for the last."""


class Cohort:
    """Runs side by side in a listing. What is listed ahead is held by their twins until it is looked at."""

    __slots__ = ("_asked", "_lock", "_runs")

    def __init__(self, runs: Sequence[Any]) -> None:
        self._runs = runs
        self._asked = False
        self._lock = Lock()

    def list_once(self, run: Any) -> None:
        """List all runs of the cohort, if that was not done yet; a run that cannot be listed is left as it is."""
        if self._asked:
            return
        with self._lock:
            if not self._asked:
                run._call(prefetch, self._runs)
                self._asked = True


def assign_cohorts(runs: Sequence[Any]) -> None:
    """Make cohorts of runs, in the order of their listing."""
    for start in range(0, len(runs), COHORT):
        block = runs[start : start + COHORT]
        cohort = Cohort([run.aio for run in block])
        for run in block:
            run._cohort = cohort
