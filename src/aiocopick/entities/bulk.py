"""Many entities loaded or stored at once, a result for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from aiocopick.concurrency.fan_out import bare, gather, gather_results
from aiocopick.entities.files import AsyncFile
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
    items = list(entities)
    results: list[Any] = [None] * len(items)
    in_bulk: dict[int, int] = {}
    singly: list[int] = []
    for index, item in enumerate(items):
        # The same file in two entities is read twice: they must not share data.
        place = next((seen for seen in (in_bulk.get(id(item)),) if seen is not None), None)
        if place is not None or not isinstance(item, AsyncFile):
            singly.append(index)
        else:
            in_bulk[id(item)] = index
    files = {index: item for index in in_bulk.values() if isinstance(item := items[index], AsyncFile)}
    for index, result in (await _load_files(files, stop=on_error == "raise")).items():
        results[index] = result
    rest = [index for index in singly if id(items[index]) not in in_bulk]
    for index, result in zip(rest, await _each([_loader(items[index]) for index in rest], items), strict=True):
        results[index] = result
    for index in singly:
        if id(items[index]) in in_bulk:
            results[index] = results[in_bulk[id(items[index])]]
    return _judged(results, on_error)


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
    items = list(entities)
    return _judged(await _each([_storer(item) for item in items], items), on_error)


def _loader(item: Any) -> Callable[[], Awaitable[Any]]:
    return _verb(item, "load", "load_meta")


def _storer(item: Any) -> Callable[[], Awaitable[Any]]:
    return _verb(item, "store", "store_meta")


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
    return await gather_results(_call, functions, limit=limit)


async def _call(function: Callable[[], Awaitable[Any]]) -> Any:
    return await function()


async def _load_files(files: dict[int, AsyncFile], *, stop: bool) -> dict[int, Any]:
    """Results or errors by index; with `stop`, perhaps only up to the first error."""
    results: dict[int, Any] = {}
    by_layer: dict[int, tuple[Layer, dict[Located, list[int]]]] = {}
    await _resolve_all(files, results)
    for index, item in files.items():
        if index not in results:
            source = item._sources[0]
            _, located = by_layer.setdefault(id(source.layer), (source.layer, {}))
            located.setdefault(source.located, []).append(index)

    async def read(group: tuple[Layer, dict[Located, list[int]]]) -> None:
        layer, located = group
        async with layer.load_many(list(located)) as arriving:
            async for place, loaded in arriving:
                first, *others = located[place]
                try:
                    if isinstance(loaded, CopickError):
                        raise loaded
                    files[first]._take(loaded)
                    results[first] = files[first]._content()
                    for other in others:
                        results[other] = await files[other].load()
                except CopickError as error:
                    results.update(dict.fromkeys(located[place], error))
                    if stop:
                        return

    await gather(read, list(by_layer.values()), limit=max(1, len(by_layer)))
    return results


async def _resolve_all(files: dict[int, AsyncFile], results: dict[int, Any]) -> None:
    unknown = [index for index, item in files.items() if not item._sources]
    if not unknown:
        return
    limit = files[unknown[0]].root._fan_out
    found = await gather_results(_resolve, [files[index] for index in unknown], limit=limit)
    results.update({index: result for index, result in zip(unknown, found, strict=True) if result is not None})


async def _resolve(item: AsyncFile) -> None:
    await item._resolve()


def _judged(results: list[Any], on_error: OnError) -> list[Any]:
    errors = [result for result in results if isinstance(result, CopickError)]
    if errors and on_error == "raise":
        error = bare(errors)
        raise error from error.__cause__
    return results
