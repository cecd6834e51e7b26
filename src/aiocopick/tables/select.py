"""Entities across runs, by CoPick URI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from aiocopick.concurrency.fan_out import stream
from aiocopick.concurrency.misuse import AsyncOnly
from aiocopick.entities.base import html_of
from aiocopick.entities.crawl import Crawl
from aiocopick.entities.root import async_root
from aiocopick.errors import CopickError, InvalidNameError, LayerError
from aiocopick.layout.refs import FILES, NOUN_OF, NOUNS
from aiocopick.layout.uris import parse_uri
from aiocopick.progress import Progress
from aiocopick.tables.held import held, is_listed
from aiocopick.tables.scope import Scope

if TYPE_CHECKING:
    from aiocopick.entities import AsyncRoot, AsyncRun
    from aiocopick.layout.refs import Ref
    from aiocopick.layout.uris import UriPattern

OnError = Literal["raise", "skip"]
"""Handling of a run that cannot be listed, or a file that cannot be read."""

_LOADS_AT_ONCE = 64


def select(
    root: AsyncRoot,
    uri: str | Iterable[str] | None = None,
    runs: str | Iterable[str] | None = None,
    load: bool = False,
    *,
    kinds: str | Iterable[str] | None = None,
    on_error: OnError = "raise",
) -> Selection:
    """Select entities across runs by CoPick URI.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    uri : str or iterable of str, optional
        ``"ribosome:pytom/0"``, ``"wbp@10.0"``, ``"membrane:*/*@10.0"``; omitted parts match everything; parts
        are globs, or regular expressions after ``re:``. Several URIs select their union; None selects all of the kinds.
    runs : str or iterable of str, optional
        A glob, or names.
    load : bool
        Read the files as well (picks, meshes, filaments).
    kinds : str or iterable of str, optional
        Plural nouns, as for ``root.crawl()``. By default taken from the form of the URI: picks rather than
        meshes and filaments, whose URIs look the same.
    on_error : "raise" or "skip"
        Handling of a run that cannot be listed, or a file that cannot be read: raise, or record it in ``errors``.

    Returns
    -------
    Selection
        ``async for entity in selection`` lists run by run; ``async with selection as entities: async for ...`` reads
        ahead. Runs and their entities are yielded in order.

    Raises
    ------
    InvalidNameError
        It is not a URI, or not of these kinds, or a kind does not exist.
    """
    if on_error not in ("raise", "skip"):
        raise LayerError(f"on_error={on_error!r} is unknown; use 'raise' or 'skip'.")
    root = async_root(root)
    scope = Scope.of(runs, kinds)
    if uri is None:
        return Selection(root, None, scope, load, on_error)
    uris = [uri] if isinstance(uri, str) else list(uri)
    wanted = [None] if scope.nouns is None else sorted(NOUNS[noun] for noun in scope.nouns)
    patterns = tuple(pattern for text in uris for pattern in _patterns(text, wanted))
    nouns = frozenset(NOUN_OF[pattern.kind] for pattern in patterns)
    selection = Selection(root, patterns, Scope(runs=scope.runs, nouns=nouns), load, on_error)
    selection._uris = uris
    return selection


def _patterns(text: str, kinds: Sequence[str | None]) -> list[UriPattern]:
    """Return the pattern of a URI for each of the kinds that it can name.

    Raises
    ------
    InvalidNameError
        It can name none of them.
    """
    found: list[UriPattern] = []
    refusal: InvalidNameError | None = None
    for kind in kinds:
        try:
            found.append(parse_uri(text, kind))
        except InvalidNameError as error:
            refusal = refusal or error
    if refusal is not None and not found:
        raise refusal
    return found


class Selection(AsyncOnly):
    """The selection of :func:`select`. It can be left at any time, and iterated more than once.

    Attributes
    ----------
    scope : Scope
        Runs and kinds that are listed.
    errors : dict of str to CopickError
        With ``on_error="skip"``: the errors, by the name of the run or the path of the file.
    """

    __slots__ = ("_exits", "_load", "_on_error", "_patterns", "_progress", "_root", "_uris", "errors", "scope")

    def __init__(
        self, root: AsyncRoot, patterns: tuple[UriPattern, ...] | None, scope: Scope, load: bool, on_error: OnError
    ) -> None:
        self._root = root
        self._patterns = patterns
        self.scope = scope
        self._load = load
        self._on_error = on_error
        self._exits: AsyncExitStack | None = None
        self._progress: Progress = None
        self._uris: list[str] = []
        self.errors: dict[str, CopickError] = {}

    def _words(self) -> dict[str, Any]:
        scope = self.scope.to_metadata()
        chosen = {"uris": self._uris, "runs": scope.get("runs"), "kinds": scope.get("kinds")}
        shown = {name: value if isinstance(value, str) else ", ".join(value) for name, value in chosen.items() if value}
        return {"project": self._root.url} | shown

    def __repr__(self) -> str:
        return f"Selection({', '.join(f'{name}={value!r}' for name, value in self._words().items())})"

    def _repr_html_(self) -> str:
        return html_of("Selection", self._words() | ({"errors": len(self.errors)} if self.errors else {}))

    def _crawl(self) -> Crawl:
        # Selected entities may be shown with sizes and times.
        return Crawl(self._root, self.scope.runs, self.scope.nouns, progress=self._progress, details=True)

    async def __aiter__(self) -> AsyncIterator[Any]:
        self.errors = {}
        async for run in self._crawl():
            for entity in await self._found(run):
                try:
                    await self._loaded(entity)
                except CopickError as error:
                    self._note(entity.path, error)
                else:
                    yield entity

    async def __aenter__(self) -> AsyncIterator[Any]:
        self.errors = {}
        self._exits = AsyncExitStack()
        async with self._exits:
            runs = await self._exits.enter_async_context(self._crawl())
            found = self._entities(runs)
            if self._load:
                loads = stream(self._loaded, found, limit=_LOADS_AT_ONCE, ordered=True)
                found = self._without_failures(await self._exits.enter_async_context(loads))
            self._exits = self._exits.pop_all()
        return found

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._exits is not None
        exits, self._exits = self._exits, None
        return await exits.__aexit__(kind, error, trace)

    async def _entities(self, runs: AsyncIterator[AsyncRun]) -> AsyncIterator[Any]:
        async for run in runs:
            for entity in await self._found(run):
                yield entity

    async def _without_failures(self, loaded: AsyncIterator[tuple[Any, Any]]) -> AsyncIterator[Any]:
        async for entity, result in loaded:
            if isinstance(result, CopickError):
                self._note(entity.path, result)
            else:
                yield entity

    async def _found(self, run: AsyncRun) -> list[Any]:
        if run.error is not None:
            self._note(run.name, run.error)
        return await self.of_run(run) if run.error is None or is_listed(run) else []

    async def of_run(self, run: AsyncRun) -> list[Any]:
        """Return the selected entities of a run."""
        return [entity for entity in await held(run, self.scope.nouns) if self.holds(entity.ref)]

    def holds(self, ref: Ref) -> bool:
        """Return True if an entity of the runs and kinds in scope is selected."""
        return self._patterns is None or any(pattern.matches(ref) for pattern in self._patterns)

    @property
    def is_by_uri(self) -> bool:
        """True if the selection has URIs, rather than only runs and kinds."""
        return self._patterns is not None

    @property
    def is_everything(self) -> bool:
        """True if all entities of a run are selected."""
        return self._patterns is None and self.scope.nouns is None

    async def _loaded(self, entity: Any) -> None:
        if self._load and entity.kind in FILES:
            await entity.load()

    def _note(self, what: str, error: CopickError) -> None:
        if self._on_error == "raise":
            raise error
        self.errors[what] = error


__all__ = ["OnError", "Selection", "select"]
