"""One or more layers as one: all layers are asked concurrently and their answers are merged.

Longer than 500 lines because it has each question that entities ask, which share what is done about a layer that fails.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias, TypeVar

from aiocopick.concurrency.caller import warn
from aiocopick.concurrency.fan_out import gather, gather_results
from aiocopick.errors import CopickError, LayerError, LayerSkippedWarning, MissingProjectWarning, ReadOnlyError
from aiocopick.layers.base import Source
from aiocopick.layers.merge import Found, Merged, Placed, by_priority, merge
from aiocopick.layers.missing import explain_missing
from aiocopick.layout.listing import Listing, Located
from aiocopick.storage.stats import StorageStats

if TYPE_CHECKING:
    from aiocopick.layers.base import Layer, Nouns
    from aiocopick.layout.refs import Ref
    from aiocopick.storage.base import FirstPage


Item = TypeVar("Item")
Value = TypeVar("Value")

OnLayerError: TypeAlias = Literal["raise", "skip"]
"""Handling of a layer that fails: raise its error, or leave the layer out."""


class Stack:
    """Layers by priority.

    Parameters
    ----------
    layers : iterable of Layer
        At least one, with distinct names. A higher priority is seen first; ties keep the given order.
    default_write_layer : str, optional
        Name of the layer that gets new entities and changes; by default the writable layer of the highest priority.
    on_layer_error : {"raise", "skip"}
        Raise the error of a layer that cannot be listed, or leave the layer out with a warning. If no layer can be
        listed, the first error is raised in either case. Reads and writes of a failed layer always raise.

    Attributes
    ----------
    skipped : dict of str to CopickError
        Errors of the layers that were left out of the last listing, by name; removed when the layer lists its runs.

    Raises
    ------
    LayerError
        There is no layer, two layers have the same name, or the default write layer is unknown.
    """

    __slots__ = ("_default_write_layer", "_known_to_exist", "_on_layer_error", "layers", "skipped")

    def __init__(
        self,
        layers: Iterable[Layer],
        default_write_layer: str | None = None,
        on_layer_error: OnLayerError = "raise",
    ) -> None:
        self.layers: tuple[Layer, ...] = by_priority(layers)
        self._default_write_layer = default_write_layer
        self._on_layer_error: OnLayerError = on_layer_error
        self.skipped: dict[str, CopickError] = {}
        self._known_to_exist = False
        if on_layer_error not in ("raise", "skip"):
            raise LayerError(f"on_layer_error={on_layer_error!r} is unknown; use 'raise' or 'skip'.")
        names = [layer.name for layer in self.layers]
        if not names:
            raise LayerError("A project needs at least one layer; name one under `layers`.")
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise LayerError(f"Two layers are called {doubled[0]!r}; give each its own `layer_name`.")
        if default_write_layer is not None and default_write_layer not in names:
            raise LayerError(
                f"The default write layer {default_write_layer!r} is not one of the layers {', '.join(names)}."
            )

    def __eq__(self, other: object) -> bool:
        return self.layers == other.layers if isinstance(other, Stack) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(layer.url for layer in self.layers))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Stack, (self.layers, self._default_write_layer, self._on_layer_error))

    def over(self, layers: Iterable[Layer]) -> Stack:
        """Return a stack of other layers with the same rules."""
        return Stack(layers, self._default_write_layer, self._on_layer_error)

    @property
    def stats(self) -> StorageStats:
        """Counters of the only layer, or the current sums over all layers."""
        if self.single:
            return self.layers[0].stats
        total = StorageStats()
        for layer in self.layers:
            stats = layer.stats
            total.requests.update(stats.requests)
            total.moved(read=stats.bytes_read, written=stats.bytes_written)
            total.kept(stats.cache_bytes, stats.cache_hits)
            total.retries += stats.retries
            total.in_flight += stats.in_flight
            total.peak_in_flight += stats.peak_in_flight
        engines = {engine for layer in self.layers if (engine := layer.stats.engine) is not None}
        total.engine = " ".join(sorted(engines)) or None
        return total

    @property
    def single(self) -> bool:
        """True if there is only one layer."""
        return len(self.layers) == 1

    @property
    def nouns(self) -> Nouns:
        """Plural nouns that every layer can list; None for all, because only a catalogue of some kinds lists fewer."""
        known = [nouns for layer in self.layers if (nouns := layer.nouns) is not None]
        return frozenset.intersection(*known) if known else None

    @property
    def read_only(self) -> bool:
        """True if no layer can be written to."""
        return self._writer() is None

    def _writer(self) -> Layer | None:
        for layer in self.layers:
            if not layer.read_only and self._default_write_layer in (None, layer.name):
                return layer
        return None

    def writer(self) -> Layer:
        """The layer that gets new entities.

        Raises
        ------
        ReadOnlyError
            No layer can be written to, or the default write layer is read-only.
        """
        layer = self._writer()
        if layer is None:
            self.refuse()
        return layer

    def refuse(self) -> NoReturn:
        """Raise ReadOnlyError, naming the layers."""
        layers = ", ".join(f"{layer.name!r} ({layer.url})" for layer in self.layers)
        if self._default_write_layer is not None:
            raise ReadOnlyError(
                f"The default write layer {self._default_write_layer!r} is read-only; open it with read_only=False.",
                path=self._default_write_layer,
            )
        many = "Layer" if self.single else "All layers"
        verb = "is" if self.single else "are"
        raise ReadOnlyError(
            f"{many} {layers} {verb} read-only; open one with read_only=False.", path=self.layers[0].url
        )

    def target(self, ref: Ref, sources: Sequence[Source]) -> Source:
        """Return the location of an entity in the write layer, to which a change is written; it need not exist yet.

        Raises
        ------
        ReadOnlyError
            No layer can be written to.
        LayerError
            The change would be hidden by a read-only layer of higher priority.
        """
        writer = self.writer()
        for source in sources:
            if source.layer is writer:
                return source
            if self.layers.index(source.layer) < self.layers.index(writer):
                if source.layer.read_only:
                    raise LayerError(
                        f"{source.path} is in the read-only layer {source.layer.name!r}, which would hide a change "
                        f"written to {writer.name!r}; give that layer the higher priority.",
                        path=source.path,
                    )
                return source
        return Source(writer, writer.locate(ref))

    def assumed(self, ref: Ref) -> tuple[Source, ...]:
        """Return the usual location, in every layer, of an entity that was not listed."""
        return tuple(Source(layer, layer.locate(ref)) for layer in self.layers)

    def named(self, names: Iterable[str] | None) -> tuple[Layer, ...]:
        """Return the layers of these names, or all layers.

        Raises
        ------
        LayerError
            A name is unknown.
        """
        if names is None:
            return self.layers
        wanted = {names} if isinstance(names, str) else set(names)
        unknown = sorted(wanted - {layer.name for layer in self.layers})
        if unknown:
            raise LayerError(
                f"There is no layer {unknown[0]!r}; there are {', '.join(layer.name for layer in self.layers)}."
            )
        return tuple(layer for layer in self.layers if layer.name in wanted)

    async def _ask_each(
        self, question: Callable[[Item], Awaitable[Value]], items: Sequence[Item], layers: Sequence[Layer]
    ) -> list[tuple[Layer, Value | CopickError]]:
        """Ask all layers concurrently. Failed layers may be left out if the stack allows that, but never all of
        them.
        """
        answers: Sequence[Value | CopickError]
        if len(items) == 1:
            answers = [await question(items[0])]
        elif self._on_layer_error == "raise":
            answers = await gather(question, items, limit=len(items))
        else:
            answers = await gather_results(question, items, limit=len(items))
        return list(zip(layers, answers, strict=True))

    def _sound(self, answers: Sequence[tuple[Layer, Value | CopickError]]) -> list[tuple[Layer, Value]]:
        """Return the answers of the layers that did not fail. Failed layers are warned about and recorded in `skipped`.

        Raises
        ------
        CopickError
            A layer failed and the stack does not leave out layers, or all layers failed.
        """
        failures = [(layer, answer) for layer, answer in answers if isinstance(answer, CopickError)]
        if failures and (len(failures) == len(answers) or self._on_layer_error == "raise"):
            raise failures[0][1]
        for layer, error in failures:
            self._leave_out(layer, error)
        return [(layer, answer) for layer, answer in answers if not isinstance(answer, CopickError)]

    def _leave_out(self, layer: Layer, error: CopickError) -> None:
        known = self.skipped.get(layer.name)
        self.skipped[layer.name] = error
        if known is None:
            warn(f"Layer {layer.name!r} is left out: {error}", LayerSkippedWarning)

    def _merged(self, answers: Sequence[tuple[Layer, Listing | CopickError]]) -> Found[Merged]:
        skipped = {layer.name: answer for layer, answer in answers if isinstance(answer, CopickError)}
        sound = self._sound(answers)
        denied: dict[str | float, CopickError] = {}
        for layer, listing in sound:
            for what, error in listing.denied.items():
                if self._on_layer_error == "raise" or all(what in other.denied for _, other in sound):
                    denied.setdefault(what, error)
                else:
                    self._leave_out(layer, error)
                    skipped.setdefault(layer.name, error)
        return Found(merge(sound), skipped, denied)

    def _placed(self, answers: Sequence[tuple[Layer, Listing | CopickError]]) -> Found[Placed]:
        """Merge like :meth:`_merged`; with only one layer, the entities are not wrapped."""
        if not self.single:
            merged = self._merged(answers)
            return Found(merged, merged.skipped, merged.denied)
        if not answers:
            return Found()
        answer = answers[0][1]
        if isinstance(answer, CopickError):
            raise answer
        return Found(answer.located, denied=answer.denied)

    async def _ask(self, question: Callable[[Source], Awaitable[Listing]], sources: Sequence[Source]) -> Found[Placed]:
        sources = _shown(sources)
        if not sources:
            return Found()
        return self._placed(await self._ask_each(question, sources, [source.layer for source in sources]))

    def _whole(self, answers: Sequence[tuple[Layer, Listing | CopickError]]) -> Found[Merged]:
        """Merge like :meth:`_merged`; the layers that answered are no longer recorded as left out."""
        found = self._merged(answers)
        for layer, _ in answers:
            if layer.name not in found.skipped:
                self.skipped.pop(layer.name, None)
        return found

    async def list_runs(self, layers: Iterable[str] | None = None, beginning: str = "") -> Found[Placed]:
        """List the runs of all layers; layers restricted to some runs show only those."""
        chosen = self.named(layers)
        answers = await self._ask_each(lambda layer: layer.list_runs(beginning), chosen, chosen)
        shown = [(layer, _shown_runs(layer, answer)) for layer, answer in answers]
        found: Found[Any] = self._placed(shown) if self.single else self._whole(shown)
        await self._look_for_project(found, chosen, beginning)
        return found

    async def _look_for_project(self, found: Found[Any], chosen: Sequence[Layer], beginning: str) -> None:
        """Warn at the first listing if there seems to be no project."""
        if not self._known_to_exist:
            # Only the first listing is looked into: an empty project stays quiet, and costs no request again.
            self._known_to_exist = True
            if not found or not self.single:
                seen = {id(source.layer) for item in found for source in item.sources}
                empty = [layer for layer in chosen if id(layer) not in seen and layer.name not in found.skipped]
                # Among others, a layer that may be written to begins empty.
                await self._warn_if_missing(
                    [layer for layer in empty if not found or (layer.read_only and not beginning)]
                )

    async def _warn_if_missing(self, layers: Sequence[Layer]) -> None:
        reason = await explain_missing(layers)
        if reason is not None:
            warn(reason, MissingProjectWarning)

    async def list_objects(self, layers: Iterable[str] | None = None) -> Found[Merged]:
        """List the objects that have a map, of all layers."""
        asked = self.named(layers)
        return self._whole(await self._ask_each(lambda layer: layer.list_objects(), asked, asked))

    async def list_run(self, sources: Sequence[Source], nouns: Nouns = None, *, found: bool = False) -> Found[Placed]:
        """List the content of a run in the given layers; with `found`, what :meth:`find` has just seen is enough."""
        return await self._ask(lambda source: source.layer.list_run(source.located, nouns, found=found), sources)

    async def list_voxel_spacing(self, sources: Sequence[Source]) -> Found[Placed]:
        """List the tomograms and feature maps of a voxel spacing in the given layers."""
        return await self._ask(lambda source: source.layer.list_voxel_spacing(source.located), sources)

    async def find(self, ref: Ref) -> Merged | None:
        """Return one entity, looked up in all layers concurrently; None if no layer has it."""

        async def ask(layer: Layer) -> Located | None:
            return await layer.find(ref)

        layers = [layer for layer in self.layers if _shows(layer, ref)]
        if not layers:
            return None
        found = self._sound(await self._ask_each(ask, layers, layers))
        sources = [Source(layer, located) for layer, located in found if located]
        return Merged(ref, tuple(sources)) if sources else None

    async def ensure(self, *, create: bool = False) -> bool:
        """Return True if any layer holds a project; with `create`, the project is created in the write layer."""
        held = self._sound(await self._ask_each(lambda layer: layer.ensure(), self.layers, self.layers))
        exists = any(answer for _, answer in held)
        if create and not exists:
            exists = await self.writer().ensure(create=True)
        self._known_to_exist = self._known_to_exist or exists
        return exists

    async def explain_missing(self) -> str | None:
        """Return the reason why no layer holds a project; None if that cannot be said. One request per layer."""
        return await explain_missing(self.layers)

    async def first_pages(self, beginning: str = "") -> Mapping[str, FirstPage]:
        """Request the first pages of scans of the runs, by layer. Layers without one or with an error are left out."""
        layers = self.layers
        answers = await gather_results(lambda layer: layer.first_page(beginning), layers, limit=len(layers))
        return {
            layer.name: answer
            for layer, answer in zip(layers, answers, strict=True)
            if answer is not None and not isinstance(answer, CopickError)
        }

    def scan(
        self,
        runs: Sequence[Placed],
        nouns: Nouns = None,
        *,
        details: bool = True,
        first_pages: Mapping[str, FirstPage] = MappingProxyType({}),
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Placed, Found[Placed] | CopickError]]]:
        """List the content of many runs, in the order given; every layer reads ahead on its own, within its limits.

        Without `details`, size, etag and time of files are missing if they cost more requests than the names. The
        content of `first_pages` is not requested again.
        """
        return _scan(self, runs, nouns, details, first_pages)

    @asynccontextmanager
    async def scan_all(
        self, beginning: str, nouns: Nouns = None, *, details: bool = True
    ) -> AsyncIterator[tuple[Sequence[Placed], AsyncIterator[tuple[Placed, Found[Placed] | CopickError]]]]:
        """List the runs whose names begin with `beginning`, sorted, and their content as :meth:`scan` does.

        The first page of the content is requested together with the runs, and by a single layer, more of it while runs
        arrive. Several layers are merged when all runs of each are known.
        """
        layer = self.layers[0]
        whole = self.single and getattr(layer.config, "runs", None) is None
        together = layer.scan_all(beginning, nouns, details=details) if whole else None
        if together is not None:
            async with together as (listing, answers):
                found: Found[Placed] = Found(listing.located)
                await self._look_for_project(found, self.layers, beginning)
                yield found, _Alone(self, layer, answers)
            return
        questions: list[Callable[[], Awaitable[Any]]] = [
            partial(self.list_runs, beginning=beginning),
            partial(self.first_pages, beginning),
        ]
        listed, pages = await gather(lambda ask: ask(), questions, limit=len(questions))
        runs = [run for run in listed if run.ref.run.startswith(beginning)]
        async with self.scan(runs, nouns, details=details, first_pages=pages) as scanned:
            yield runs, scanned

    def options(self, **changes: Any) -> Stack:
        """Return the same layers with other limits."""
        return self.over(layer.options(**changes) for layer in self.layers)

    async def load_meta(self, sources: Sequence[Source] | None, *, listed: bool = False) -> dict[str, Any]:
        """Return the ``.meta`` content of a run, voxel spacing or (None) the root, from the highest layer that has
        one.
        """
        places = (
            [(layer, None) for layer in self.layers] if sources is None else [(s.layer, s.located) for s in sources]
        )
        for layer, located in places:
            content = await layer.load_meta(located, listed=listed)
            if content:
                return content
        return {}

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await gather(lambda layer: layer.aclose(), self.layers, limit=len(self.layers))


def _shows(layer: Layer, ref: Ref) -> bool:
    """Return True if a layer, which may be restricted to some runs, has to be asked for a ref."""
    allowed, run = getattr(layer.config, "runs", None), getattr(ref, "run", None)
    return allowed is None or run is None or run in allowed


def _shown_runs(layer: Layer, answer: Listing | CopickError) -> Listing | CopickError:
    if isinstance(answer, CopickError) or getattr(layer.config, "runs", None) is None:
        return answer
    return Listing(tuple(found for found in answer.located if _shows(layer, found.ref)), answer.skipped)


def _shown(sources: Sequence[Source]) -> list[Source]:
    return [source for source in sources if _shows(source.layer, source.located.ref)]


@asynccontextmanager
async def _scan(
    stack: Stack, runs: Sequence[Placed], nouns: Nouns, details: bool, first_pages: Mapping[str, FirstPage]
) -> AsyncIterator[AsyncIterator[tuple[Placed, Found[Placed] | CopickError]]]:
    async with AsyncExitStack() as exits:
        scans = {}
        for layer in stack.layers:
            held = [source.located for run in runs for source in _places(stack, run) if source.layer is layer]
            scan = layer.scan(held, nouns, details=details, first_page=first_pages.get(layer.name))
            scans[layer.name] = await exits.enter_async_context(scan)
        yield _Zipped(stack, scans, ((run, _places(stack, run)) for run in runs))


def _places(stack: Stack, run: Placed) -> Sequence[Source]:
    """Return the places of a run that have to be listed."""
    return _shown((Source(stack.layers[0], run),) if isinstance(run, Located) else run.sources)


class _Alone:
    """The scan of the only layer. A result that has arrived is kept if a step is cancelled."""

    __slots__ = ("_answers", "_layer", "_stack")

    def __init__(
        self, stack: Stack, layer: Layer, answers: AsyncIterator[tuple[Located, Listing | CopickError]]
    ) -> None:
        self._stack = stack
        self._layer = layer
        self._answers = answers

    def __aiter__(self) -> _Alone:
        return self

    async def __anext__(self) -> tuple[Placed, Found[Placed] | CopickError]:
        run, answer = await anext(self._answers)
        try:
            return run, self._stack._placed([(self._layer, answer)])
        except CopickError as error:
            return run, error


class _Zipped:
    """The scans of several layers, merged run by run. Results that have arrived are kept if a step is cancelled."""

    __slots__ = ("_answers", "_asked", "_next", "_scans", "_stack")

    def __init__(
        self,
        stack: Stack,
        scans: dict[str, AsyncIterator[tuple[Located, Listing | CopickError]]],
        asked: Iterable[tuple[Placed, Sequence[Source]]],
    ) -> None:
        self._stack = stack
        self._scans = scans
        self._asked = iter(asked)
        self._next: tuple[Placed, Sequence[Source]] | None = None
        self._answers: list[tuple[Layer, Listing | CopickError]] = []

    def __aiter__(self) -> _Zipped:
        return self

    async def __anext__(self) -> tuple[Placed, Found[Placed] | CopickError]:
        if self._next is None:
            self._next = next(self._asked, None)
        if self._next is None:
            raise StopAsyncIteration
        run, sources = self._next
        for source in sources[len(self._answers) :]:
            _, answer = await anext(self._scans[source.layer.name])
            self._answers.append((source.layer, answer))
        answers, self._answers, self._next = self._answers, [], None
        try:
            return run, self._stack._placed(answers)
        except CopickError as error:
            return run, error
