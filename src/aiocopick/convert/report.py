"""Results of adding and exporting: what was done, and what could not be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiocopick.concurrency.fan_out import stream
from aiocopick.errors import CopickError, FormatError

Item = TypeVar("Item")


@dataclass(slots=True)
class ConvertReport:
    """The result of :func:`add` and :func:`export`.

    Parameters
    ----------
    done : dict of str to list of str
        Entities that were written from a file, or that a file was written from, by the path of the file.
    errors : dict of str to CopickError
        Errors, by the path of the file, or by the name of the run.
    """

    done: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, CopickError] = field(default_factory=dict)


async def each(
    work: Callable[[Item], Awaitable[Any]],
    items: Iterable[Item],
    name: Callable[[Item], str],
    report: ConvertReport,
    *,
    limit: int,
    progress: Callable[[str], None] | None,
) -> None:
    """Do the work of each item, some at a time; what cannot be done is an error of the report."""

    async def guarded(item: Item) -> None:
        try:
            await work(item)
        except CopickError:
            raise
        except (ValueError, OSError) as error:
            # Of the packages that read these files, and of values that cannot be stored.
            raise FormatError(f"{name(item)}: {error}", path=name(item)) from error

    todo = list(items)
    expect = getattr(progress, "expect", None)
    if expect is not None:
        expect(len(todo))
    async with stream(guarded, todo, limit=limit) as results:
        async for item, result in results:
            if isinstance(result, CopickError):
                report.errors[name(item)] = result
            if progress is not None:
                progress(name(item))
