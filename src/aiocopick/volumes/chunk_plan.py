"""The parts of chunks that a selection of an array needs. Pure arithmetic; arrays are in any axis order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod
from operator import index
from typing import TypeAlias, TypeVar

Selection: TypeAlias = tuple[range, ...]
"""The selected indices along each axis, ascending."""

Slices: TypeAlias = tuple[slice, ...]

Part = TypeVar("Part")
_HELD = 2**14
"""Chunks along one axis that are planned at once."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of one chunk that belongs to a selection.

    Parameters
    ----------
    coordinates : tuple of int
        Of the chunk in the grid.
    inside : tuple of slice
        The part within the chunk.
    target : tuple of slice
        Position of that part in the selected region.
    whole : bool
        True if it is the whole part of the chunk inside of the array.
    """

    coordinates: tuple[int, ...]
    inside: Slices
    target: Slices
    whole: bool


def select(items: Sequence[slice | int | None], shape: Sequence[int]) -> tuple[Selection, tuple[int, ...]]:
    """Turn slices and indices into ranges.

    Parameters
    ----------
    items : sequence of slice, int or None
        One per axis; None is everything; an index selects one entry and drops the axis.
    shape : sequence of int
        Of the array.

    Returns
    -------
    tuple
        The selection, and the axes to drop.

    Raises
    ------
    IndexError
        An index outside the array, a step that is not positive, another number of items than axes.
    TypeError
        Something else than a slice or an index.
    """
    if len(items) != len(shape):
        raise IndexError(f"{len(items)} slices for an array with {len(shape)} axes")
    ranges, dropped = [], []
    for axis, (item, size) in enumerate(zip(items, shape, strict=True)):
        if item is None:
            ranges.append(range(size))
        elif isinstance(item, slice):
            if item.step is not None and index(item.step) < 1:
                raise IndexError(f"the step of a slice must be positive, not {item.step}")
            ranges.append(range(*item.indices(size)))
        else:
            try:
                position = index(item)
            except TypeError:
                raise TypeError(f"axis {axis} is selected by a slice or an index, not by {item!r}") from None
            if not -size <= position < size:
                raise IndexError(f"index {position} is outside an axis of {size}")
            position %= size
            ranges.append(range(position, position + 1))
            dropped.append(axis)
    return tuple(ranges), tuple(dropped)


def shape_of(selection: Selection) -> tuple[int, ...]:
    """Shape of the selected region."""
    return tuple(len(item) for item in selection)


def pieces(selection: Selection, shape: Sequence[int], chunks: Sequence[int]) -> Iterator[Piece]:
    """The parts of chunks that make up a selection, in grid order; each chunk occurs once."""
    axes = [partial(_along, item, size, edge) for item, size, edge in zip(selection, shape, chunks, strict=True)]
    lengths = [min(len(item), -(-size // edge)) for item, size, edge in zip(selection, shape, chunks, strict=True)]
    for parts in _combined(axes, lengths):
        yield Piece(
            tuple(part[0] for part in parts),
            tuple(part[1] for part in parts),
            tuple(part[2] for part in parts),
            all(part[3] for part in parts),
        )


def _combined(axes: Sequence[Callable[[], Iterable[Part]]], lengths: Sequence[int]) -> Iterable[tuple[Part, ...]]:
    """Yield the product lazily: `itertools.product` stores whole axes, and metadata may claim any number of chunks."""
    if max(lengths, default=0) <= _HELD:
        return product(*(axis() for axis in axes))
    return _nested(axes)


def _nested(axes: Sequence[Callable[[], Iterable[Part]]]) -> Iterator[tuple[Part, ...]]:
    if not axes:
        yield ()
        return
    for part in axes[0]():
        for others in _nested(axes[1:]):
            yield (part, *others)


def count_pieces(selection: Selection, chunks: Sequence[int]) -> int:
    """Return the number of chunks that a selection touches."""
    return prod(sum(1 for _ in _along(item, item.stop, edge)) for item, edge in zip(selection, chunks, strict=True))


def _along(selected: range, size: int, edge: int) -> Iterator[tuple[int, slice, slice, bool]]:
    position = 0
    while position < len(selected):
        first = selected[position]
        chunk = first // edge
        origin = chunk * edge
        end = min(origin + edge, size)
        # Entries of the selection below the end of this chunk.
        beyond = min(len(selected), position + -(-(end - first) // selected.step))
        last = selected[beyond - 1]
        inside = slice(first - origin, last - origin + 1, selected.step)
        whole = beyond - position == end - origin
        yield chunk, inside, slice(position, beyond), whole
        position = beyond


def blocks(shape: Sequence[int], edges: Sequence[int]) -> Iterator[Slices]:
    """Cut an array into blocks, in order."""
    starts = [range(0, size, edge) for size, edge in zip(shape, edges, strict=True)]
    for corner in _combined([partial(iter, start) for start in starts], [len(start) for start in starts]):
        yield tuple(
            slice(start, min(start + edge, size)) for start, edge, size in zip(corner, edges, shape, strict=True)
        )
