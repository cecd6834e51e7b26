"""Batches of boxes across the runs of a project: step by step, or with read-ahead; async and blocking."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeAlias

import numpy as np

from aiocopick.concurrency.fan_out import Flattened, gather, gather_results, stream
from aiocopick.concurrency.misuse import AsyncOnly
from aiocopick.concurrency.threads import in_thread
from aiocopick.entities import AsyncRoot
from aiocopick.entities.root import async_root
from aiocopick.errors import CopickError
from aiocopick.layout.uris import parse_uri
from aiocopick.sync.bridge import call
from aiocopick.tables.scope import Scope
from aiocopick.tables.select import select
from aiocopick.training.places import Sampler
from aiocopick.training.plan import Known, Piece, Plan, Settings
from aiocopick.volumes.boxes import as_type, box_edges
from aiocopick.volumes.whole_number import whole_number

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from aiocopick.sync.root import CopickRootFS

P = ParamSpec("P")
Array: TypeAlias = np.ndarray[Any, Any]
Root: TypeAlias = "AsyncRoot | CopickRootFS"

_END: Any = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Boxes, and where each of them comes from. Everything has the same order.

    Parameters
    ----------
    boxes : ndarray, shape (N, z, y, x)
        Voxels.
    segmentation : ndarray, shape (N, z, y, x), or None
        The same voxels of the segmentation that ``labels=`` names, in its type.
    labels : ndarray, shape (N,)
        Label of the object of each pick; 0 for random places, -1 for objects without a label.
    positions : ndarray, shape (N, 3)
        x, y, z in angstrom; the voxel nearest to it is at ``size // 2``.
    runs : list of str
        Names of the runs.
    uris : list of str
        URIs of the picks (``"ribosome:curator/1"``); empty for random places.
    indices : ndarray, shape (N,)
        Number of the point in its picks; -1 for random places.
    """

    boxes: Array
    segmentation: Array | None
    labels: NDArray[np.int64]
    positions: NDArray[np.float64]
    runs: list[str]
    uris: list[str]
    indices: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        """The shape and where the boxes come from, without the voxels."""
        return f"Batch(shape={self.boxes.shape}, dtype={self.boxes.dtype}, runs={sorted(set(self.runs))})"


@dataclass(frozen=True, slots=True)
class _Row:
    box: Array
    segmentation: Array | None
    piece: Piece
    at: int


def boxes(
    root: Root,
    uri: str | Iterable[str] | None,
    size: int | Sequence[int],
    voxel_size: float,
    tomogram: str,
    *,
    labels: str | Mapping[str, int] | None = None,
    batch: int = 32,
    shuffle: int = 0,
    seed: int = 0,
    prefetch: int = 2,
    negatives: Sampler | None = None,
    outside: Literal["fill", "skip"] = "fill",
    fill: float = 0,
    dtype: Any = np.float32,
    runs: str | Iterable[str] | None = None,
    shard: tuple[int, int] = (0, 1),
    on_error: Literal["raise", "skip"] = "raise",
) -> Boxes:
    """Iterate over batches of boxes around picks and at random places, across the runs of a project.

    Parameters
    ----------
    root : AsyncRoot or CopickRootFS
        The project.
    uri : str or iterable of str, optional
        The picks, as for :func:`aiocopick.select` (``"ribosome:curator"``); None is random places alone.
    size : int or three ints
        Voxels of a box along all axes, or along z, y, x.
    voxel_size : float
        In angstrom: the tomogram of this voxel spacing, else the coarser level of another one that has this size.
    tomogram : str
        Type of the tomograms (``"wbp"``), one in each run that has picks.
    labels : str or mapping of str to int, optional
        URI of segmentations to cut as well (``"cell:curator"``), one in each run that has picks. A mapping gives the
        labels of objects by name, in place of those of the configuration.
    batch : int
        Boxes in a batch; the last one may have fewer.
    shuffle : int
        Boxes among which the next is chosen; the runs are in random order, too. 0 is the order of the runs and picks.
    seed : int
        Everything random is decided by it and by the epoch, whatever the number of requests at a time.
    prefetch : int
        Batches that are read ahead inside of ``async with``, or by one step outside of it.
    negatives : callable, optional
        Random places to add: :func:`aiocopick.random_places`, or a plain or coroutine function of a
        :class:`~aiocopick.training.Place` and a numpy generator that returns positions.
    outside : "fill" or "skip"
        Handling of boxes that are partly outside of the tomogram: fill them up, or leave them out. Boxes without any
        voxel in the tomogram are always left out; ``skipped`` counts both.
    fill : number
        Value of voxels outside of the tomogram; those of the segmentation are 0.
    dtype : dtype
        Of the boxes.
    runs : str or iterable of str, optional
        A glob, or names; all runs without.
    shard : tuple of int
        Index and count: every count-th run, the same in every epoch, for one of several workers.
    on_error : "raise" or "skip"
        Handling of a run with picks that lacks the tomogram, or cannot be read: raise, or record it in ``errors``.

    Returns
    -------
    Boxes
        ``async for batch in boxes``, or ``async with boxes as batches: async for batch in batches`` with read-ahead.

    Raises
    ------
    ValueError
        A number that cannot be, or nothing to cut.
    InvalidNameError
        It is not a URI.
    TypeError
        It is not a root.
    """
    known = Known(async_root(root)._apart())
    segmentation = parse_uri(labels, "segmentation") if isinstance(labels, str) else None
    if uri is None and negatives is None:
        raise ValueError("there is nothing to cut: name picks by uri=, or give negatives=random_places(...)")
    if not (labels is None or isinstance(labels, str | Mapping)):
        raise TypeError(f"labels is a URI of segmentations, or labels by object name, not {labels!r}")
    if outside not in ("fill", "skip"):
        raise ValueError(f"outside={outside!r} is unknown; use 'fill' or 'skip'")
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error={on_error!r} is unknown; use 'raise' or 'skip'")
    if not (math.isfinite(voxel_size) and voxel_size > 0):
        raise ValueError(f"voxel_size must be positive, in angstrom, not {voxel_size!r}")
    kind = np.dtype(dtype)
    as_type(fill, kind)
    settings = Settings(
        picks=None if uri is None else select(known.root, uri, kinds="picks"),
        scope=Scope.of(runs, None),
        edges=box_edges(size),
        voxel_size=voxel_size,
        tomogram=tomogram,
        segmentation=segmentation,
        numbers=dict(labels) if isinstance(labels, Mapping) else None,
        batch=whole_number(batch, "batch"),
        shuffle=_from_zero(shuffle, "shuffle"),
        seed=_from_zero(seed, "seed"),
        prefetch=_from_zero(prefetch, "prefetch"),
        negatives=negatives,
        skips_outside=outside == "skip",
        fill=fill,
        dtype=kind,
        shard=_checked_shard(shard),
        raises=on_error == "raise",
    )
    return Boxes(known, settings, 0)


def _from_zero(value: Any, what: str) -> int:
    return 0 if value == 0 and not isinstance(value, bool) else whole_number(value, what, most=2**62)


def _checked_shard(shard: Any) -> tuple[int, int]:
    try:
        index, count = shard
        index, count = _from_zero(index, "the index of the shard"), whole_number(count, "the count of shards")
    except (TypeError, ValueError) as error:
        raise ValueError(f"shard is an index and a count, (0, 4) for the first of four, not {shard!r}") from error
    if index >= count:
        raise ValueError(f"shard {index} of {count} does not exist; the first one has index 0")
    return index, count


class Boxes(AsyncOnly):
    """The batches of :func:`boxes`. It can be left at any time, and iterated more than once.

    Runs are listed, and picks read, once for all epochs; a new one sees what has changed since.

    Attributes
    ----------
    errors : dict of str to CopickError
        With ``on_error="skip"``: the errors, by the name of the run.
    skipped : dict of str to int
        Number of picks left out because they are outside of the tomogram, by the name of the run.
    """

    def __init__(self, known: Known, settings: Settings, epoch: int) -> None:
        self._known = known
        self._settings = settings
        self._epoch = epoch
        self._exits: AsyncExitStack | None = None

    @property
    def errors(self) -> dict[str, CopickError]:
        """Errors of runs that were left out, by name."""
        return self._known.errors

    @property
    def skipped(self) -> dict[str, int]:
        """Number of picks that were left out, by the name of the run."""
        return self._known.skipped

    def epoch(self, number: int) -> Boxes:
        """Return the batches of another epoch: other random places, and another order if they are shuffled.

        Parameters
        ----------
        number : int
            From 0, which is the epoch of the boxes at first.
        """
        return Boxes(self._known, self._settings, _from_zero(number, "the number of the epoch"))

    def __aiter__(self) -> AsyncIterator[Batch]:
        steps = _Steps(self._plan(), self._read, max(1, self._settings.prefetch))
        return _Batches(steps, self._settings, self._epoch)

    async def __aenter__(self) -> AsyncIterator[Batch]:
        async with AsyncExitStack() as exits:
            ahead = stream(self._read, self._plan(), limit=max(1, self._settings.prefetch), ordered=True)
            rows = Flattened(_rows_read, await exits.enter_async_context(ahead))
            self._exits = exits.pop_all()
        return _Batches(rows, self._settings, self._epoch)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        exits, self._exits = self._exits, None
        return None if exits is None else await exits.__aexit__(kind, error, trace)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Boxes, (self._known, self._settings, self._epoch))

    def _plan(self) -> Plan:
        return Plan(self._known, self._settings, self._epoch)

    async def _read(self, group: list[Piece]) -> list[_Row]:
        """Cut the boxes of a group, each chunk being read once for a piece of it."""
        rows: list[_Row] = []
        results = await gather_results(self._cut, group, limit=len(group))
        for piece, result in zip(group, results, strict=True):
            if isinstance(result, CopickError):
                self._known.fail(piece.site.run.name, result, self._settings)
            else:
                rows += result
        return rows

    async def _cut(self, piece: Piece) -> list[_Row]:
        site, settings = piece.site, self._settings
        positions = piece.points.positions
        found = await site.tomogram.extract(positions, settings.edges, site.level, settings.fill)
        mask = None
        if site.segmentation is not None:
            mask = await site.segmentation.extract(positions, settings.edges, site.segmentation_level)

        def rows() -> list[_Row]:
            typed = found.astype(settings.dtype, copy=False)
            # In a shuffled buffer, a view of one box would keep all boxes of its volume in memory.
            copied = np.copy if settings.shuffle else np.asarray
            return [
                _Row(copied(typed[at]), None if mask is None else copied(mask[at]), piece, at)
                for at in range(len(positions))
            ]

        return await in_thread(rows)


def _rows_read(result: tuple[list[Piece], list[_Row] | CopickError]) -> list[_Row]:
    if isinstance(result[1], CopickError):
        raise result[1]
    return result[1]


class _Steps(AsyncIterator[_Row]):
    """The boxes of a plan, some groups at each step; between two steps nothing is running."""

    def __init__(self, plan: Plan, read: Callable[[list[Piece]], Any], together: int) -> None:
        self._plan = plan
        self._read = read
        self._together = together
        # Groups that were planned stay here until they are read, also if the step is cancelled.
        self._groups: list[list[Piece]] = []
        self._rows: deque[_Row] = deque()

    async def __anext__(self) -> _Row:
        while not self._rows:
            while len(self._groups) < self._together:
                try:
                    self._groups.append(await anext(self._plan))
                except StopAsyncIteration:
                    break
            if not self._groups:
                raise StopAsyncIteration
            for rows in await gather(self._read, self._groups, limit=self._together):
                self._rows.extend(rows)
            self._groups = []
        return self._rows.popleft()


class _Batches(AsyncOnly, AsyncIterator[Batch]):
    """Batches of single boxes, chosen at random out of a buffer if they are to be shuffled."""

    def __init__(self, rows: AsyncIterator[_Row], settings: Settings, epoch: int) -> None:
        self._rows = rows
        self._settings = settings
        self._random = np.random.default_rng([settings.seed, epoch, *settings.shard])
        self._buffer: list[_Row] = []
        self._chosen: list[_Row] = []
        self._ended = False

    async def __anext__(self) -> Batch:
        while not self._ended and len(self._chosen) < self._settings.batch:
            if len(self._buffer) > self._settings.shuffle:
                self._choose()
                continue
            try:
                self._buffer.append(await anext(self._rows))
            except StopAsyncIteration:
                self._ended = True
        while self._buffer and len(self._chosen) < self._settings.batch:
            self._choose()
        if not self._chosen:
            raise StopAsyncIteration
        batch = await in_thread(_batch, self._chosen)
        self._chosen = []
        return batch

    def _choose(self) -> None:
        buffer = self._buffer
        if self._settings.shuffle:
            at = int(self._random.integers(len(buffer)))
            buffer[at], buffer[-1] = buffer[-1], buffer[at]
        self._chosen.append(buffer.pop())


def _batch(rows: list[_Row]) -> Batch:
    masks = [row.segmentation for row in rows if row.segmentation is not None]
    points = [(row.piece.points, row.at) for row in rows]
    return Batch(
        boxes=np.stack([row.box for row in rows]),
        segmentation=np.stack(masks) if masks else None,
        labels=np.array([part.labels[at] for part, at in points]),
        positions=np.array([part.positions[at] for part, at in points]),
        runs=[row.piece.site.run.name for row in rows],
        uris=[part.uris[at] for part, at in points],
        indices=np.array([part.indices[at] for part, at in points]),
    )


class BlockingBoxes:
    """The batches of :func:`boxes_sync`: ``for batch in boxes``. Between two batches nothing is running.

    Attributes
    ----------
    aio : Boxes
        The async twin.
    """

    def __init__(self, root: Any, aio: Boxes) -> None:
        self._root = root
        self.aio = aio

    @property
    def errors(self) -> dict[str, CopickError]:
        """Errors of runs that were left out, by name."""
        return self.aio.errors

    @property
    def skipped(self) -> dict[str, int]:
        """Number of picks that were left out, by the name of the run."""
        return self.aio.skipped

    def epoch(self, number: int) -> BlockingBoxes:
        """Return the batches of another epoch, as :meth:`Boxes.epoch`."""
        return BlockingBoxes(self._root, self.aio.epoch(number))

    def __iter__(self) -> Iterator[Batch]:
        batches = aiter(self.aio)
        while True:
            if not isinstance(self._root, AsyncRoot):
                self._root._check_open()
            batch = call(_next, batches)
            if batch is _END:
                return
            yield batch


async def _next(batches: AsyncIterator[Batch]) -> Any:
    return await anext(batches, _END)


def _blocking(function: Callable[Concatenate[Root, P], Boxes]) -> Callable[Concatenate[Root, P], BlockingBoxes]:
    @wraps(function)
    def boxes_sync(root: Root, *args: P.args, **kwargs: P.kwargs) -> BlockingBoxes:
        return BlockingBoxes(root, function(root, *args, **kwargs))

    boxes_sync.__name__ = boxes_sync.__qualname__ = "boxes_sync"
    boxes_sync.__annotations__["return"] = "BlockingBoxes"
    parameters, _, rest = (function.__doc__ or "").partition("    Parameters")[2].partition("    Returns")
    raises = rest.partition("    Raises")[2]
    boxes_sync.__doc__ = f"""Iterate over batches of boxes in blocking code: ``for batch in boxes_sync(...)``.

    Between two batches nothing is running; `prefetch` is the number of batches that one step reads.

    Parameters{parameters}    Returns
    -------
    BlockingBoxes

    Raises{raises}"""
    return boxes_sync  # type: ignore[return-value]


boxes_sync = _blocking(boxes)
"""Iterate over batches of boxes in blocking code; the arguments are those of :func:`boxes`."""

__all__ = ["Batch", "BlockingBoxes", "Boxes", "boxes", "boxes_sync"]
