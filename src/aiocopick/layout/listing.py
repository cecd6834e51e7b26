"""Listings: what the entries of a storage mean."""

from __future__ import annotations

from dataclasses import dataclass

from aiocopick.layout.refs import Ref


@dataclass(frozen=True, slots=True)
class Located:
    """An entity, and where it was found.

    Parameters
    ----------
    ref : Ref
        What it is.
    key : str
        Where it lies, as listed, relative to the root.
    size : int, optional
        Bytes, for files.
    etag : str, optional
        Version of the file, where the storage has one.
    modified : float, optional
        Seconds since the epoch, where the storage says so.
    """

    ref: Ref
    key: str
    size: int | None = None
    etag: str | None = None
    modified: float | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a listing holds.

    Parameters
    ----------
    located : tuple of Located
        Sorted by ref; every ref once.
    skipped : tuple of str
        Keys in the place of an entity whose names cannot be parsed, or that another key with the same meaning hides.
        Sorted.
    """

    located: tuple[Located, ...] = ()
    skipped: tuple[str, ...] = ()
