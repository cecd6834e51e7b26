"""Listings: the entities that the entries of a storage stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol, TypeAlias

from aiocopick.errors import CopickError, InvalidNameError
from aiocopick.layout.paths import (
    ANNOTATION_FOLDERS,
    FEATURES,
    META,
    OBJECTS,
    RUNS,
    SEGMENTATION_FOLDERS,
    VOXEL_SPACING,
    ZARR,
    key_of,
    parse_annotation,
    parse_object,
    parse_segmentation,
    parse_voxel_spacing,
)
from aiocopick.layout.refs import FeaturesRef, Ref, RunRef, TomogramRef, VoxelSpacingRef, maker

_FEW = 128
"""A run with at most this many entries probably has the same names as the next run."""

_UNREACHABLE = re.compile("[\\\\\\x00\ud800-\udfff]")
"""Characters that cannot be used in a request, though names in a listing may contain them: surrogates stand for bytes
of a local disk that are not UTF-8.
"""

_ANY = "any"
"""Name of a run that stands for all runs."""


class ListedEntry(Protocol):
    """The fields that are used of an entry of a listing."""

    @property
    def key(self) -> str:
        """Relative to the root."""

    @property
    def is_prefix(self) -> bool:
        """True if the entry is a directory or a tree."""

    @property
    def size(self) -> int | None:
        """Bytes."""

    @property
    def etag(self) -> str | None:
        """Version."""

    @property
    def modified(self) -> float | None:
        """Seconds since the epoch."""


Row: TypeAlias = tuple[str, bool, int | None, str | None, float | None]
"""The fields of an entry in the order of :class:`ListedEntry`. Plain tuples of them are not visited by the garbage
collector, so that thousands can wait.
"""


class Located(NamedTuple):
    """An entity and its location. A tuple, because listings have thousands.

    Parameters
    ----------
    ref : Ref
        The entity.
    key : str
        Its key as listed, relative to the root.
    size : int, optional
        Bytes, for files.
    etag : str, optional
        Version of the file, if the storage has versions.
    modified : float, optional
        Seconds since the epoch, if the storage reports it.
    """

    ref: Ref
    key: str
    size: int | None = None
    etag: str | None = None
    modified: float | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The content of a listing.

    Parameters
    ----------
    located : tuple of Located
        Sorted by ref; every ref once.
    skipped : tuple of str
        Keys at the level of entities that are not listed: the name cannot be parsed or requested, a directory is found
        instead of a file or a file instead of a directory, or another key with the same meaning hides it. Sorted.
    hidden : tuple of str
        Keys of hidden files next to entities, other than ``.meta``, such as the mark of an unfinished volume. They are
        ignored when listings are compared.
    denied : mapping
        Errors of the parts that could not be listed, by plural noun, or by voxel size for the volumes of a spacing.
    """

    located: tuple[Located, ...] = ()
    skipped: tuple[str, ...] = ()
    hidden: tuple[str, ...] = field(default=(), compare=False)
    denied: Mapping[str | float, CopickError] = field(default_factory=dict, compare=False)


def parse_runs(entries: Iterable[ListedEntry]) -> Listing:
    """Return the runs of a project.

    Parameters
    ----------
    entries : iterable
        Children of ``ExperimentRuns/``, or anything below it. A run is a directory; hidden directories are ignored, and
        names that cannot be requested are skipped.
    """
    names: dict[str, None] = {}
    skipped: set[str] = set()
    for entry in entries:
        folder, _, rest = entry.key.partition("/")
        name, deeper, _ = rest.partition("/")
        if folder != RUNS or name.startswith(".") or not (deeper or entry.is_prefix):
            continue
        if name and not _UNREACHABLE.search(name):
            names[name] = None
        elif name or entry.key.startswith(f"{RUNS}/"):
            # A name may be empty if keys are plain text: "ExperimentRuns//Picks".
            skipped.add(f"{RUNS}/{name or '/'}")
    located = tuple(Located(RunRef(run=name), f"{RUNS}/{name}") for name in sorted(names))
    return Listing(located, tuple(sorted(skipped)))


def parse_objects(entries: Iterable[ListedEntry]) -> Listing:
    """Return the objects of a project that have a map.

    Parameters
    ----------
    entries : iterable
        Children of ``Objects/``, or anything below it.
    """
    found, hidden = _Found(), []
    for entry in entries:
        folder, _, rest = entry.key.partition("/")
        name, deeper, _ = rest.partition("/")
        if folder != OBJECTS:
            continue
        if _is_hidden(name):
            if not deeper and not entry.is_prefix:
                hidden.append(entry.key)
        elif name.endswith(ZARR):
            found.tree(parse_object(name), f"{OBJECTS}/{name}", entry, is_tree=bool(deeper) or entry.is_prefix)
    return replace(found.listing(), hidden=tuple(hidden))


def parse_run(run: RunRef, entries: Iterable[Row]) -> Listing:
    """Return the entities of a run.

    Parameters
    ----------
    run : RunRef
        The run.
    entries : iterable
        Any mixture of children of the run, of its folders, and of deeper entries; volumes collapsed or walked. Entries
        that do not belong to an entity (frames, notes, ``.meta``) are ignored.

    Returns
    -------
    Listing
        A feature map belongs to the longest tomogram type listed next to it that begins its name; if there is none,
        to the type before the first ``_``. Of two spellings of one voxel size the canonical one is kept.
    """
    name, base = run.run, f"{RUNS}/{run.run}/"
    start = len(base)
    lines = [entry for entry in entries if entry[0][:start] == base]
    names, are_prefixes = tuple([line[0][start:] for line in lines]), tuple([line[1] for line in lines])
    shape = (_shape if len(lines) <= _FEW else _shape.__wrapped__)(names, are_prefixes)
    located = []
    for make, key, index in shape.located:
        if index is None:
            located.append(_located((make(name), base + key, None, None, None)))
        else:
            listed, _, size, etag, modified = lines[index]
            located.append(_located((make(name), listed, size, etag, modified)))
    skipped, hidden = tuple([base + key for key in shape.skipped]), tuple([base + key for key in shape.hidden])
    return Listing(tuple(located), skipped, hidden)


_located: Callable[[Iterable[Any]], Located] = partial(tuple.__new__, Located)
"""Make a tuple like ``Located._make``, in half the time."""


class _Shape(NamedTuple):
    """The meaning of names inside of a run: a ref to be made, its key in the run, and for a file its index in the
    listing.
    """

    located: list[tuple[Callable[[str], Ref], str, int | None]]
    skipped: list[str]
    hidden: list[str]


class _Line(NamedTuple):
    key: str
    is_prefix: bool
    size: int | None
    etag: str | None = None
    modified: float | None = None


@lru_cache(maxsize=256)
def _shape(names: tuple[str, ...], are_prefixes: tuple[bool, ...]) -> _Shape:
    """Return the meaning of the names. Runs of a project mostly hold the same names, so few shapes have to be
    computed.
    """
    start = len(RUNS) + len(_ANY) + 2
    reader = _RunReader(_ANY)
    lines = zip(names, are_prefixes, strict=True)
    listing = reader.read(_Line(reader.base + name, is_prefix, index) for index, (name, is_prefix) in enumerate(lines))
    return _Shape(
        [(maker(item.ref), item.key[start:], item.size) for item in listing.located],
        [key[start:] for key in listing.skipped],
        [
            name
            for name, is_prefix in zip(names, are_prefixes, strict=True)
            if not is_prefix and name.count("/") <= 1 and _is_hidden(name)
        ],
    )


class _Found:
    """The entities found so far, and the ignored entries."""

    __slots__ = ("folders", "located", "seen", "skipped")

    def __init__(self) -> None:
        self.located: list[Located] = []
        self.skipped: set[str] = set()
        self.seen: set[str] = set()
        self.folders: set[str] = set()
        """Directories that are named like files."""

    def file(self, ref: Ref | None, entry: ListedEntry) -> None:
        if ref is None or _UNREACHABLE.search(entry.key):
            self.skipped.add(entry.key)
        else:
            self.located.append(Located(ref, entry.key, entry.size, entry.etag, entry.modified))

    def tree(self, ref: Ref | None, key: str, entry: ListedEntry, *, is_tree: bool) -> None:
        """Add a volume: a directory with any number of entries below it. A file with such a name is not a volume."""
        if key in self.seen:
            return
        self.seen.add(key)
        if ref is None or not is_tree or _UNREACHABLE.search(key):
            self.skipped.add(key)
        else:
            self.located.append(Located(ref, key))

    def listing(self) -> Listing:
        ordered = sorted(self.located, key=_sort_key)
        kept: list[Located] = []
        for item in ordered:
            if not kept or kept[-1].ref != item.ref:
                kept.append(item)
                continue
            first, second = (item, kept[-1]) if _is_canonical(item) else (kept[-1], item)
            kept[-1] = first
            self.skipped.add(second.key)
        if self.folders:
            # Object stores can hold a file and a directory of the same name: then the file is used.
            self.skipped |= self.folders - {item.key for item in kept}
        return Listing(tuple(kept), tuple(sorted(self.skipped)))


class _RunReader:
    __slots__ = ("base", "features", "found", "name", "spacings", "tomo_types")

    def __init__(self, name: str) -> None:
        self.name = name
        self.base = f"{RUNS}/{name}/"
        self.found = _Found()
        self.spacings: dict[str, float | None] = {}
        self.tomo_types: dict[float, set[str]] = {}
        self.features: list[tuple[float, str, str]] = []

    def read(self, entries: Iterable[ListedEntry]) -> Listing:
        base, found, run = self.base, self.found, self.name
        for entry in entries:
            if not entry.key.startswith(base):
                continue
            folder, inside, rest = entry.key[len(base) :].partition("/")
            if not inside:
                if entry.is_prefix and folder.startswith(VOXEL_SPACING):
                    self._spacing(folder)
                continue
            name, deeper, _ = rest.partition("/")
            if folder in ANNOTATION_FOLDERS:
                if not _is_candidate(name, ANNOTATION_FOLDERS[folder][1]):
                    continue
                if deeper or entry.is_prefix:
                    found.folders.add(f"{base}{folder}/{name}")
                else:
                    found.file(parse_annotation(run, folder, name), entry)
            elif folder in SEGMENTATION_FOLDERS:
                if _is_candidate(name, ZARR):
                    is_tree = bool(deeper) or entry.is_prefix
                    ref = parse_segmentation(run, folder, name)
                    found.tree(ref, f"{base}{folder}/{name}", entry, is_tree=is_tree)
            elif folder.startswith(VOXEL_SPACING):
                size = self._spacing(folder)
                if size is not None and _is_candidate(name, ZARR):
                    self._volume(size, folder, name, entry, is_tree=bool(deeper) or entry.is_prefix)
        self._own_features()
        return found.listing()

    def _spacing(self, folder: str) -> float | None:
        if folder not in self.spacings:
            size = parse_voxel_spacing(folder)
            self.spacings[folder] = size
            key = self.base + folder
            if size is None:
                self.found.skipped.add(key)
            else:
                self.found.located.append(Located(VoxelSpacingRef(run=self.name, voxel_size=size), key))
        return self.spacings[folder]

    def _volume(self, size: float, folder: str, name: str, entry: ListedEntry, *, is_tree: bool) -> None:
        key = f"{self.base}{folder}/{name}"
        stem = name[: -len(ZARR)]
        if not stem.endswith(FEATURES):
            ref = TomogramRef(run=self.name, voxel_size=size, tomo_type=stem) if stem else None
            if ref is not None and is_tree and not _UNREACHABLE.search(stem):
                self.tomo_types.setdefault(size, set()).add(stem)
            self.found.tree(ref, key, entry, is_tree=is_tree)
        elif key not in self.found.seen:
            self.found.seen.add(key)
            if is_tree and not _UNREACHABLE.search(stem):
                self.features.append((size, stem[: -len(FEATURES)], key))
            else:
                self.found.skipped.add(key)

    def _own_features(self) -> None:
        for size, stem, key in self.features:
            parts = _split_features(stem, self.tomo_types.get(size, set()))
            if parts is None:
                self.found.skipped.add(key)
                continue
            ref = FeaturesRef(run=self.name, voxel_size=size, tomo_type=parts[0], feature_type=parts[1])
            self.found.located.append(Located(ref, key))


def _split_features(stem: str, tomo_types: set[str]) -> tuple[str, str] | None:
    """Return the tomogram type and the feature type in the name of a feature map."""
    position = stem.rfind("_", 0, -1)
    while position > 0:
        if stem[:position] in tomo_types:
            return stem[:position], stem[position + 1 :]
        position = stem.rfind("_", 0, position)
    # An orphan, or the tomogram is in another layer: feature types written by CoPick do not contain a separator.
    tomo_type, _, feature_type = stem.partition("_")
    return (tomo_type, feature_type) if tomo_type and feature_type else None


def _is_hidden(key: str) -> bool:
    name = key.rpartition("/")[2]
    return name.startswith(".") and name != META


def _is_candidate(name: str, suffix: str) -> bool:
    return name.endswith(suffix) and not name.startswith(".")


def _sort_key(located: Located) -> tuple[object, ...]:
    return (*located.ref.sort_key, located.key)


def _is_canonical(located: Located) -> bool:
    try:
        return key_of(located.ref) == located.key
    except InvalidNameError:
        return False


__all__ = ["ListedEntry", "Listing", "Located", "Row", "parse_objects", "parse_run", "parse_runs"]
