"""Listings of many runs, requested one block of runs at a time, some blocks ahead of the consumer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

from aiocopick.concurrency.fan_out import Flattened, stream
from aiocopick.errors import CopickError
from aiocopick.layout.listing import Listing, Located

Answer: TypeAlias = Listing | CopickError


def batched(runs: Sequence[Located], size: int) -> list[Sequence[Located]]:
    """Split the runs into blocks of neighbours."""
    return [runs[start : start + size] for start in range(0, len(runs), size)]


@asynccontextmanager
async def in_blocks(
    blocks: Sequence[Sequence[Located]], answer: Callable[[Sequence[Located]], Awaitable[list[Answer]]], *, ahead: int
) -> AsyncIterator[AsyncIterator[tuple[Located, Answer]]]:
    """Return the runs with their listings, in the order given.

    Parameters
    ----------
    blocks : sequence of sequence of Located
        The runs to list.
    answer : callable
        Lists the runs of a block.
    ahead : int
        Blocks that are being requested or wait for the consumer.
    """
    async with stream(answer, blocks, limit=ahead, ordered=True) as answered:
        yield Flattened(_one_by_one, answered)


def _one_by_one(
    answered: tuple[Sequence[Located], list[Answer] | CopickError],
) -> Iterable[tuple[Located, Answer]]:
    block, answers = answered
    if isinstance(answers, CopickError):
        raise answers
    return zip(block, answers, strict=True)
