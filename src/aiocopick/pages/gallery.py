"""The gallery of a project: one HTML file that needs no server and no network."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from typing import IO, TYPE_CHECKING, Any

from aiocopick.concurrency.fan_out import stream
from aiocopick.concurrency.forks import Lock
from aiocopick.concurrency.threads import in_thread, in_thread_shielded
from aiocopick.entities.crawl import Crawl
from aiocopick.errors import AlreadyExistsError, CopickError, FormatError, NotFoundError
from aiocopick.pages.cards import MARK, Card, card_html, data_url, end_html, escaped, head_html, run_and_mark
from aiocopick.pictures import Choice, Scene, draw, encode_thumbnail, read_scene, require_pillow
from aiocopick.storage.single_files import give_name
from aiocopick.tables.held import held, is_listed

if TYPE_CHECKING:
    from aiocopick.entities import AsyncRoot, AsyncRun

logger = logging.getLogger(__name__)

KINDS = frozenset({"tomograms", "picks", "segmentations"})
"""The kinds that a card is made of."""

THUMBNAIL_SIZE = 320
VERSION = 1
_RUNS_AT_ONCE = 8
_BEGINNING = 256
_LONGEST = 2**22


@dataclass(slots=True)
class Written:
    """A gallery that was written.

    Parameters
    ----------
    runs : int
        Number of cards.
    reused : int
        Cards taken from an earlier page.
    errors : dict of str to str
        First error of each run of which something could not be read.
    unmatched : list of str
        URIs of `annotations` that no run has; empty if a run could not be listed.
    """

    runs: int = 0
    reused: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)


async def write_gallery(
    root: AsyncRoot,
    out: str | os.PathLike[str],
    annotations: str | Iterable[str] | None = None,
    *,
    runs: str | Iterable[str] | None = None,
    tomogram: str | None = None,
    depth: float = 5,
    since: str | os.PathLike[str] | None = None,
    progress: Callable[[str, int | None], None] | None = None,
) -> Written:
    """Write a page with a card for each run: a slice, with picks and the outlines of segmentations on it.

    Cards are written as runs are read, so that memory does not grow with their number. Requests: the listing of the
    project, and for each run one per file of picks, and the metadata and the chunks of the slice of each volume.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    out : str or path
        The HTML file. Until it is complete, a file next to it is written, which stays if the work is interrupted.
    annotations : str or iterable of str, optional
        URIs of picks and segmentations; None draws all.
    runs : str or iterable of str, optional
        Names or globs.
    tomogram : str, optional
        URI of the tomogram to show; see :meth:`aiocopick.AsyncRun.picture`.
    depth : float
        Slices on each side within which picks are drawn.
    since : str or path, optional
        An earlier page, complete or interrupted. Cards whose runs have the same listing are taken from it. Volumes have no
        version in a listing, so a volume that was replaced under its name is not noticed.
    progress : callable, optional
        Called with the name of each run and the number of all runs.

    Raises
    ------
    AlreadyExistsError
        `out` exists and is not a gallery.
    NotFoundError
        `since`, or the folder of `out`, does not exist.
    FormatError
        `since` is not a gallery.
    """
    uris = [annotations] if isinstance(annotations, str) else None if annotations is None else list(annotations)
    choice = Choice.of(tomogram, uris, depth)
    require_pillow()
    target = Path(out)
    replaces = await in_thread(_check_target, target)
    earlier = await in_thread(Earlier, since)
    try:
        written, matched = await _write(root, target, choice, runs, earlier, progress, replaces=replaces)
    finally:
        await in_thread_shielded(earlier.close)
    if matched is not None:
        written.unmatched = [uri for at, uri in enumerate(uris or ()) if at not in matched]
    return written


async def _write(
    root: AsyncRoot,
    target: Path,
    choice: Choice,
    runs: str | Iterable[str] | None,
    earlier: Earlier,
    progress: Callable[[str, int | None], None] | None,
    *,
    replaces: bool,
) -> tuple[Written, set[int] | None]:
    """Write the page; return also which annotations were found, by position, or None if a run could not be listed."""
    written = Written()
    matched: set[int] | None = set()
    objects = [item.model_dump(mode="json") for item in root.config.pickable_objects]
    settings = [VERSION, repr(choice), objects]

    async def make(run: AsyncRun) -> tuple[Card, str, bool]:
        nonlocal matched
        found = None if run.error is not None else await _matched(run, choice)
        matched = None if matched is None or found is None else matched | found
        mark = await _mark(settings, run, choice)
        known = await in_thread(earlier.card, run.name, mark)
        if known is not None:
            return Card(run.name), known, True
        card = await _card(run, choice, mark)
        return card, await in_thread(card_html, card), False

    part = target.with_name(f"{target.name}.{token_hex(4)}.part")
    file = await in_thread(_create, part)
    try:
        try:
            await in_thread(lambda: file.write(head_html(title_of(root), [escaped(root.url)])))
            crawl = Crawl(root._apart(), runs, KINDS, details=True)
            async with crawl as found, stream(make, found, limit=_RUNS_AT_ONCE, ordered=True) as results:
                async for run, result in results:
                    if isinstance(result, CopickError):
                        raise result
                    card, line, was_known = result
                    await in_thread(file.write, line)
                    written.runs += 1
                    written.reused += was_known
                    if errors := list(card.errors):
                        written.errors[run.name] = errors[0]
                    if progress is not None:
                        progress(run.name, crawl.total)
            await in_thread(lambda: file.write(end_html()))
        finally:
            # Closing writes what is buffered.
            await in_thread_shielded(file.close)
        await in_thread(partial(give_name, part, target, overwrite=replaces))
    except BaseException:
        if written.runs:
            logger.warning(
                "%s holds the %d runs that were done; go on with it as the earlier page.", part, written.runs
            )
        else:
            await in_thread_shielded(part.unlink)
        raise
    return written, matched


async def _matched(run: AsyncRun, choice: Choice) -> set[int]:
    """Return the positions of the annotations that a run has."""
    if not choice.annotations:
        return set()
    refs = [entity.ref for entity in await held(run, KINDS)]
    return {at for at, pattern in enumerate(choice.annotations) if any(map(pattern.matches, refs))}


def title_of(root: AsyncRoot) -> str:
    """Return the heading of a page: the name of the project, or its URL."""
    return getattr(root.config, "name", None) or root.url


def _check_target(target: Path) -> bool:
    """Return True if an earlier gallery is replaced."""
    if not target.parent.is_dir():
        raise NotFoundError(f"There is no folder {target.parent} to write {target.name} into.", path=str(target))
    if target.is_dir():
        raise AlreadyExistsError(f"{target} is a folder; name a file in it.", path=str(target))
    if target.exists() and not target.is_file():
        raise AlreadyExistsError(f"{target} is not a file; choose another name.", path=str(target))
    if target.exists():
        with target.open("rb") as file:
            if MARK.encode() not in file.read(_BEGINNING):
                raise AlreadyExistsError(
                    f"{target} exists and is not a gallery; choose another name.", path=str(target)
                )
        return True
    return False


def _create(part: Path) -> IO[str]:
    return part.open("x", encoding="utf-8", newline="\n")


class Earlier:
    """The cards of an earlier page, read one by one.

    Parameters
    ----------
    path : str or path, optional
        The page, complete or not; None is a page without cards.

    Raises
    ------
    NotFoundError
        It does not exist.
    FormatError
        It is not a gallery.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._places: dict[str, tuple[str, int, int]] = {}
        self._lock = Lock()
        self._file: IO[bytes] = BytesIO() if path is None else _opened(path)
        at = 0
        while line := self._file.readline(_LONGEST):
            card = run_and_mark(line.decode(errors="replace"))
            if card is not None:
                self._places[card[0]] = (card[1], at, len(line))
            at += len(line)

    def card(self, run: str, mark: str) -> str | None:
        """Return the card of a run, if it was made of the same."""
        known, start, length = self._places.get(run, ("", 0, 0))
        if not mark or known != mark:
            return None
        with self._lock:
            self._file.seek(start)
            return self._file.read(length).decode(errors="replace")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _opened(path: str | os.PathLike[str]) -> IO[bytes]:
    name = os.fspath(path)
    if os.path.exists(name) and not os.path.isfile(name):
        raise FormatError(f"{name} is not a file, so it is not a gallery.", path=name)
    try:
        file = Path(path).open("rb")  # noqa: SIM115
    except FileNotFoundError:
        raise NotFoundError(f"There is no earlier page {name}.", path=name) from None
    if MARK.encode() not in file.read(_BEGINNING):
        file.close()
        raise FormatError(f"{name} is not a gallery that this command wrote.", path=name)
    file.seek(0)
    return file


async def _mark(settings: list[Any], run: AsyncRun, choice: Choice) -> str:
    """Return a digest of all that a card is made of, as far as a listing tells; empty if something is not known."""
    if run.error is not None:
        return ""
    rows = []
    for entity in await held(run, KINDS):
        if entity.kind == "tomogram" or choice.holds(entity):
            place = entity._located
            rows.append([entity.kind, entity.uri, entity.path, place.size, place.etag, place.modified])
    return hashlib.sha256(json.dumps([settings, rows]).encode()).hexdigest()


async def _card(run: AsyncRun, choice: Choice, mark: str) -> Card:
    errors = [] if run.error is None else [one_line(run.error)]
    scene = Scene(title=run.name)
    if is_listed(run):
        scene = await read_scene(run, choice, keep_errors=True)
    errors += [error for error in scene.errors if error not in errors]
    image = ""
    facts = []
    if scene.slice is not None:
        image = data_url(*await in_thread(thumbnail_of, scene))
        facts = [f"{scene.slice.uri}, z = {scene.slice.index * scene.slice.voxel_size[0] / 10:.0f} nm"]
    objects = {name: (count, colour) for name, colour, count in reversed(scene.entries())}
    objects = dict(sorted(objects.items()))
    return Card(run.name, image, facts=facts, objects=objects, errors=errors, mark="" if errors else mark)


def thumbnail_of(scene: Scene) -> tuple[bytes, str]:
    """Return the picture of a card, and its media type."""
    return encode_thumbnail(draw(scene, THUMBNAIL_SIZE))


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line."""
    return " ".join(str(error).split()) or type(error).__name__
