"""Many entities loaded or stored at once, a result for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from aiocopick.concurrency.fan_out import first_error, gather, gather_results
from aiocopick.concurrency.misuse import refuse_unawaited
from aiocopick.entities.files import AsyncFile
from aiocopick.entities.metadata import MetadataMixin
from aiocopick.errors import CopickError

if TYPE_CHECKING:
    from aiocopick.entities.base import AsyncEntity
    from aiocopick.layers import Layer
    from aiocopick.layout.listing import Located

OnError: TypeAlias = Literal["raise", "return"]


async def load(entities: Iterable[AsyncEntity], on_error: OnError = "raise") -> list[Any]:
    """Load many entities: files in bulk, a run or voxel spacing by its metadata.

    Parameters
    ----------
    entities : iterable
        Picks, meshes, filaments, runs and voxel spacings, of any roots.
    on_error : {"raise", "return"}
        Raise the first error, or return each error instead of its result.

    Returns
    -------
    list
        The results of ``load()`` (or ``load_meta()``) of each, in the order of the entities.

    Raises
    ------
    CopickError
        The first error, with the others in its notes.
    TypeError
        An entity has nothing to load at once (volumes are read in parts).
    """
    return await read(entities, on_error)


async def read(entities: Iterable[AsyncEntity], on_error: OnError = "raise", *, listed: bool = False) -> list[Any]:
    """Load entities like :func:`load`; with `listed`, versions listed a moment ago may come from the cache on disk."""
    items = [async_entity(item) for item in entities]
    results: list[Any] = [None] * len(items)
    # The same entity is loaded once, however often it occurs.
    first = {id(item): index for index, item in reversed(list(enumerate(items)))}
    files: dict[int, AsyncFile] = {}
    others: list[int] = []
    for index, item in enumerate(items):
        if not isinstance(item, AsyncFile):
            others.append(index)
        elif first[id(item)] == index:
            files[index] = item
    unknown = [index for index, item in files.items() if not item._sources]
    if unknown:
        limit = files[unknown[0]].root._fan_out
        found = await gather_results(AsyncFile._resolve, [files[index] for index in unknown], limit=limit)
        for index, error in zip(unknown, found, strict=True):
            if isinstance(error, CopickError):
                results[index] = error
    groups = _by_layer({index: item for index, item in files.items() if results[index] is None})
    load_group = partial(_load_files, items, results, listed=listed, stop=on_error == "raise")
    if len(groups) == 1:
        await load_group(groups[0])
    else:
        await gather(load_group, groups, limit=max(1, len(groups)))
    if others:
        loaders = [_reader(items[index], listed) for index in others]
        for index, result in zip(others, await _each(loaders, items), strict=True):
            results[index] = result
    for index, item in enumerate(items):
        if isinstance(item, AsyncFile):
            results[index] = results[first[id(item)]]
    return _judged(results, on_error)


def _by_layer(files: dict[int, AsyncFile]) -> list[tuple[Layer, dict[Located, list[int]]]]:
    """Layers, and the indices of the files that each holds by their locations."""
    groups: dict[int, tuple[Layer, dict[Located, list[int]]]] = {}
    for index, item in files.items():
        source = item._sources[0]
        _, located = groups.setdefault(id(source.layer), (source.layer, {}))
        located.setdefault(source.located, []).append(index)
    return list(groups.values())


async def _load_files(
    items: Sequence[Any],
    results: list[Any],
    group: tuple[Layer, dict[Located, list[int]]],
    *,
    listed: bool,
    stop: bool,
) -> None:
    """Load the files of one layer; their results or errors are set by index, with `stop` up to the first error."""
    layer, located = group
    async with layer.load_many(list(located), listed=listed) as arriving:
        async for place, loaded in arriving:
            first, *others = located[place]
            try:
                if isinstance(loaded, CopickError):
                    raise loaded
                items[first]._take(loaded)
                results[first] = items[first]._content()
                for other in others:
                    await items[other]._read(listed=listed)
                    results[other] = items[other]._content()
            except CopickError as error:
                for index in located[place]:
                    results[index] = error
                if stop:
                    return


async def store(entities: Iterable[AsyncEntity], on_error: OnError = "raise") -> list[Any]:
    """Store many entities at once: files, and the metadata of runs and voxel spacings.

    Parameters
    ----------
    entities : iterable
        Picks, meshes, filaments, runs and voxel spacings, of any roots.
    on_error : {"raise", "return"}
        Raise the first error, or return each error instead of its result.

    Returns
    -------
    list
        None for each, or its error, in the order of the entities.

    Raises
    ------
    CopickError
        The first error, with the others in its notes.
    """
    items = [async_entity(item) for item in entities]
    return _judged(await _each([_verb(item, "store", "store_meta") for item in items], items), on_error)


def async_entity(entity: Any) -> Any:
    """Return the entity itself, or the async one of a facade entity.

    Raises
    ------
    TypeError
        It was not awaited.
    """
    refuse_unawaited(entity, "An entity")
    return getattr(entity, "aio", entity)


def _reader(item: Any, listed: bool) -> Callable[[], Awaitable[Any]]:
    if listed and isinstance(item, MetadataMixin):
        return partial(item._read_meta, listed=True)
    return _verb(item, "load", "load_meta")


def _verb(item: Any, *names: str) -> Callable[[], Awaitable[Any]]:
    for name in names:
        function: Callable[[], Awaitable[Any]] | None = getattr(item, name, None)
        if function is not None:
            return function
    raise TypeError(f"{item!r} has no {' or '.join(names)}(); volumes are read and written in parts.")


async def _each(functions: Sequence[Callable[[], Awaitable[Any]]], items: Sequence[AsyncEntity]) -> list[Any]:
    if not functions:
        return []
    limit = max(item.root._fan_out for item in items)
    return await gather_results(lambda function: function(), functions, limit=limit)


def _judged(results: list[Any], on_error: OnError) -> list[Any]:
    errors = [result for result in results if isinstance(result, CopickError)]
    if errors and on_error == "raise":
        error = first_error(errors)
        raise error from error.__cause__
    return results
